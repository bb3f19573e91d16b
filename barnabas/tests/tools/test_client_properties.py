"""Put properties to our producers and consumers, and compare with what Java's said (`client_words.txt`).

`compat/tools/ClientWords.java` recorded the words of Apache Kafka 4.3.0. Both clients of confluent-kafka must take what
ours makes of properties that Java takes: librdkafka's limits are narrower.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from barnabas.tools.client_properties import consumer_config, producer_config
from barnabas.tools.console import java_error
from barnabas.tools.errors import ToolError

_WORDS = [line.split("\t") for line in (Path(__file__).parent / "client_words.txt").read_text().splitlines()]


def _said(line: str) -> str:
    kind, *pairs = line.split(" ")
    properties = dict(pair.split("=", 1) for pair in pairs if pair)
    properties["bootstrap.servers"] = "127.0.0.1:2"
    try:
        if kind == "P":
            Producer(producer_config(properties))
        else:
            Consumer(consumer_config({"group.id": "g"} | properties)).close()
    except ToolError as e:
        return str(java_error(e)).replace("\nCaused by: ", " <- ")
    return "ok"


@pytest.mark.parametrize(("line", "words"), _WORDS, ids=[line for line, _ in _WORDS])
def test_says_what_java_says_of_properties(line: str, words: str) -> None:
    assert _said(line) == words.partition(" <- java.lang.ClassNotFoundException")[0]


def test_refuses_what_librdkafka_does_not_have() -> None:
    with pytest.raises(ToolError, match="by_duration is not there"):
        consumer_config({"bootstrap.servers": "h:1", "auto.offset.reset": "by_duration:P1D"})
    with pytest.raises(ToolError, match="StickyAssignor is not there"):
        consumer_config({
            "bootstrap.servers": "h:1",
            "partition.assignment.strategy": "org.apache.kafka.clients.consumer.StickyAssignor",
        })


def test_takes_the_level_of_the_codec_in_use() -> None:
    properties = {"bootstrap.servers": "h:1", "compression.type": "lz4", "compression.lz4.level": "17"}
    assert producer_config(properties)["compression.level"] == 12
    assert "compression.level" not in producer_config(properties | {"compression.type": "gzip"})
