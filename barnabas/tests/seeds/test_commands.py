"""Type the command lines of the seed documents as they stand there, and compare what they print.

A consumer that never ends is ended by Ctrl-C once it showed what it should. Where a document's sample is of an older
Kafka, the comparison is with what Apache Kafka 4.3 prints; `docs/seeds.md` says so.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable

import pytest

from .arena import PATIENCE, Arena, Program

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the documents' lines are for a shell")

CREATE = (
    "kafka-topics --create --bootstrap-server localhost:9092 --topic stock-realtime --partitions 3 "
    "--replication-factor 1"
)
LIST = "kafka-topics --list --bootstrap-server localhost:9092"
DESCRIBE = "kafka-topics --describe --bootstrap-server localhost:9092 --topic stock-realtime"
DELETE = "kafka-topics --delete --bootstrap-server localhost:9092 --topic stock-realtime"
PRODUCE = "kafka-console-producer --bootstrap-server localhost:9092 --topic stock-realtime"
CONSUME = "kafka-console-consumer --bootstrap-server localhost:9092 --topic stock-realtime"
GROUPS = "kafka-consumer-groups --list --bootstrap-server localhost:9092"
QUOTES = (
    '{"symbol":"000001","price":10.52,"time":"2025-10-08 14:30:00"}',
    '{"symbol":"600519","price":1680.00,"time":"2025-10-08 14:30:01"}',
    '{"symbol":"600000","price":8.95,"time":"2025-10-08 14:30:02"}',
)
NAMED_QUOTES = (
    '{"symbol":"000001","name":"平安银行","price":10.52,"volume":15000,"time":"14:30:00"}',
    '{"symbol":"600519","name":"贵州茅台","price":1680.00,"volume":8000,"time":"14:30:01"}',
)
SIGNALS = (
    '{"signal":"BUY","symbol":"000001","price":10.50,"volume":1000,"strategy":"MA_CROSS"}',
    '{"signal":"SELL","symbol":"600519","price":1690.00,"volume":500,"strategy":"MACD"}',
)


def done(program: Program, code: int = 0) -> str:
    """Wait for the end of a command; return what it printed."""
    assert program.wait() == code, program.text
    return program.text


def until_shown(consumer: Program, lines: tuple[str, ...], type_again: Callable[[], object]) -> None:
    """Type until a consumer that only sees what comes later was there in time, and shows each line."""
    deadline = time.monotonic() + PATIENCE
    while not all(line in consumer.text for line in lines):
        assert time.monotonic() < deadline, consumer.text
        type_again()


def described(text: str) -> list[dict[str, str]]:
    """Return the lines of a topic's description as field to value."""
    return [dict(re.findall(r"(\w+): (\S*)", line)) for line in text.splitlines()]


def table(text: str) -> list[dict[str, str]]:
    """Return the rows of a table of kafka-consumer-groups, by column; what stands before its head is left out."""
    lines = [line.split() for line in text.splitlines()]
    first = next(number for number, line in enumerate(lines) if line[:1] == ["GROUP"])
    return [dict(zip(lines[first], row, strict=True)) for row in lines[first + 1 :] if row]


# tutorial


def test_tutorial_topics(broker: Arena) -> None:
    assert done(broker.type(CREATE)) == "Created topic stock-realtime.\n"
    assert done(broker.type(LIST)) == "stock-realtime\n"
    topic, *partitions = described(done(broker.type(DESCRIBE)))
    assert (topic["Topic"], topic["PartitionCount"], topic["ReplicationFactor"]) == ("stock-realtime", "3", "1")
    assert [(p["Partition"], p["Leader"], p["Replicas"], p["Isr"]) for p in partitions] == [
        (str(number), "1", "1", "1") for number in range(3)
    ]
    assert done(broker.type(DELETE)) == ""
    assert done(broker.type(LIST)).strip() == ""


def test_tutorial_replication_factor(broker: Arena) -> None:
    """On one machine it can only be 1."""
    text = done(broker.type(CREATE.replace("--replication-factor 1", "--replication-factor 2")), 1)
    assert "The target replication factor of 2 cannot be reached because only 1 broker(s) are registered" in text


