"""Print JSON, and take old forms: what Java's tools do not have, and the tables of cases cannot show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.tools.main import run_as


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with Broker(process=True) as broker:
        assert run_as("kafka-topics", ["--bootstrap-server", broker.bootstrap, "--create", "--topic", "t"]) == 0
        yield broker.bootstrap


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run_as(words[0], words[1:]) == 0
    return json.loads(capsys.readouterr().out)


def test_get_offsets_takes_the_options_of_old(broker: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_as("kafka-get-offsets", ["--broker-list", broker, "--topic", "t", "--time", "-1"]) == 0
    said = capsys.readouterr()
    assert said.out == "t:0:0\n"
    assert said.err.splitlines() == [
        "--broker-list was replaced by --bootstrap-server in Apache Kafka 4.0",
        "--time -1 is called --time latest today",
    ]


def test_tables_can_be_had_as_json(broker: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    server = ("--bootstrap-server", broker)
    assert _json(capsys, "kafka-get-offsets", *server, "--topic", "t", "--json") == [
        {"topic": "t", "partition": 0, "offset": 0}
    ]
    file = tmp_path / "offsets.json"
    file.write_text('{"partitions": [{"topic": "t", "partition": 0, "offset": 0}]}')
    assert _json(capsys, "kafka-delete-records", *server, "--offset-json-file", str(file), "--json") == [
        {"topic": "t", "partition": 0, "lowWatermark": 0}
    ]
    directories = _json(capsys, "kafka-log-dirs", *server, "--describe", "--topic-list", "t", "--json")
    assert directories["brokers"][0]["logDirs"][0]["partitions"][0]["partition"] == "t-0"
    apis = _json(capsys, "kafka-broker-api-versions", *server, "--json")[0]["apis"]
    assert apis[0] == {"key": 0, "name": "Produce", "minVersion": 0, "maxVersion": 13}
    elected = _json(
        capsys, "kafka-leader-election", *server, "--election-type", "preferred", "--topic", "t", "--partition", "0",
        "--json",
    )
    assert elected == [{"topic": "t", "partition": 0, "elected": False, "error": None}]
    assert _json(capsys, "kafka-metadata-quorum", *server, "describe", "--status", "--json")["leaderId"] == 1
    replicas = _json(capsys, "kafka-metadata-quorum", *server, "describe", "--replication", "--json")
    assert [replica["status"] for replica in replicas] == ["Leader"]
    assert _json(capsys, "kafka-reassign-partitions", *server, "--list", "--json") == []
    producers = ("describe-producers", "--topic", "t", "--partition", "0", "--json")
    assert _json(capsys, "kafka-transactions", *server, *producers) == []
