"""The trading engine: market, signals and commands in, orders, fills and decisions out.

`process` is all there is: no clock (the time is that of the inputs), no randomness, no I/O. The same inputs in the same
order give the same outputs with the same numbers, in a backtest, in a replay and live; the order itself is data, and
whoever runs the engine keeps it. An order's id is its signal's, so that the same signal can never give two orders.

What happens to an order, in this order: it is decided (signal known, fresh, of a known instrument, sized), our own risk
limits are asked, the account keeps what it needs, it travels to the venue, the venue accepts and fills it. Each of
these is an output; a `no` at any place is one, too, with its reason and the numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from barnabas_quant.errors import SymbolError
from barnabas_quant.model.intervals import DAY, MINUTE
from barnabas_quant.model.money import ONE
from barnabas_quant.model.sessions import SessionCalendar
from barnabas_quant.trading.events import (
    BadSignal,
    Bar,
    Cancel,
    CashFlow,
    Clock,
    Decision,
    Depth,
    EquityEvent,
    Fill,
    Funding,
    Input,
    MarketEvent,
    OrderEvent,
    Output,
    Place,
    PositionEvent,
    Print,
    Quote,
    Session,
    Signal,
    Switch,
    Transfer,
    text,
)  # fmt: skip
from barnabas_quant.trading.instruments import Instrument, notional, share, usual
from barnabas_quant.trading.ledger import Ledger, Position
from barnabas_quant.trading.limits import Limits, LimitsState, Refusal
from barnabas_quant.trading.market import Market, MarketState, VenueModel
from barnabas_quant.trading.orders import Order, OrderRequest, Step
from barnabas_quant.trading.watch import Guard, Watch, WatchState

_ASKED = frozenset({Signal, BadSignal, Place, Cancel, Switch, Transfer})
_REMEMBERED = 10_000  # ids of orders that are recognised when they come again


class Sizing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how large an order becomes that a signal asks for."""

    by: Literal["volume", "notional", "equity"] = "volume"
    """volume: as the signal says; notional: for so much money; equity: for a share of what the account is worth."""
    notional: int = 10_000 * ONE
    share: int = ONE // 10

    def quantity(self, signal: Signal, instrument: Instrument, price: int, equity: int) -> int:
        """Give the quantity in whole lots, rounded down."""
        if self.by == "volume":
            wanted = signal.quantity
        else:
            money = self.notional if self.by == "notional" else share(max(0, equity), self.share)
            wanted = money * ONE // price if price else 0
        return wanted // instrument.lot * instrument.lot


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how an engine trades. Everything in it is part of its input: other settings, other results."""

    cash: dict[str, int] = {}
    """What the account begins with, by currency, in units."""
    instruments: tuple[Instrument, ...] = ()
    """Terms that differ from the usual ones of their venue."""
    venue: VenueModel = VenueModel()
    limits: Limits = Limits()
    watch: Watch = Watch()
    sizing: Sizing = Sizing()
    order_type: Literal["limit", "market"] = "limit"
    """What a signal becomes; a limit order has the signal's price."""
    time_in_force: Literal["GTC", "DAY", "IOC"] = "DAY"
    signal_age: int = 5 * MINUTE
    """Microseconds after which a signal is stale."""
    equity_every: int = MINUTE
    """Microseconds, of the engine's time, between two reports of equity."""


class EngineState(msgspec.Struct, kw_only=True):
    """Hold all that an engine remembers, to be written and read back."""

    time: int
    seq: int
    trading: bool
    cash: dict[str, int]
    held: dict[str, int]
    positions: dict[str, Position]
    orders: list[Order]
    markets: dict[str, MarketState]
    known: list[str]
    limits: LimitsState
    peaks: dict[str, int]
    travelling: list[tuple[int, Literal["arrive", "cancel"], str, str]]
    days: dict[str, int]
    told_time: int
    equity_due: int
    watch: WatchState = msgspec.field(default_factory=WatchState)
    unknown: int = 0