def test_tutorial_console(broker: Arena) -> None:
    done(broker.type(CREATE))
    done(broker.type(PRODUCE, *QUOTES))
    latest = broker.type(CONSUME)
    beginning = broker.type(f"{CONSUME} --from-beginning")
    group = broker.type(f"{CONSUME} --group analysis-service --from-beginning")
    for consumer in (beginning, group):
        for quote in QUOTES:
            consumer.wait_for(quote)
    later = '{"symbol":"000002","price":7.01,"time":"2025-10-08 14:31:00"}'
    until_shown(latest, (later,), lambda: done(broker.type(PRODUCE, later)))
    assert QUOTES[0] not in latest.text
    for consumer in (latest, beginning, group):
        assert consumer.interrupt() in (0, 130)
        assert "Processed a total of" in consumer.text


def test_tutorial_exercises_1_and_3(broker: Arena) -> None:
    done(broker.type(
        "kafka-topics --create --bootstrap-server localhost:9092 --topic stock-realtime --partitions 2 "
        "--replication-factor 1"
    ))
    consumer = broker.type(f"{CONSUME} --group analysis-service")
    until_shown(consumer, NAMED_QUOTES, lambda: done(broker.type(PRODUCE, *NAMED_QUOTES)))
    assert "analysis-service" in done(broker.type(GROUPS)).splitlines()
    describe = "kafka-consumer-groups --bootstrap-server localhost:9092 --group analysis-service --describe"
    rows = table(done(broker.type(describe)))
    columns = ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"]
    assert list(rows[0])[:6] == columns
    assert [row["PARTITION"] for row in rows] == ["0", "1"]
    assert consumer.interrupt() in (0, 130)
    rows = table(done(broker.type(describe)))
    assert all(row["LAG"] == "0" for row in rows)
    assert sum(int(row["LOG-END-OFFSET"]) for row in rows) >= 2


def test_tutorial_exercise_2(broker: Arena) -> None:
    done(broker.type(
        "kafka-topics --create --bootstrap-server localhost:9092 --topic trade-signal --partitions 1 "
        "--replication-factor 1"
    ))
    done(broker.type("kafka-console-producer --bootstrap-server localhost:9092 --topic trade-signal", *SIGNALS))
    consumer = broker.type(
        "kafka-console-consumer --bootstrap-server localhost:9092 --topic trade-signal --group trading-service "
        "--from-beginning"
    )
    consumer.wait_for(SIGNALS[1])
    assert consumer.interrupt() in (0, 130)
    assert [line for line in consumer.text.splitlines() if line.startswith("{")] == list(SIGNALS)


def test_tutorial_question_1_offsets(broker: Arena) -> None:
    """The class and the option of an older Kafka lead to today's tool, which says so."""
    done(broker.type(CREATE))
    done(broker.type(PRODUCE, *QUOTES))
    text = done(broker.type(
        "kafka-run-class kafka.tools.GetOffsetShell --broker-list localhost:9092 --topic stock-realtime"
    ))
    offsets = [line.split(":") for line in text.splitlines() if line.startswith("stock-realtime:")]
    assert [partition for _, partition, _ in offsets] == ["0", "1", "2"]
    assert sum(int(offset) for _, _, offset in offsets) == 3
    assert "--bootstrap-server" in text


def test_tutorial_question_2_retention(broker: Arena) -> None:
    done(broker.type(CREATE))
    alter = "kafka-configs --alter --bootstrap-server localhost:9092 --entity-type topics --entity-name stock-realtime"
    assert done(broker.type(f"{alter} --add-config retention.ms=86400000")) == (
        "Completed updating config for topic stock-realtime.\n"
    )
    assert "retention.ms=86400000" in done(broker.type(DESCRIBE))


def test_tutorial_question_3_empty_a_topic(broker: Arena) -> None:
    done(broker.type(CREATE))
    done(broker.type(PRODUCE, *QUOTES))
    alter = "kafka-configs --alter --bootstrap-server localhost:9092 --entity-type topics --entity-name stock-realtime"
    done(broker.type(f"{alter} --add-config retention.ms=1000"))
    earliest = "kafka-get-offsets --bootstrap-server localhost:9092 --topic stock-realtime --time earliest"
    latest = "kafka-get-offsets --bootstrap-server localhost:9092 --topic stock-realtime"
    ends = done(broker.type(latest))
    deadline = time.monotonic() + PATIENCE
    while done(broker.type(earliest)) != ends:
        assert time.monotonic() < deadline
    done(broker.type(f"{alter} --delete-config retention.ms"))
    assert "retention.ms" not in done(broker.type(DESCRIBE))


