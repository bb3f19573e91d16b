"""An account on the paper venue: what it has, its orders, its limits, and what watches over it.

What happens to an order, in this order: our own risk limits are asked, the account keeps what the order needs, it
travels to the venue, the venue accepts and fills it. Each of these is an output; a `no` at any place is one, too, with
its reason and the numbers. Accounts know nothing of each other: each is filled as if it were alone in the market.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from barnabas_quant.errors import SymbolError
from barnabas_quant.model.intervals import DAY
from barnabas_quant.model.sessions import SessionCalendar
from barnabas_quant.trading.events import (
    Cancel,
    CashFlow,
    Decision,
    EquityEvent,
    Fill,
    Funding,
    OrderEvent,
    Output,
    Place,
    PositionEvent,
    Signal,
    Switch,
    Transfer,
    text,
)  # fmt: skip
from barnabas_quant.trading.instruments import Instrument, notional
from barnabas_quant.trading.ledger import Ledger, Position
from barnabas_quant.trading.limits import LimitsState, Refusal
from barnabas_quant.trading.matching import Matcher, MatcherState
from barnabas_quant.trading.orders import Order, OrderRequest, Step
from barnabas_quant.trading.watch import Guard, WatchState

if TYPE_CHECKING:
    from barnabas_quant.trading.engine import Engine


class AccountState(msgspec.Struct, kw_only=True):
    """Hold all that an account remembers, to be written and read back."""

    trading: bool
    cash: dict[str, int]
    held: dict[str, int]
    positions: dict[str, Position]
    orders: list[Order]
    matchers: dict[str, MatcherState]
    limits: LimitsState
    peaks: dict[str, int]
    moved: bool
    watch: WatchState


class Account:
    """Trade for one account of an engine."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.instruments = engine.instruments
        self.markets = engine.markets
        self.ledger = Ledger(self.instruments, engine.hold)
        self.orders: dict[str, Order] = {}
        """Those that are open."""
        self.trading = True
        """False once the kill switch was pulled, until a person resets it."""
        self.limits = LimitsState()
        self.peaks: dict[str, int] = {}
        self._moved = False  # since its worth was told
        self._matchers: dict[str, Matcher] = {}
        self.guard = Guard(engine.settings.watch, self)

    def save(self) -> AccountState:
        """Give all that it remembers."""
        return AccountState(
            trading=self.trading, cash=self.ledger.cash, held=self.ledger.held, positions=self.ledger.positions,
            orders=list(self.orders.values()), limits=self.limits, peaks=self.peaks, moved=self._moved,
            watch=self.guard.state, matchers={key: matcher.save() for key, matcher in self._matchers.items()},
        )  # fmt: skip

    def load(self, state: AccountState) -> None:
        """Take what `save` gave. It keeps the state's objects; The engine puts its matchers into the markets."""
        self.trading = state.trading
        self.ledger.cash, self.ledger.held = state.cash, state.held
        for key, position in state.positions.items():
            self.instruments.setdefault(key, self.engine.instrument(key))
            self.ledger.put(key, position)
        self.orders = {order.id: order for order in state.orders}
        for key, matcher in state.matchers.items():
            self._matchers[key] = Matcher(self.engine.market(key), self)
            self._matchers[key].load(matcher, self.orders)
        self.limits, self.peaks, self._moved = state.limits, state.peaks, state.moved
        self.guard.load(state.watch)

    def matcher(self, key: str) -> Matcher:
        """Give what matches its orders in an instrument; a new one joins the instrument's market."""
        found = self._matchers.get(key)
        if found is None:
            market = self.engine.market(key)
            found = self._matchers[key] = Matcher(market, self)
            market.matchers.append(found)
        return found

    def forget(self, key: str) -> None:
        """Forget the matcher of a market that is gone."""
        self._matchers.pop(key, None)

    # What those ask who decide for it

    @property
    def time(self) -> int:
        """The engine's time, microseconds since 1970 UTC."""
        return self.engine.time

    def equity(self, currency: str) -> int:
        """Give what it is worth in a currency."""
        return sum(self.ledger.equity(currency))

    @property
    def moves(self) -> bool:
        """Whether its worth may be another than was told last."""
        return self._moved or any(position.quantity for position in self.ledger.positions.values())

    def tell(self, kind: type[Output], /, **fields: Any) -> None:
        """Tell an output of this account."""
        engine = self.engine
        engine.add(kind(seq=engine.seq, time=engine.time, account=self.name, **fields))

    # What the market tells

    def mark(self, key: str, price: int) -> None:
        """Take a new price of an instrument in which it has, or had, a position."""
        position = self.ledger.positions[key]
        position.mark = price
        if position.quantity:
            self.guard.marked(key, position)

    def fund(self, instrument: Instrument, event: Funding) -> None:
        """Pay or receive funding on a futures position."""
        if not (position := self.ledger.position(instrument.key)).quantity:
            return
        amount = self.ledger.funding(instrument, event.rate, event.mark)
        numbers = {"rate": text(event.rate), "mark": text(event.mark), "quantity": text(position.quantity)}
        self._tell_flow("funding", instrument.currency, amount, instrument.key, numbers)
        self._tell_position(instrument)
        self._filled(instrument.key)

    def expire(self, order: Order, by: int | None = None) -> None:
        """Let an order for the day go when that day is over, now or by a time that is still to be told of."""
        if order.request.time_in_force != "DAY" or not order.is_open or order.day is None:
            return
        instrument = self.instruments[order.request.instrument]
        if (self.engine.now(instrument) if by is None else by) >= _ends(instrument, order.day):
            self.happen(order, "expire", "DAY: the day is over")

    # What is asked for

    def open(self, id: str) -> None:
        """Begin with what accounts begin with."""
        self.decide(id, "", "accepted", "account", "")
        for currency, amount in self.engine.settings.cash.items():
            self.pay(currency, amount)
            self._tell_flow("transfer", currency, amount)
        self.tell_equity()

    def signal(self, event: Signal) -> None:
        """Make an order of a signal, or say why not."""
        settings = self.engine.settings
        try:
            instrument = self.engine.instrument(event.instrument)
        except SymbolError as error:
            return self.decide(event.id, event.strategy, "rejected", "symbol", str(error))
        if (age := self.engine.now(instrument) - event.time) > settings.signal_age:
            numbers = {"age_us": str(age), "limit_us": str(settings.signal_age)}
            return self.decide(event.id, event.strategy, "rejected", "stale", "the signal is too old", numbers)
        tick = instrument.tick  # never worse than was asked for
        price = event.price // tick * tick if event.side == "BUY" else -(-event.price // tick) * tick
        quantity = self._closes(event, instrument)
        if quantity is None:
            quantity = settings.sizing.quantity(event, instrument, price, self.equity(instrument.currency))
        if quantity <= 0 or price <= 0:
            numbers = {"volume": text(event.quantity), "lot": text(instrument.lot), "price": text(event.price)}
            return self.decide(event.id, event.strategy, "rejected", "size", "less than a lot", numbers)
        limit = settings.order_type == "limit"
        request = OrderRequest(
            instrument=event.instrument, side=event.side, quantity=quantity, strategy=event.strategy,
            type="limit" if limit else "market", price=price if limit else None,
            time_in_force=settings.time_in_force,
        )  # fmt: skip
        return self._submit(event.id, request, instrument, price)

    def _closes(self, event: Signal, instrument: Instrument) -> int | None:
        """Give how much a signal closes, in whole lots, where signals are sized; None where it closes nothing.

        What closes is not sized: that would be more than was bought after a loss, and less after a gain. It is taken
        at its word, at most what is there; what cannot be sold today (T+1, open sales) is left where anything can.
        """
        held = self.ledger.position(instrument.key).quantity
        if self.engine.settings.sizing.by == "volume" or not (held > 0 if event.side == "SELL" else held < 0):
            return None
        most = abs(held)
        if not instrument.leverage and (free := self.ledger.available(instrument, self._traded_at(instrument))) > 0:
            most = free
        return min(event.quantity, most) // instrument.lot * instrument.lot

    def place(self, event: Place) -> None:
        """Make an order that was asked for by hand, or say why not; or only say what would become of it."""
        try:
            instrument = self.engine.instrument(event.request.instrument)
        except SymbolError as error:
            return self.decide(event.id, event.request.strategy, "rejected", "symbol", str(error))
        return self._submit(event.id, event.request, instrument, event.request.price or 0, event.test)

    def _submit(self, id: str, request: OrderRequest, instrument: Instrument, price: int, test: bool = False) -> None:
        """Take an order on its way, or say why not; `id` is that of what asked for it."""
        engine = self.engine
        if engine.knows(id):
            return self.decide(id, request.strategy, "rejected", "duplicate", "there was an order of this id")
        if wrong := request.wrong():
            return self.decide(id, request.strategy, "rejected", "request", wrong)
        order = Order(id=id, request=request, created=engine.time, arrives=self._arrival(instrument))
        cost = engine.shown(instrument).price_at_most(order) or price
        refused = self._refused(order, cost, test)
        if test:
            return self._try(order, instrument, cost, refused)
        self.orders[id] = order
        engine.remember(id)
        self._tell_order(order, "new", "")
        if refused is not None:
            rule, reason, numbers = refused
            self.decide(id, request.strategy, "rejected", rule, reason, numbers)
            self.happen(order, "deny", f"{rule}: {reason}")
            return None
        self.decide(id, request.strategy, "accepted", "", "", {"price": text(cost)}, id)
        self.happen(order, "submit", "")
        if reason := self._keep(order, instrument, cost):
            self.happen(order, "reject", reason)
        else:
            engine.market(instrument.key)
            self._travel(order)
        return None

    def _refused(self, order: Order, cost: int, test: bool) -> Refusal | None:
        if not self.trading:
            return "kill-switch", "trading is off until a person resets it", {}
        if rule := self.guard.refuses(order.request.instrument):
            return rule, "the position is being made smaller", {}
        return self.limits.refuse(self.engine.settings.limits, self, order, cost, counts=not test)

    def _keep(self, order: Order, instrument: Instrument, cost: int) -> str:
        """Keep what an order needs; give the reason where that is not there."""
        mates = self._mates(order)
        if reason := self._lots(order, instrument, mates):
            return reason
        if not cost:
            return "price: the market has shown none"
        return self.ledger.hold(order, instrument, cost, self._traded_at(instrument), mates)

    def _try(self, order: Order, instrument: Instrument, cost: int, refused: Refusal | None) -> None:
        """Say what would become of an order, and leave everything as it is."""
        rule, reason, numbers = refused or ("", "", {})
        numbers = {"price": text(cost), "notional": text(notional(cost, order.request.quantity)), **numbers}
        if not reason:
            reason = self._keep(order, instrument, cost)
            if not reason:
                numbers["held"] = text(order.hold)
                self.ledger.release(order, instrument)
                reason = self.engine.shown(instrument).refuses(order)
            rule = "venue" if reason else ""
        verdict: Literal["accepted", "rejected"] = "rejected" if reason else "accepted"
        self.decide(order.id, order.request.strategy, verdict, rule, reason, numbers)

    def _mates(self, order: Order) -> list[Order]:
        """Give the other open sales of a sale's group, where they are against what is there: they share what is kept.

        Only one of them will be filled: the first fill cancels the others.
        """
        request = order.request
        if not request.group or order.buys or self.engine.instrument(request.instrument).leverage:
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

    def cancel_asked(self, event: Cancel) -> None:
        """Cancel one order, those of a strategy, or all."""
        chosen = [
            order
            for order in self.orders.values()
            if event.order in ("", order.id) and event.strategy in ("", order.request.strategy)
        ]
        if event.order and not chosen:
            return self.decide(event.id, event.strategy, "rejected", "cancel", f"no open order {event.order}")
        self.decide(event.id, event.strategy, "accepted", "cancel", "", {"orders": str(len(chosen))})
        for order in chosen:
            self.cancel(order, "asked for")
        return None

    def switch(self, event: Switch) -> None:
        """Pull the kill switch, or reset it."""
        if event.on:
            if not event.who:
                return self.decide(event.id, "", "rejected", "kill-switch", "a person has to reset it: who is empty")
            self.trading = True
            self.decide(event.id, "", "accepted", "kill-switch", f"reset by {event.who}: {event.reason}")
            return self.guard.reset(event.who)
        return self.pull(event.id, event.who, event.reason, event.flatten)

    def pull(self, id: str, who: str, reason: str, flatten: bool) -> None:
        """Pull the kill switch: trading stays off, open orders are canceled, positions closed where that is wanted."""
        self.decide(id, "", "accepted", "kill-switch", f"pulled by {who}: {reason}")
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
        order = Order(id=id, request=request, created=self.time, arrives=self._arrival(instrument))
        self.orders[id] = order
        self._tell_order(order, "new", strategy)
        self.happen(order, "submit", "")
        cost = self.engine.market(key).price_at_most(order) or position.mark
        if reason := self.ledger.hold(order, instrument, cost, self._traded_at(instrument)):
            self.happen(order, "reject", reason)
        else:
            self._travel(order)

    def transfer(self, event: Transfer) -> None:
        """Take a payment, or pay out what is free."""
        if reason := self.pay(event.currency, event.amount):
            self.decide(event.id, "", "rejected", "transfer", reason)
            return
        self.decide(event.id, "", "accepted", "transfer", "", {event.currency: text(event.amount)})
        self._tell_flow("transfer", event.currency, event.amount)
        self.limits.transferred(event.currency, event.amount)
        self.peaks[event.currency] = self.peaks.get(event.currency, 0) + event.amount
        self.tell_equity()

    def pay(self, currency: str, amount: int) -> str:
        """Move money in, or out where negative: neither a gain nor a loss. Give the reason where it is not there."""
        if reason := self.ledger.transfer(currency, amount):
            return reason
        self.guard.transferred(currency, amount)
        return ""

    # The way to the venue and back

    def _arrival(self, instrument: Instrument) -> int:
        return self.engine.now(instrument) + self.engine.settings.venue.latency

    def _travel(self, order: Order) -> None:
        if self.engine.settings.venue.latency:
            self.engine.send(order.arrives, "arrive", self, order.id)
        else:
            self.arrive(order)

    def arrive(self, order: Order) -> None:
        """Have an order at the venue."""
        instrument = self.instruments[order.request.instrument]
        if reason := self.markets[instrument.key].refuses(order):
            self.happen(order, "reject", reason)
            return
        self.happen(order, "accept", "")
        now = self.engine.now(instrument)
        if now < _trades_until(instrument, now):
            order.day = instrument.day(now)
        self.matcher(instrument.key).arrive(order)

    def _traded_at(self, instrument: Instrument) -> int:
        """Give a time of the day on which an order of now can be traded at the earliest."""
        now = self.engine.now(instrument)
        return now if now < _trades_until(instrument, now) else now + DAY

    def cancel(self, order: Order, reason: str) -> None:
        """Send a cancellation; it takes as long as an order."""
        if self.engine.settings.venue.latency:
            due = self._arrival(self.instruments[order.request.instrument])
            self.engine.send(due, "cancel", self, order.id, reason)
        else:
            self.happen(order, "cancel", reason)

    # What becomes of orders

    def happen(self, order: Order, step: Step, reason: str) -> None:
        """Make a transition of an order, with its reason. Raises OrderError for one that cannot be."""
        order.step(step)
        if not order.is_open:
            self._close_order(order)
        self._tell_order(order, step, reason)

    def _close_order(self, order: Order) -> None:
        del self.orders[order.id]
        key = order.request.instrument
        if order.hold:
            if mates := self._mates(order):
                self.ledger.leave_hold(order, mates)
            self.ledger.release(order, self.instruments[key])
        if (matcher := self._matchers.get(key)) is not None:
            matcher.leave(order)
        self.engine.forget(key)

    def execute(self, order: Order, price: int, quantity: int, maker: bool, shown: int) -> int:
        """Fill an order at the venue's word, as far as it can be paid; give the quantity."""
        request, ledger = order.request, self.ledger
        instrument = self.instruments[request.instrument]
        if request.reduce_only:
            held = ledger.position(instrument.key).quantity
            quantity = min(quantity, max(0, -held if order.buys else held))
            if not quantity:
                self.happen(order, "cancel", "reduce-only: there is nothing to reduce")
                return 0
        affordable = ledger.affordable(order, instrument, price, quantity)
        if affordable <= 0:
            self.happen(order, "cancel", "balance: it cannot be paid")
            return 0
        short = affordable < quantity
        quantity = affordable
        if mates := self._mates(order):
            ledger.share_hold(order, mates)
        charge = ledger.fill(order, instrument, price, quantity, maker, self.engine.now(instrument))
        order.fills += 1
        order.step("fill" if order.remaining else "complete")
        if not order.is_open:
            self._close_order(order)
        self._tell_order(order, "fill" if order.remaining else "complete", "")
        worse = notional(abs(price - shown), quantity)
        self.tell(
            Fill, fill=f"{order.id}#{order.fills}", order=order.id, instrument=instrument.key, side=request.side,
            price=text(price), quantity=text(quantity), fee=text(charge.fee), taxes=text(charge.taxes),
            currency=instrument.currency, liquidity="maker" if maker else "taker",
            slippage=text(worse if (price > shown) == order.buys else -worse), strategy=request.strategy,
        )  # fmt: skip
        self._tell_position(instrument)
        self.limits.turn(self)
        self._filled(instrument.key)
        if request.group:
            for other in [o for o in self.orders.values() if o.request.group == request.group and o is not order]:
                self.happen(other, "cancel", f"one cancels the others: {order.id} was filled")
        if short and order.is_open:
            self.happen(order, "cancel", "balance: the rest cannot be paid")
        return quantity

    def _filled(self, key: str) -> None:
        """Have a position judged that has changed, once the input is worked off."""
        self._moved = True
        self.guard.filled(key)
        self.engine.wake()

    # What is told

    def decide(
        self, subject: str, strategy: str, verdict: Literal["accepted", "rejected"], rule: str, reason: str,
        numbers: Mapping[str, str] | None = None, order: str = "",
    ) -> None:  # fmt: skip
        """Tell what became of a signal or a request, why, and by which numbers."""
        self.tell(
            Decision, subject=subject, verdict=verdict, rule=rule, reason=reason, numbers=dict(numbers or {}),
            order=order, strategy=strategy,
        )  # fmt: skip

    def tell_equity(self) -> None:
        """Tell what it is worth, in each currency."""
        self._moved = False
        self.limits.turn(self)
        for currency in self.ledger.cash:
            cash, value = self.ledger.equity(currency)
            peak = self.peaks[currency] = max(self.peaks.get(currency, 0), cash + value)
            self.tell(
                EquityEvent, currency=currency, cash=text(cash), held=text(cash - self.ledger.free(currency)),
                positions=text(value), equity=text(cash + value), peak=text(peak),
            )  # fmt: skip

    def _tell_flow(
        self, kind: Literal["funding", "transfer"], currency: str, amount: int, instrument: str = "",
        numbers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.tell(
            CashFlow, kind=kind, currency=currency, amount=text(amount), instrument=instrument,
            numbers=dict(numbers or {}),
        )  # fmt: skip

    def _tell_order(self, order: Order, step: Step | Literal["new"], reason: str) -> None:
        request = order.request
        self.tell(
            OrderEvent, order=order.id, instrument=request.instrument, step=step, status=order.status,
            side=request.side, type=request.type, quantity=text(request.quantity), filled=text(order.filled),
            price=None if request.price is None else text(request.price),
            trigger=None if order.trigger is None else text(order.trigger), time_in_force=request.time_in_force,
            strategy=request.strategy, reason=reason,
        )  # fmt: skip

    def _tell_position(self, instrument: Instrument) -> None:
        position = self.ledger.position(instrument.key)
        now = self.engine.now(instrument)
        available = position.quantity if instrument.leverage else self.ledger.available(instrument, now)
        self.tell(
            PositionEvent, instrument=instrument.key, quantity=text(position.quantity), available=text(available),
            average_price=text(position.average), realized=text(position.realized), fees=text(position.fees),
        )  # fmt: skip


def _ends(instrument: Instrument, day: int) -> int:
    """Give when the last prices of a trading day have been told."""
    calendar = instrument.calendar
    if isinstance(calendar, SessionCalendar):
        return day * DAY - calendar.offset + calendar.settles
    return (day + 1) * DAY


def _trades_until(instrument: Instrument, now: int) -> int:
    """Give when trading ends on the day that it is: an order that comes later is for the next one."""
    calendar = instrument.calendar
    return calendar.day(now)[0] if isinstance(calendar, SessionCalendar) else now + 1
