"""Test that every script of Kafka's bin folder is there under both names, helps, and says so where it is to come."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from barnabas.tools.catalog import SCRIPTS, script_of
from barnabas.tools.main import run_as

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
#: as Apache Kafka 4.0 has it, without the folder of batch files, and kafka-streams-groups, which came later
BIN_FOLDER = (
    "connect-distributed connect-mirror-maker connect-plugin-path connect-standalone kafka-acls "
    "kafka-broker-api-versions kafka-client-metrics kafka-cluster kafka-configs kafka-console-consumer "
    "kafka-console-producer kafka-console-share-consumer kafka-consumer-groups kafka-consumer-perf-test "
    "kafka-delegation-tokens kafka-delete-records kafka-dump-log kafka-e2e-latency kafka-features kafka-get-offsets "
    "kafka-groups kafka-jmx kafka-leader-election kafka-log-dirs kafka-metadata-quorum kafka-metadata-shell "
    "kafka-producer-perf-test kafka-reassign-partitions kafka-replica-verification kafka-run-class kafka-server-start "
    "kafka-server-stop kafka-share-groups kafka-storage kafka-streams-application-reset kafka-streams-groups "
    "kafka-topics kafka-transactions kafka-verifiable-consumer kafka-verifiable-producer trogdor"
).split()


def test_every_script_of_the_bin_folder_is_a_command_under_both_names() -> None:
    assert set(BIN_FOLDER) <= set(SCRIPTS)
    commands = set(tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]) - {"barnabas"}
    assert commands == {name + ending for name in SCRIPTS for ending in ("", ".sh")}
    assert all(script_of(name) == script_of(f"{name}.sh") == name for name in SCRIPTS)


@pytest.mark.parametrize("name", [name for name, script in SCRIPTS.items() if script.module])
def test_help_says_what_it_is_for_and_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = run_as(name, ["--help"])
    except SystemExit as e:  # argparse ends by itself
        status = int(e.code or 0)
    shown = capsys.readouterr()
    assert (status, shown.err) == (0, "")
    assert "Example:" in shown.out
    assert name in shown.out.partition("Example:")[2]


@pytest.mark.parametrize("name", [name for name, script in SCRIPTS.items() if not script.module])
def test_what_is_not_there_yet_says_so(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_as(name, []) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"{name} is not there yet: it will ")