class Engine:
    """Trade one account."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.instruments: dict[str, Instrument] = {each.key: each for each in settings.instruments}
        self.ledger = Ledger(self.instruments)
        self.markets: dict[str, Market] = {}
        self.orders: dict[str, Order] = {}
        """Those that are open."""
        self._known: dict[str, None] = {}  # ids of the latest orders, the oldest first
        self.time = 0
        self.seq = 0
        """Number of the next output."""
        self.trading = True
        """False once the kill switch was pulled, until a person resets it."""
        self.limits = LimitsState()
        self.peaks: dict[str, int] = {}
        self._travelling: deque[tuple[int, Literal["arrive", "cancel"], str, str]] = deque()
        self._days: dict[str, int] = {}
        self._told_time = 0  # by a Clock, which is for all venues
        self._equity_due = 0
        self._due = 0  # when there is something to do beside the input: the least of what is due
        self.unknown = 0
        """Events of the market that were passed over: of no instrument that is known, or can be."""
        self.guard = Guard(settings.watch, self)
        self._out: list[Output] = []
        for currency, amount in settings.cash.items():
            self.ledger.transfer(currency, amount)
            self.guard.transferred(currency, amount)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Quote: self._quote, Print: self._print, Bar: self._bar, Depth: self._depth, Session: self._session,
            Funding: self._funding, Signal: self._signal, BadSignal: self._bad_signal, Place: self._place,
            Cancel: self._cancel, Switch: self._switch, Transfer: self._transfer, Clock: self._clock,
        }  # fmt: skip

    def process(self, event: Input) -> list[Output]:
        """Take one input; give the outputs that it has, numbered.

        The time is the market's: one that runs backwards counts as the latest, and what is asked for moves it only as
        long as the market has told nothing. A person types an order today into a recording of last year.
        """
        out: list[Output] = []
        self._out = out
        if event.time > self.time and (type(event) not in _ASKED or not self.markets):
            self.time = event.time
        if type(event) is Clock and not event.reading:
            self._told_time = max(self._told_time, event.time)
        if self._travelling:
            self._deliver(event)
        self._handlers[type(event)](event)
        if self.time >= self._due:
            self._turn()
        return out

    def _turn(self) -> None:
        """Do what is due by the engine's time, and what fills have called for."""
        guard = self.guard
        guard.settle()
        if self.time >= guard.state.due:
            guard.data.look()
            guard.settle()
        if self.time >= self._equity_due:
            self._tell_equity()
        self._due = min(self._equity_due, guard.state.due)

    def now(self, instrument: Instrument) -> int:
        """Give the time at an instrument's venue: that of its last event, or what a `Clock` has told to all since.

        Two venues may play different years.
        """
        exchange = instrument.exchange
        times = [market.time for market in self.markets.values() if market.instrument.exchange == exchange]
        return max(self._told_time, *times) if times else self.time

    def save(self) -> EngineState:
        """Give all that it remembers."""
        return EngineState(
            time=self.time, seq=self.seq, trading=self.trading, cash=self.ledger.cash, held=self.ledger.held,
            positions=self.ledger.positions, orders=list(self.orders.values()),
            markets={key: market.save() for key, market in self.markets.items()}, known=list(self._known),
            limits=self.limits, peaks=self.peaks, travelling=list(self._travelling), days=self._days,
            told_time=self._told_time,
            equity_due=self._equity_due, watch=self.guard.state, unknown=self.unknown,
        )  # fmt: skip

    def load(self, state: EngineState) -> None:
        """Take what `save` gave, on an engine that has processed nothing. It keeps the state's objects."""
        self.time, self.seq, self.trading = state.time, state.seq, state.trading
        self.ledger.cash, self.ledger.held = state.cash, state.held
        for key, position in state.positions.items():
            self.instrument(key)
            self.ledger.put(key, position)
        self.orders = {order.id: order for order in state.orders}
        for key, market in state.markets.items():
            self.market(key).load(market, self.orders)
        self._known = dict.fromkeys(state.known)
        self.limits, self.peaks, self._days = state.limits, state.peaks, state.days
        self._travelling = deque(state.travelling)
        self._told_time = state.told_time
        self._equity_due, self.unknown = state.equity_due, state.unknown
        self.guard.load(state.watch)

    def equity(self, currency: str) -> int:
        """Give what the account is worth in a currency."""
        return sum(self.ledger.equity(currency))

    def instrument(self, key: str) -> Instrument:
        """Give an instrument by its key, on the usual terms where none are set. Raises SymbolError."""
        found = self.instruments.get(key)
        if found is None:
            exchange, _, symbol = key.partition(":")
            found = self.instruments[key] = usual(exchange, symbol)
        return found

    def market(self, key: str) -> Market:
        """Give the market of an instrument. Raises SymbolError."""
        found = self.markets.get(key)
        if found is None:
            found = Market(self.instrument(key), self.settings.venue, self._execute, self._happen)
            self.markets[key] = found
        return found

    # The market

    def _quote(self, event: Quote) -> None:
        market = self._market_of(event, event.time)
        if market is None:
            return
        market.quote(event)
        if event.ask >= event.bid > 0:
            self._mark(event.instrument, (event.bid + event.ask) // 2)

    def _print(self, event: Print) -> None:
        market = self._market_of(event, event.time)
        if market is None:
            return
        market.print(event)
        if not market.quoted:
            self._mark(event.instrument, event.price)

    def _bar(self, event: Bar) -> None:
        market = self._market_of(event, event.begin)
        if market is None:
            return
        market.bar(event)
        if market.orders:  # a bar may end with the day that its orders are for
            self._expire_all(market, event.time)
        self._mark(event.instrument, event.close)

    def _depth(self, event: Depth) -> None:
        market = self._market_of(event, event.time)
        if market is None:
            return
        market.depth(event)
        if market.ask >= market.bid > 0:
            self._mark(event.instrument, (market.bid + market.ask) // 2)

    def _session(self, event: Session) -> None:
        market = self._told(event.instrument)
        if market is None:
            return
        if market.instrument.hours != "always":
            self._day(market, event)
        market.session(event)

    def _funding(self, event: Funding) -> None:
        market = self._told(event.instrument)
        if market is None:
            return
        instrument = market.instrument
        if instrument.leverage and (position := self.ledger.position(event.instrument)).quantity:
            amount = self.ledger.funding(instrument, event.rate, event.mark)
            numbers = {"rate": text(event.rate), "mark": text(event.mark), "quantity": text(position.quantity)}
            self._tell_flow("funding", instrument.currency, amount, instrument.key, numbers)
            self._tell_position(instrument)
            self.filled(instrument.key)

    def _market_of(self, event: Quote | Print | Bar | Depth, by: int) -> Market | None:
        """Give the market that an event tells of, its day begun and its orders of a day over by then gone."""
        market = self.markets.get(event.instrument) or self._told(event.instrument)
        if market is not None:
            if market.instrument.hours != "always":
                self._day(market, event)
            elif market.orders:
                self._expire_all(market, by)
        return market

    def _told(self, key: str) -> Market | None:
        """Give the market that an event tells of; None, counted, where its instrument is none."""
        try:
            return self.market(key)
        except SymbolError:
            self.unknown += 1
            return None

    def _clock(self, event: Clock) -> None:
        if event.reading:
            self.guard.data.read(event.reading)
            return
        self.guard.remedy.pursue_all()
        for order in list(self.orders.values()):
            self._expire(order)

    def _expire_all(self, market: Market, by: int) -> None:
        for order in list(market.orders):
            self._expire(order, by)

    def _mark(self, key: str, price: int) -> None:
        position = self.ledger.positions.get(key)
        if position is not None:
            position.mark = price
            if position.quantity:
                self.guard.marked(key, position)

    def _day(self, market: Market, event: Quote | Print | Bar | Depth | Session) -> None:
        """On the first event of a day, the last price of the day before is the close that limits are counted from."""
        key, day = event.instrument, market.instrument.day(event.time)
        if self._days.get(key) != day:
            if key in self._days and market.instrument.price_limit:
                market.low_limit, market.high_limit = market.instrument.limits(market.last)
            self._days[key] = day
            for order in list(market.orders):
                self._expire(order, event.time)
                if order.day is None and day > market.instrument.day(order.arrives):
                    order.day = day

    def _expire(self, order: Order, by: int | None = None) -> None:
        """Let an order for the day go when that day is over, now or by a time that is still to be told of."""
        if order.request.time_in_force != "DAY" or not order.is_open or order.day is None:
            return
        instrument = self.instruments[order.request.instrument]
        if (self.now(instrument) if by is None else by) >= self._ends(instrument, order.day):
            self._happen(order, "expire", "DAY: the day is over")

    def _ends(self, instrument: Instrument, day: int) -> int:
        """Give when the last prices of a trading day have been told."""
        calendar = instrument.calendar
        if isinstance(calendar, SessionCalendar):
            return day * DAY - calendar.offset + calendar.settles
        return (day + 1) * DAY

    # What is asked for

    def _signal(self, event: Signal) -> None:
        try:
            instrument = self.instrument(event.instrument)
        except SymbolError as error:
            return self._decide(event.id, event.strategy, "rejected", "symbol", str(error))
        if (age := self.now(instrument) - event.time) > self.settings.signal_age:
            numbers = {"age_us": str(age), "limit_us": str(self.settings.signal_age)}
            return self._decide(event.id, event.strategy, "rejected", "stale", "the signal is too old", numbers)
        price = event.price // instrument.tick * instrument.tick
        quantity = self.settings.sizing.quantity(event, instrument, price, self.equity(instrument.currency))
        if quantity <= 0 or price <= 0:
            numbers = {"volume": text(event.quantity), "lot": text(instrument.lot), "price": text(event.price)}
            return self._decide(event.id, event.strategy, "rejected", "size", "less than a lot", numbers)
        limit = self.settings.order_type == "limit"
        request = OrderRequest(
            instrument=event.instrument, side=event.side, quantity=quantity, strategy=event.strategy,
            type="limit" if limit else "market", price=price if limit else None,
            time_in_force=self.settings.time_in_force,
        )  # fmt: skip
        return self._submit(event.id, request, price)

    def _bad_signal(self, event: BadSignal) -> None:
        self._decide(event.id, "", "rejected", "record", event.reason)

    def _place(self, event: Place) -> None:
        try:
            self.instrument(event.request.instrument)
        except SymbolError as error:
            return self._decide(event.id, event.request.strategy, "rejected", "symbol", str(error))
        return self._submit(event.id, event.request, event.request.price or 0)

    def _submit(self, id: str, request: OrderRequest, price: int) -> None:
        """Take an order on its way, or say why not; `id` is that of what asked for it."""
        instrument = self.instruments[request.instrument]
        market = self.market(request.instrument)
        if id in self.orders or id in self._known:
            return self._decide(id, request.strategy, "rejected", "duplicate", "there was an order of this id")
        if wrong := request.wrong():
            return self._decide(id, request.strategy, "rejected", "request", wrong)
        order = Order(
            id=id, request=request, created=self.time, arrives=self.now(instrument) + self.settings.venue.latency
        )
        cost = market.price_at_most(order) or price
        refused: Refusal | None = ("kill-switch", "trading is off until a person resets it", {})
        if self.trading and (rule := self.guard.refuses(instrument.key)):
            refused = (rule, "the position is being made smaller", {})
        elif self.trading:
            refused = self.limits.refuse(self.settings.limits, self, order, cost)
        self.orders[id] = order
        self._known[id] = None
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._tell_order(order, "new", "")
        if refused is not None:
            rule, reason, numbers = refused
            self._decide(id, request.strategy, "rejected", rule, reason, numbers)
            self._happen(order, "deny", f"{rule}: {reason}")
            return None
        self._decide(id, request.strategy, "accepted", "", "", {"price": text(cost)}, id)
        self._happen(order, "submit", "")
        mates = self._mates(order)
        reason = self._lots(order, instrument, mates) or (
            self.ledger.hold(order, instrument, cost, self._traded_at(instrument), mates)
            if cost
            else "price: the market has shown none"
        )
        if reason:
            self._happen(order, "reject", reason)
        elif self.settings.venue.latency:
            self._travelling.append((order.arrives, "arrive", id, ""))
        else:
            self._arrive(order)
        return None

    def _mates(self, order: Order) -> list[Order]:
        """Give the other open sales of a sale's group, where they are against what is there: they share what is kept.

        Only one of them will be filled: the first fill cancels the others.
        """
        request = order.request
        if not request.group or order.buys or self.instruments[request.instrument].leverage:
            return []
        return [
            other
            for other in self.orders.values()
            if other.request.group == request.group
            and other is not order
            and not other.buys
            and other.request.instrument == request.instrument
        ]

    def _lots(self, order: Order, instrument: Instrument, mates: list[Order]) -> str:
        # Of a position of 250, 50, 150 or 250 can be sold: what is below a lot goes in one piece.
        quantity, position = order.request.quantity, self.ledger.position(instrument.key)
        if quantity % instrument.lot and not (
            instrument.odd_lots_sold
            and not order.buys
            and not (position.quantity - position.held + sum(mate.hold for mate in mates) - quantity) % instrument.lot
        ):
            return f"quantity: not a multiple of the lot, {text(instrument.lot)}"
        return ""

    def _arrive(self, order: Order) -> None:
        market = self.market(order.request.instrument)
        if reason := market.refuses(order):
            self._happen(order, "reject", reason)
            return
        self._happen(order, "accept", "")
        now = self.now(market.instrument)
        if now < self._trades_until(market.instrument, now):
            order.day = market.instrument.day(now)
        market.arrive(order)

    def _traded_at(self, instrument: Instrument) -> int:
        """Give a time of the day on which an order of now can be traded at the earliest."""
        now = self.now(instrument)
        return now if now < self._trades_until(instrument, now) else now + DAY

    def _trades_until(self, instrument: Instrument, now: int) -> int:
        """Give when trading ends on the day that it is: an order that comes later is for the next one."""
        calendar = instrument.calendar
        return calendar.day(now)[0] if isinstance(calendar, SessionCalendar) else now + 1

    def _deliver(self, event: Input) -> None:
        """Let arrive at a venue what is due before an event, by that venue's time."""
        telling = event.instrument.partition(":")[0] if isinstance(event, MarketEvent) else ""
        travelling, self._travelling = self._travelling, deque()
        still: list[tuple[int, Literal["arrive", "cancel"], str, str]] = []
        arrived = False
        for each in travelling:
            due, what, id, reason = each
            order = self.orders.get(id)
            if order is None:
                continue
            instrument = self.instruments[order.request.instrument]
            if due > (event.time if instrument.exchange == telling else self.now(instrument)):
                still.append(each)
                continue
            arrived = True
            if what == "arrive":
                self._arrive(order)
            else:
                self._happen(order, "cancel", reason)
        self._travelling.extendleft(reversed(still))
        if arrived:
            self.guard.remedy.pursue_all()

    def _cancel(self, event: Cancel) -> None:
        chosen = [
            order
            for order in self.orders.values()
            if event.order in ("", order.id) and event.strategy in ("", order.request.strategy)
        ]
        if event.order and not chosen:
            return self._decide(event.id, event.strategy, "rejected", "cancel", f"no open order {event.order}")
        self._decide(event.id, event.strategy, "accepted", "cancel", "", {"orders": str(len(chosen))})
        for order in chosen:
            self.cancel(order, "asked for")
        return None

    def cancel(self, order: Order, reason: str) -> None:
        """Send a cancellation; it takes as long as an order."""
        if self.settings.venue.latency:
            due = self.now(self.instruments[order.request.instrument]) + self.settings.venue.latency
            self._travelling.append((due, "cancel", order.id, reason))
        else:
            self._happen(order, "cancel", reason)

    def _switch(self, event: Switch) -> None:
        if event.on:
            if not event.who:
                return self._decide(event.id, "", "rejected", "kill-switch", "a person has to reset it: who is empty")
            self.trading = True
            self._decide(event.id, "", "accepted", "kill-switch", f"reset by {event.who}: {event.reason}")
            return self.guard.reset(event.who)
        return self.pull(event.id, event.who, event.reason, event.flatten)

    def pull(self, id: str, who: str, reason: str, flatten: bool) -> None:
        """Pull the kill switch: trading stays off, open orders are canceled, positions closed where that is wanted."""
        self._decide(id, "", "accepted", "kill-switch", f"pulled by {who}: {reason}")
        self.trading = False
        for order in list(self.orders.values()):
            if not self.guard.remedy.sent(order):
                self.cancel(order, "kill switch")
        if flatten:
            self.guard.remedy.begin("kill-switch", list(self.ledger.positions), whole=True)

    def close(self, key: str, id: str, strategy: str, most: int | None = None) -> None:
        """Close a position, or `most` of it, at the market: as much as can be sold now.

        Whatever the limits and the kill switch say: it makes risk smaller. `strategy` is the rule that asks for it.
        """
        instrument, position = self.instruments[key], self.ledger.positions[key]
        if not position.quantity or id in self.orders:
            return
        quantity = abs(position.quantity)
        if not instrument.leverage:
            quantity = self.ledger.available(instrument, self._traded_at(instrument))
        if most is not None:
            quantity = min(quantity, most)
        if quantity <= 0:
            return
        request = OrderRequest(
            instrument=key, side="SELL" if position.quantity > 0 else "BUY", quantity=quantity, reduce_only=True,
            strategy=strategy,
        )  # fmt: skip
        order = Order(
            id=id, request=request, created=self.time, arrives=self.now(instrument) + self.settings.venue.latency
        )
        self.orders[id] = order
        self._tell_order(order, "new", strategy)
        self._happen(order, "submit", "")
        cost = self.market(key).price_at_most(order) or position.mark
        if reason := self.ledger.hold(order, instrument, cost, self._traded_at(instrument)):
            self._happen(order, "reject", reason)
        elif self.settings.venue.latency:
            self._travelling.append((order.arrives, "arrive", id, ""))
        else:
            self._arrive(order)

    def _transfer(self, event: Transfer) -> None:
        if reason := self.ledger.transfer(event.currency, event.amount):
            self._decide(event.id, "", "rejected", "transfer", reason)
            return
        self._decide(event.id, "", "accepted", "transfer", "", {event.currency: text(event.amount)})
        self._tell_flow("transfer", event.currency, event.amount)
        self.limits.transferred(event.currency, event.amount)
        self.guard.transferred(event.currency, event.amount)
        self.peaks[event.currency] = self.peaks.get(event.currency, 0) + event.amount
        self._equity_due = self._due = 0

    # What becomes of orders

    def _happen(self, order: Order, step: Step, reason: str) -> None:
        order.step(step)
        if not order.is_open:
            self._close_order(order)
        self._tell_order(order, step, reason)

    def _close_order(self, order: Order) -> None:
        del self.orders[order.id]
        if order.hold:
            if mates := self._mates(order):
                self.ledger.leave_hold(order, mates)
            self.ledger.release(order, self.instruments[order.request.instrument])
        market = self.markets.get(order.request.instrument)
        if market is not None:
            market.leave(order)

    def _execute(self, order: Order, price: int, quantity: int, maker: bool, shown: int) -> int:
        """Fill an order at the venue's word, as far as it can be paid; give the quantity."""
        request, ledger = order.request, self.ledger
        instrument = self.instruments[request.instrument]
        if request.reduce_only:
            held = ledger.position(instrument.key).quantity
            quantity = min(quantity, max(0, -held if order.buys else held))
            if not quantity:
                self._happen(order, "cancel", "reduce-only: there is nothing to reduce")
                return 0
        affordable = ledger.affordable(order, instrument, price, quantity)
        if affordable <= 0:
            self._happen(order, "cancel", "balance: it cannot be paid")
            return 0
        short = affordable < quantity
        quantity = affordable
        if mates := self._mates(order):
            ledger.share_hold(order, mates)
        charge = ledger.fill(order, instrument, price, quantity, maker, self.now(instrument))
        order.fills += 1
        order.step("fill" if order.remaining else "complete")
        if not order.is_open:
            self._close_order(order)
        self._tell_order(order, "fill" if order.remaining else "complete", "")
        worse = notional(abs(price - shown), quantity)
        self.add(
            Fill(
                seq=self.seq, time=self.time, fill=f"{order.id}#{order.fills}", order=order.id,
                instrument=instrument.key, side=request.side, price=text(price), quantity=text(quantity),
                fee=text(charge.fee), taxes=text(charge.taxes), currency=instrument.currency,
                liquidity="maker" if maker else "taker",
                slippage=text(worse if (price > shown) == order.buys else -worse), strategy=request.strategy,
            )
        )  # fmt: skip
        self._tell_position(instrument)
        self.limits.turn(self)
        self.filled(instrument.key)
        if request.group:
            for other in [o for o in self.orders.values() if o.request.group == request.group and o is not order]:
                self._happen(other, "cancel", f"one cancels the others: {order.id} was filled")
        if short and order.is_open:
            self._happen(order, "cancel", "balance: the rest cannot be paid")
        return quantity

    def filled(self, key: str) -> None:
        """Have a position judged that has changed, once the input is worked off."""
        self.guard.filled(key)
        self._due = 0

    # What is told

    def _tell_flow(
        self, kind: Literal["funding", "transfer"], currency: str, amount: int, instrument: str = "",
        numbers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.add(
            CashFlow(
                seq=self.seq, time=self.time, kind=kind, currency=currency, amount=text(amount), instrument=instrument,
                numbers=dict(numbers or {}),
            )
        )  # fmt: skip

    def add(self, output: Output) -> None:
        """Tell something; its number is the engine's `seq`."""
        self._out.append(output)
        self.seq += 1

    def _tell_order(self, order: Order, step: Step | Literal["new"], reason: str) -> None:
        request = order.request
        self.add(
            OrderEvent(
                seq=self.seq, time=self.time, order=order.id, instrument=request.instrument, step=step,
                status=order.status, side=request.side, type=request.type, quantity=text(request.quantity),
                filled=text(order.filled), price=None if request.price is None else text(request.price),
                trigger=None if order.trigger is None else text(order.trigger),
                time_in_force=request.time_in_force, strategy=request.strategy, reason=reason,
            )
        )  # fmt: skip

    def _tell_position(self, instrument: Instrument) -> None:
        position = self.ledger.position(instrument.key)
        available = (
            position.quantity if instrument.leverage else self.ledger.available(instrument, self.now(instrument))
        )
        self.add(
            PositionEvent(
                seq=self.seq, time=self.time, instrument=instrument.key, quantity=text(position.quantity),
                available=text(available), average_price=text(position.average), realized=text(position.realized),
                fees=text(position.fees),
            )
        )  # fmt: skip

    def _tell_equity(self) -> None:
        every = self.settings.equity_every
        self._equity_due = self.time // every * every + every
        self.limits.turn(self)
        for currency in self.ledger.cash:
            cash, value = self.ledger.equity(currency)
            peak = self.peaks[currency] = max(self.peaks.get(currency, 0), cash + value)
            self.add(
                EquityEvent(
                    seq=self.seq, time=self.time, currency=currency, cash=text(cash),
                    held=text(cash - self.ledger.free(currency)), positions=text(value), equity=text(cash + value),
                    peak=text(peak),
                )
            )  # fmt: skip

    def _decide(
        self, subject: str, strategy: str, verdict: Literal["accepted", "rejected"], rule: str, reason: str,
        numbers: Mapping[str, str] | None = None, order: str = "",
    ) -> None:  # fmt: skip
        self.add(
            Decision(
                seq=self.seq, time=self.time, subject=subject, verdict=verdict, rule=rule, reason=reason,
                numbers=dict(numbers or {}), order=order, strategy=strategy,
            )
        )  # fmt: skip
