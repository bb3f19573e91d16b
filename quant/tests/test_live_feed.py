"""The live feed against the simulated exchange: whatever happens on the way, the accounts come out even."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas_quant.feeds import BITCOIN_AND_OTHERS, Simulator
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.model import Gap, Kline, Trade
from testkit.ports import free_ports

from .conftest import START, eventually
from .road import Road, played_frames, road, running_road
from .test_live_parts import broker_process

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")


@pytest.fixture
def own_kafka() -> Iterator[str]:
    """Give a Kafka of this test's own: the feed's topics have fixed names."""
    with embedded.Broker() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a capture of one simulated minute, two symbols."""
    path = tmp_path_factory.mktemp("live") / "minute.gz"
    write_capture(path, Simulator(11, BITCOIN_AND_OTHERS[:2]).minute(0, START))
    return path


def finish(made: Road, capture: Path) -> dict[str, int]:
    """Wait for the end of the play and of what is fetched; end the feed, so that all is acknowledged; account."""
    made.wait_until_played()
    trades = sum(len(streams[Trade]) for streams in played_frames(capture).values())
    eventually(lambda: len(made.records(Trade)) >= trades)
    made.feed.end()
    return made.account()


@pytest.mark.long
def test_a_kafka_that_is_gone_for_good_holds_no_feed_up(tmp_path: Path, minute: Path) -> None:
    (port,) = free_ports(1)
    kafka = broker_process(tmp_path, port).start()
    try:
        with road(tmp_path, f"127.0.0.1:{port}", minute, 2) as made:
            made.wait_for_frames(500)
            kafka.kill()
            made.wait_for_frames(made.frames() + 200)
            begun = time.monotonic()
            made.feed.end()
            assert 5 < time.monotonic() - begun < 20
            assert made.feed.running is not None
            assert made.feed.running.returncode == 1
            assert "records were not acknowledged; the next run fetches or tells them" in made.feed.log.read_text()
    finally:
        kafka.kill()


def test_everything_played_stands_in_the_topics(tmp_path: Path, own_kafka: str, minute: Path) -> None:
    with road(tmp_path, own_kafka, minute, 12) as made:
        counted = finish(made, minute)
    assert counted["trades"] > 500
    assert counted["quotes"] > 2000
    assert counted["missed quotes"] == 0
    assert counted["diffs"] > 1000


@pytest.mark.long
def test_a_first_start_brings_candles_of_before_and_a_second_one_none(tmp_path: Path, own_kafka: str) -> None:
    minute, count = 60_000_000, 300
    wanted, symbols = {"1m": minute, "5m": 5 * minute}, ["BTCUSDT", "ETHUSDT"]
    more = f"intervals = {list(wanted)}".replace("'", '"')
    with running_road(tmp_path, own_kafka, "binance", symbols, 5, more, history=count) as made:
        told = len(wanted) * len(symbols) * (count + 1)
        made.wait_until_told(Kline, told)
        made.feed.kill()
        made.feed.start()
        made.wait_until_told(Kline, len(made.records(Kline)) + 4)
        made.feed.end()
        made.account()
        bars, gaps = made.records(Kline), made.records(Gap)
    for symbol in symbols:
        for interval, length in wanted.items():
            mine = [bar for bar in bars if (bar.symbol, bar.interval) == (symbol, interval)]
            times = [bar.open_time for bar in mine if bar.closed]
            assert len(times) >= count
            assert times == list(range(times[0], times[0] + len(times) * length, length))
            heard = mine[count]  # forming, or closed where the minute turned meanwhile
            assert heard.open_time == times[0] + count * length
    assert not [gap for gap in gaps if gap.stream.startswith("kline") and not gap.filled]


@pytest.mark.long
def test_connections_that_drop(tmp_path: Path, own_kafka: str, minute: Path) -> None:
    with road(tmp_path, own_kafka, minute, 6) as made:
        for how, frames in (("close", 500), ("abort", 1200), ("half", 2000)):
            made.wait_for_frames(frames)
            made.order("drop", how=how)
        counted = finish(made, minute)
        causes = {gap.cause for gap in made.records(Gap)}
    assert counted["missed quotes"] > 0
    assert "start" in causes
    assert len(causes) > 1


@pytest.mark.long
def test_frames_that_are_skipped(tmp_path: Path, own_kafka: str, minute: Path) -> None:
    with road(tmp_path, own_kafka, minute, 6) as made:
        made.wait_for_frames(500)
        made.order("skip", stream="*btcusdt@trade", frames=3)
        made.order("skip", stream="*ethusdt@depth*", frames=2)
        made.wait_for_frames(1500)
        made.order("skip", stream="*@trade", frames=1)
        counted = finish(made, minute)
        gaps = made.records(Gap)
    assert counted["missed diffs"] > 0
    assert {(gap.stream, gap.filled) for gap in gaps} >= {("trade", True), ("depth", False)}


@pytest.mark.long
def test_a_feed_that_is_killed(tmp_path: Path, own_kafka: str, minute: Path) -> None:
    with road(tmp_path, own_kafka, minute, 1.5) as made:  # trades come after the last start, and show what was missed
        for frames in (300, 900, 1500):
            made.wait_for_frames(frames)
            made.feed.kill()
            made.feed.start()
        counted = finish(made, minute)
    assert counted["missed quotes"] > 0


@pytest.mark.long
def test_garbage_and_refusals(tmp_path: Path, own_kafka: str, minute: Path) -> None:
    with road(tmp_path, own_kafka, minute, 6) as made:
        made.order("rest", status=429, requests=2, path="/api/v3", retry_after=1)
        made.wait_for_frames(600)
        kinds = "broken_json wrong_types negative_price crossed_book unknown_symbol missing_fields"
        for kind in kinds.split():
            made.order("garbage", stream="*btcusdt*", kind=kind, frames=1)
        made.wait_for_frames(1500)
        made.order("garbage", stream="*@bookTicker", kind="duplicate", frames=3)
        counted = finish(made, minute)
    assert counted["trades"] > 500
