"""What is known of each strategy: how it stands, what it signalled, what its fills have earned. No I/O.

Profit is that of a backtest's report: trades by `TradeBook`, each after the fees and taxes of both its sides. A trade
is settled some trades later: further fills of the same order belong to it. What risk closed of a strategy's position
counts as a trade of the strategy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from barnabas_quant.backtest.trades import TradeBook, part, signed_units
from barnabas_quant.model.money import ONE, total_units
from barnabas_quant.settings import StrategySettings
from barnabas_quant.strategies.risk_fills import is_of_risk, taken_from
from barnabas_quant.strategies.switching import Standing, StrategyEvent
from barnabas_quant.trading.events import MAIN, Fill, Signal, text
from barnabas_quant.trading.orders import Side


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a signal or a fill; the time is that of the market."""

    time: int
    side: Side
    instrument: str
    price: str
    quantity: str


class StrategyFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Answer why a strategy has failed: what it raised, when (the market's time), and where in its file."""

    time: int
    reason: str
    where: str


class StrategyProfit(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what a strategy has earned in a currency."""

    currency: str
    realized: str
    """Of the trades that are over, after the fees and taxes of both sides."""
    fees: str
    """Commissions and taxes of all its fills."""
    open_fees: str
    """What of them belongs to what is open, and is not in `realized` yet."""
    trades: int
    won: int


class StrategyPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what a strategy's own fills add up to; a quantity below 0 is short."""

    instrument: str
    currency: str
    quantity: str
    cost: str
    average_price: str
    since: int


class StrategyView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a strategy."""

    alias: str
    """What its signals, orders and fills are called by."""
    name: str
    """Of the package, or of its file."""
    file: bool
    symbols: tuple[str, ...]
    parameters: dict[str, Any]
    state: Standing | None
    """None: its service has told nothing of it."""
    since: int | None
    """When that was told, microseconds since 1970."""
    who: str
    reason: str
    failure: StrategyFailure | None
    signals: int | None
    fills: int | None
    last_signal: Deed | None
    last_fill: Deed | None
    profit: list[StrategyProfit] | None
    """None, as are the numbers of fills and signals: what retention took is not read from the history yet."""
    positions: list[StrategyPosition] | None


_UNSETTLED = 64  # trades of a strategy that further fills of their orders may still belong to


class _Money:
    def __init__(self) -> None:
        self.settled = self.fees = self.trades = self.won = 0


class Record:
    """Add up what one strategy did."""

    def __init__(self) -> None:
        self.signals = self.fills = 0
        self.last_signal: Deed | None = None
        self.last_fill: Deed | None = None
        self._book = TradeBook()
        self._money: dict[str, _Money] = {}

    def signal(self, signal: Signal) -> None:
        """Take a signal."""
        self.signals += 1
        self.last_signal = Deed(
            time=signal.time, side=signal.side, instrument=signal.instrument, price=text(signal.price),
            quantity=text(signal.quantity),
        )  # fmt: skip

    def fill(self, fill: Fill) -> None:
        """Take a fill."""
        self.fills += 1
        self.last_fill = Deed(
            time=fill.time, side=fill.side, instrument=fill.instrument, price=fill.price, quantity=fill.quantity
        )
        self.closed(fill)

    def closed(self, fill: Fill) -> None:
        """Count a fill in, be it by risk."""
        self._of(fill.currency).fees += signed_units(fill.fee) + signed_units(fill.taxes)
        self._book.fill(fill)
        trades = self._book.trades
        while len(trades) > _UNSETTLED:
            over = trades.pop(0)
            money = self._of(over.currency)
            money.settled += over.profit
            money.trades += 1
            money.won += over.profit > 0

    def profit(self) -> list[StrategyProfit]:
        """Give what it has earned in each currency."""
        found = []
        for currency, money in self._money.items():
            last = [trade for trade in self._book.trades if trade.currency == currency]
            held = sum(one.fees for one in self._book.open.values() if one.currency == currency and one.quantity)
            found.append(
                StrategyProfit(
                    currency=currency, realized=text(money.settled + sum(trade.profit for trade in last)),
                    fees=text(money.fees), open_fees=text(held), trades=money.trades + len(last),
                    won=money.won + sum(trade.profit > 0 for trade in last),
                )
            )  # fmt: skip
        return found

    def held(self, instrument: str) -> int:
        """Give what it holds of an instrument, in units."""
        held = self._book.open.get(instrument)
        return 0 if held is None else held.quantity

    def positions(self) -> list[StrategyPosition]:
        """Give what is open."""
        return [
            StrategyPosition(
                instrument=key, currency=held.currency, quantity=text(held.quantity), cost=text(held.cost),
                average_price=text(held.cost * ONE // abs(held.quantity)), since=held.since,
            )
            for key, held in self._book.open.items()
            if held.quantity
        ]  # fmt: skip

    def _of(self, currency: str) -> _Money:
        return self._money.setdefault(currency, _Money())


class StrategyBook:
    """Know the strategies of the account that they trade. Of each topic it is handed every record once, in order."""

    def __init__(self, settings: Sequence[StrategySettings] = ()) -> None:
        """Take the settings, in whose order risk takes what several hold."""
        self._settings = settings
        self.ready = False
        """Whether it has been handed all that stood in the topics."""
        self.known = False
        """Whether it has been handed what stood there before the topics begin now."""
        self.complete = True
        """Whether nothing of that is missing."""
        self._records: dict[str, Record] = {}
        self._events: dict[str, tuple[StrategyEvent, int]] = {}

    def take(self, told: Signal | Fill | StrategyEvent, produced: int) -> None:
        """Take a record; `produced` is Kafka's timestamp in milliseconds."""
        if isinstance(told, StrategyEvent):
            if told.state is not None:
                self._events.pop(told.strategy, None)  # in the order in which they were told last
                self._events[told.strategy] = (told, produced)
        elif told.account == MAIN and isinstance(told, Fill) and is_of_risk(told):
            self._closed(told)
        elif told.account == MAIN:
            record = self._records.setdefault(told.strategy, Record())
            if isinstance(told, Signal):
                record.signal(told)
            else:
                record.fill(told)

    def _closed(self, fill: Fill) -> None:
        names = dict.fromkeys((*(self.alias_of(each) or "" for each in self._settings), *self._records))
        holding = [(name, self._records[name].held(fill.instrument)) for name in names if name in self._records]
        whole, fee, taxes = total_units(fill.quantity), signed_units(fill.fee), signed_units(fill.taxes)
        for name, share in taken_from(fill, holding):
            amounts = (abs(share), part(fee, abs(share), whole), part(taxes, abs(share), whole))
            quantity, its_fee, its_taxes = map(text, amounts)
            own = msgspec.structs.replace(fill, quantity=quantity, fee=its_fee, taxes=its_taxes)
            self._records[name].closed(own)

    def earlier_signals(self, counts: Mapping[str, int]) -> None:
        """Take how many signals each gave before the topic begins."""
        for name, count in counts.items():
            self._records.setdefault(name, Record()).signals += count

    def alias_of(self, settings: StrategySettings) -> str | None:
        """Give what a strategy of the settings is called by; None for a file whose name its service has not told."""
        if settings.alias is not None or not settings.name.endswith(".py"):
            return settings.alias or settings.name
        return next((name for name, (event, _) in self._events.items() if event.name == settings.name), None)

    def listed(self, settings: Sequence[StrategySettings]) -> list[StrategyView]:
        """Give the strategies of the settings, then those that run beside them."""
        wanted = {self.alias_of(each) or each.name: each for each in settings}
        others = (name for name, (event, _) in self._events.items() if event.state != "removed")
        return [self._view(name, wanted.get(name)) for name in dict.fromkeys((*wanted, *others))]

    def _view(self, name: str, settings: StrategySettings | None) -> StrategyView:
        event, produced = self._events.get(name, (None, 0))
        record = self._records.get(name) or Record()
        if event is None or event.state == "removed":
            assert settings is not None
            event = StrategyEvent(
                strategy=name, time=0, state=None, name=settings.name, symbols=settings.symbols,
                parameters=dict(settings.parameters),
            )  # fmt: skip
        failed = event.state == "failed"
        state: Standing | Literal["removed"] | None = event.state
        assert state != "removed"
        return StrategyView(
            alias=name, name=event.name, file=event.name.endswith(".py"), symbols=event.symbols,
            parameters=event.parameters, state=state, since=produced * 1000 if produced else None, who=event.who,
            reason=event.reason,
            failure=StrategyFailure(time=event.time, reason=event.reason, where=event.where) if failed else None,
            signals=record.signals if self.known else None, fills=record.fills if self.known else None,
            last_signal=record.last_signal, last_fill=record.last_fill,
            profit=record.profit() if self.known else None, positions=record.positions() if self.known else None,
        )  # fmt: skip
