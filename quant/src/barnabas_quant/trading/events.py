"""What goes into the trading engine and what comes out of it.

Inputs hold amounts as units (10^-8) and are made from records of the topics, rows of the history or lines of a file.
Outputs are the records of the topics `orders`, `fills`, `positions`, `equity`, `trade-decisions`, `risk-alerts` and
`cash-flows`: their amounts are decimal text, their times microseconds since 1970 UTC. Each output carries `seq`, its
number among all outputs of the engine: the same inputs in the same order give the same outputs with the same numbers,
so that whoever writes them again after a crash knows which are there.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from barnabas_quant.model.money import ONE
from barnabas_quant.trading.orders import OrderRequest, OrderType, Side, Status, Step, TimeInForce

MAIN = "main"
"""The account that strategies trade, and whoever names no other."""

EVERY = "*"
"""In the place of an account: all of them (the kill switch)."""


class Quote(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Tell best bid and ask; a side that is empty has price 0, a size that nobody knows is 0."""

    instrument: str
    time: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


class Print(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Tell a trade, or the price that a share was last traded at; a size that nobody knows is 0."""

    instrument: str
    time: int
    price: int
    size: int = 0
    sold: bool | None = None
    """Whether a seller took what a buyer had in the book; None: not known."""


class Bar(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Tell a closed bar; `time` is its end, `begin` its label."""

    instrument: str
    time: int
    begin: int
    interval: str
    open: int
    high: int
    low: int
    close: int
    volume: int


class Depth(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Tell an order book whole (`whole`) or what changed in it: (price, quantity), 0 removes a level."""

    instrument: str
    time: int
    whole: bool
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class Session(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Tell an instrument's day: its last close (0: not known), and whether its trading is suspended."""

    instrument: str
    time: int
    close: int
    suspended: bool = False


class Funding(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Tell a funding payment of a perpetual contract: longs pay `rate` (10^-8, may be negative) of the notional."""

    instrument: str
    time: int
    rate: int
    mark: int


class Signal(msgspec.Struct, frozen=True, tag=True):
    """Hold a record of trade-signal: what a strategy wants. `id` is its place, `topic-partition-offset`."""

    id: str
    time: int
    side: Side
    instrument: str
    price: int
    quantity: int
    strategy: str
    account: str = MAIN


class BadSignal(msgspec.Struct, frozen=True, tag=True):
    """Hold the place of a record of trade-signal that is none, and why."""

    id: str
    time: int
    reason: str


class Open(msgspec.Struct, frozen=True, tag=True):
    """Open an account, with what accounts begin with."""

    id: str
    time: int
    account: str


class Place(msgspec.Struct, frozen=True, tag=True):
    """Ask for an order by hand; `id` is that of the request."""

    id: str
    time: int
    request: OrderRequest
    account: str = MAIN
    test: bool = False
    """Whether only to say what would become of it: no order is made."""


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Cancel an order, all of a strategy, or all."""

    id: str
    time: int
    order: str = ""
    strategy: str = ""
    account: str = MAIN


class Switch(msgspec.Struct, frozen=True, tag=True):
    """Pull the kill switch (`on` False: trading stays off, open orders are canceled) or reset it, by a person."""

    id: str
    time: int
    on: bool
    who: str
    reason: str = ""
    flatten: bool = False
    """With the switch pulled: close every position as well."""
    account: str = MAIN
    """One, or `*`: all that there are."""


class Transfer(msgspec.Struct, frozen=True, tag=True):
    """Pay in (or out, where negative) an amount of a currency."""

    id: str
    time: int
    currency: str
    amount: int
    account: str = MAIN


class Clock(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Tell the time where nothing else happens: a reading of the clock is an input like any other.

    With `reading`, what a clock on the wall shows, the market's time is not moved (in a replay it may lie years back):
    the reading counts what has passed since the last event of each venue.
    """

    time: int
    reading: int = 0
    """Microseconds since 1970 UTC; 0: none."""


MarketEvent = Quote | Print | Bar | Depth | Session | Funding
Request = Signal | BadSignal | Open | Place | Cancel | Switch | Transfer
Input = MarketEvent | Request | Clock


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what every output carries."""

    topic: ClassVar[str]

    seq: int
    time: int
    account: str = MAIN

    @property
    def key(self) -> str:
        """Give the record's Kafka key."""
        raise NotImplementedError


class OrderEvent(Output, frozen=True, kw_only=True):
    """Tell what happened to an order: `step` led to `status`."""

    topic: ClassVar[str] = "orders"

    order: str
    instrument: str
    step: Step | Literal["new"]
    status: Status
    side: Side
    type: OrderType
    quantity: str
    filled: str
    price: str | None
    trigger: str | None
    time_in_force: TimeInForce
    strategy: str
    reason: str

    @property
    def key(self) -> str:
        return self.instrument


class Fill(Output, frozen=True, kw_only=True):
    """Tell that (a part of) an order was executed. `fee` is the commission, `taxes` duty and transfer fee."""

    topic: ClassVar[str] = "fills"

    fill: str
    """Its id: the order's, and the number of the fill."""
    order: str
    instrument: str
    side: Side
    price: str
    quantity: str
    fee: str
    taxes: str
    currency: str
    liquidity: Literal["maker", "taker"]
    slippage: str
    """Signed: what the price was worse than the one that the market showed, times the quantity."""
    strategy: str

    @property
    def key(self) -> str:
        return self.instrument


class PositionEvent(Output, frozen=True, kw_only=True):
    """Tell a position after a change; quantities below 0 are short. `average_price` is that of what is open."""

    topic: ClassVar[str] = "positions"

    instrument: str
    quantity: str
    available: str
    """What could be sold now: T+1 and open orders taken off."""
    average_price: str
    realized: str
    """Profit of what was closed, before fees and taxes, since the beginning."""
    fees: str
    """Commissions and taxes since the beginning."""

    @property
    def key(self) -> str:
        return self.instrument


class EquityEvent(Output, frozen=True, kw_only=True):
    """Tell what the account is worth in a currency."""

    topic: ClassVar[str] = "equity"

    currency: str
    cash: str
    held: str
    """Of the cash, what open orders and margins keep."""
    positions: str
    """Market value; of futures, the profit that is not realized."""
    equity: str
    peak: str

    @property
    def key(self) -> str:
        return self.currency


class Decision(Output, frozen=True, kw_only=True):
    """Tell what became of a signal or a request, why, and by which numbers."""

    topic: ClassVar[str] = "trade-decisions"

    subject: str
    """Id of the signal or request."""
    verdict: Literal["accepted", "rejected"]
    rule: str
    reason: str
    numbers: dict[str, str]
    order: str
    strategy: str

    @property
    def key(self) -> str:
        return self.subject


class Alert(Output, frozen=True, kw_only=True):
    """Tell that a rule's condition holds (fired), has grown worse (escalated) or is over (cleared)."""

    topic: ClassVar[str] = "risk-alerts"

    rule: str
    subject: str
    """What it is about: an instrument, a currency, the account."""
    state: Literal["fired", "escalated", "cleared"]
    level: Literal["warning", "critical"]
    action: Literal["none", "reduce", "flatten", "kill"]
    reason: str
    numbers: dict[str, str]

    @property
    def key(self) -> str:
        return f"{self.rule}:{self.subject}"


class CashFlow(Output, frozen=True, kw_only=True):
    """Tell a change of the cash that no fill tells: with the fills, cash can be added up from what it began with."""

    topic: ClassVar[str] = "cash-flows"

    kind: Literal["funding", "transfer"]
    currency: str
    amount: str
    """Signed: below 0 it was paid."""
    instrument: str
    """Of funding."""
    numbers: dict[str, str]
    """Of funding: rate, mark, quantity."""

    @property
    def key(self) -> str:
        return self.currency


OUTPUTS: tuple[type[Output], ...] = (OrderEvent, Fill, PositionEvent, EquityEvent, Decision, Alert, CashFlow)


def text(amount: int) -> str:
    """Write signed units as decimal text with as many places as it needs."""
    sign, rest = ("-", -amount) if amount < 0 else ("", amount)
    whole, fraction = divmod(rest, ONE)
    return f"{sign}{whole}.{fraction:08d}".rstrip("0").rstrip(".") if fraction else f"{sign}{whole}"
