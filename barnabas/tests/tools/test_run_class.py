"""Class names lead to tools."""

from __future__ import annotations

import pytest

from barnabas.tools.catalog import SCRIPTS
from barnabas.tools.main import run


@pytest.mark.parametrize("name", ["org.apache.kafka.tools.DumpLogSegments", "kafka.tools.DumpLogSegments"])
def test_an_old_and_a_new_name_lead_to_the_tool(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-run-class", ["-name", "x", "-loggc", "-Xmx1g", name, "--version"]) == 0
    assert capfd.readouterr().out == "4.3.0\n"


def test_the_tool_gets_its_own_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-run-class", ["kafka.tools.DumpLogSegments", "--help"]) == 0
    assert "--index-sanity-check" in capfd.readouterr().out


def test_an_unknown_class_shows_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-run-class", ["kafka.tools.DumpLogSegment"]) == 1
    error = capfd.readouterr().err
    assert error.startswith("Error: Could not find or load main class kafka.tools.DumpLogSegment\n")
    assert "kafka.tools.DumpLogSegments (kafka-dump-log)" in error


def test_without_a_class_the_usage_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-run-class", []) == 1
    assert capfd.readouterr().out.startswith("USAGE: ")


def test_no_class_name_stands_twice() -> None:
    names = [name for entry in SCRIPTS.values() for name in entry.classes]
    assert len(names) == len(set(names))
