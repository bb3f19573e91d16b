"""Active members: kafka-consumer-groups beside a consumer that really runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.tools.main import run

TOPIC, GROUP = "prices", "analysis"


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    from confluent_kafka import Consumer, Producer

    with Broker(process=True) as broker:
        run("kafka-topics", ["--bootstrap-server", broker.bootstrap, "--create", "--topic", TOPIC, "--partitions", "2"])
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        for number in range(4):
            producer.produce(TOPIC, str(number).encode(), partition=0)
        producer.flush(20)
        consumer = Consumer({
            "bootstrap.servers": broker.bootstrap, "group.id": GROUP, "client.id": "a-client",
            "auto.offset.reset": "earliest", "enable.auto.commit": False,
        })
        ready, done = threading.Event(), threading.Event()

        def read() -> None:
            consumer.subscribe([TOPIC])
            got = 0
            while not done.is_set():
                message = consumer.poll(0.1)
                if message is not None and message.error() is None:
                    got += 1
                    if got == 4:
                        consumer.commit(asynchronous=False)
                        ready.set()
            consumer.close()

        thread = threading.Thread(target=read)
        thread.start()
        try:
            assert ready.wait(30)
            yield broker.bootstrap
        finally:
            done.set()
            thread.join(20)


def _ask(broker: str, *arguments: str) -> int:
    return run("kafka-consumer-groups", ["--bootstrap-server", broker, *arguments])


def _json(capsys: pytest.CaptureFixture[str], broker: str, *arguments: str) -> Any:
    _ask(broker, *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_the_table_names_the_member_of_each_partition(broker: str, capsys: pytest.CaptureFixture[str]) -> None:
    _ask(broker, "--describe", "--group", GROUP)
    blank, head, first, second = capsys.readouterr().out.splitlines()
    assert not blank
    assert head.split() == [
        "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"
    ]
    assert first.split()[:6] == [GROUP, TOPIC, "0", "4", "4", "0"]
    assert second.split()[:6] == [GROUP, TOPIC, "1", "-", "0", "-"]
    for row in (first, second):
        member, host, client = row.split()[6:]
        assert member.startswith("a-client-")
        assert (host, client) == ("/127.0.0.1", "a-client")
        assert row.index(member) == head.index("CONSUMER-ID")
        assert row.index(host) == head.index("HOST")


def test_members_and_state(broker: str, capsys: pytest.CaptureFixture[str]) -> None:
    (members,) = _json(capsys, broker, "--describe", "--group", GROUP, "--members")
    (member,) = members["members"]
    assert members["state"] == "Stable"
    assert member["assignment"] == [{"topic": TOPIC, "partition": 0}, {"topic": TOPIC, "partition": 1}]
    _ask(broker, "--describe", "--group", GROUP, "--members", "--verbose")
    assert f"{TOPIC}:0,1 " in capsys.readouterr().out
    (state,) = _json(capsys, broker, "--describe", "--group", GROUP, "--state")
    assert (state["state"], state["members"], state["assignmentStrategy"]) == ("Stable", 1, "range")


def test_what_is_in_use_is_left_alone(broker: str, capsys: pytest.CaptureFixture[str]) -> None:
    _ask(broker, "--reset-offsets", "--group", GROUP, "--topic", TOPIC, "--to-earliest", "--execute")
    assert (
        f"Error: Assignments can only be reset if the group '{GROUP}' is inactive, but the current state is Stable."
        in capsys.readouterr().out
    )
    _ask(broker, "--delete", "--group", GROUP)
    assert f"* Group '{GROUP}' could not be deleted due to: " in capsys.readouterr().out
    _ask(broker, "--delete-offsets", "--group", GROUP, "--topic", TOPIC)
    assert "Encountered some partition-level error" in capsys.readouterr().out
    (group,) = _json(capsys, broker, "--describe", "--group", GROUP)
    assert [row["currentOffset"] for row in group["partitions"]] == [4, None]


def test_list_as_json(broker: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(capsys, broker, "--list") == [GROUP]
    assert _json(capsys, broker, "--list", "--state") == [{"group": GROUP, "type": "Classic", "state": "Stable"}]
