"""Whether the stores answer the gateway, and how fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from barnabas_quant.errors import QuantError
from barnabas_quant.gateway.answers import StoreHealth
from barnabas_quant.gateway.market import Market

_PATIENCE = 2.0  # seconds


async def ask_stores(market: Market) -> dict[str, StoreHealth]:
    """Ask Kafka, Redis and ClickHouse at once; give what each said, by its name."""

    async def timed(ask: Callable[[], Awaitable[object]]) -> StoreHealth:
        begun = time.perf_counter()
        try:
            await asyncio.wait_for(ask(), _PATIENCE)
        except (QuantError, TimeoutError) as error:
            message = str(error) or f"no answer within {_PATIENCE:g} s"
            return StoreHealth(answers=False, ms=_since(begun), message=message)
        return StoreHealth(answers=True, ms=_since(begun))

    asks = {"kafka": market.ask_kafka, "redis": market.ask_redis, "clickhouse": market.ask_clickhouse}
    return dict(zip(asks, await asyncio.gather(*map(timed, asks.values())), strict=True))


def _since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 3)
