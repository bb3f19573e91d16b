"""The trading engine: market, signals and commands in, orders, fills and decisions out.

`process` is all there is: no clock (the time is that of the inputs), no randomness, no I/O. The same inputs in the same
order give the same outputs with the same numbers, in a backtest, in a replay and live; the order itself is data, and
whoever runs the engine keeps it. An order's id is its signal's, so that the same signal can never give two orders.

The engine holds what all accounts share: the markets, the time, the way to the venue. What is asked for goes to the
account that it names (account.py).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from barnabas_quant.errors import SymbolError
from barnabas_quant.model.intervals import MINUTE
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.account import Account, AccountState
from barnabas_quant.trading.events import (
    EVERY,
    MAIN,
    BadSignal,
    Bar,
    Cancel,
    Clock,
    Depth,
    Funding,
    Input,
    MarketEvent,
    Open,
    Output,
    Place,
    Print,
    Quote,
    Session,
    Signal,
    Switch,
    Transfer,
)  # fmt: skip
from barnabas_quant.trading.instruments import Instrument, share, usual
from barnabas_quant.trading.limits import Limits
from barnabas_quant.trading.market import Market, MarketState, VenueModel
from barnabas_quant.trading.matching import Matcher
from barnabas_quant.trading.watch import Watch

_ASKED = frozenset({Signal, BadSignal, Open, Place, Cancel, Switch, Transfer})
_REMEMBERED = 10_000  # ids of orders that are recognised when they come again
_ACCOUNT = re.compile(r"[a-z][a-z0-9_.-]{1,31}\Z")

Travelling = tuple[int, Literal["arrive", "cancel"], str, str, str]
"""When it is at the venue, what it is, account, order, reason."""


class Sizing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how large an order becomes that a signal asks for."""

    by: Literal["volume", "notional", "equity"] = "volume"
    """volume: as the signal says; notional: for so much money; equity: for a share of what the account is worth.

    What closes a position is as large as the signal says, by any of them."""
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
    """What an account begins with, by currency, in units."""
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
    accounts: dict[str, AccountState]
    markets: dict[str, MarketState]
    known: list[str]
    travelling: list[Travelling]
    days: dict[str, int]
    told_time: int
    equity_due: int
    unknown: int = 0
    newest: dict[str, int] = {}


