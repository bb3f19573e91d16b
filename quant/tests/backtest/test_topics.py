"""Backtests of what the topics hold, on a real broker."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas_quant.backtest.sources import SourceError, Wanted
from barnabas_quant.backtest.topics import Topics
from barnabas_quant.bus import ensure_topics
from barnabas_quant.bus.producer import RecordProducer, encode
from barnabas_quant.cli import main
from barnabas_quant.model.records import Kline, Tick, Trade
from barnabas_quant.trading.events import Bar, Print, Quote

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")

KEY, OTHER = "binance:BTCUSDT", "binance:ETHUSDT"
MINUTE = 60_000_000
BEGIN = 1_700_000_040_000_000


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Give a Kafka of this module's own, with an hour of a market in its topics: in no order of time."""
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        shuffled, records = random.Random(3), []
        for number in range(60):
            at, price = BEGIN + number * MINUTE, 100 + number % 7 - number % 11
            for symbol in ("BTCUSDT", "ETHUSDT"):
                records += [
                    Tick(exchange="binance", symbol=symbol, kind="quote", price=None, bid=f"{price}.0", bid_size="5",
                         ask=f"{price}.1", ask_size="5", update_id=number, event_time=at, receive_time=at),
                    Trade(exchange="binance", symbol=symbol, trade_id=number, price=f"{price}.05", quantity="2",
                          buyer_is_maker=False, event_time=at + 5, trade_time=at + 5, receive_time=at + 6),
                ]  # fmt: skip
                for interval, length in (("1m", 1), ("5m", 5)):
                    if number % length == 0:
                        records.append(
                            Kline(exchange="binance", symbol=symbol, interval=interval, open_time=at,
                                  close_time=at + length * MINUTE - 1000, open=f"{price}", high=f"{price + 1}",
                                  low=f"{price - 1}", close=f"{price}.5", volume="10", quote_volume="1000", trades=3,
                                  closed=True, source="computed", event_time=at, receive_time=at)
                        )  # fmt: skip
        shuffled.shuffle(records)
        producer = RecordProducer(broker.bootstrap)
        for record in records:
            producer.send(f"{record.exchange}:{record.symbol}".encode(), record.topic, encode(record))
        producer.send(KEY.encode(), Trade.topic, b"no record")
        assert producer.flush(20) == 0
        yield broker.bootstrap


def test_events_come_in_the_order_of_time_and_none_is_missing(kafka: str) -> None:
    wanted = Wanted(instruments=(KEY, OTHER), kinds=frozenset((Quote, Print)))
    found = list(Topics(kafka, "binance").events(wanted))
    assert len(found) == 240
    assert [event.time for event in found] == sorted(event.time for event in found)
    assert {type(event) for event in found} == {Quote, Print}
    some = Wanted(instruments=(KEY,), kinds=frozenset((Print,)), since=BEGIN + MINUTE, until=BEGIN + 3 * MINUTE)
    assert [event.time for event in Topics(kafka, "binance").events(some)] == [BEGIN + n * MINUTE + 5 for n in (1, 2)]


def test_bars_of_one_length(kafka: str) -> None:
    source = Topics(kafka, "binance")
    wanted = Wanted(instruments=(KEY,), kinds=frozenset((Bar,)), interval="5m")
    assert [event.time for event in source.events(wanted)] == [BEGIN + n * 5 * MINUTE for n in range(1, 13)]
    assert source.before(Wanted(instruments=(KEY,), kinds=frozenset((Bar,)), interval="5m", since=BEGIN + 30 * MINUTE),
                         2) == BEGIN + 20 * MINUTE  # fmt: skip
    with pytest.raises(SourceError, match="which length"):
        list(source.events(Wanted(instruments=(KEY,), kinds=frozenset((Bar,)))))
    assert any(line.startswith(f"{KEY} 5m bars: 12, ") for line in source.holds())


def test_the_command_runs_on_topics(kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["backtest", "MA_CROSS", "--symbols", "BTCUSDT", "--source", "kafka", "--kafka", kafka, "--interval", "1m",
             "--param", "fast=2", "slow=5", "volume=0.1", "--order-type", "market", "--cash", "USDT=100000",
             "--data", str(tmp_path), "--out", str(tmp_path / "report")]  # fmt: skip
    assert main(words) == 0
    assert " fills" in capsys.readouterr().out and (tmp_path / "report" / "report.html").exists()
    fills = io.StringIO((tmp_path / "report" / "fills.csv").read_text()).readlines()
    assert len(fills) > 3
    assert main([*words[:3], "SOLUSDT", *words[4:]]) == 1
    assert f"{OTHER} 1m bars: 60" in capsys.readouterr().err
