"""Sparklines: closes of the last minutes of many instruments at once, for a list of prices.

The last minutes are those that an instrument has: of a share at night those of the day, of a replay those of its year.
Where they end is known from the stream; of what has not been heard since the gateway started it is asked, and kept for
a minute. The closes themselves are one query.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas_quant.errors import SymbolError
from barnabas_quant.gateway.market import Market
from barnabas_quant.gateway.openapi import Operation, Parameter
from barnabas_quant.gateway.web import BadRequest, answer, guarded, number
from barnabas_quant.history import AsyncClickHouse
from barnabas_quant.model.intervals import MINUTE
from barnabas_quant.trading.inputs import key_of

SYMBOLS = 100
"""Instruments of one request at most."""

_KEPT = 60.0  # seconds for which it is known where an instrument's minutes end, or that it has none
_KEY = re.compile(r"[a-z0-9_]{1,40}:[A-Za-z0-9._\-]{1,40}\Z")


class Sparkline(msgspec.Struct, frozen=True, kw_only=True):
    """Answer closes, oldest first, each with the opening time of its minute in microseconds since 1970."""

    exchange: str
    symbol: str
    times: list[int]
    closes: list[str]


class Sparklines(msgspec.Struct, frozen=True, kw_only=True):
    """Answer sparklines in the order in which they were asked for; of what nobody knows there are no closes."""

    interval: str
    series: list[Sparkline]


SPARKLINE_OPERATIONS = (
    Operation(
        "/api/v1/sparklines", "Closes of the last minutes of many instruments", Sparklines,
        (
            Parameter("symbols", f"EXCHANGE:SYMBOL or symbols alone, between commas, {SYMBOLS} at most", required=True),
            Parameter("points", "minutes, 2 to 1440", "integer", default=60),
        ),
        failures=(400, 503),
    ),
)  # fmt: skip


class _Close(msgspec.Struct):
    exchange: str
    symbol: str
    open_time: int
    close: str


class _Last(msgspec.Struct):
    exchange: str
    symbol: str
    open_time: int


_CLOSES = """
SELECT exchange, symbol, open_time, argMax(close, (source = 'venue', event_time)) AS close
FROM market_klines WHERE interval = '1m' AND ({places})
GROUP BY exchange, symbol, open_time ORDER BY exchange, symbol, open_time
"""

_LASTS = """
SELECT exchange, symbol, max(open_time) AS open_time
FROM market_klines WHERE interval = '1m' AND ({places}) GROUP BY exchange, symbol
"""


class SparklineRoutes:
    """Answer sparklines."""

    def __init__(self, market: Market, history: AsyncClickHouse, clock: Callable[[], float] = time.monotonic) -> None:
        self._market = market
        self._history = history
        self._clock = clock
        self._ends: dict[str, tuple[float, int]] = {}

    def routes(self) -> list[Route]:
        """Give the routes of SPARKLINE_OPERATIONS."""
        return [Route("/api/v1/sparklines", guarded(self.sparklines))]

    async def sparklines(self, request: Request) -> Response:
        keys = self._keys(request.query_params.get("symbols", ""))
        points = number(request, "points", 2, 1440, 60) or 60
        forming = {key: self._market.forming(*_parts(key), "1m") for key in keys}
        ends = {key: bar[0] for key, bar in forming.items() if bar is not None}
        ends |= await self._asked([key for key in keys if key not in ends])
        closes: dict[str, dict[int, str]] = {key: {} for key in keys}
        begins = {key: end - (points - 1) * MINUTE for key, end in ends.items() if end}
        if begins:
            given, places = _places(begins, "AND timestamp >= fromUnixTimestamp64Micro({{begin{n}:Int64}}, 'UTC')")
            given |= {f"begin{n}": begin for n, begin in enumerate(begins.values())}
            for row in await self._history.rows(_CLOSES.replace("{places}", places), _Close, **given):
                closes[f"{row.exchange}:{row.symbol}"][row.open_time] = row.close
        for key, bar in forming.items():
            if bar is not None:
                closes[key][bar[0]] = bar[1]
        series = []
        for key, found in closes.items():
            exchange, symbol = _parts(key)
            times = sorted(found)[-points:]
            series.append(Sparkline(exchange=exchange, symbol=symbol, times=times, closes=[found[at] for at in times]))
        return answer(Sparklines(interval="1m", series=series))

    def _keys(self, text: str) -> list[str]:
        """Read the instruments that are asked for, each once. Raises BadRequest."""
        found: dict[str, None] = {}
        for name in filter(None, map(str.strip, text.split(","))):
            exchange, colon, symbol = name.rpartition(":")
            try:
                key = key_of(symbol, exchange if colon else None, self._market.primary)
            except SymbolError as error:
                raise BadRequest(f"symbols: {error}") from error
            if not _KEY.match(key):
                raise BadRequest(f"symbols: not an instrument: {name[:60]!r}")
            found[key] = None
        if not 0 < len(found) <= SYMBOLS:
            raise BadRequest(f"symbols: 1 to {SYMBOLS} instruments between commas")
        return list(found)

    async def _asked(self, keys: Iterable[str]) -> Mapping[str, int]:
        """Give where the minutes of instruments end that the stream has told nothing of; 0: they have none."""
        now = self._clock()
        wanted = [key for key in keys if self._ends.get(key, (-_KEPT, 0))[0] <= now - _KEPT]
        if wanted:
            if len(self._ends) > 10_000:
                self._ends.clear()
            given, places = _places(wanted, "")
            rows = await self._history.rows(_LASTS.replace("{places}", places), _Last, **given)
            told = {f"{row.exchange}:{row.symbol}": row.open_time for row in rows}
            self._ends |= {key: (now, told.get(key, 0)) for key in wanted}
        return {key: self._ends[key][1] for key in keys if key in self._ends}


def _parts(key: str) -> tuple[str, str]:
    exchange, _, symbol = key.partition(":")
    return exchange, symbol


def _places(keys: Iterable[str], more: str) -> tuple[dict[str, object], str]:
    """Write the condition that a row is one of these instruments, and what fills it."""
    given: dict[str, object] = {}
    parts = []
    for n, key in enumerate(keys):
        given[f"exchange{n}"], given[f"symbol{n}"] = _parts(key)
        parts.append(f"(exchange = {{exchange{n}:String}} AND symbol = {{symbol{n}:String}} {more.format(n=n)})")
    return given, " OR ".join(parts)
