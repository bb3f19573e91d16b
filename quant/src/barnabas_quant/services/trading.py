"""The trading service: signals and commands become orders, fills and decisions on the paper venue.

It is a shell around the engine (docs/trading.md): the journal keeps the order of its inputs, so a SIGKILL at any point
neither doubles nor loses an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from confluent_kafka import Message

from barnabas_quant.journaled import JournaledService, Said
from barnabas_quant.model.records import Tick, Trade
from barnabas_quant.model.stock import Stock
from barnabas_quant.model.trade_signal import TradeSignal
from barnabas_quant.service import Context
from barnabas_quant.trading.configuration import engine_settings
from barnabas_quant.trading.engine import Engine, EngineSettings, EngineState
from barnabas_quant.trading.events import OUTPUTS, Clock, Fill, Input, Output
from barnabas_quant.trading.inputs import COMMANDS, inputs_of

_encode = msgspec.json.Encoder().encode


class TradingService(JournaledService):
    """Trade the accounts of the paper venue."""

    name = "trading"
    summary = "turns trade-signal into orders and fills on the paper venue"
    group = "trading-service"
    tells: ClassVar[tuple[str, ...]] = tuple(dict.fromkeys(output.topic for output in OUTPUTS))
    state_form = "accounts"
    from_the_beginning = frozenset({TradeSignal.topic, COMMANDS})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.engine = Engine(EngineSettings())
        self._primary = self.settings.primary

    def reads(self) -> tuple[str, ...]:
        return (TradeSignal.topic, COMMANDS, Stock.topic, Tick.topic, Trade.topic)

    def decides_by(self) -> bytes:
        return msgspec.json.encode({"primary": self.settings.primary, "engine": engine_settings(self.settings.trading)})

    def begin(self, settings: bytes, state: bytes | None) -> list[Said]:
        chosen = msgspec.json.decode(settings, type=TradingSettings)
        self._primary = chosen.primary
        self.engine = Engine(chosen.engine)
        if state is not None:
            self.engine.load(msgspec.json.decode(state, type=EngineState))
        return []

    def take(self, message: Message) -> list[Said]:
        said: list[Said] = []
        found = inputs_of(
            str(message.topic()), bytes(message.value() or b""), int(message.timestamp()[1]),
            int(message.partition() or 0), int(message.offset() or 0), self._primary,
        )  # fmt: skip
        for event in found:
            if isinstance(event, Fill):
                continue
            unknown = self.engine.unknown
            said += self._said_by(event)
            if self.engine.unknown > unknown:
                self.status.error("symbol")
        return said

    def wants_clock(self) -> bool:
        return self.engine.wants_clock

    def clock(self, time: int) -> list[Said]:
        return self._said_by(Clock(self.engine.time, time))

    def process(self, event: Input) -> Sequence[Output]:
        """Hand the engine an input; whoever looks on while a session is worked off again does so here."""
        return self.engine.process(event)

    def _said_by(self, event: Input) -> list[Said]:
        return [(output.topic, output.key.encode(), _encode(output)) for output in self.process(event)]

    def save(self) -> bytes:
        return msgspec.json.encode(self.engine.save())


class TradingSettings(msgspec.Struct, kw_only=True):
    """Hold what the engine's decisions follow."""

    primary: str
    engine: EngineSettings
