"""How the pipeline is: processes, lag, age of the market, gaps, dead letters, stores. For owners.

Prices are for everybody, the machinery is not: names of services, notes and errors tell what runs where and what is
broken, which helps whoever looks for a way in and nobody who trades. `/api/v1/health` stays for everybody, as
monitoring without a token asks it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas_quant.bus.topics import DEAD_LETTERS, client_settings
from barnabas_quant.endpoints import run_folder
from barnabas_quant.errors import StoreUnavailable
from barnabas_quant.gateway.answers import StoreHealth
from barnabas_quant.gateway.health import ask_stores
from barnabas_quant.gateway.identity import require_owner
from barnabas_quant.gateway.market import Market
from barnabas_quant.gateway.openapi import Operation
from barnabas_quant.gateway.web import guarded, private
from barnabas_quant.history import AsyncClickHouse, ClickHouseError
from barnabas_quant.settings import Settings

_FRESH = 10.0  # seconds after which a status file is one that nobody writes any more, as for `barnabas-quant status`
_HOUR = 3_600_000  # milliseconds
_PATIENCE = 2.0  # seconds for Kafka


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """Answer how a process is: `rate` in records a second, `lag` in records (null: it reads no topic)."""

    name: str
    state: str
    records: int
    rate: float
    lag: int | None
    errors: int
    restarts: int
    note: str


class _StatusFile(msgspec.Struct):
    """Read DATA/run/status.json, which the supervisor writes."""

    at: float
    processes: list[Process]


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the processes of the platform; not supported where no supervisor runs in this data folder."""

    supported: bool
    at_ms: int | None = None
    processes: list[Process] = []


class GatewayState(msgspec.Struct, frozen=True, kw_only=True):
    """Answer how far this gateway's stream is behind, in records, and how many clients hear it."""

    lag: int | None
    clients: int


class TickAge(msgspec.Struct, frozen=True, kw_only=True):
    """Answer how long ago the last tick of an instrument came."""

    exchange: str
    symbol: str
    age_ms: int


class GapTold(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what a feed missed, times of the market in microseconds, and when it told so."""

    exchange: str
    symbol: str
    stream: str
    cause: str
    from_time: int
    to_time: int
    filled: bool
    told_ms: int


class DeadLetterCount(msgspec.Struct, frozen=True, kw_only=True):
    """Answer how many records could not be used: that are kept, and of the last hour."""

    kept: int
    last_hour: int


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """Answer how the pipeline is; null where a store that knows does not answer."""

    services: Processes
    gateway: GatewayState
    ticks: list[TickAge]
    gaps: list[GapTold] | None
    dead_letters: DeadLetterCount | None
    stores: dict[str, StoreHealth]


PIPELINE_OPERATIONS = (
    Operation("/api/v1/pipeline", "How the pipeline is; for owners", Pipeline, failures=(401, 403, 503)),
)

# What lies before the very first record of a stream is no gap to anybody.
_GAPS = """
SELECT exchange, symbol, stream, cause, from_time, to_time, filled, produced AS told_ms FROM market_gaps
WHERE produced >= {since:Int64} AND last_id IS NOT NULL
ORDER BY produced DESC, kafka_offset DESC LIMIT 1 BY exchange, symbol, stream, next_id LIMIT 200
"""


class PipelineRoutes:
    """Answer how the pipeline is."""

    def __init__(
        self, settings: Settings, market: Market, history: AsyncClickHouse, clients: Callable[[], int],
        now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._data = settings.data
        self._market = market
        self._history = history
        self._clients = clients
        self._now = now
        # Asked alone; it joins nothing and commits nothing.
        self._kafka = Consumer(client_settings(settings.bootstrap, {"group.id": "gateway-pipeline"}))

    def routes(self) -> list[Route]:
        """Give the routes of PIPELINE_OPERATIONS."""
        return [Route("/api/v1/pipeline", guarded(self.pipeline))]

    def close(self) -> None:
        """Let go of Kafka."""
        self._kafka.close()

    async def pipeline(self, request: Request) -> Response:
        await require_owner(request)
        asked_ms = round(self._now() * 1000)
        stores, symbols, gaps, dead_letters = await asyncio.gather(
            ask_stores(self._market), self._market.symbols(), self._gaps(asked_ms),
            asyncio.to_thread(self._dead_letters, asked_ms),
        )  # fmt: skip
        heard, now_ms = self._market.heard(), round(self._now() * 1000)
        ticks = [
            TickAge(exchange=each.exchange, symbol=each.symbol, age_ms=max(0, now_ms - at))
            for each in symbols
            if (at := heard.get((each.exchange, each.symbol), each.last_ms))
        ]
        return private(
            Pipeline(
                services=read_processes(self._data, self._now()), ticks=ticks, gaps=gaps, dead_letters=dead_letters,
                stores=stores, gateway=GatewayState(lag=self._market.lag, clients=self._clients()),
            )
        )  # fmt: skip

    async def _gaps(self, now_ms: int) -> list[GapTold] | None:
        try:
            return await self._history.rows(_GAPS, GapTold, since=now_ms - _HOUR)
        except (StoreUnavailable, ClickHouseError):  # the latter: its tables are not made yet
            return None

    def _dead_letters(self, now_ms: int) -> DeadLetterCount | None:
        try:
            first, end = self._kafka.get_watermark_offsets(TopicPartition(DEAD_LETTERS.name, 0), timeout=_PATIENCE)
            asked = TopicPartition(DEAD_LETTERS.name, 0, now_ms - _HOUR)
            (hour,) = self._kafka.offsets_for_times([asked], timeout=_PATIENCE)
        except KafkaException:
            return None
        return DeadLetterCount(kept=end - first, last_hour=end - hour.offset if hour.offset >= 0 else 0)


def read_processes(data: Path, now: float) -> Processes:
    """Read what the supervisor of a data folder wrote last; not supported where none writes."""
    try:
        status = msgspec.json.decode((run_folder(data) / "status.json").read_bytes(), type=_StatusFile)
    except (OSError, ValueError):
        return Processes(supported=False)
    if now - status.at >= _FRESH:
        return Processes(supported=False)
    return Processes(supported=True, at_ms=round(status.at * 1000), processes=status.processes)
