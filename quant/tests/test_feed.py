"""The feed against a Kafka: nothing lost, nothing twice, whatever ends it."""

import gzip
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, TopicPartition

from barnabas_quant.bus import (
    MARKET_TOPICS,
    Mark,
    RecordProducer,
    ensure_topics,
    partition_counts,
    partition_of,
    read_records,
    read_tails,
)
from barnabas_quant.bus.producer import encode
from barnabas_quant.errors import BusError, ResumeError
from barnabas_quant.feeds import BinanceDecoder, Capture, Simulator
from barnabas_quant.feeds.pacing import Pacer
from barnabas_quant.feeds.player import Player, Progress
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.feeds.sources import CaptureSource
from barnabas_quant.verify import sums_of_capture, verify

from .conftest import FRAMES, SHARED, START, Run, finish, playing

NAMES = [spec.name for spec in MARKET_TOPICS]


def play(bootstrap: str, path: Path, complaints: list[int] | None = None) -> Progress:
    source = CaptureSource(Capture(path))
    wrong = complaints if complaints is not None else []
    player = Player(
        bootstrap, source, Pacer(None, time.time_ns), threading.Event(), lambda number, reason: wrong.append(number)
    )
    player.run()
    assert player.progress.state == "played"
    assert player.progress.unacknowledged == 0
    return player.progress


def assert_same(bootstrap: str, path: Path) -> None:
    verdicts = verify(bootstrap, Capture(path), lambda number, reason: None)
    assert [(v.topic, v.same) for v in verdicts] == [(name, True) for name in NAMES], verdicts


@pytest.fixture(autouse=True)
def _topics(bootstrap: str) -> None:
    ensure_topics(bootstrap)


def test_topics_are_made_once(bootstrap: str) -> None:
    assert ensure_topics(bootstrap) == []
    assert partition_counts(bootstrap, NAMES) == dict.fromkeys(NAMES, 12)
    with pytest.raises(BusError, match="no-such-topic"):
        partition_counts(bootstrap, ["no-such-topic"], seconds=0.1)


def test_a_capture_is_played_once_however_often_it_is_played(bootstrap: str, capture_file: Path) -> None:
    total = sum(found.count for found in sums_of_capture(Capture(capture_file), lambda n, r: None).values())
    assert total > FRAMES / 2
    first = play(bootstrap, capture_file)
    assert (first.sent, first.skipped) == (total, 0)
    assert_same(bootstrap, capture_file)
    second = play(bootstrap, capture_file)
    assert (second.sent, second.skipped) == (0, total)
    assert_same(bootstrap, capture_file)


