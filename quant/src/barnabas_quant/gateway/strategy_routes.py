"""The strategies over REST: how each stands, what it has earned; stopping and starting one.

What is asked for is written to `strategy-commands`; the strategies' service does it, and what it tells is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas_quant.gateway import strategies as api
from barnabas_quant.gateway.commands import Commands
from barnabas_quant.gateway.identity import require_owner
from barnabas_quant.gateway.strategy_book import StrategyBook
from barnabas_quant.gateway.strategy_follower import Earlier, Told
from barnabas_quant.gateway.web import BadRequest, Busy, NotFound, guarded, private, read_body
from barnabas_quant.settings import StrategySettings
from barnabas_quant.strategies.switching import StrategyCommand, StrategyEvent

_PATIENCE = 5.0  # seconds for an answer of the service


class StrategyRoutes:
    """Answer for the strategies."""

    def __init__(self, settings: Sequence[StrategySettings], commands: Commands[StrategyEvent]) -> None:
        self.book = StrategyBook(settings)
        self._settings = settings
        self._commands = commands

    def routes(self) -> list[Route]:
        """Give the routes of STRATEGY_OPERATIONS."""
        return [
            Route("/api/v1/strategies", guarded(self.strategies)),
            Route("/api/v1/strategies/{alias}", guarded(self.switch), methods=["PUT"]),
        ]

    def hear(self, told: list[Told], earlier: Earlier | None, ready: bool) -> None:
        """Take what was read of the strategies' topics."""
        book = self.book
        if earlier is not None:
            book.earlier_signals(earlier.signals)
            book.known, book.complete = True, earlier.complete
        for record, produced in told:
            book.take(record, produced)
            if isinstance(record, StrategyEvent) and record.subject:
                self._commands.hear(record)
        book.ready = ready

    async def strategies(self, request: Request) -> Response:
        await require_owner(request)
        if not self.book.ready:
            raise Busy("what the strategies did is still being read")
        book = self.book
        return private(api.Strategies(complete=book.known and book.complete, strategies=book.listed(self._settings)))

    async def switch(self, request: Request) -> Response:
        asking = await require_owner(request)
        wanted = await read_body(request, api.StrategySwitch)
        alias = request.path_params["alias"]
        if len(wanted.reason) > 200:
            raise BadRequest("reason: at most 200 characters")
        if len(alias) > 60:
            raise NotFound("no strategy has so long a name")
        command = StrategyCommand(strategy=alias, on=wanted.on, who=asking.user, reason=wanted.reason)
        id, event = await self._commands.ask(command, _PATIENCE)
        if event is not None and event.state is None:
            raise NotFound(event.reason)
        status = 202 if event is None else 422 if event.verdict == "rejected" else 200
        return private(api.StrategyTold(id=id, event=event), status)
