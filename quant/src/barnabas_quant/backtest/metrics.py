"""What a backtest is worth: figures from the equity curve, the fills and the trades. Formulas: docs/backtest.md.

Money is whole units of 10^-8; ratios are floats, and None where they say nothing: no loss to divide by, or (figures of
a year) fewer than `LEAST_DAYS` daily returns. The risk-free rate is 0. No I/O, no clock.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

import msgspec

from barnabas_quant.backtest.trades import Trade
from barnabas_quant.model.intervals import DAY

LEAST_DAYS = 20
"""Daily returns below which nothing is told by the year: a good week is no 300 % a year."""

TRADING_DAYS = 252
CALENDAR_DAYS = 365

_EULER = 0.5772156649015329
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_NORMAL = NormalDist()


class Drawdown(msgspec.Struct, frozen=True):
    """Hold the deepest fall below the highest equity so far, and the longest time below it."""

    depth: float
    """A share, 0 or below."""
    peak: int
    """When the equity was highest before the deepest fall, microseconds."""
    bottom: int
    longest: int
    """Microseconds from a peak until it was reached again, or until the end."""


class Metrics(msgspec.Struct, kw_only=True):
    """Hold the figures of one currency's account."""

    currency: str
    begin: int
    end: int
    first: int
    """Equity at the beginning and the end, units."""
    last: int
    profit: int
    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    max_drawdown_days: float
    """Length of the longest drawdown."""
    exposure: float | None
    """Mean of what is held (gross) over equity."""
    time_in_market: float | None
    trades: int
    hit_rate: float | None
    profit_factor: float | None
    average_profit: int | None
    turnover: float | None
    """Traded value over mean equity, a year."""
    traded: int
    fills: int
    fees: int
    """Commissions."""
    taxes: int
    slippage: int
    days: int
    """Daily returns that the figures are made of."""
    skewness: float | None
    kurtosis: float | None


def daily_returns(times: Sequence[int], equity: Sequence[int], offset: int) -> tuple[list[int], list[float]]:
    """Give the days (since 1970, of a zone `offset` microseconds before UTC) that have equity, and their returns.

    A day's equity is its last; the first day's return is counted from the first equity of all.
    """
    days: list[int] = []
    last: list[int] = []
    for time, value in zip(times, equity, strict=True):
        day = (time + offset) // DAY
        if days and days[-1] == day:
            last[-1] = value
        else:
            days.append(day)
            last.append(value)
    returns, before = [], equity[0] if equity else 0
    for value in last:
        returns.append(value / before - 1 if before > 0 else 0.0)
        before = value
    return days, returns


def total_return(returns: Iterable[float]) -> float:
    """Give what returns, one after the other, come to."""
    return math.prod(1 + one for one in returns) - 1


def cagr(returns: Sequence[float], periods: int) -> float | None:
    """Give the constant yearly growth that comes to the same; `periods` returns are a year. -1 where all was lost."""
    if not returns:
        return None
    grown = 1 + total_return(returns)
    return float(grown ** (periods / len(returns)) - 1) if grown > 0 else -1.0


def deviation(returns: Sequence[float]) -> float | None:
    """Give the standard deviation of a sample (n - 1)."""
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    return math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (len(returns) - 1))


def volatility(returns: Sequence[float], periods: int) -> float | None:
    """Give the standard deviation of a year."""
    found = deviation(returns)
    return None if found is None else found * math.sqrt(periods)


def sharpe(returns: Sequence[float], periods: int) -> float | None:
    """Give mean over standard deviation, a year; None without either."""
    found = deviation(returns)
    if not found or found < 1e-12:
        return None
    return math.fsum(returns) / len(returns) / found * math.sqrt(periods)


def sortino(returns: Sequence[float], periods: int) -> float | None:
    """Give mean over downside deviation (root mean square of losses, over all returns), a year."""
    if not returns:
        return None
    downside = math.sqrt(math.fsum(min(one, 0.0) ** 2 for one in returns) / len(returns))
    return math.fsum(returns) / len(returns) / downside * math.sqrt(periods) if downside else None


def moments(returns: Sequence[float]) -> tuple[float, float] | None:
    """Give skewness and kurtosis (3 for a normal distribution) of a population."""
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    second, third, fourth = (math.fsum((one - mean) ** power for one in returns) / len(returns) for power in (2, 3, 4))
    return (third / second**1.5, fourth / second**2) if second > 1e-24 else None


def drawdown(times: Sequence[int], equity: Sequence[int]) -> Drawdown:
    """Give the deepest drawdown of a curve of at least one point, and the length of the longest."""
    peak, peak_at, below = equity[0], times[0], False
    depth, deepest = 0.0, (times[0], times[0])
    longest = 0
    for time, value in zip(times, equity, strict=True):
        if below or value < peak:
            longest = max(longest, time - peak_at)
        if value >= peak:
            peak, peak_at, below = value, time, False
            continue
        below = True
        if peak > 0 and value / peak - 1 < depth:
            depth, deepest = value / peak - 1, (peak_at, time)
    return Drawdown(depth, *deepest, longest)