def test_verify_sees_what_is_missing_twice_or_changed(bootstrap: str, capture_file: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(capture_file.read_bytes()).splitlines(keepends=True)
    half = tmp_path / "half"
    half.write_bytes(b"".join(lines[: len(lines) // 2]))
    play(bootstrap, half)
    assert_same(bootstrap, half)
    missing = {v.topic: v for v in verify(bootstrap, Capture(capture_file), lambda n, r: None)}
    assert not any(v.same for v in missing.values())
    assert missing[NAMES[0]].kafka.count < missing[NAMES[0]].capture.count
    changed = tmp_path / "changed"
    at = next(n for n, line in enumerate(lines) if b"@trade" in line)
    changed.write_bytes(
        b"".join([*lines[:at], lines[at].replace(b'"q":"', b'"q":"9'), *lines[at + 1 : len(lines) // 2]])
    )
    different = [v.topic for v in verify(bootstrap, Capture(changed), lambda n, r: None) if not v.same]
    assert different == ["market_data.trades"]


def test_verify_sees_a_second_copy(bootstrap: str, capture_file: Path) -> None:
    play(bootstrap, capture_file)
    capture = Capture(capture_file)
    frame = next(frame for frame in capture.frames(lambda n, r: None) if b"@trade" in frame.text)
    _, trade = BinanceDecoder(capture.exchange).records(frame)
    producer = RecordProducer(bootstrap)
    producer.send(trade.key, trade.topic, encode(trade), Mark(capture.identity, frame.sequence))
    assert producer.flush(30) == 0
    wrong = [v for v in verify(bootstrap, Capture(capture_file), lambda n, r: None) if not v.same]
    assert [(v.topic, v.kafka.count - v.capture.count, v.misplaced) for v in wrong] == [("market_data.trades", 1, 1)]


def test_a_growing_capture_is_gone_on_with(bootstrap: str, capture_file: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(capture_file.read_bytes()).splitlines(keepends=True)
    growing = tmp_path / "growing"
    growing.write_bytes(b"".join(lines[:1000]))
    before = play(bootstrap, growing).sent
    growing.write_bytes(b"".join(lines))
    after = play(bootstrap, growing)
    assert after.skipped == before
    assert_same(bootstrap, capture_file)


@pytest.mark.long
def test_another_source_in_the_same_partitions_does_not_hide_the_place(
    bootstrap: str, capture_file: Path, tmp_path: Path, seed: int
) -> None:
    lines = gzip.decompress(capture_file.read_bytes()).splitlines(keepends=True)
    half = tmp_path / "half"
    half.write_bytes(b"".join(lines[:1000]))
    before = play(bootstrap, half).sent
    other = tmp_path / "other.gz"
    write_capture(other, Simulator(seed + 1).minute(0, START))
    play(bootstrap, other)
    assert play(bootstrap, capture_file).skipped == before
    assert_same(bootstrap, capture_file)
    assert_same(bootstrap, other)


def test_a_capture_that_has_changed_is_refused(bootstrap: str, capture_file: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(capture_file.read_bytes()).splitlines(keepends=True)
    path = tmp_path / "edited"
    path.write_bytes(b"".join(lines[:1000]))
    play(bootstrap, path)
    path.write_bytes(b"".join([*lines[:500], *lines[501:]]))
    with pytest.raises(ResumeError, match="has changed"):
        play(bootstrap, path)


def test_malformed_lines_are_reported_and_the_rest_is_played(
    bootstrap: str, capture_file: Path, tmp_path: Path
) -> None:
    lines = gzip.decompress(capture_file.read_bytes()).splitlines(keepends=True)
    lines[10:10] = [b"rubbish\n", b'1700000040000000000 {"stream":"btcusdt@trade","data":{"p":"x"}}\n']
    path = tmp_path / "bad"
    path.write_bytes(b"".join(lines))
    complaints: list[int] = []
    progress = play(bootstrap, path, complaints)
    assert progress.malformed == 2
    assert complaints == [11, 12]
    assert_same(bootstrap, path)


def test_records_lie_where_java_clients_put_their_keys(bootstrap: str, capture_file: Path) -> None:
    play(bootstrap, capture_file)
    source = Capture(capture_file).identity
    counts = partition_counts(bootstrap, NAMES)
    seen = set()
    now = time.time() * 1000
    for message in read_records(bootstrap, counts):
        mark = Mark.of(message)
        if mark is not None and mark.source == source:
            key = bytes(message.key() or b"")
            seen.add((message.topic(), key))
            assert message.partition() == partition_of(key, counts[str(message.topic())])
            assert abs(message.timestamp()[1] - now) < 3_600_000  # of production; the market's clock says 2023
    assert len(seen) == 5 * 4
    assert max(tail.sequence for tail in read_tails(bootstrap, counts, source).values())[0] > FRAMES - 100


@pytest.mark.skipif(not SHARED.exists(), reason="recordings are not part of the project: none beside the repository")
@pytest.mark.parametrize("name", ["BINANCE.ws.1.0.gz", "BINANCE_FUTURES.ws.1.0.gz", "BINANCE_FUTURES.http.0.0.gz"])
def test_recorded_frames_of_every_kind(bootstrap: str, name: str) -> None:
    complaints: list[int] = []
    progress = play(bootstrap, SHARED / name, complaints)
    assert complaints == []
    assert progress.sent + progress.skipped > 10 or "http" in name
    assert_same(bootstrap, SHARED / name)


@pytest.mark.long
def test_killed_again_and_again_nothing_is_lost_or_doubled(bootstrap: str, long_capture_file: Path, quant: Run) -> None:
    arguments = ("--kafka", bootstrap, "--capture", long_capture_file)
    for _ in range(4):
        process = quant("play", *arguments, "--speed", "10")
        playing(process)
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
    code, output, errors = finish(quant("play", *arguments, "--speed", "max", "--until-played"))
    assert (code, errors) == (0, "")
    assert "feed=played" in output
    assert " skipped=0 " not in output.splitlines()[-1]
    assert_same(bootstrap, long_capture_file)
    code, output, _ = finish(quant("verify", *arguments))
    assert code == 0, output


@pytest.mark.long
def test_interrupted_it_ends_in_order_and_the_group_keeps_its_place(
    bootstrap: str, long_capture_file: Path, quant: Run
) -> None:
    arguments = ("--kafka", bootstrap, "--capture", long_capture_file)
    process = quant("play", *arguments, "--speed", "10")
    playing(process, "records=[1-9]")
    process.send_signal(signal.SIGINT)
    code, output, errors = finish(process)
    assert (code, errors) == (0, "")
    assert output.splitlines()[-1].startswith("end: ")
    assert "feed=stopped" in output.splitlines()[-1]
    arguments_given = [str(argument) for argument in cast(Sequence[str], process.args)]
    group = arguments_given[arguments_given.index("--group") + 1]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        committed = consumer.committed([TopicPartition(NAMES[0], n) for n in range(12)], timeout=30)
    finally:
        consumer.close()
    assert sum(at.offset for at in committed if at.offset > 0) > 0
    code, output, errors = finish(quant("play", *arguments, "--speed", "max", "--until-played"))
    assert (code, errors) == (0, "")
    assert_same(bootstrap, long_capture_file)


@pytest.mark.long
def test_without_a_kafka_it_says_so(quant: Run, unused_port: int, capture_file: Path) -> None:
    code, _, errors = finish(quant("play", "--kafka", f"127.0.0.1:{unused_port}", "--capture", capture_file))
    assert code == 1
    assert errors == f"barnabas-quant: no Kafka answers at 127.0.0.1:{unused_port} (waited 10 s)\n"
