"""The strategies' service: the market and their own fills in, records of trade-signal out.

It is a shell around a host of strategies (docs/trading.md): the journal keeps the order of what they heard, so after a
SIGKILL they go on as if nothing had been, and no signal is given twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec
from confluent_kafka import Message

from barnabas_quant.journaled import JournaledService, Said
from barnabas_quant.model.records import Kline, OrderBook, Tick, Trade
from barnabas_quant.model.stock import Stock
from barnabas_quant.model.trade_signal import TradeSignal
from barnabas_quant.service import Context
from barnabas_quant.settings import Settings, StrategySettings
from barnabas_quant.strategies.base import Strategy
from barnabas_quant.strategies.catalog import find_strategy
from barnabas_quant.strategies.host import Failure, Host, HostState
from barnabas_quant.trading.events import Bar, Clock, Depth, Fill, Print, Quote, Signal
from barnabas_quant.trading.inputs import inputs_of, key_of, write_signal

_TOPICS: dict[type, tuple[str, ...]] = {
    Quote: (Tick.topic,),
    Print: (Trade.topic, Stock.topic),
    Bar: (Kline.topic,),
    Depth: (OrderBook.topic,),
}


class Chosen(msgspec.Struct, kw_only=True):
    """Hold what the strategies' decisions follow."""

    primary: str
    strategies: tuple[StrategySettings, ...]


def make_host(chosen: Chosen) -> Host:
    """Make the strategies that are wanted. Raises StrategyError, SymbolError."""
    made: list[Strategy] = []
    for each in chosen.strategies:
        keys = [symbol if ":" in symbol else key_of(symbol, None, chosen.primary) for symbol in each.symbols]
        made.append(find_strategy(each.name)(keys, each.parameters))
    return Host(made)


class StrategiesService(JournaledService):
    """Run the strategies of the settings."""

    name = "strategies"
    summary = "runs the strategies of the settings: the market in, trade-signal out"
    group = "strategies"
    tells: ClassVar[tuple[str, ...]] = (TradeSignal.topic, Failure.topic)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._primary = self.settings.primary
        self._host = make_host(self._chosen())

    @classmethod
    def wanted(cls, settings: Settings) -> bool:
        return bool(settings.strategies)

    def _chosen(self) -> Chosen:
        return Chosen(primary=self.settings.primary, strategies=self.settings.strategies)

    def reads(self) -> tuple[str, ...]:
        heard = [topic for kind, topics in _TOPICS.items() if self._host.hears(kind) for topic in topics]
        return (*heard, Fill.topic)

    def decides_by(self) -> bytes:
        return msgspec.json.encode(self._chosen())

    def begin(self, settings: bytes, state: bytes | None) -> list[Said]:
        chosen = msgspec.json.decode(settings, type=Chosen)
        self._primary = chosen.primary
        self._host = make_host(chosen)
        if state is None:
            return self._said_by(self._host.start())
        return self._said_by(self._host.load(msgspec.json.decode(state, type=HostState)))

    def take(self, message: Message) -> list[Said]:
        said: list[Said] = []
        found = inputs_of(
            str(message.topic()), bytes(message.value() or b""), int(message.timestamp()[1]),
            int(message.partition() or 0), int(message.offset() or 0), self._primary,
        )  # fmt: skip
        for event in found:
            if isinstance(event, Quote | Print | Bar | Depth | Fill | Clock):
                said += self._said_by(self._host.process(event))
        return said

    def save(self) -> bytes:
        return msgspec.json.encode(self._host.save())

    def _said_by(self, outputs: Iterable[Signal | Failure]) -> list[Said]:
        said: list[Said] = []
        for output in outputs:
            if isinstance(output, Signal):
                symbol = output.instrument.partition(":")[2]
                said.append((TradeSignal.topic, symbol.encode(), write_signal(output, self._primary)))
            else:
                self.status.error("strategy")
                said.append((Failure.topic, output.key.encode(), msgspec.json.encode(output)))
        return said
