"""Backtests over REST: everybody's own, started as `barnabas-quant backtest` in a process of their own.

What is asked for is read as the command reads it before anything starts. Nobody hands in a program: strategies are
those of the package, and for owners those of the settings.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from barnabas_quant.backtest.command import make_job
from barnabas_quant.backtest.options import add_backtest_options
from barnabas_quant.errors import QuantError
from barnabas_quant.gateway import backtests as api
from barnabas_quant.gateway.backtest_runs import BacktestRuns, Job
from barnabas_quant.gateway.comparison import compared
from barnabas_quant.gateway.identity import Identity, require
from barnabas_quant.gateway.web import BadRequest, Conflict, guarded, number, private, read_body
from barnabas_quant.settings import Settings, StrategySettings
from barnabas_quant.strategies.catalog import built_in
from barnabas_quant.trading.instruments import usual

_STAND_IN = "MA_CROSS"
"""In the place of a file, which is not read in this process, while all else that was asked for is checked."""

_PAGE = {
    # It has no script and fetches nothing. In a frame or opened alone, it is nobody's page.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class BacktestRoutes:
    """Answer for backtests."""

    def __init__(
        self, settings: Settings, runs: BacktestRuns, alias_of: Callable[[StrategySettings], str | None]
    ) -> None:
        """Take what runs them, and what knows the alias of a strategy of the settings."""
        self._settings = settings
        self._runs = runs
        self._alias_of = alias_of

    def routes(self) -> list[Route]:
        """Give the routes of BACKTEST_OPERATIONS."""
        return [
            Route("/api/v1/backtests", guarded(self.every)),
            Route("/api/v1/backtests", guarded(self.start), methods=["POST"]),
            Route("/api/v1/backtests/compare", guarded(self.compare)),
            Route("/api/v1/backtests/{id}", guarded(self.one)),
            Route("/api/v1/backtests/{id}", guarded(self.remove), methods=["DELETE"]),
            Route("/api/v1/backtests/{id}/report", guarded(self.report)),
            *(Route(f"/api/v1/backtests/{{id}}/{name}", guarded(self.file)) for name in api.FILES),
        ]

    async def every(self, request: Request) -> Response:
        asking = await require(request)
        names = dict.fromkeys(sorted(built_in()))
        if asking.owner:
            names |= dict.fromkeys(self._alias_of(each) or each.name for each in self._settings.strategies)
        return private(api.Backtests(backtests=self._runs.of(asking.account), strategies=list(names)))

    async def start(self, request: Request) -> Response:
        asking = await require(request)
        wanted = await read_body(request, api.NewBacktest)
        chosen = self._chosen(asking, wanted.strategy)
        name = wanted.strategy if chosen is None else chosen.name
        symbols = wanted.symbols or (() if chosen is None else chosen.symbols)
        parameters = {**({} if chosen is None else chosen.parameters), **wanted.parameters}
        arguments = _arguments(wanted, name, symbols, parameters)
        if name.endswith(".py"):
            keys = self._checked(_arguments(wanted, _STAND_IN, symbols, {}))
        else:
            keys = self._checked(arguments)
        made = self._runs.add(
            asking.account, wanted, arguments, strategy=wanted.strategy, symbols=keys, parameters=parameters
        )
        return private(made, 201)

    async def one(self, request: Request) -> Response:
        return private(self._runs.shown(await self._job(request)))

    async def remove(self, request: Request) -> Response:
        asking = await require(request)
        return private(await self._runs.remove(asking.account, request.path_params["id"]))

    async def report(self, request: Request) -> Response:
        job = await self._job(request)
        path = self._runs.file(job, "report.html")
        save = "attachment" if request.query_params.get("download") == "1" else "inline"
        headers = _PAGE | {"Content-Disposition": f'{save}; filename="backtest-{job.id}.html"'}
        return FileResponse(path, headers=headers, media_type="text/html; charset=utf-8")

    async def file(self, request: Request) -> Response:
        job = await self._job(request)
        name = request.url.path.rpartition("/")[2]
        path = self._runs.file(job, name)
        kind = "application/json" if name.endswith(".json") else "text/csv; charset=utf-8"
        headers = {
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Content-Disposition": f'attachment; filename="backtest-{job.id}-{name}"',
        }  # fmt: skip
        return FileResponse(path, headers=headers, media_type=kind)

    async def compare(self, request: Request) -> Response:
        asking = await require(request)
        points = number(request, "points", 2, 2000, 300) or 300
        jobs = []
        for name in ("a", "b"):
            if not (id := request.query_params.get(name)):
                raise BadRequest(f"{name}: the id of a backtest is wanted")
            job = self._runs.get(asking.account, id)
            if job.state != "done":
                raise Conflict(f"{name}: that backtest is {job.state}")
            jobs.append(job)
        files = [(self._runs.file(job, "equity.csv"), job.metrics or {}) for job in jobs]
        currencies = await asyncio.to_thread(compared, files[0], files[1], points)
        a, b = (self._runs.shown(job) for job in jobs)
        return private(api.Comparison(a=a, b=b, currencies=currencies))

    async def _job(self, request: Request) -> Job:
        asking = await require(request)
        return self._runs.get(asking.account, request.path_params["id"])

    def _chosen(self, asking: Identity, name: str) -> StrategySettings | None:
        """Give the strategy of the settings that is meant; None for one of the package. Raises BadRequest."""
        if asking.owner:
            for each in self._settings.strategies:
                if name == each.alias or (each.name.endswith(".py") and name in (each.name, self._alias_of(each))):
                    return each
        if name not in built_in():
            more = ", or an alias of the settings" if asking.owner else ""
            raise BadRequest(f"strategy: there is no {name!r:.80}; there are {', '.join(sorted(built_in()))}{more}")
        return None

    def _checked(self, arguments: list[str]) -> tuple[str, ...]:
        """Read arguments as the command will; give the keys of the instruments. Raises BadRequest."""
        try:
            job = make_job(_parser().parse_args(arguments), self._settings)
        except QuantError as error:
            raise BadRequest(str(error).replace("--", "")) from error
        cash = job.setup.engine.cash
        currencies = {usual(*key.split(":", 1)).currency for key in job.setup.instruments}
        if lacking := [currency for currency in currencies if cash.get(currency, 0) <= 0]:
            raise BadRequest(f"cash: there is no {', '.join(sorted(lacking))} to trade with")
        return job.setup.instruments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadRequest(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    add_backtest_options(parser)
    return parser


def _arguments(
    wanted: api.NewBacktest, strategy: str, symbols: tuple[str, ...], parameters: dict[str, int | float | str | bool]
) -> list[str]:
    """Write what is wanted as the arguments of the command; none of them can be taken for another option."""
    found = [strategy, f"--symbols={','.join(symbols)}", f"--delay-ms={wanted.delay_ms!r}"]
    for option, value in (
        ("from", wanted.since), ("to", wanted.until), ("interval", wanted.interval), ("warm-up", wanted.warm_up),
        ("order-type", wanted.order_type),
    ):  # fmt: skip
        if value is not None:
            found.append(f"--{option}={value}")
    found += [f"--cash={currency}={amount}" for currency, amount in wanted.cash.items()]
    for name, chosen in parameters.items():
        if not name.isidentifier():
            raise BadRequest(f"parameters: no name of one: {name!r}")
        text = str(chosen).lower() if isinstance(chosen, bool) else str(chosen)
        found += ["--param", f"{name}={text}"]
    if wrong := next((each for each in found if not each.isprintable()), None):
        raise BadRequest(f"characters that cannot be printed: {wrong!r:.80}")
    return found
