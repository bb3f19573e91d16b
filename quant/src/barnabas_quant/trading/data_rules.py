"""The rules of the watch that are about the data: crossed quotes, instruments and venues that fall silent, volatility.

What time alone changes is looked at once every `every` of the engine's time, and at each reading of the clock. The time
of a venue is that of its last event, and what readings have counted since: in a replay the market's time lies behind
the clock's by any length, and two venues may play different years. Time in which an exchange is closed does not count.
Only instruments with a position or an open order are judged.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from barnabas_quant.model.intervals import DAY, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.model.sessions import SessionCalendar
from barnabas_quant.trading.events import text
from barnabas_quant.trading.instruments import Instrument
from barnabas_quant.trading.rules import Conditions, Rule, Samples, Venue, Watch, WatchState

if TYPE_CHECKING:
    from barnabas_quant.trading.account import Account

_LONGEST_GAP = 2 * SECOND  # between readings; where there was more, nobody looked


class DataRules:
    """Watch what the market tells."""

    def __init__(self, settings: Watch, account: Account, state: WatchState, conditions: Conditions) -> None:
        self.settings = settings
        self.state = state
        self._account = account
        self._conditions = conditions
        self._timed = settings.stale.on or settings.silent.on
        self._looks = self._timed or settings.crossed.on
        self.needed = self._looks or settings.volatility.on
        """Whether it has to look at all."""

    def look(self) -> None:
        """Take samples, and judge what time alone changes."""
        every = self.settings.every
        self.state.due = self._account.time // every * every + every
        if self.settings.volatility.on:
            self._sample()
        if self._looks:
            self._look()

    def read(self, reading: int) -> None:
        """Take a reading of the clock, microseconds since 1970 UTC: it counts for each venue since its last event."""
        passed = min(max(0, reading - self.state.reading), _LONGEST_GAP) if self.state.reading else 0
        self.state.reading = reading
        for exchange, newest in self._account.engine.newest.items():
            venue = self.state.venues.get(exchange)
            if venue is None or venue.time != newest:
                self.state.venues[exchange] = Venue(newest)
            else:
                venue.away += passed
        if self._looks:
            self._look()

    @property
    def wants_clock(self) -> bool:
        """Tell whether a reading of the clock could change anything."""
        if not self._timed or not (watched := self._watched()):
            return False
        newest = self._account.engine.newest
        for exchange in {self._account.instruments[key].exchange for key in watched}:
            venue = self.state.venues.get(exchange)
            moved = venue is None or venue.time != newest.get(exchange)
            if moved or self._could("silent", self.settings.silent, exchange):
                return True
        return any(self._could("stale", self.settings.stale, key) for key in watched)

    def _could(self, name: str, rule: Rule, subject: str) -> bool:
        return rule.on and self.state.active.get(name, {}).get(subject) != rule.highest

    def _watched(self) -> dict[str, None]:
        """Give the instruments in which there is a position or an open order."""
        account = self._account
        watched = {key: None for key, position in account.ledger.positions.items() if position.quantity}
        return watched | {order.request.instrument: None for order in account.orders.values()}

    def _look(self) -> None:
        account, settings = self._account, self.settings
        watched = self._watched()
        for name in ("crossed", "stale"):
            for key in [key for key in self.state.active.get(name, ()) if key not in watched]:
                self._conditions.clear(name, key, "there is neither a position nor an order")
        newest = account.engine.newest
        venues = dict.fromkeys(account.instruments[key].exchange for key in watched)
        for exchange in [exchange for exchange in self.state.active.get("silent", ()) if exchange not in venues]:
            self._conditions.clear("silent", exchange, "there is neither a position nor an order")
        now = {}
        for exchange in venues:
            venue = self.state.venues.get(exchange)
            last = newest.get(exchange, 0)
            now[exchange] = last + (venue.away if venue is not None and venue.time == last else 0)
        if settings.crossed.on:
            self._look_for_crossed(watched)
        if settings.stale.on:
            for key in watched:
                market = account.markets.get(key)
                if market is None or not (market.quoted or market.printed):  # bars come when they come
                    continue
                until = now[market.instrument.exchange]
                value = 0 if market.suspended else _open_for(market.instrument, market.time, until)
                seen = {"last_us": str(market.time), "now_us": str(until)}
                self._conditions.judge("stale", settings.stale, key, value, seen, [key])
        if settings.silent.on:
            for exchange in venues:
                keys = [key for key in watched if account.instruments[key].exchange == exchange]
                last = newest.get(exchange, 0)
                value = max(_open_for(account.instruments[key], last, now[exchange]) for key in keys)
                seen = {"last_us": str(last), "now_us": str(now[exchange])}
                self._conditions.judge("silent", settings.silent, exchange, value, seen, keys)

    def _look_for_crossed(self, watched: dict[str, None]) -> None:
        account, since = self._account, self.state.crossed
        for key in [key for key in since if key not in watched]:
            del since[key]
        for key in watched:
            market = account.markets.get(key)
            if market is None or not market.bid > market.ask > 0:
                since.pop(key, None)
                self._conditions.clear("crossed", key, "bid is not above ask any more")
                continue
            value = market.time - since.setdefault(key, market.time)
            seen = {"bid": text(market.bid), "ask": text(market.ask)}
            self._conditions.judge("crossed", self.settings.crossed, key, value, seen, [key])

    def _sample(self) -> None:
        settings = self.settings
        watched = self._watched()
        for key, market in list(self._account.markets.items()):
            price = (market.bid + market.ask) // 2 if market.ask >= market.bid > 0 else market.last
            held = self.state.samples.get(key)
            if not price or (held is not None and held.time == market.time):
                continue
            if held is None:
                self.state.samples[key] = Samples(market.time, price)
                continue
            value = _spike(held, market.time, price, market.instrument.tick, settings.short, settings.long)
            if value is not None and key in watched:
                seen = {"price": text(price)}
                self._conditions.judge("volatility", settings.volatility, key, value, seen, [key])
        for key in [key for key in self.state.active.get("volatility", ()) if key not in watched]:
            self._conditions.clear("volatility", key, "there is neither a position nor an order")


def _open_for(instrument: Instrument, since: int, now: int) -> int:
    """Give how long an instrument was traded between two times; of the days before that of `now` nothing counts."""
    calendar = instrument.calendar
    if not isinstance(calendar, SessionCalendar):
        return max(0, now - since)
    midnight = now - (now + calendar.offset) % DAY
    return sum(max(0, min(now, midnight + end) - max(since, midnight + start)) for start, end in calendar.sessions)


def _spike(held: Samples, time: int, price: int, tick: int, short: int, long: int) -> int | None:
    """Add a sample; give volatility now over volatility before, 10^-8, as soon as there are enough samples.

    Volatility before is at least a tick in the whole of it: the first move after none at all is no spike.
    """
    change = (price - held.price) * ONE // held.price
    held.time, held.price = time, price
    returns = held.returns
    returns.append(change)
    held.short += change * change
    if len(returns) > short:
        passed = returns[-short - 1] ** 2
        held.short -= passed
        held.long += passed
    if len(returns) > short + long:
        held.long -= returns.pop(0) ** 2
    if len(returns) < short + long:
        return None
    before = max(held.long, (tick * ONE // price) ** 2, 1)
    return isqrt(held.short * long * ONE * ONE // (before * short))