def test_tutorial_quick_reference(broker: Arena) -> None:
    """The table of commands at the document's end, with a name and a group in the place of its brackets."""
    name, group = "quotes", "readers"
    done(broker.type(
        f"kafka-topics --create --bootstrap-server localhost:9092 --topic {name} --partitions 3 --replication-factor 1"
    ))
    assert name in done(broker.type(LIST))
    assert "PartitionCount: 3" in done(
        broker.type(f"kafka-topics --describe --bootstrap-server localhost:9092 --topic {name}")
    )
    done(broker.type(f"kafka-console-producer --bootstrap-server localhost:9092 --topic {name}", *QUOTES))
    consume = f"kafka-console-consumer --bootstrap-server localhost:9092 --topic {name}"
    for options in ("--from-beginning", f"--group {group} --from-beginning"):
        consumer = broker.type(f"{consume} {options}")
        for quote in QUOTES:
            consumer.wait_for(quote)
        assert consumer.interrupt() in (0, 130)
    assert group in done(broker.type(GROUPS)).splitlines()
    describe = f"kafka-consumer-groups --bootstrap-server localhost:9092 --group {group} --describe"
    assert f"Consumer group '{group}' has no active members." in done(broker.type(describe))
    reset = (
        f"kafka-consumer-groups --bootstrap-server localhost:9092 --group {group} --topic {name} --reset-offsets "
        "--to-earliest --execute"
    )
    assert [row["NEW-OFFSET"] for row in table(done(broker.type(reset)))] == ["0", "0", "0"]
    again = broker.type(f"{consume} --group {group}")
    for quote in QUOTES:
        again.wait_for(quote)
    assert again.interrupt() in (0, 130)
    done(broker.type(f"kafka-topics --delete --bootstrap-server localhost:9092 --topic {name}"))
    assert name not in done(broker.type(LIST))


# notes and bin folder: a folder shaped like Kafka's


def test_notes_create_topic(broker: Arena, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    done(broker.start(sys.executable, "-m", "barnabas", "home", str(home)))
    line = (
        "./bin/kafka-topics.sh --create --topic user_clicks --bootstrap-server localhost:9092 --partitions 3 "
        "--replication-factor 1"
    )
    text = done(broker.type(line, directory=home))
    assert text.splitlines()[-1] == "Created topic user_clicks."
    assert text.startswith("WARNING: Due to limitations in metric names")


def test_bin_folder_topics_and_console(broker: Arena, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    done(broker.start(sys.executable, "-m", "barnabas", "home", str(home)))
    bin_folder = home / "bin"

    def type_(line: str, *typed: str) -> Program:
        return broker.type(line, *typed, directory=bin_folder)

    assert done(type_("./kafka-topics.sh  --bootstrap-server localhost:9092 --create --topic test")) == (
        "Created topic test.\n"
    )
    assert done(type_("./kafka-topics.sh  --bootstrap-server localhost:9092 --list")) == "test\n"
    assert "Topic: test" in done(type_("./kafka-topics.sh  --bootstrap-server localhost:9092 --topic test --describe"))
    alter = "./kafka-topics.sh  --bootstrap-server localhost:9092 --topic test --alter"
    altered = done(type_(f"{alter} --retention.ms 1"), 1)
    assert "retention.ms is not a recognized option" in altered
    assert "kafka-configs" in altered
    both = done(type_(f"{alter} --delete"), 1)
    assert "Command must include exactly one action" in both
    assert "--delete --topic test" in both
    consumer = type_("./kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic test")
    line = "./kafka-console-producer.sh --bootstrap-server localhost:9092 --topic test"
    until_shown(consumer, ("hello",), lambda: done(type_(line, "hello")))
    assert consumer.interrupt() in (0, 130)


def test_bin_folder_server(arena: Arena, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The broker starts from the folder's own settings, and its stop script ends it."""
    home = tmp_path_factory.mktemp("home")
    done(arena.start(sys.executable, "-m", "barnabas", "home", str(home)))
    node = 1_073_741_826  # of no other test's broker: the stop script ends all brokers of the number that it is given
    listen = f"--override listeners=PLAINTEXT://{arena.first} --override log.dirs={home}/data --override node.id={node}"
    broker = arena.type(
        f"./kafka-server-start.sh ../config/server.properties {listen} --override process.roles=broker",
        directory=home / "bin",
    )
    broker.wait_for("Kafka Server started")
    assert done(arena.type(LIST)).strip() == ""
    done(arena.type(f"./kafka-server-stop.sh --node-id {node}", directory=home / "bin"))
    assert broker.wait() in (0, 143)
