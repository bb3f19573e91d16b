"""Files of shares played into a topic: nothing lost, nothing twice, in its market's partition, whatever ends it."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from barnabas_quant.bus import Mark, RecordProducer, TopicSpec, ensure_topics, read_records
from barnabas_quant.errors import QuantError, ResumeError
from barnabas_quant.feeds import ashare_sample
from barnabas_quant.feeds.ashare_files import AshareFile
from barnabas_quant.feeds.ashare_replay import AshareReplay
from barnabas_quant.feeds.pacing import Pacer
from barnabas_quant.feeds.trading_clock import TradingClock
from barnabas_quant.model.markets import VENUES
from barnabas_quant.model.stock import decode_stock

from .conftest import eventually
from .test_ashare_files import ASHARE, RECORDED, independent_sums

PLAY = """
import sys, threading, time
from pathlib import Path
from barnabas_quant.feeds.ashare_files import AshareFile
from barnabas_quant.feeds.ashare_replay import AshareReplay
from barnabas_quant.feeds.pacing import Pacer
bootstrap, topic, pause, *paths = sys.argv[1:]

class Paused(Pacer):
    def wait(self, time):
        return float(pause)

files = [AshareFile(Path(path)) for path in paths]
pacer = Paused(None, time.time_ns)
replay = AshareReplay(bootstrap, files, pacer, threading.Event(), lambda *complaint: None, topic=topic)
replay.run()
print(replay.state, replay.sent, replay.skipped)
"""


@pytest.fixture
def make_topic(bootstrap: str) -> Callable[[int], str]:
    """Make a topic of so many partitions that no other test uses."""

    def make(partitions: int) -> str:
        name = f"stocks-{uuid.uuid4().hex}"
        ensure_topics(bootstrap, [TopicSpec(name, partitions)])
        return name

    return make


def write_session(path: Path, seed: int, records: int = 2500) -> int:
    """Write the beginning of an invented session of three markets; answer how many records it has."""
    data = "".join(f"{line}\n" for line in islice(ashare_sample.lines(seed), records + 1)).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return records


def play(
    bootstrap: str, topic: str, paths: Iterable[Path], complaints: list[tuple[str, int]] | None = None
) -> AshareReplay:
    wrong = complaints if complaints is not None else []
    files = [AshareFile(path) for path in paths]
    replay = AshareReplay(
        bootstrap,
        files,
        Pacer(None, time.time_ns),
        threading.Event(),
        lambda path, number, reason, line: wrong.append((path.name, number)),
        topic=topic,
    )
    replay.run()
    assert replay.state == "played"
    assert replay.unacknowledged == 0
    return replay


def assert_same(bootstrap: str, topic: str, partitions: int, paths: Sequence[Path]) -> None:
    """Compare the topic with the files: each record once, in the order of its file, where its market belongs."""
    expected: dict[str, list[int]] = {}
    lines: dict[str, list[int]] = {}
    for path in paths:
        file = AshareFile(path)
        rows = list(file.rows(lambda *complaint: None))
        expected[file.identity] = [row.stock.fingerprint() for row in rows]
        lines[file.identity] = [row.line for row in rows]
    found: dict[str, dict[int, int]] = defaultdict(dict)
    last: dict[tuple[str, int], int] = {}
    for message in read_records(bootstrap, {topic: partitions}):
        mark = Mark.of(message)
        assert mark is not None
        stock = decode_stock(message.value())
        assert message.partition() == VENUES.index(stock.listing.venue) % partitions
        assert message.key() == stock.symbol.encode()
        line, number = mark.sequence
        assert number == partitions
        assert line > last.get((mark.source, message.partition()), 0)
        last[mark.source, message.partition()] = line
        assert line not in found[mark.source]
        found[mark.source][line] = stock.fingerprint()
    assert {source: sorted(found[source]) for source in lines} == lines
    assert {source: [found[source][line] for line in lines[source]] for source in lines} == expected


@pytest.mark.parametrize("partitions", [2, 3])
def test_three_markets_are_played_once_each_into_its_partition(
    bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path, partitions: int
) -> None:
    path, topic = tmp_path / "session.csv.gz", make_topic(partitions)
    count = write_session(path, partitions)
    assert play(bootstrap, topic, [path]).sent == count
    assert_same(bootstrap, topic, partitions, [path])
    again = play(bootstrap, topic, [path])
    assert (again.sent, again.skipped) == (0, count)
    assert_same(bootstrap, topic, partitions, [path])


def standing(bootstrap: str, topic: str, partitions: int) -> Callable[[], int]:
    """Give a function that counts the records of a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused"})

    def count() -> int:
        at = (TopicPartition(topic, number) for number in range(partitions))
        return sum(consumer.get_watermark_offsets(each, timeout=10)[1] for each in at)

    return count


def killed_again_and_again(bootstrap: str, topic: str, partitions: int, paths: Sequence[Path], total: int) -> None:
    """Kill the replay three times while it writes, then let it play to the end.

    It pauses half a millisecond after each record, so that no machine is too busy to kill it before it has ended.
    """
    count = standing(bootstrap, topic, partitions)

    def words(pause: str) -> list[str]:
        return [sys.executable, "-c", PLAY, bootstrap, topic, pause, *map(str, paths)]

    before = 0
    for _ in range(3):
        process = subprocess.Popen(words("0.0005"))
        eventually(lambda: count() > before + 500 or process.poll() is not None)  # noqa: B023
        process.kill()
        assert process.wait() == -signal.SIGKILL
        stands = count()
        assert before < stands < total
        before = stands
    done = subprocess.run(words("0"), capture_output=True, text=True, timeout=60, check=True)
    state, sent, skipped = done.stdout.split()
    assert (state, int(sent), int(skipped)) == ("played", total - before, before)


