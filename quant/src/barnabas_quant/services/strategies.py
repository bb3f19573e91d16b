"""The strategies' service: the market and what became of their orders in, records of trade-signal out.

It is a shell around a host of strategies (docs/trading.md): the journal keeps the order of what they heard, so after a
SIGKILL they go on as if nothing had been, and no signal is given twice. The text of a user's file is among the settings
that the journal keeps: an edit takes effect with the next start, and a replay still has what was there before. What
takes too long over an event is ended by a watchdog, and that, too, stands in the journal. A person stops and starts
strategies by records of strategy-commands, inputs like any other; how each stands is told on strategy-events.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import msgspec
from confluent_kafka import Message

from barnabas_quant.bus.journal import Stop
from barnabas_quant.journaled import JournaledService, Said
from barnabas_quant.model.records import Kline, OrderBook, Tick, Trade
from barnabas_quant.model.stock import Stock
from barnabas_quant.model.trade_signal import TradeSignal
from barnabas_quant.service import Context
from barnabas_quant.settings import Settings, StrategySettings
from barnabas_quant.strategies.base import Strategy
from barnabas_quant.strategies.catalog import make_strategy, read_source
from barnabas_quant.strategies.hearing import heard_of
from barnabas_quant.strategies.host import Call, Failure, Host, HostState, SaveFailed, TookTooLong, straight
from barnabas_quant.strategies.switching import (
    COMMANDS,
    Failed,
    Off,
    StrategyCommand,
    StrategyEvent,
    read_command,
)
from barnabas_quant.trading.events import Bar, Decision, Depth, Fill, OrderEvent, Print, Quote, Signal
from barnabas_quant.trading.inputs import key_from, write_signal
from barnabas_quant.watchdog import Watchdog

log = logging.getLogger(__name__)

_TOPICS: dict[type, tuple[str, ...]] = {
    Quote: (Tick.topic,),
    Print: (Trade.topic, Stock.topic),
    Bar: (Kline.topic,),
    Depth: (OrderBook.topic,),
    OrderEvent: (OrderEvent.topic,),
    Decision: (Decision.topic,),
}


class Chosen(msgspec.Struct, kw_only=True):
    """Hold what the strategies' decisions follow."""

    primary: str
    strategies: tuple[StrategySettings, ...]
    sources: dict[str, str] = {}
    """The text of each file that holds a strategy, by its name in the settings."""
    events: bool = False
    """Whether strategy-events is told; a journal from before there was that topic says no, and a replay keeps to it."""
    closes: bool = False
    """Whether strategies are told what risk has closed; the same."""


def make_host(chosen: Chosen, call: Call = straight) -> Host:
    """Make the strategies that are wanted. Raises StrategyError, SymbolError."""
    made: list[Strategy] = []
    for each in chosen.strategies:
        keys = [key_from(symbol, chosen.primary) for symbol in each.symbols]
        made.append(make_strategy(each.name, keys, each.parameters, chosen.sources.get(each.name), each.alias))
    return Host(made, call, chosen.closes)