class Curve(msgspec.Struct):
    """Hold how an account's worth went: at each time equity and what was held (gross), in units."""

    times: list[int]
    equity: list[int]
    held: list[int]


class Costs(msgspec.Struct):
    """Add up what was traded and what that cost, in units."""

    fills: int = 0
    traded: int = 0
    fees: int = 0
    taxes: int = 0
    slippage: int = 0


def measure(
    currency: str, curve: Curve, trades: Sequence[Trade], costs: Costs, offset: int, periods: int
) -> Metrics:  # fmt: skip
    """Work out the figures of one currency. `curve` has a point at least; `periods` daily returns are a year."""
    days, returns = daily_returns(curve.times, curve.equity, offset)
    yearly = len(returns) >= LEAST_DAYS
    fall = drawdown(curve.times, curve.equity)
    growth = cagr(returns, periods) if yearly else None
    exposures = [held / worth for held, worth in zip(curve.held, curve.equity, strict=True) if worth > 0]
    profits = [trade.profit for trade in trades]
    won, lost = sum(p for p in profits if p > 0), -sum(p for p in profits if p < 0)
    mean_equity = sum(curve.equity) // len(curve.equity)
    shape = moments(returns)
    return Metrics(
        currency=currency, begin=curve.times[0], end=curve.times[-1], first=curve.equity[0], last=curve.equity[-1],
        profit=curve.equity[-1] - curve.equity[0],
        total_return=curve.equity[-1] / curve.equity[0] - 1 if curve.equity[0] > 0 else 0.0,
        cagr=growth,
        volatility=volatility(returns, periods) if yearly else None,
        sharpe=sharpe(returns, periods) if yearly else None,
        sortino=sortino(returns, periods) if yearly else None,
        calmar=growth / -fall.depth if growth is not None and fall.depth else None,
        max_drawdown=fall.depth,
        max_drawdown_days=fall.longest / DAY,
        exposure=math.fsum(exposures) / len(exposures) if exposures else None,
        time_in_market=sum(1 for held in curve.held if held) / len(curve.held),
        trades=len(trades),
        hit_rate=sum(1 for p in profits if p > 0) / len(profits) if profits else None,
        profit_factor=won / lost if lost else None,
        average_profit=sum(profits) // len(profits) if profits else None,
        turnover=costs.traded / mean_equity * periods / len(days) if yearly and mean_equity > 0 else None,
        traded=costs.traded, fills=costs.fills, fees=costs.fees, taxes=costs.taxes, slippage=costs.slippage,
        days=len(days),
        skewness=shape[0] if shape else None,
        kurtosis=shape[1] if shape else None,
    )  # fmt: skip


def rolling_sharpe(returns: Sequence[float], window: int, periods: int) -> list[float | None]:
    """Give the Sharpe ratio of the `window` returns that end with each return; None before there are so many."""
    return [
        sharpe(returns[end - window : end], periods) if end >= window else None for end in range(1, len(returns) + 1)
    ]


def monthly_returns(days: Sequence[int], returns: Sequence[float]) -> dict[tuple[int, int], float]:
    """Give the return of each (year, month) that has a day."""
    grown: dict[tuple[int, int], float] = {}
    for day, one in zip(days, returns, strict=True):
        month = year_and_month(day)
        grown[month] = grown.get(month, 1.0) * (1 + one)
    return {month: value - 1 for month, value in grown.items()}


def year_and_month(day: int) -> tuple[int, int]:
    """Give the year and month of a day since 1970."""
    date = datetime.date.fromordinal(day + _EPOCH)
    return date.year, date.month


def expected_best_sharpe(variance: float, trials: int) -> float:
    """Give the Sharpe ratio that the best of so many strategies without any skill is expected to show.

    `variance` is that of the ratios tried; both of one period, not of a year. Source: Bailey and Lopez de Prado, "The
    Deflated Sharpe Ratio" (2014), equation 1 of its expected maximum.
    """
    if trials < 2 or variance <= 0:
        return 0.0
    inverse = _NORMAL.inv_cdf
    return math.sqrt(variance) * (
        (1 - _EULER) * inverse(1 - 1 / trials) + _EULER * inverse(1 - 1 / (trials * math.e))
    )  # fmt: skip


def deflated_sharpe(ratio: float, against: float, count: int, skewness: float, kurtosis: float) -> float:
    """Give the probability that the true Sharpe ratio is above `against`, by the one measured on `count` returns.

    Both ratios are of one period. With `against` from `expected_best_sharpe` this is the deflated Sharpe ratio; with 0
    the probabilistic one. Source: as there.
    """
    spread = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    if count < 2 or spread <= 0:
        return 0.0
    return _NORMAL.cdf((ratio - against) * math.sqrt(count - 1) / math.sqrt(spread))
