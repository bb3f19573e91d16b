"""How much of its limits an account uses, and how near the rules of the watch are: from what the gateway knows. No I/O.

The trading service decides by more than it tells: it sees every price, the gateway asks for one now. A record of all
this from the service would be an output of the engine for each account and second, in every journal and replay, for a
page that is mostly closed; so the gateway works out what follows from what is told, and says null where that is not
enough. Whether a condition holds is never worked out: that the service has told (risk-alerts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec

from barnabas_quant.backtest.trades import signed_units
from barnabas_quant.errors import SymbolError
from barnabas_quant.gateway.openapi import Operation
from barnabas_quant.gateway.portfolio import View
from barnabas_quant.gateway.prices import Price
from barnabas_quant.model.markets import VENUES
from barnabas_quant.model.money import ONE, total_units
from barnabas_quant.settings import Trading
from barnabas_quant.trading.configuration import engine_settings
from barnabas_quant.trading.events import text
from barnabas_quant.trading.instruments import Instrument, notional, share, usual
from barnabas_quant.trading.rules import LIQUIDATION, Action, Level
from barnabas_quant.trading.rules import Rule as RuleLevels

Unit = Literal["quantity", "money", "rate", "orders", "seconds"]
Scope = Literal["order", "instrument", "currency", "account"]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Answer how much of a limit something uses: an instrument, a currency, an account, a venue."""

    subject: str
    value: str | None
    """None: the gateway cannot know it."""
    share: str | None
    """Of the limit; of a rule its critical level, else its warning."""
    level: Level | None = None
    """Of a rule: whether its condition holds, as the trading service told."""
    since: int | None = None
    """When it told so: the market's time."""
    reason: str = ""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a limit; of one that each order is held against (scope order) nothing is used."""

    name: str
    unit: Unit
    scope: Scope
    limit: str | None
    uses: list[Use]


class WatchRule(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a rule of the watch."""

    name: str
    unit: Unit
    on: bool
    warning: str | None
    critical: str | None
    action: Action
    uses: list[Use]


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what the account was worth when that was told last."""

    currency: str
    equity: str
    peak: str
    time: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the price that a position is judged by: the middle of bid and ask, else the last one."""

    instrument: str
    price: str | None
    source: Literal["redis", "clickhouse", "kafka"] | None
    age_ms: int | None


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """Answer limits and rules with their use; rates are shares of one, 0.05 is 5 %."""

    account: str
    trading: bool
    switch: str
    time: int | None
    equity: list[Worth]
    prices: list[Mark]
    symbols: tuple[str, ...] | None
    """The only instruments that may be traded; None: any."""
    limits: list[Limit]
    rules: list[WatchRule]


RISK_OPERATIONS = (
    Operation(
        "/api/v1/risk", "Limits and rules of the account, and what it uses of them", Risk, failures=(401, 403, 503)
    ),
)