@pytest.mark.long
def test_killed_again_and_again_a_session_is_played_whole(
    bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path
) -> None:
    paths = [tmp_path / "one.csv", tmp_path / "other.csv.gz"]
    total = sum(write_session(path, number, 12_000) for number, path in enumerate(paths, 11))
    topic = make_topic(3)
    killed_again_and_again(bootstrap, topic, 3, paths, total)
    assert_same(bootstrap, topic, 3, paths)


@pytest.mark.long
@RECORDED
def test_killed_again_and_again_every_recorded_row_is_there(bootstrap: str, make_topic: Callable[[int], str]) -> None:
    paths = sorted(ASHARE.glob("*.csv"))
    assert len(paths) == 8
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for path in paths:
        expected["600519" if "600519" in path.name else "600000" if "600000" in path.name else "000001"].update(
            independent_sums(path)
        )
    topic = make_topic(2)
    killed_again_and_again(bootstrap, topic, 2, paths, sum(sums["rows"] for sums in expected.values()))
    assert_same(bootstrap, topic, 2, paths)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for message in read_records(bootstrap, {topic: 2}):
        stock = decode_stock(message.value())
        amounts = {"price": Decimal(stock.price), "volume": Decimal(stock.volume or 0)}
        found[stock.symbol].update({"rows": 1} | {name: int(value * 10**8) for name, value in amounts.items()})
    assert found == expected


def test_a_stopped_replay_goes_on_where_it_stopped(
    bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path
) -> None:
    path, topic, stop = tmp_path / "session.csv", make_topic(3), threading.Event()
    total = write_session(path, 21)
    # A minute of the exchange in a tenth of a second of ours: it is stopped long before the end of the session.
    replay = AshareReplay(
        bootstrap,
        [AshareFile(path)],
        Pacer(600, time.time_ns),
        stop,
        lambda *complaint: None,
        clock=TradingClock(VENUES),
        topic=topic,
    )
    thread = threading.Thread(target=replay.run)
    thread.start()
    eventually(lambda: replay.sent > 200)
    stop.set()
    thread.join(30)
    assert replay.state == "stopped"
    assert 200 < replay.sent < total
    rest = play(bootstrap, topic, [path])
    assert (rest.sent, rest.skipped) == (total - replay.sent, replay.sent)
    assert_same(bootstrap, topic, 3, [path])


def test_a_file_added_later_and_one_that_has_grown_are_gone_on_with(
    bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path
) -> None:
    path, other, topic = tmp_path / "session.csv", tmp_path / "other.csv", make_topic(3)
    total = write_session(path, 31)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1000]))
    assert play(bootstrap, topic, [path]).sent == 999
    path.write_bytes(b"".join(lines))
    further = write_session(other, 32)
    both = play(bootstrap, topic, [path, other])
    assert (both.skipped, both.sent) == (999, total - 999 + further)
    assert_same(bootstrap, topic, 3, [path, other])


def test_records_of_others_do_not_hide_the_place(
    bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path
) -> None:
    path, topic = tmp_path / "session.csv", make_topic(3)
    total = write_session(path, 41)
    play(bootstrap, topic, [path])
    producer = RecordProducer(bootstrap)
    for partition in range(3):
        for _ in range(100):
            producer.send(b"600000", topic, b"typed by hand", Mark("another", (1, 2)), partition)
    assert producer.flush(30) == 0
    assert play(bootstrap, topic, [path]).skipped == total


def test_a_file_that_has_changed_is_refused(bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path) -> None:
    path, topic = tmp_path / "session.csv", make_topic(3)
    write_session(path, 51)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:500]))
    play(bootstrap, topic, [path])
    path.write_bytes(b"".join([*lines[:400], *lines[401:]]))
    with pytest.raises(ResumeError, match="has changed"):
        play(bootstrap, topic, [path])
    path.write_bytes(b"".join(lines[:100]))
    with pytest.raises(ResumeError, match="has changed"):
        play(bootstrap, topic, [path])


def test_another_number_of_partitions_is_noticed(
    bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path
) -> None:
    path, topic = tmp_path / "session.csv", make_topic(3)
    write_session(path, 61)
    identity = AshareFile(path).identity
    producer = RecordProducer(bootstrap)
    producer.send(b"600000", topic, b"{}", Mark(identity, (2, 2)), 0)
    assert producer.flush(30) == 0
    with pytest.raises(ResumeError, match="another number of partitions"):
        play(bootstrap, topic, [path])


def test_one_file_given_twice_is_refused(bootstrap: str, tmp_path: Path) -> None:
    path = tmp_path / "session.csv"
    write_session(path, 71)
    with pytest.raises(QuantError, match="twice"):
        play(bootstrap, "unused", [path, path])


def test_bad_lines_are_reported_once_and_the_rest_is_played(
    bootstrap: str, make_topic: Callable[[int], str], tmp_path: Path
) -> None:
    path, topic = tmp_path / "session.csv", make_topic(3)
    total = write_session(path, 81)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[100:100] = [b"rubbish\n", b"600000,,-1.00,5,2025-10-09 09:30:00\n"]
    path.write_bytes(b"".join(lines))
    complaints: list[tuple[str, int]] = []
    assert play(bootstrap, topic, [path], complaints).sent == total
    assert complaints == [("session.csv", 101), ("session.csv", 102)]
    complaints.clear()
    assert play(bootstrap, topic, [path], complaints).skipped == total
    assert complaints == []
    assert_same(bootstrap, topic, 3, [path])
