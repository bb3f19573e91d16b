"""The account: cash in several currencies, positions, and what open orders keep of both.

Whole numbers throughout, in units of 10^-8; a product is rounded half up, once. What is bought against cash is held at
its cost; of a futures contract only margin is kept, and profit becomes cash when it is realized. Nothing changes but by
`fill`, `funding`, `transfer`, `hold`, `release`. The invariants that `check` knows hold after every input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from barnabas_quant.errors import QuantError
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.events import text
from barnabas_quant.trading.instruments import Instrument, notional
from barnabas_quant.trading.orders import Order


class LedgerError(QuantError):
    """Say which invariant of the account does not hold: a mistake in the program."""


class Position(msgspec.Struct):
    """Hold what there is of an instrument. `quantity` below 0 is short (futures)."""

    quantity: int = 0
    cost: int = 0
    """What the open quantity was traded for, fees aside; of the sign of the quantity."""
    realized: int = 0
    fees: int = 0
    held: int = 0
    """Quantity that open sales keep, where it is sold against what is there."""
    bought: int = 0
    """Quantity bought on `day`, not to be sold on it where the instrument settles the next day."""
    day: int = 0
    mark: int = 0
    """Last price that the market showed."""

    @property
    def average(self) -> int:
        """Give the average price of what is open, rounded down; 0 where nothing is."""
        return abs(self.cost) * ONE // abs(self.quantity) if self.quantity else 0

    def value(self) -> int:
        """Give the notional at the last price, signed."""
        return notional(self.mark, self.quantity) if self.quantity >= 0 else -notional(self.mark, -self.quantity)

    def unrealized(self) -> int:
        """Give the profit that closing at the last price would bring, fees aside."""
        return self.value() - self.cost if self.mark else 0


class Charge(msgspec.Struct, frozen=True):
    """Say what a fill cost and brought."""

    fee: int
    taxes: int
    realized: int


class Ledger:
    """Hold one account."""

    def __init__(self, instruments: Mapping[str, Instrument], opened: Callable[[str], None]) -> None:
        """Take the terms of instruments, and who is to hear of the first position in one."""
        self._instruments = instruments
        self._opened = opened
        self.cash: dict[str, int] = {}
        self.held: dict[str, int] = {}
        """Of the cash: what open orders keep."""
        self.positions: dict[str, Position] = {}
        self._of_currency: dict[str, list[str]] = {}

    def position(self, key: str) -> Position:
        """Give the position in an instrument to look at; where there is none, an empty one that nobody keeps."""
        return self.positions.get(key) or Position()

    def open(self, key: str) -> Position:
        """Give the position in an instrument, and keep it."""
        found = self.positions.get(key)
        if found is None:
            found = self.positions[key] = Position()
            self._of_currency.setdefault(self._instruments[key].currency, []).append(key)
            self._opened(key)
        return found

    def put(self, key: str, position: Position) -> None:
        """Take a position that was saved."""
        self.open(key)
        self.positions[key] = position

    def of_currency(self, currency: str) -> list[str]:
        """Give the instruments of a currency in which there is a position."""
        return [key for key in self._of_currency.get(currency, ()) if self.positions[key].quantity]

    def transfer(self, currency: str, amount: int) -> str:
        """Pay in or out; give the reason where that is not there."""
        if amount < 0 and self.free(currency) + amount < 0:
            return f"{currency}: only {text(max(0, self.free(currency)))} are free"
        self.cash[currency] = self.cash.get(currency, 0) + amount
        return ""

    def free(self, currency: str) -> int:
        """Give the cash that nothing keeps: what can be spent, or be margin for more."""
        free = self.cash.get(currency, 0) - self.held.get(currency, 0)
        for key in self._of_currency.get(currency, ()):
            instrument = self._instruments[key]
            if instrument.leverage and (position := self.positions[key]).quantity:
                free += min(0, position.unrealized()) - self.margin(instrument, position)
        return free

    def margin(self, instrument: Instrument, position: Position) -> int:
        """Give the cash that a futures position keeps."""
        return -(-abs(position.value() or position.cost) // instrument.leverage)

    def equity(self, currency: str) -> tuple[int, int]:
        """Give cash and the value of the positions in a currency (of futures: what is not realized)."""
        value = 0
        for key in self._of_currency.get(currency, ()):
            position = self.positions[key]
            if position.quantity:
                value += position.unrealized() if self._instruments[key].leverage else position.value()
        return self.cash.get(currency, 0), value

    def available(self, instrument: Instrument, time: int) -> int:
        """Give the quantity that can be sold at a time, against what is there."""
        position = self.position(instrument.key)
        locked = position.bought if instrument.settles_next_day and position.day == instrument.day(time) else 0
        return position.quantity - position.held - locked

    def hold(self, order: Order, instrument: Instrument, price: int, time: int, mates: Sequence[Order] = ()) -> str:
        """Keep what an order needs, at the price it may cost at most; give the reason where it is not there.

        `mates` are open sales of the same group and instrument: only one of them will be filled, so what they keep
        serves this one, too.
        """
        quantity = order.request.quantity
        if instrument.leverage:
            closing = _closing(self.position(instrument.key), order, quantity)
            need = -(-notional(price, quantity - closing) // instrument.leverage)
            need += instrument.fees.commission(0, notional(price, quantity)) if quantity > closing else 0
        elif order.buys:
            cost = notional(price, quantity)
            need = cost + max(instrument.fees.commission(0, cost), instrument.fees.commission(cost, 0))
            need += instrument.fees.taxes(True, cost)
        else:
            available = self.available(instrument, time)
            quantity -= min(quantity, sum(mate.hold for mate in mates))
            if quantity > available:
                position_held = self.position(instrument.key)
                if quantity <= position_held.quantity - position_held.held:
                    held = text(position_held.quantity)
                    return f"bought today and not settled: {text(available)} of {held} can be sold"
                return f"position: {text(max(0, available))} can be sold"
            self.position(instrument.key).held += quantity
            order.hold = quantity
            return ""
        if need > (free := max(0, self.free(instrument.currency))):  # what closes a position needs nothing
            return f"balance: {text(need)} {instrument.currency} needed, {text(free)} free"
        self.held[instrument.currency] = self.held.get(instrument.currency, 0) + need
        order.hold = need
        return ""

    def share_hold(self, order: Order, mates: Sequence[Order]) -> None:
        """Let a sale that is about to be filled have what the others of its group keep for it."""
        for mate in mates:
            moved = min(mate.hold, max(0, order.remaining - order.hold))
            mate.hold -= moved
            order.hold += moved

    def leave_hold(self, order: Order, mates: Sequence[Order]) -> None:
        """Leave what a sale keeps that is over to the others of its group, as far as one of them needs it."""
        needed = max(mate.remaining for mate in mates) - sum(mate.hold for mate in mates)
        moved = min(order.hold, max(0, needed))
        order.hold -= moved
        mates[0].hold += moved

    def release(self, order: Order, instrument: Instrument, keep: int = 0) -> None:
        """Let go of what an order keeps, all but `keep`."""
        back = order.hold - keep
        if instrument.leverage or order.buys:
            self.held[instrument.currency] = self.held.get(instrument.currency, 0) - back
        else:
            self.position(instrument.key).held -= back
        order.hold = keep

    def affordable(self, order: Order, instrument: Instrument, price: int, quantity: int) -> int:
        """Give how much can be paid in whole lots, by what the order keeps and what is free.

        Of a purchase against cash that is its price; of a futures contract the margin of what it opens. What closes a
        position is not asked.
        """
        if not instrument.leverage and not order.buys:
            return quantity
        funds = self.free(instrument.currency) + order.hold
        closing = 0
        if instrument.leverage:
            position = self.position(instrument.key)
            closing = _closing(position, order, quantity)
            if closing == quantity:
                return quantity
            if closing:  # all of it: its margin is free again, its profit is made at this price
                funds += self.margin(instrument, position) - min(0, position.unrealized())
                funds += notional(price, closing) * (1 if position.quantity > 0 else -1) - position.cost
        lot = instrument.lot
        while quantity > closing and (due := self._due(order, instrument, price, quantity, closing)) > funds:
            fewer = closing + (quantity - closing) * funds // due
            quantity = max(closing, min(fewer, quantity - lot) // lot * lot)
        return quantity

    def fill(self, order: Order, instrument: Instrument, price: int, quantity: int, maker: bool, time: int) -> Charge:
        """Execute a part of an order: cash, position and what the order keeps move; the order's own sums too."""
        traded = notional(price, quantity)
        fee, taxes = self._charges(order, instrument, traded, maker)
        position = self.open(instrument.key)
        signed = quantity if order.buys else -quantity
        before = position.quantity
        closing = _closing(position, order, quantity)
        realized = 0
        if closing:
            cost = position.cost if closing == abs(before) else _part(position.cost, closing, abs(before))
            gained = traded if closing == quantity else notional(price, closing)
            realized = (gained if before > 0 else -gained) - cost
            position.cost -= cost
            traded_opening = traded - gained
        else:
            traded_opening = traded
        position.cost += traded_opening if order.buys else -traded_opening
        position.quantity = before + signed
        position.realized += realized
        position.fees += fee + taxes
        position.mark = position.mark or price
        if order.buys and instrument.settles_next_day:
            if position.day != (day := instrument.day(time)):
                position.day, position.bought = day, 0
            position.bought += quantity
        self._pay(order, instrument, quantity, traded, realized, fee + taxes)
        order.filled += quantity
        order.commission += fee
        order.taxes += taxes
        if maker:
            order.maker_notional += traded
        else:
            order.taker_notional += traded
        return Charge(fee, taxes, realized)

    def funding(self, instrument: Instrument, rate: int, mark: int) -> int:
        """Pay (below 0) or receive funding on a position; give the amount."""
        position = self.position(instrument.key)
        due = _part(notional(mark, abs(position.quantity)) * (1 if position.quantity >= 0 else -1), rate, ONE)
        self.cash[instrument.currency] = self.cash.get(instrument.currency, 0) - due
        return -due

    def check(self, orders: Mapping[str, Order]) -> None:
        """Raise LedgerError where an invariant does not hold; `orders` are all that are open."""
        held: dict[str, int] = {}
        kept: dict[str, int] = {}
        for order in orders.values():
            instrument = self._instruments[order.request.instrument]
            if instrument.leverage or order.buys:
                held[instrument.currency] = held.get(instrument.currency, 0) + order.hold
            else:
                kept[instrument.key] = kept.get(instrument.key, 0) + order.hold
        for currency in self.held.keys() | held.keys():
            if self.held.get(currency, 0) != held.get(currency, 0):
                raise LedgerError(f"{currency}: {self.held.get(currency)} held, orders keep {held.get(currency, 0)}")
        for key, position in self.positions.items():
            if position.held != kept.get(key, 0):
                raise LedgerError(f"{key}: {position.held} held, orders keep {kept.get(key, 0)}")
            if position.quantity < 0 and not self._instruments[key].leverage:
                raise LedgerError(f"{key}: short of {-position.quantity}, against cash")
            if not self._instruments[key].leverage and position.held > position.quantity:
                raise LedgerError(f"{key}: {position.held} held of {position.quantity}")
            if not position.quantity and position.cost:
                raise LedgerError(f"{key}: nothing held, at a cost of {position.cost}")

    def _charges(self, order: Order, instrument: Instrument, traded: int, maker: bool) -> tuple[int, int]:
        made = order.maker_notional + (traded if maker else 0)
        taken = order.taker_notional + (0 if maker else traded)
        fee = instrument.fees.commission(made, taken) - order.commission
        return fee, instrument.fees.taxes(order.buys, made + taken) - order.taxes

    def _due(self, order: Order, instrument: Instrument, price: int, quantity: int, closing: int) -> int:
        traded = notional(price, quantity)
        paid = -(-notional(price, quantity - closing) // instrument.leverage) if instrument.leverage else traded
        return paid + sum(self._charges(order, instrument, traded, False))

    def _pay(
        self, order: Order, instrument: Instrument, quantity: int, traded: int, realized: int, charges: int
    ) -> None:
        currency = instrument.currency
        if instrument.leverage:
            gain = realized - charges
        else:
            gain = -(traded + charges) if order.buys else traded - charges
        left = order.remaining - quantity
        if order.buys or instrument.leverage:
            self.release(order, instrument, _part(order.hold, left, order.remaining) if left else 0)
        else:
            self.release(order, instrument, order.hold - quantity)
        self.cash[currency] = self.cash.get(currency, 0) + gain


def _closing(position: Position, order: Order, quantity: int) -> int:
    """Give how much of a quantity closes what is open on the other side."""
    return min(quantity, max(0, -position.quantity if order.buys else position.quantity))


def _part(amount: int, part: int, whole: int) -> int:
    """Give a part of an amount, rounded half away from zero."""
    product = amount * part
    rounded = (2 * abs(product) + whole) // (2 * whole)
    return -rounded if product < 0 else rounded
