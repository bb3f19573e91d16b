"""What the routes of strategies take and answer; strategy_routes.py does it. They are for owners."""

from __future__ import annotations

import msgspec

from barnabas_quant.gateway.openapi import Operation, Parameter
from barnabas_quant.gateway.strategy_book import StrategyView
from barnabas_quant.strategies.switching import StrategyEvent


class Strategies(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the strategies in the order of the settings."""

    complete: bool
    """Whether the figures count everything.

    False where neither the topics nor the history have all fills any more, or the history does not answer.
    """
    strategies: list[StrategyView]


class StrategySwitch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a strategy to be stopped, or to go on."""

    on: bool
    reason: str = ""


class StrategyTold(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what became of it; null where that is not known in time."""

    id: str
    event: StrategyEvent | None


_WHO = (401, 403, 503)

STRATEGY_OPERATIONS = (
    Operation("/api/v1/strategies", "The strategies: state, signals, profit; for owners", Strategies, failures=_WHO),
    Operation(
        "/api/v1/strategies/{alias}",
        "Stop a strategy, or let it go on (one that has failed begins anew); 202: not done yet; for owners",
        StrategyTold, (Parameter("alias", "what its signals are called by"),), method="put", body=StrategySwitch,
        failures=(400, 404, *_WHO),
    ),
)  # fmt: skip