class Held(msgspec.Struct, frozen=True):
    """Hold a position with the price that it is judged by, in units; None: nobody knows it."""

    instrument: Instrument
    quantity: int
    average: int
    price: int | None

    @property
    def worth(self) -> int | None:
        """Give the notional, long or short."""
        return None if self.price is None else notional(self.price, abs(self.quantity))

    @property
    def gained(self) -> int | None:
        """Give what it has gained over what was paid for it, fees aside."""
        if self.price is None:
            return None
        paid = notional(self.average, abs(self.quantity))
        worth = notional(self.price, abs(self.quantity))
        return worth - paid if self.quantity > 0 else paid - worth


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is known beside the view of an account."""

    prices: Mapping[str, Price | None]
    ages: Mapping[str, int]
    """Milliseconds since each venue told a price."""
    began: Mapping[str, int | None]
    """Equity that the day began with, by currency; None: not known."""
    orders: int
    """Let through within the last second."""


def held_keys(view: View) -> list[str]:
    """Give the instruments of the positions of an account."""
    return [key for key, position in view.positions.items() if position.quantity.strip("-0.")]


def risk_of(view: View, settings: Trading, known: Known) -> Risk:
    """Work out what an account uses of its limits, and how near its rules are."""
    return _Risk(view, settings, known).answer()


def mark_of(price: Price | None) -> int | None:
    """Give the price that a position is judged by, in units."""
    if price is None:
        return None
    if price.bid is not None and price.ask is not None:
        bid, ask = total_units(price.bid), total_units(price.ask)
        if ask >= bid > 0:
            return (bid + ask) // 2
    return None if price.price is None else total_units(price.price)


class _Risk:
    def __init__(self, view: View, settings: Trading, known: Known) -> None:
        self._view, self._known = view, known
        made = engine_settings(settings)
        self._limits, self._watch = made.limits, made.watch
        self._held = [held for key in held_keys(view) if (held := self._holding(key)) is not None]
        self._equity = {name: signed_units(event.equity) for name, event in view.equity.items()}

    def answer(self) -> Risk:
        view, known = self._view, self._known
        return Risk(
            account=view.account, trading=view.trading, switch=view.switch,
            time=max((event.time for event in view.equity.values()), default=None),
            equity=[
                Worth(currency=event.currency, equity=event.equity, peak=event.peak, time=event.time)
                for event in view.equity.values()
            ],
            prices=[
                Mark(
                    instrument=key, price=None if (mark := mark_of(price)) is None else text(mark),
                    source=None if price is None else price.source, age_ms=None if price is None else price.age_ms,
                )
                for key, price in known.prices.items()
            ],
            symbols=self._limits.symbols, limits=list(self._all_limits()), rules=list(self._all_rules()),
        )  # fmt: skip

    def _holding(self, key: str) -> Held | None:
        position = self._view.positions[key]
        try:
            instrument = usual(*key.split(":", 1))
        except (SymbolError, TypeError):  # terms of its own in the engine's settings
            return None
        price = mark_of(self._known.prices.get(key))
        return Held(instrument, signed_units(position.quantity), signed_units(position.average_price), price)

    def _currencies(self) -> list[str]:
        return list(dict.fromkeys(held.instrument.currency for held in self._held))

    def _of(self, currency: str) -> list[Held]:
        return [held for held in self._held if held.instrument.currency == currency]

    def _gross(self, currency: str) -> int | None:
        worths = [held.worth for held in self._of(currency)]
        return None if None in worths else sum(worth for worth in worths if worth is not None)

    def _over_equity(self, amount: int | None, currency: str) -> int | None:
        equity = self._equity.get(currency, 0)
        return None if amount is None or equity <= 0 else amount * ONE // equity

    # Limits

    def _all_limits(self) -> Iterator[Limit]:
        limits, held = self._limits, self._held

        def limit(name: str, unit: Unit, scope: Scope, value: int | None, uses: Mapping[str, int | None]) -> Limit:
            shown = None if value is None else text(value)
            found = [
                Use(subject=subject, value=_shown(used), share=_share(used, value)) for subject, used in uses.items()
            ]
            return Limit(name=name, unit=unit, scope=scope, limit=shown, uses=found)

        yield limit("order_quantity", "quantity", "order", limits.order_quantity, {})
        yield limit("order_notional", "money", "order", limits.order_notional, {})
        yield limit("position", "quantity", "instrument", limits.position,
                    {each.instrument.key: abs(each.quantity) for each in held})  # fmt: skip
        yield limit("position_notional", "money", "instrument", limits.position_notional,
                    {each.instrument.key: each.worth for each in held})  # fmt: skip
        gross = {currency: self._gross(currency) for currency in self._currencies()}
        yield limit("gross_notional", "money", "currency", limits.gross_notional, gross)
        yield limit("leverage", "rate", "currency", limits.leverage,
                    {currency: self._over_equity(amount, currency) for currency, amount in gross.items()})  # fmt: skip
        every = limits.orders_per_second
        yield limit("orders_per_second", "orders", "account", None if every is None else every * ONE,
                    {self._view.account: self._known.orders * ONE})  # fmt: skip
        yield limit("price_collar", "rate", "order", limits.price_collar, {})
        yield limit("daily_loss", "rate", "currency", limits.daily_loss,
                    {currency: self._lost(currency) for currency in self._equity})  # fmt: skip

    def _lost(self, currency: str) -> int | None:
        """Give what the day has lost of the equity that it began with, as a rate; below 0: it has gained."""
        began = self._known.began.get(currency)
        return None if began is None or began <= 0 else (began - self._equity[currency]) * ONE // began

    # Rules

    def _all_rules(self) -> Iterator[WatchRule]:
        watch = self._watch
        by_position = self._by_position
        yield self._rule("stop_loss", "rate", watch.stop_loss, by_position(_loss))
        yield self._rule("trailing_stop", "rate", watch.trailing_stop, by_position(lambda _: None))
        yield self._rule("drawdown", "rate", watch.drawdown, {name: self._fallen(name) for name in self._equity})
        gross = {currency: self._over_equity(self._gross(currency), currency) for currency in self._currencies()}
        yield self._rule("exposure", "rate", watch.exposure, gross)
        concentrated = by_position(lambda held: self._over_equity(held.worth, held.instrument.currency))
        yield self._rule("concentration", "rate", watch.concentration, concentrated)
        yield self._rule("volatility", "rate", watch.volatility, by_position(lambda _: None))
        yield self._rule("crossed", "seconds", watch.crossed, by_position(lambda _: None))
        yield self._rule("stale", "seconds", watch.stale, by_position(self._silence))
        venues = dict.fromkeys(held.instrument.exchange for held in self._held)
        yield self._rule("silent", "seconds", watch.silent, {venue: self._silent(venue) for venue in venues})
        futures = [name for name in self._currencies() if any(held.instrument.leverage for held in self._of(name))]
        always = RuleLevels(critical=ONE, action="flatten")
        yield self._rule(LIQUIDATION, "rate", always, {name: self._maintained(name) for name in futures})

    def _rule(self, name: str, unit: Unit, levels: RuleLevels, values: Mapping[str, int | None]) -> WatchRule:
        """Make the answer of a rule; seconds are microseconds in its levels, and 10^-8 in the values."""
        scale = 100 if unit == "seconds" else 1
        warning, critical = (None if level is None else level * scale for level in (levels.warning, levels.critical))
        held = {alert.subject: alert for alert in self._view.holds.values() if alert.rule == name}
        uses = []
        for subject in dict.fromkeys((*values, *held)):
            value, alert = values.get(subject), held.get(subject)
            uses.append(
                Use(
                    subject=subject, value=_shown(value), share=_share(value, critical if critical else warning),
                    level=None if alert is None else alert.level, since=None if alert is None else alert.time,
                    reason="" if alert is None else alert.reason,
                )
            )  # fmt: skip
        return WatchRule(
            name=name, unit=unit, on=levels.on, warning=_shown(warning), critical=_shown(critical),
            action=levels.action, uses=uses,
        )  # fmt: skip

    def _by_position(self, value: Callable[[Held], int | None]) -> dict[str, int | None]:
        return {held.instrument.key: value(held) for held in self._held}

    def _fallen(self, currency: str) -> int | None:
        """Give what the equity is below its highest; after a reset of the switch the service alone knows that."""
        if self._view.trading and self._view.switch:
            return None
        peak = signed_units(self._view.equity[currency].peak)
        return (peak - self._equity[currency]) * ONE // peak if peak > 0 else None

    def _silence(self, held: Held) -> int | None:
        """Give the seconds for which an instrument has told nothing, where the hours of its venue do not count."""
        price = self._known.prices.get(held.instrument.key)
        return None if price is None or held.instrument.exchange in VENUES else price.age_ms * (ONE // 1000)

    def _silent(self, venue: str) -> int | None:
        age = self._known.ages.get(venue)
        return None if age is None or venue in VENUES else age * (ONE // 1000)

    def _maintained(self, currency: str) -> int | None:
        """Give the maintenance margin of all futures over the balance: at 1 they are closed."""
        balance, required = signed_units(self._view.equity[currency].cash) if currency in self._view.equity else 0, 0
        for held in self._of(currency):
            if held.instrument.leverage:
                if held.worth is None or held.gained is None:
                    return None
                balance += held.gained
                required += share(held.worth, held.instrument.maintenance)
        return required * ONE // balance if balance > 0 else None


def _loss(held: Held) -> int | None:
    paid = notional(held.average, abs(held.quantity))
    return None if held.gained is None or not paid else -held.gained * ONE // paid


def _shown(value: int | None) -> str | None:
    return None if value is None else text(value)


def _share(value: int | None, limit: int | None) -> str | None:
    return None if value is None or not limit else text(value * ONE // limit)
