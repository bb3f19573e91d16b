"""Test what a shell is offered, and that bash uses it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from barnabas.embedded import Broker
from barnabas.tools.completion import complete, script


def test_options_of_a_script_under_each_of_its_names() -> None:
    for name in ("kafka-topics", "kafka-topics.sh", "./bin/kafka-topics.sh", "barnabas topics"):
        assert complete(f"{name} --de") == ["--delete", "--delete-config", "--describe"]
    assert complete("ls --de") == []
    assert complete("") == []


def test_names_of_topics_and_groups_come_from_the_cluster_that_the_line_names() -> None:
    with Broker() as broker:
        for name in ("orders", "orders.dead", "ticks"):
            broker.create_topic(name)
        line = f"kafka-topics --bootstrap-server {broker.bootstrap} --describe --topic "
        assert complete(line) == ["orders", "orders.dead", "ticks"]
        assert complete(f"{line}or") == ["orders", "orders.dead"]
        assert complete(f"{line}ticks,orders.") == ["ticks,orders.dead"]
        assert complete(f"{line}'or") == ["orders", "orders.dead"]


def test_a_cluster_that_does_not_answer_offers_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert complete("kafka-topics --bootstrap-server 127.0.0.1:1 --topic ") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_script() -> None:
    program = f"""
        export PATH={Path(sys.executable).parent}:$PATH
        {script('bash')}
        COMP_LINE='kafka-topics --list --excl'; COMP_POINT=${{#COMP_LINE}}
        _barnabas_complete
        echo "${{COMPREPLY[@]}}"
        complete -p kafka-consumer-groups.sh"""
    done = subprocess.run(["bash", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "--exclude-internal", "complete -o default -F _barnabas_complete kafka-consumer-groups.sh"
    ]