class Engine:
    """Trade the accounts of a paper venue."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.instruments: dict[str, Instrument] = {each.key: each for each in settings.instruments}
        self._given = frozenset(self.instruments)
        self.markets: dict[str, Market] = {}
        self.time = 0
        self.seq = 0
        """Number of the next output."""
        self.unknown = 0
        """Events of the market that were passed over: of no instrument that is known, or can be."""
        self._holders: dict[str, list[Account]] = {}  # by instrument: who has, or had, a position in it
        self._known: dict[str, None] = {}  # ids of the latest orders, the oldest first
        self._travelling: deque[Travelling] = deque()
        self._days: dict[str, int] = {}
        self.newest: dict[str, int] = {}
        """Time of each venue's last event."""
        self._told_time = 0  # by a Clock, which is for all venues
        self._equity_due = 0
        self._due = 0  # when there is something to do beside the input: the least of what is due
        self._out: list[Output] = []
        self.accounts: dict[str, Account] = {MAIN: Account(MAIN, self)}
        self.main = self.accounts[MAIN]
        for currency, amount in settings.cash.items():
            self.main.pay(currency, amount)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Quote: self._quote, Print: self._print, Bar: self._bar, Depth: self._depth, Session: self._session,
            Funding: self._funding, Signal: self._signal, BadSignal: self._bad_signal, Open: self._open,
            Place: self._place, Cancel: self._cancel, Switch: self._switch, Transfer: self._transfer,
            Clock: self._clock,
        }  # fmt: skip

    def process(self, event: Input) -> list[Output]:
        """Take one input; give the outputs that it has, numbered.

        The time is the market's: one that runs backwards counts as the latest, and what is asked for moves it only as
        long as the market has told nothing. A person types an order today into a recording of last year.
        """
        out: list[Output] = []
        self._out = out
        if event.time > self.time and (type(event) not in _ASKED or not self._heard()):
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
        accounts = self.accounts.values()
        for account in accounts:
            guard = account.guard
            guard.settle()
            if self.time >= guard.state.due:
                guard.data.look()
                guard.settle()
        if self.time >= self._equity_due:
            every = self.settings.equity_every
            self._equity_due = self.time // every * every + every
            for account in accounts:
                if account is self.main or account.moves:
                    account.tell_equity()
        self._due = min(self._equity_due, *(account.guard.state.due for account in accounts))

    def now(self, instrument: Instrument) -> int:
        """Give the time at an instrument's venue: that of its last event, or what a `Clock` has told to all since.

        Two venues may play different years.
        """
        newest = self.newest.get(instrument.exchange)
        return self.time if newest is None else max(self._told_time, newest)

    def _heard(self) -> bool:
        """Tell whether the market has told anything."""
        return bool(self.newest)

    def save(self) -> EngineState:
        """Give all that it remembers."""
        return EngineState(
            time=self.time, seq=self.seq, known=list(self._known), travelling=list(self._travelling), days=self._days,
            accounts={name: account.save() for name, account in self.accounts.items()},
            markets={key: market.save() for key, market in self.markets.items()},
            told_time=self._told_time, equity_due=self._equity_due, unknown=self.unknown, newest=self.newest,
        )  # fmt: skip

    def load(self, state: EngineState) -> None:
        """Take what `save` gave, on an engine that has processed nothing. It keeps the state's objects."""
        self.time, self.seq = state.time, state.seq
        for key, market in state.markets.items():
            if key not in self.instruments:  # in whatever spelling: there may be orders
                self.instruments[key] = _usual(key)
            self.market(key).load(market)
        for name, account in state.accounts.items():
            if name not in self.accounts:
                self.accounts[name] = Account(name, self)
            self.accounts[name].load(account)
        for key, market in state.markets.items():
            self.market(key).matchers = [self.accounts[name].matcher(key) for name in market.matchers]
        self._known = dict.fromkeys(state.known)
        self._days = state.days
        self.newest = state.newest
        if not self.newest:  # of a snapshot from before they were kept
            for told in self.markets.values():
                exchange = told.instrument.exchange
                if told.time > self.newest.get(exchange, 0):
                    self.newest[exchange] = told.time
        self._travelling = deque(state.travelling)
        self._told_time, self._equity_due, self.unknown = state.told_time, state.equity_due, state.unknown

    def instrument(self, key: str) -> Instrument:
        """Give an instrument by its key, on the usual terms where none are set. Raises SymbolError.

        A key in another spelling than the records' is none: it would be a second market of the same instrument.
        """
        found = self.instruments.get(key)
        if found is None:
            found = _usual(key)
            if found.key != key:
                raise SymbolError(f"{key[:60]!r}: records call it {found.key}")
        return found

    def market(self, key: str) -> Market:
        """Give the market of an instrument, and keep both. Raises SymbolError."""
        found = self.markets.get(key)
        if found is None:
            instrument = self.instruments[key] = self.instrument(key)
            found = self.markets[key] = Market(instrument, self.settings.venue)
        return found

    def shown(self, instrument: Instrument) -> Market:
        """Give the market of an instrument to look at; where there is none, an empty one that nobody keeps."""
        return self.markets.get(instrument.key) or Market(instrument, self.settings.venue)

    def forget(self, key: str) -> None:
        """Let go of a market that has told nothing once its last order is gone: anybody can ask for any symbol."""
        market, accounts = self.markets.get(key), self.accounts.values()
        if market is None or market.time or key in self._holders:
            return
        if any(order.request.instrument == key for account in accounts for order in account.orders.values()):
            return
        del self.markets[key]
        if key not in self._given:
            del self.instruments[key]
        for account in accounts:
            account.forget(key)

    @property
    def wants_clock(self) -> bool:
        """Tell whether a reading of the clock could change anything."""
        return any(account.guard.data.wants_clock for account in self.accounts.values())

    # What accounts ask

    def add(self, output: Output) -> None:
        """Tell something; its number is the engine's `seq`."""
        self._out.append(output)
        self.seq += 1

    def hold(self, key: str) -> None:
        """Take note that an account has its first position in an instrument. They are told in the order of opening."""
        self._holders[key] = [account for account in self.accounts.values() if key in account.ledger.positions]

    def wake(self) -> None:
        """Look at what is due once the input is worked off, whatever the time."""
        self._due = 0

    def send(self, due: int, what: Literal["arrive", "cancel"], account: Account, order: str, reason: str = "") -> None:
        """Put an order, or its cancellation, on its way to the venue."""
        self._travelling.append((due, what, account.name, order, reason))

    def knows(self, id: str) -> bool:
        """Tell whether there was an order of this id."""
        return id in self._known

    def remember(self, id: str) -> None:
        """Keep an order's id."""
        self._known[id] = None
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

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
        _expire(market.matchers, event.time)  # a bar may end with the day that its orders are for
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
        self._come(market, event.time)
        instrument = market.instrument
        if instrument.hours != "always":
            self._day(market)
        if instrument.day(event.time) == instrument.day(market.time):  # the close of another day is none of this one
            market.session(event)

    def _funding(self, event: Funding) -> None:
        market = self._told(event.instrument)
        if market is not None and market.instrument.leverage:
            for account in self._holders.get(event.instrument, ()):
                account.fund(market.instrument, event)

    def _market_of(self, event: Quote | Print | Bar | Depth, by: int) -> Market | None:
        """Give the market that an event tells of, its day begun and its orders of a day over by then gone."""
        market = self.markets.get(event.instrument) or self._told(event.instrument)
        if market is not None:
            self._come(market, event.time)
            if market.instrument.hours != "always":
                self._day(market)
            else:
                _expire(market.matchers, by)
        return market

    def _told(self, key: str) -> Market | None:
        """Give the market that an event tells of; None, counted, where its instrument is none."""
        try:
            return self.market(key)
        except SymbolError:
            self.unknown += 1
            return None

    def _come(self, market: Market, time: int) -> None:
        """Take the time of an event: of its market and of its venue, which goes back with any market that does."""
        before, exchange = market.time, market.instrument.exchange
        market.come(time)
        if market.time < before or time > self.newest.get(exchange, 0):
            self.newest[exchange] = time

    def _clock(self, event: Clock) -> None:
        for account in self.accounts.values():
            if event.reading:
                account.guard.data.read(event.reading)
                continue
            account.guard.remedy.pursue_all()
            for order in list(account.orders.values()):
                account.expire(order)

    def _mark(self, key: str, price: int) -> None:
        for account in self._holders.get(key, ()):
            account.mark(key, price)

    def _day(self, market: Market) -> None:
        """On the first event of a day, the last price of the day before is the close that limits are counted from.

        Where a session is played again, nobody tells that close, and the day has no limits, as the first one.
        """
        instrument = market.instrument
        key, day = instrument.key, instrument.day(market.time)
        before = self._days.get(key)
        if before != day:
            if before is not None and instrument.price_limit:
                market.low_limit, market.high_limit = instrument.limits(market.last) if day > before else (0, 0)
            self._days[key] = day
            for matcher in market.matchers:
                for order in list(matcher.orders):
                    matcher.owner.expire(order, market.time)
                    if order.day is None and day > instrument.day(order.arrives):
                        order.day = day

    # What is asked for

    def _asked(self, event: Signal | Place | Cancel | Transfer) -> Account | None:
        """Give the account that is asked; None, told, where there is none of that name."""
        account = self.accounts.get(event.account)
        if account is None:
            self._unknown(event)
        return account

    def _unknown(self, event: Signal | Place | Cancel | Transfer | Switch) -> None:
        strategy = event.strategy if isinstance(event, Signal) else ""
        reason = f"there is no account {event.account[:60]!r}; open it first"
        self.main.decide(event.id, strategy, "rejected", "account", reason)

    def _signal(self, event: Signal) -> None:
        if (account := self._asked(event)) is not None:
            account.signal(event)

    def _bad_signal(self, event: BadSignal) -> None:
        self.main.decide(event.id, "", "rejected", "record", event.reason)

    def _open(self, event: Open) -> None:
        if (account := self.accounts.get(event.account)) is not None:
            account.decide(event.id, "", "rejected", "account", "it is open")
        elif not _ACCOUNT.match(event.account):
            reason = f"2 to 32 of a-z, 0-9, dot, dash and underscore, a letter first; not {event.account[:60]!r}"
            self.main.decide(event.id, "", "rejected", "account", reason)
        else:
            account = self.accounts[event.account] = Account(event.account, self)
            account.open(event.id)

    def _place(self, event: Place) -> None:
        if (account := self._asked(event)) is not None:
            account.place(event)

    def _cancel(self, event: Cancel) -> None:
        if (account := self._asked(event)) is not None:
            account.cancel_asked(event)

    def _switch(self, event: Switch) -> None:
        chosen = list(self.accounts.values()) if event.account == EVERY else [self.accounts.get(event.account)]
        for account in chosen:
            if account is None:
                self._unknown(event)
            else:
                account.switch(event)

    def _transfer(self, event: Transfer) -> None:
        if (account := self._asked(event)) is not None:
            account.transfer(event)

    def _deliver(self, event: Input) -> None:
        """Let arrive at a venue what is due before an event, by that venue's time."""
        telling = event.instrument.partition(":")[0] if isinstance(event, MarketEvent) else ""
        travelling, self._travelling = self._travelling, deque()
        still: list[Travelling] = []
        arrived: dict[str, Account] = {}
        for each in travelling:
            due, what, name, id, reason = each
            account = self.accounts[name]
            order = account.orders.get(id)
            if order is None:
                continue
            instrument = self.instruments[order.request.instrument]
            if due > (event.time if instrument.exchange == telling else self.now(instrument)):
                still.append(each)
                continue
            arrived[name] = account
            if what == "arrive":
                account.arrive(order)
            else:
                account.happen(order, "cancel", reason)
        self._travelling.extendleft(reversed(still))
        for account in arrived.values():
            account.guard.remedy.pursue_all()


def _usual(key: str) -> Instrument:
    exchange, _, symbol = key.partition(":")
    return usual(exchange, symbol)


def _expire(matchers: list[Matcher], by: int) -> None:
    """Let go what is for a day that is over by a time."""
    for matcher in matchers:
        for order in list(matcher.orders):
            matcher.owner.expire(order, by)
