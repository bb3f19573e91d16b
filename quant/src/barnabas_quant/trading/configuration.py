"""From the settings, which hold decimal text, to what the engine decides by, which holds units."""

from __future__ import annotations

from barnabas_quant.model.intervals import SECOND
from barnabas_quant.model.money import ONE, units
from barnabas_quant.settings import Limits as LimitSettings
from barnabas_quant.settings import Rule as RuleSettings
from barnabas_quant.settings import Trading
from barnabas_quant.settings import Watch as WatchSettings
from barnabas_quant.trading.engine import EngineSettings, Sizing
from barnabas_quant.trading.limits import Limits
from barnabas_quant.trading.market import VenueModel
from barnabas_quant.trading.rules import Action, Rule, Watch


def engine_settings(given: Trading) -> EngineSettings:
    """Turn amounts and rates into units, seconds into microseconds."""
    return EngineSettings(
        cash={currency: units(amount) for currency, amount in given.cash.items()},
        venue=VenueModel(
            latency=given.latency_ms * 1000, slippage_ticks=given.slippage_ticks,
            slippage_rate=units(given.slippage_rate), participation=units(given.participation),
        ),
        limits=_limits(given.limits),
        watch=_watch(given.watch),
        sizing=Sizing(by=given.size, notional=units(given.notional), share=units(given.share)),
        order_type=given.order_type,
        time_in_force=given.time_in_force,
        signal_age=round(given.signal_seconds * SECOND),
        equity_every=round(given.equity_seconds * SECOND),
    )  # fmt: skip


def _limits(given: LimitSettings) -> Limits:
    def amount(text: str | None) -> int | None:
        return None if text is None else units(text)

    return Limits(
        symbols=given.symbols, order_quantity=amount(given.order_quantity),
        order_notional=amount(given.order_notional), position=amount(given.position),
        position_notional=amount(given.position_notional), gross_notional=amount(given.gross_notional),
        leverage=amount(given.leverage), orders_per_second=given.orders_per_second,
        price_collar=amount(given.price_collar), daily_loss=amount(given.daily_loss),
    )  # fmt: skip


_USUAL: dict[str, Action] = {"stop_loss": "flatten", "trailing_stop": "flatten", "drawdown": "kill"}


def _watch(given: WatchSettings) -> Watch:
    def rule(name: str, scale: int = 1) -> Rule:
        said: RuleSettings = getattr(given, name)
        levels = [None if level is None else units(level) // scale for level in (said.warning, said.critical)]
        return Rule(warning=levels[0], critical=levels[1], action=said.action or _USUAL.get(name, "none"))

    microsecond = ONE // SECOND
    return Watch(
        stop_loss=rule("stop_loss"), trailing_stop=rule("trailing_stop"), drawdown=rule("drawdown"),
        exposure=rule("exposure"), concentration=rule("concentration"), volatility=rule("volatility"),
        crossed=rule("crossed", microsecond), stale=rule("stale", microsecond), silent=rule("silent", microsecond),
        hysteresis=units(given.hysteresis), every=round(given.seconds * SECOND), short=given.short, long=given.long,
        kill_flattens=given.kill_flattens,
    )  # fmt: skip