class StrategiesService(JournaledService):
    """Run the strategies of the settings."""

    name = "strategies"
    summary = "runs the strategies of the settings: the market in, trade-signal out"
    group = "strategies"
    gathers = 0.01  # prices are what it answers
    tells: ClassVar[tuple[str, ...]] = (TradeSignal.topic, Failure.topic, StrategyEvent.topic)
    from_the_beginning = frozenset({COMMANDS})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._primary = self.settings.primary
        files = {each.name for each in self.settings.strategies if each.name.endswith(".py")}
        self._chosen = Chosen(
            primary=self.settings.primary, strategies=self.settings.strategies,
            sources={name: read_source(name) for name in sorted(files)}, events=True,
            closes=True,
        )  # fmt: skip
        self._host = make_host(self._chosen)
        self._made: dict[str, tuple[StrategySettings, str | None]] = {}
        self._events = False
        self._watchdog = Watchdog(self._give_up)

    @classmethod
    def wanted(cls, settings: Settings) -> bool:
        return bool(settings.strategies)

    def reads(self) -> tuple[str, ...]:
        heard = [topic for kind, topics in _TOPICS.items() if self._host.hears(kind) for topic in topics]
        return (*heard, Fill.topic, COMMANDS)

    def decides_by(self) -> bytes:
        return msgspec.json.encode(self._chosen)

    def begin(self, settings: bytes, state: bytes | None) -> list[Said]:
        chosen = msgspec.json.decode(settings, type=Chosen)
        self._primary = chosen.primary
        self._host = make_host(chosen, self._call)
        before, parts = self._made, [(each, chosen.sources.get(each.name)) for each in chosen.strategies]
        self._made = dict(zip(self._host.strategies, parts, strict=True))
        self._events = False  # how each stands is told at the end
        if state is None:
            said = self._said_by(self._host.start())
            known: set[str] = set()
        else:
            held = msgspec.json.decode(state, type=HostState)
            known = held.strategies.keys() | held.failures.keys() | held.off.keys()
            anew = frozenset(name for name, part in self._made.items() if before.get(name, part) != part)
            said = self._said_by(self._host.load(held, anew))
        self._events = chosen.events
        if self._events:
            said += [self._told(name) for name in self._host.every]
            said += [
                self._written(StrategyEvent(strategy=name, time=self._host.time, state="removed"))
                for name in sorted(known - self._host.every.keys())
            ]
        return said

    def take(self, message: Message) -> list[Said]:
        said: list[Said] = []
        topic, value, produced = str(message.topic()), bytes(message.value() or b""), int(message.timestamp()[1])
        partition, offset = int(message.partition() or 0), int(message.offset() or 0)
        if topic == COMMANDS:
            return self._switched(read_command(value, produced, f"{topic}-{partition}-{offset}"))
        found = heard_of(topic, value, produced, partition, offset, self._primary)
        for event in found:
            said += self._said_by(self._host.process(event))
        return said

    def save(self) -> bytes:
        while True:
            try:
                return msgspec.json.encode(self._host.save())
            except SaveFailed as error:
                stop = Stop(who=error.strategy, doing="save", reason=error.reason, trace=error.trace, within=False)
                self.note_stop(stop)
                self.tell(self.stop(stop))

    def stop(self, stop: Stop) -> list[Said]:
        return self._said_by(self._host.stop(stop.who, stop.reason, stop.trace))

    def watched(self) -> AbstractContextManager[None]:
        return self._watchdog.armed()

    def _call(self, strategy: str, method: Callable[..., None], given: tuple[Any, ...]) -> None:
        """Call a strategy's method; end it where it takes too long, or where the journal says that it did."""
        for stop in self.known_stops():
            if (stop.who, stop.doing) == (strategy, method.__name__):
                raise TookTooLong(stop.reason, stop.trace)
        if not self.may_stop:
            return straight(strategy, method, given)
        try:
            self._watchdog(strategy, method, given)
        except TookTooLong as error:
            self.note_stop(Stop(who=strategy, doing=method.__name__, reason=error.reason, trace=error.trace))
            raise

    def _give_up(self, strategy: str, method: str, error: TookTooLong) -> None:
        """End the process, as the call cannot be ended: the next one stops the strategy where the journal says."""
        try:
            self.note_stop(Stop(who=strategy, doing=method, reason=error.reason, trace=error.trace))
            log.critical("%s: its %s catches what would end it; this process ends in its place", strategy, method)
        finally:  # an exception would be caught, too
            os._exit(1)

    def _switched(self, command: StrategyCommand) -> list[Said]:
        done = self._host.switch(command)
        said = self._said_by(done.said)
        rejected = done.state is None or (command.on and done.state == "failed")
        if done.state is None:
            event = StrategyEvent(strategy=command.strategy, time=self._host.time, state=None)
        else:
            event = self._event(command.strategy)
        answer = msgspec.structs.replace(
            event, state=done.state, verdict="rejected" if rejected else "accepted", subject=command.id,
            who=command.who, reason=done.reason,
        )  # fmt: skip
        log.info("%s: %s by %s: %s", command.strategy, done.state, command.who, done.reason)
        return [self._written(answer), *said]  # one that fails as it is started was started first

    def _event(self, name: str) -> StrategyEvent:
        """Make the record of how a strategy stands."""
        strategy, (settings, _) = self._host.every[name], self._made[name]
        state, about = self._host.standing(name)
        try:
            parameters: dict[str, Any] = msgspec.to_builtins(strategy.parameters)
        except (TypeError, ValueError):  # a type of a user's own
            parameters = dict(settings.parameters)
        event = StrategyEvent(
            strategy=name, time=self._host.time, state=state, name=settings.name, symbols=strategy.instruments,
            parameters=parameters,
        )  # fmt: skip
        if isinstance(about, Off):
            return msgspec.structs.replace(event, who=about.who, reason=about.reason)
        if isinstance(about, Failed):
            return msgspec.structs.replace(event, time=about.time, reason=about.reason, where=about.where)
        return event

    def _told(self, name: str) -> Said:
        return self._written(self._event(name))

    def _written(self, event: StrategyEvent) -> Said:
        return (StrategyEvent.topic, event.key.encode(), msgspec.json.encode(event))

    def _said_by(self, outputs: Iterable[Signal | Failure]) -> list[Said]:
        said: list[Said] = []
        for output in outputs:
            if isinstance(output, Signal):
                symbol = output.instrument.partition(":")[2]
                said.append((TradeSignal.topic, symbol.encode(), write_signal(output, self._primary)))
            else:
                self.status.error("strategy")
                log.error("%s was stopped: %s\n%s", output.strategy, output.reason, output.traceback)
                said.append((Failure.topic, output.key.encode(), msgspec.json.encode(output)))
                if self._events:
                    said.append(self._told(output.strategy))
        return said
