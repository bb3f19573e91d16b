"""What a strategy is: one class that hears the market and says what it wants bought or sold.

    class Breakout(Strategy):
        name = "BREAKOUT"

        class Parameters(Strategy.Parameters):
            bars: Annotated[int, Meta(ge=2, le=500)] = 20

        highs: dict[str, list[int]] = {}          # state: whatever is annotated here survives a restart

        def on_bar(self, bar):
            ...
            self.buy(bar.instrument, quantity, bar.close)

A strategy has no clock, no randomness and no I/O of its own: `self.time` is that of the last event. So it decides the
same live, in a replay and in a backtest. What it wants is a signal; whether an order comes of it is the trading
engine's affair: it hears of its fills through `on_fill`, of all that happens to its orders through `on_order`, of
signals that no order was made of through `on_refusal`, of what risk has closed through `on_closed`. Amounts are units
of 10^-8 (`model/money.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, get_type_hints

import msgspec

from barnabas_quant.errors import SettingsError, StateError
from barnabas_quant.model.money import LIMIT, units
from barnabas_quant.trading.events import Bar, Decision, Depth, Fill, OrderEvent, Print, Quote, Signal
from barnabas_quant.trading.orders import Side

FLOOD = 1000
"""Signals within a second of the stream's time, above which a strategy is stopped."""


class StrategyError(SettingsError):
    """Say why a file holds no strategy, what is wrong with a parameter, or with what a strategy asks for."""


def some(name: str, amount: str) -> int:
    """Read a parameter that is decimal text as units. Raises ValueError for none and for 0."""
    if not (found := units(amount)):
        raise ValueError(f"{name} is 0")
    return found


