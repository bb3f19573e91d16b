"""What the routes of backtests take and answer; backtest_routes.py does it. Everybody has their own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from barnabas_quant.backtest.progress import Progress
from barnabas_quant.gateway.openapi import Operation, Parameter
from barnabas_quant.settings import Amount

State = Literal["queued", "running", "done", "failed", "canceled"]

_Word = Annotated[str, Meta(max_length=60)]


class NewBacktest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}
):
    """Ask for a backtest on the history; what is left out is as the command `barnabas-quant backtest` has it."""

    strategy: Annotated[str, Meta(min_length=1, max_length=300)]
    """One of the package; owners name those of the settings as well, by alias or file."""
    symbols: Annotated[tuple[Annotated[str, Meta(max_length=60)], ...], Meta(max_length=20)] = ()
    """Keys or symbols; one of the settings brings its own."""
    source: Literal["clickhouse"] = "clickhouse"
    since: _Word | None = None
    until: _Word | None = None
    interval: _Word | None = None
    parameters: Annotated[
        dict[_Word, int | float | bool | Annotated[str, Meta(max_length=100)]], Meta(max_length=40)
    ] = {}
    cash: Annotated[dict[_Word, Amount], Meta(max_length=10)] = {}
    order_type: Literal["market", "limit"] | None = None
    delay_ms: Annotated[float, Meta(ge=0, le=86_400_000)] = 0.0
    warm_up: _Word | None = None
    title: Annotated[str, Meta(max_length=80)] = ""


class Backtest(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """Answer a backtest: what was asked for, how far it is, what came of it."""

    id: str
    title: str
    strategy: str
    symbols: tuple[str, ...]
    since: str | None
    until: str | None
    interval: str | None
    parameters: dict[str, Any]
    cash: dict[str, str]
    order_type: str | None
    delay_ms: float
    state: State
    place: int | None
    """Of one that waits: how many are before it."""
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    error: str
    """Why it has failed."""
    progress: Progress | None
    metrics: dict[str, dict[str, Any]] | None
    """By currency, as in report.json; money is decimal text."""
    failures: list[str]
    """Why the strategy was stopped in it."""


class Backtests(msgspec.Struct, frozen=True, kw_only=True):
    """Answer backtests, the newest first, and what strategies may be named."""

    backtests: list[Backtest]
    strategies: list[str]


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """Answer two backtests in a currency: figures, and equity at the same times; null where a curve has none."""

    currency: str
    a: dict[str, Any] | None
    b: dict[str, Any] | None
    times: list[int]
    equity_a: list[str | None]
    equity_b: list[str | None]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Answer two backtests side by side."""

    a: Backtest
    b: Backtest
    currencies: list[Curves]


_ID = Parameter("id", "of the backtest")
_WHO = (401, 403, 503)
FILES = ("report.json", "trades.csv", "fills.csv", "equity.csv")
"""What can be fetched beside the page."""

BACKTEST_OPERATIONS = (
    Operation("/api/v1/backtests", "Backtests of the account, the newest first", Backtests, failures=_WHO),
    Operation(
        "/api/v1/backtests", "Start a backtest, or let it wait for those before it", Backtest, method="post",
        body=NewBacktest, status=201, failures=(400, 409, *_WHO),
    ),
    Operation(
        "/api/v1/backtests/compare", "Two backtests side by side", Comparison,
        (
            Parameter("a", "id of one", required=True), Parameter("b", "id of the other", required=True),
            Parameter("points", "of the curves, 2 to 2000", "integer", default=300),
        ),
        failures=(400, 404, 409, *_WHO),
    ),
    Operation("/api/v1/backtests/{id}", "A backtest", Backtest, (_ID,), failures=(404, *_WHO)),
    Operation(
        "/api/v1/backtests/{id}", "Cancel a backtest; one that is over is removed", Backtest, (_ID,), method="delete",
        failures=(404, *_WHO),
    ),
    Operation(
        "/api/v1/backtests/{id}/report", "Its report as a page for a sandboxed frame", None,
        (_ID, Parameter("download", "1: to be saved")), failures=(404, *_WHO),
    ),
    *(
        Operation(f"/api/v1/backtests/{{id}}/{name}", f"Its {name}", None, (_ID,), failures=(404, *_WHO))
        for name in FILES
    ),
)  # fmt: skip
