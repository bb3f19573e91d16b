"""Run each Python snippet of the seed documents as it stands, and the mended form of those that cannot run.

A snippet that never ends is ended by Ctrl-C once its expected output was seen. `docs/seeds.md` names these tests.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from .arena import HERE, Arena

SNIPPETS = HERE / "snippets"
MENDED = HERE / "mended"
INTERRUPTED = {-2, 130}
"""Exit codes of a Python program that Ctrl-C ended: by the signal itself, or as a shell tells it."""


def records(arena: Arena, topic: str) -> list[dict[str, Any]]:
    """Return every record of a topic: partition, offset, key, value (text or None)."""
    return [json.loads(line) for line in arena.ask("read", topic).splitlines()]


def committed(arena: Arena, group: str, topic: str) -> list[int | None]:
    """Return the committed offset of each partition in order, None without one."""
    return [json.loads(line) for line in arena.ask("committed", group, topic).splitlines()]


def run(arena: Arena, program: Path) -> str:
    """Run a program that ends by itself with success; return what it printed."""
    started = arena.start_python(program)
    code = started.wait()
    assert code == 0, started.text
    return started.text


# tutorial


def test_tutorial_producer(broker: Arena) -> None:
    """The record sent to the second listener is read from the first one."""
    run(broker, SNIPPETS / "tutorial_producer.py")
    (record,) = records(broker, "stock-realtime")
    assert record["key"] is None
    assert json.loads(record["value"]) == {
        "symbol": "000001",
        "price": 10.52,
        "volume": 15000,
        "time": "2025-10-08 14:30:00",
    }


@pytest.mark.parametrize(
    ("snippet", "missing"),
    [
        ("tutorial_acks", "KafkaProducer"),
        ("tutorial_manual_commit", "KafkaConsumer"),
        ("tutorial_batch", "stock_list"),
        ("tutorial_compression", "KafkaProducer"),
    ],
)
def test_tutorial_fragment_fails_as_written(arena: Arena, snippet: str, missing: str) -> None:
    """A fragment without its imports ends with a NameError."""
    program = arena.start_python(SNIPPETS / f"{snippet}.py")
    assert program.wait() == 1
    assert f"NameError: name '{missing}' is not defined" in program.text


def test_tutorial_acks_mended(broker: Arena) -> None:
    """With acks=all the record is acknowledged and there."""
    assert "acknowledged at stock-realtime-0@0" in run(broker, MENDED / "tutorial_acks.py")
    assert [record["value"] for record in records(broker, "stock-realtime")] == ["kept"]


def test_tutorial_manual_commit_mended(broker: Arena) -> None:
    """The group's offset is committed when the program says so, not before."""
    run(broker, SNIPPETS / "tutorial_producer.py")
    assert committed(broker, "analysis-service", "stock-realtime") == [None]
    assert "handled stock-realtime-0@0" in run(broker, MENDED / "tutorial_manual_commit.py")
    assert committed(broker, "analysis-service", "stock-realtime") == [1]


def test_tutorial_batch_mended(broker: Arena) -> None:
    """Both loops send both items, in order."""
    run(broker, MENDED / "tutorial_batch.py")
    symbols = [json.loads(record["value"])["symbol"] for record in records(broker, "stock-realtime")]
    assert symbols == ["000001", "600519"] * 2


def test_tutorial_compression_mended(broker: Arena, tmp_path: Path) -> None:
    """The batch is stored with gzip, as it was sent, and read back whole."""
    run(broker, MENDED / "tutorial_compression.py")
    assert [record["value"] for record in records(broker, "stock-realtime")] == ["600519" * 1000]
    (log,) = tmp_path.rglob("stock-realtime-0/00000000000000000000.log")
    batch = log.read_bytes()
    # Record batch v2: the attributes are the 16 bits at byte 21, the codec its lowest three; 1 is gzip.
    assert int.from_bytes(batch[21:23], "big") & 0b111 == 1
    assert len(batch.rstrip(b"\0")) < 1000


# case study


def printed_offsets(text: str) -> list[int]:
    """Return the offsets that the case study's consumer printed, in order."""
    return [int(line.removeprefix("Offset: ")) for line in text.splitlines() if line.startswith("Offset: ")]


