"""What the tests of the analysis share: trades from captures, from the simulator, and made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from barnabas_quant.feeds import BinanceDecoder, Capture, Simulator
from barnabas_quant.model import Kline, Record, Trade

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
START = 1_700_000_040_000  # milliseconds, the beginning of a minute


def recording(name: str) -> Path:
    """Give a recorded file, or skip."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"recordings are not part of the project: no {name} beside the repository")
    return path


def records_of(path: Path) -> Iterator[Record]:
    """Decode a capture."""
    capture = Capture(path)
    decoder = BinanceDecoder(capture.exchange)

    def report(number: int, reason: str) -> None:
        raise AssertionError(f"line {number}: {reason}")

    for frame in capture.frames(report):
        yield from decoder.records(frame)


@cache
def simulated(seed: int, minutes: int, start: int = START) -> list[Record]:
    """Decode simulated minutes of five instruments."""
    simulator = Simulator(seed)
    decoder = BinanceDecoder(simulator.exchange)
    return [
        record
        for number in range(minutes)
        for frame in simulator.minute(number, start + number * 60_000)
        for record in decoder.records(frame)
    ]


def trades_of(records: Iterable[Record]) -> list[Trade]:
    return [record for record in records if isinstance(record, Trade)]


def trade(
    trade_id: int,
    time: float,
    price: str = "100",
    quantity: str = "1",
    symbol: str = "S",
    exchange: str = "x",
    received: float | None = None,
    ids: tuple[int, int] | None = None,
) -> Trade:
    """Make a trade; time in seconds since 1970 UTC."""
    return Trade(
        exchange=exchange,
        symbol=symbol,
        trade_id=trade_id,
        price=price,
        quantity=quantity,
        buyer_is_maker=False,
        event_time=round(time * 1e6),
        trade_time=round(time * 1e6),
        receive_time=round((time if received is None else received) * 1e6),
        first_trade_id=ids[0] if ids else None,
        last_trade_id=ids[1] if ids else None,
    )


def shape(bar: Kline) -> tuple[object, ...]:
    """Give what makes two bars the same."""
    return (bar.exchange, bar.symbol, bar.interval, bar.open_time, *bar.amounts())
