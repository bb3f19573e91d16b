"""A desk to trade at in tests: an engine whose account is checked after every input."""

from __future__ import annotations

from typing import Any

from barnabas_quant.model.intervals import DAY, HOUR, MINUTE
from barnabas_quant.model.money import ONE
from barnabas_quant.trading import Engine, EngineSettings, OrderRequest, VenueModel
from barnabas_quant.trading.events import (
    Bar,
    Cancel,
    Clock,
    Fill,
    Input,
    OrderEvent,
    Output,
    Place,
    Print,
    Quote,
    Switch,
    Transfer,
)
from barnabas_quant.trading.instruments import CENT, Fees, Instrument
from barnabas_quant.trading.limits import Limits

SHARE = "sse:600000"
COIN = "binance:BTCUSDT"
FUTURE = "binance_usdm:BTCUSDT"
PLAIN = Instrument(
    exchange="paper", symbol="X", asset="X", currency="USDT", tick=CENT, lot=ONE // 1000, fees=Fees()
)  # fmt: skip
"""A spot instrument without fees: what is tested with it is when, how much and at what price."""


def u(text: str | int) -> int:
    """Read signed decimal text as units."""
    text = str(text)
    whole, _, fraction = text.removeprefix("-").partition(".")
    amount = int(whole) * ONE + int(fraction.ljust(8, "0"))
    return -amount if text.startswith("-") else amount


def china(day: int, hour: int, minute: int = 0, second: int = 0) -> int:
    """Give a time of day in China, days after 2025-10-09."""
    return (20370 + day) * DAY + (hour - 8) * HOUR + minute * MINUTE + second * 1_000_000


class Desk:
    """Place orders, tell the market, look at what came of it. Amounts are decimal text."""

    def __init__(
        self, key: str = PLAIN.key, cash: dict[str, str] | None = None, instruments: tuple[Instrument, ...] = (),
        limits: Limits | None = None, venue: VenueModel | None = None, **more: Any,
    ) -> None:  # fmt: skip
        self.key = key
        self.time = china(0, 10)
        self.out: list[Output] = []
        self.engine = Engine(
            EngineSettings(
                cash={name: u(amount) for name, amount in (cash or {"USDT": "1000000"}).items()},
                instruments=(PLAIN, *instruments), limits=limits or Limits(price_collar=None),
                venue=venue or VenueModel(), **more,
            )
        )  # fmt: skip
        self._orders = 0

    def send(self, event: Input) -> list[Output]:
        out: list[Output] = []
        if event.time > self.engine.time and isinstance(event, Place | Cancel | Switch | Transfer):
            out += self.engine.process(Clock(event.time))  # what is asked for moves no time by itself
        out += self.engine.process(event)
        self.engine.main.ledger.check(self.engine.main.orders)
        self.out += out
        return out

    def quote(self, bid: str, bid_size: str, ask: str, ask_size: str) -> None:
        self.send(Quote(self.key, self.time, u(bid), u(bid_size), u(ask), u(ask_size)))

    def print(self, price: str, size: str = "0", sold: bool | None = None) -> None:
        self.send(Print(self.key, self.time, u(price), u(size), sold))

    def bar(self, open: str, high: str, low: str, close: str, volume: str = "1000000") -> None:
        """Tell a minute that begins now, and be at its end."""
        begin, self.time = self.time, self.time + MINUTE
        self.send(Bar(self.key, self.time, begin, "1m", u(open), u(high), u(low), u(close), u(volume)))

    def place(self, side: str, quantity: str, price: str | None = None, **more: Any) -> str:
        self._orders += 1
        id = more.pop("id", f"o{self._orders}")
        key = more.pop("key", self.key)
        for name in ("trigger", "trail"):
            if name in more:
                more[name] = u(more[name])
        more.setdefault("type", "market" if price is None else "limit")
        request = OrderRequest(
            instrument=key, side=side, quantity=u(quantity), price=None if price is None else u(price), **more
        )
        self.send(Place(id, self.time, request))
        return id

    def last(self, id: str) -> OrderEvent:
        return [out for out in self.out if isinstance(out, OrderEvent) and out.order == id][-1]

    def status(self, id: str) -> str:
        return self.last(id).status

    def fills(self, id: str) -> list[tuple[str, str]]:
        return [(fill.price, fill.quantity) for fill in self.all_fills(id)]

    def all_fills(self, id: str) -> list[Fill]:
        return [out for out in self.out if isinstance(out, Fill) and out.order == id]

    def cash(self, currency: str) -> int:
        return self.engine.main.ledger.cash[currency]

    def own(self, quantity: str, price: str = "100") -> None:
        """Have so much of the instrument, bought at a price."""
        position = self.engine.main.ledger.open(self.engine.market(self.key).instrument.key)
        position.quantity, position.cost, position.mark = u(quantity), u(quantity) * u(price) // ONE, u(price)