def test_case_study(broker: Arena, tmp_path: Path) -> None:
    """100 records, those of one key in one partition and in order; the consumer prints them and ends after a second."""
    run(broker, SNIPPETS / "case_study_producer.py")
    partitions: dict[str, set[int]] = defaultdict(set)
    numbers: dict[str, list[int]] = defaultdict(list)
    for record in records(broker, "test-topic"):
        value = json.loads(record["value"])
        assert record["key"] == value["user_id"]
        assert value["value"] == value["id"] * 10
        partitions[record["key"]].add(record["partition"])
        numbers[record["key"]].append(value["id"])
    assert all(len(found) == 1 for found in partitions.values())
    assert numbers == {f"user_{user}": list(range(user, 100, 10)) for user in range(10)}

    # Asking makes the broker's internal topic; the second that the consumer waits is little for that too.
    assert committed(broker, "my-consumer-group", "test-topic") == [None]
    text = run(broker, SNIPPETS / "case_study_consumer.py")
    if not printed_offsets(text):  # its second was over before its group had formed: another group then
        again = tmp_path / "again.py"
        source = (SNIPPETS / "case_study_consumer.py").read_text("utf-8")
        again.write_text(source.replace("my-consumer-group", "another-group"), "utf-8")
        text = run(broker, again)
    assert text.count("Topic: test-topic\n") == 100
    assert printed_offsets(text) == list(range(100))


@pytest.mark.long
def test_case_study_consumer_mended(broker: Arena) -> None:
    """Closed, the consumer commits what it read and leaves its group, so that a second run goes on at once."""
    run(broker, SNIPPETS / "case_study_producer.py")
    assert committed(broker, "my-consumer-group", "test-topic") == [None]
    assert printed_offsets(run(broker, MENDED / "case_study_consumer.py")) == list(range(100))
    assert committed(broker, "my-consumer-group", "test-topic") == [100]
    run(broker, SNIPPETS / "case_study_producer.py")
    assert printed_offsets(run(broker, MENDED / "case_study_consumer.py")) == list(range(100, 200))


# notes


def test_notes(broker: Arena) -> None:
    """A consumer started after the producer has ended gets its records; a restarted one goes on where it stopped."""
    broker.ask("create", "user_clicks", "3")
    produced = [f"Produced event: user_{number}" for number in range(100, 105)]
    for round_ in (1, 2):
        assert run(broker, SNIPPETS / "notes_producer.py").splitlines() == produced
        consumer = broker.start_python(SNIPPETS / "notes_consumer.py")
        consumer.wait_for("Received from partition", times=5)
        assert consumer.interrupt() == 0
        received = [line for line in consumer.text.splitlines() if line.startswith("Received")]
        users = sorted(line.partition(": ")[2] for line in received)
        assert users == [f"User user_{100 + number} viewed /product/{number}" for number in range(5)]
        offsets = committed(broker, "analytics_group_1", "user_clicks")
        assert sum(offset or 0 for offset in offsets) == 5 * round_
    keys = defaultdict(set)
    for record in records(broker, "user_clicks"):
        keys[record["key"]].add(record["partition"])
    assert sorted(keys) == [f"user_{number}" for number in range(100, 105)]
    assert all(len(partitions) == 1 for partitions in keys.values())


def test_notes_consumer_fails_as_written_on_an_error(broker: Arena) -> None:
    """Without the topic the consumer gets an error, and its handling has a name that does not exist."""
    program = broker.start_python(SNIPPETS / "notes_consumer.py")
    assert program.wait() == 1
    assert "AttributeError: type object 'KafkaException' has no attribute '_PARTITION_EOF'" in program.text


def test_notes_consumer_mended(broker: Arena) -> None:
    """The mended form reports the error, and consumes once the topic is there."""
    assert "Consumer error: " in run(broker, MENDED / "notes_consumer.py")
    broker.ask("create", "user_clicks", "3")
    run(broker, SNIPPETS / "notes_producer.py")
    consumer = broker.start_python(MENDED / "notes_consumer.py")
    consumer.wait_for("Received from partition", times=5)
    assert consumer.interrupt() == 0


# bin folder


def test_bin_folder_simple_consumer(broker: Arena) -> None:
    """The consumer prints the record, then waits for ever; Ctrl-C leaves its loop, past its close()."""
    run(broker, SNIPPETS / "bin_folder_producer.py")
    for program, codes in (
        (SNIPPETS / "bin_folder_simple_consumer.py", INTERRUPTED),
        (MENDED / "bin_folder_simple_consumer.py", {0}),
    ):
        consumer = broker.start_python(program)
        consumer.wait_for("Received: Hello, Kafka!\n")
        assert consumer.interrupt() in codes


def test_bin_folder_consumer(broker: Arena) -> None:
    """The snippet ends well but as a rule too early to print anything; the mended form prints every record."""
    run(broker, SNIPPETS / "bin_folder_producer.py")
    run(broker, SNIPPETS / "bin_folder_producer.py")
    as_written = run(broker, SNIPPETS / "bin_folder_consumer.py")
    assert as_written in ("", "Hello, Kafka!\n")
    assert run(broker, MENDED / "bin_folder_consumer.py") == "Hello, Kafka!\n" * 2