class Strategy:
    """Be the base of all strategies. A method that is not overridden costs nothing: its events are not even made."""

    name: ClassVar[str]
    """What it is called: MA_CROSS."""
    summary: ClassVar[str] = ""

    class Parameters(msgspec.Struct, forbid_unknown_fields=True):
        """Say what can be chosen; each field has a default, and its bounds in its annotation."""

    def __init__(self, instruments: Sequence[str], parameters: Mapping[str, Any] | None = None) -> None:
        """Take the instruments' keys, and parameters that differ from the defaults. Raises StrategyError."""
        self.instruments = tuple(dict.fromkeys(instruments))
        if not self.instruments:
            raise StrategyError(f"{self.name}: it is given no instrument")
        self.parameters = self._read(parameters or {})
        self.alias = self.name
        """What its signals are called by: its name, unless the settings say otherwise, as the same may run twice."""
        self.time = 0
        """Of the last event, microseconds since 1970 UTC."""
        self.positions: dict[str, int] = {}
        """What this strategy's own fills add up to, by instrument, in units."""
        self._signals: list[Signal] = []
        for field, (kind, first) in self._state().items():
            try:  # each instance gets its own
                setattr(self, field, msgspec.json.decode(msgspec.json.encode(first), type=kind))
            except (TypeError, ValueError) as error:
                raise StrategyError(f"{self.name}: the state {field} and its first value: {error}") from error

    @classmethod
    def _read(cls, given: Mapping[str, Any]) -> Any:
        try:
            hints = get_type_hints(cls.Parameters)
            texts = {
                name: str(value) if hints.get(name) is str and type(value) in (int, float) else value
                for name, value in given.items()
            }  # an amount is decimal text; a number in the settings is its digits
            return msgspec.convert(texts, cls.Parameters, strict=False)
        except (TypeError, ValueError, NameError) as error:
            fields = ", ".join(getattr(cls.Parameters, "__struct_fields__", ())) or "none"
            raise StrategyError(f"{cls.name}: {error}; parameters: {fields}") from error

    @classmethod
    def _state(cls) -> dict[str, tuple[Any, Any]]:
        """Give the annotated attributes of a strategy's own classes: type and first value."""
        found: dict[str, tuple[Any, Any]] = {}
        for owner in reversed(cls.__mro__[: cls.__mro__.index(Strategy)]):
            try:
                hints = get_type_hints(owner)
            except (NameError, TypeError, SyntaxError) as error:
                raise StrategyError(f"{cls.name}: the types of its state cannot be read: {error}") from error
            for name in inspect.get_annotations(owner):
                if not str(hints[name]).startswith("typing.ClassVar"):
                    if not hasattr(cls, name):
                        raise StrategyError(f"{cls.name}: the state {name} needs a first value")
                    found[name] = (hints[name], getattr(cls, name))
        return found

    @property
    def warm_up(self) -> int:
        """Give how many bars of each instrument it needs before its first signal can come."""
        return 0

    # What it hears

    def on_start(self) -> None:
        """Begin. Called once, before the first event; not after a restart from saved state."""

    def on_tick(self, quote: Quote) -> None:
        """Hear a change of best bid or ask."""

    def on_trade(self, trade: Print) -> None:
        """Hear a trade, or a share's last price."""

    def on_bar(self, bar: Bar) -> None:
        """Hear a closed bar."""

    def on_book(self, depth: Depth) -> None:
        """Hear an order book, whole or what changed."""

    def on_fill(self, fill: Fill) -> None:
        """Hear that an order of this strategy's was filled, wholly or in part."""

    def on_order(self, order: OrderEvent) -> None:
        """Hear what happened to an order of this strategy's: made, denied, accepted, filled, canceled, ...

        `order.order` is its id, `step` led to `status` (`trading/orders.py`); amounts are decimal text. A fill is told
        here first, then to `on_fill`, and only that has moved `positions`.
        """

    def on_refusal(self, decision: Decision) -> None:
        """Hear that no order was made of a signal: it was stale, less than a lot, of an unknown symbol.

        What is refused later is an event of the order's: `deny` by the limits, `reject` by the venue.
        """

    def on_closed(self, fill: Fill) -> None:
        """Hear that risk has closed some of what it held: a stop-loss, a drawdown, the kill switch.

        The fill is that of risk's own order; `positions` is reduced already. State that remembers holdings follows.
        """

    def on_timer(self, time: int) -> None:
        """Hear that a minute of the stream's time has begun."""

    # What it says

    def buy(self, instrument: str, quantity: int, price: int) -> None:
        """Want so much bought, at about this price: the limit, where signals become limit orders.

        Raises StrategyError for an instrument that it does not have, and for amounts that are not whole units > 0.
        """
        self._signal("BUY", instrument, quantity, price)

    def sell(self, instrument: str, quantity: int, price: int) -> None:
        """Want so much sold. Raises StrategyError as `buy` does."""
        self._signal("SELL", instrument, quantity, price)

    def _signal(self, side: Side, instrument: str, quantity: int, price: int) -> None:
        if instrument not in self.instruments:
            raise StrategyError(f"{self.name}: {instrument!r:.60} is none of its instruments")
        for what, amount in (("quantity", quantity), ("price", price)):
            if type(amount) is not int or not 0 < amount < LIMIT:
                raise StrategyError(
                    f"{self.name}: {what} {amount!r:.60}: whole units of 10^-8, above 0, below 2^63, are wanted"
                )
        if len(self._signals) > FLOOD:
            raise StrategyError(f"{self.name}: more than {FLOOD} signals over one event")
        self._signals.append(
            Signal(
                id="", time=self.time, side=side, instrument=instrument, price=price, quantity=quantity,
                strategy=self.alias,
            )
        )  # fmt: skip

    def take_signals(self) -> list[Signal]:
        """Give what was wanted since the last time; the ids are their reader's."""
        signals, self._signals = self._signals, []
        return signals

    # What it remembers

    def save(self) -> Any:
        """Give the state: anything that msgspec can write. By default the annotated attributes."""
        return {name: getattr(self, name) for name in self._state()}

    def load(self, state: Any) -> None:
        """Take what `save` gave, after it was JSON. Raises StateError."""
        if not isinstance(state, dict):
            raise StateError(f"{self.name}: saved state is no object")
        for name, (kind, _) in self._state().items():
            try:
                setattr(self, name, msgspec.convert(state[name], kind, str_keys=True))
            except KeyError:
                continue  # it is new in the file: it begins with its first value
            except (TypeError, ValueError) as error:
                raise StateError(f"{self.name}: saved state of {name}: {error}") from error
