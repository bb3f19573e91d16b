"""Figures against hand-made examples, against empyrical on the same returns, and against the paper's own example."""

from __future__ import annotations

import math
from random import Random

import pytest

from barnabas_quant.backtest import metrics
from barnabas_quant.backtest.metrics import Costs, Curve, daily_returns, drawdown, measure, monthly_returns
from barnabas_quant.backtest.trades import Trade
from barnabas_quant.model.intervals import DAY, HOUR
from barnabas_quant.model.money import ONE


def returns_of(seed: int, count: int = 600) -> list[float]:
    random = Random(seed)
    return [random.gauss(0.0004, 0.013) for _ in range(count)]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("periods", [252, 365])
def test_figures_are_those_of_empyrical(seed: int, periods: int) -> None:
    empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed: nothing to compare with")
    import numpy

    returns = returns_of(seed)
    given = numpy.array(returns)
    equity = [10**17]
    for one in returns:
        equity.append(round(equity[-1] * (1 + one)))
    times = [n * DAY for n in range(len(equity))]
    found = measure("CNY", Curve(times, equity, [0] * len(equity)), [], Costs(), 0, periods)
    _, daily = daily_returns(times, equity, 0)
    assert daily[1:] == pytest.approx(returns, abs=1e-12)  # the first is that of the day it began on: 0
    assert metrics.sharpe(returns, periods) == pytest.approx(empyrical.sharpe_ratio(given, annualization=periods))
    assert metrics.sortino(returns, periods) == pytest.approx(empyrical.sortino_ratio(given, annualization=periods))
    assert metrics.volatility(returns, periods) == pytest.approx(
        empyrical.annual_volatility(given, annualization=periods)
    )
    assert metrics.cagr(returns, periods) == pytest.approx(empyrical.annual_return(given, annualization=periods))
    assert found.total_return == pytest.approx(empyrical.cum_returns_final(given))
    assert found.max_drawdown == pytest.approx(empyrical.max_drawdown(given))
    whole = numpy.array([0.0, *returns])
    assert found.sharpe == pytest.approx(empyrical.sharpe_ratio(whole, annualization=periods))
    assert found.calmar == pytest.approx(empyrical.calmar_ratio(whole, annualization=periods))


def test_figures_by_hand() -> None:
    # 20 days up 1 %, 20 down 1 %: mean 0, so Sharpe 0; deviation sqrt(40 / 39) %.
    returns = [0.01, -0.01] * 20
    assert metrics.sharpe(returns, 252) == pytest.approx(0.0, abs=1e-12)
    assert metrics.volatility(returns, 252) == pytest.approx(0.01 * math.sqrt(40 / 39) * math.sqrt(252))
    # Downside deviation of half the days at 1 %: 0.01 / sqrt(2); a mean of 0.5 % over it.
    assert metrics.sortino([0.02, -0.01] * 2, 252) == pytest.approx(0.005 / (0.01 / math.sqrt(2)) * math.sqrt(252))
    assert metrics.cagr([0.0] * 251 + [0.1], 252) == pytest.approx(0.1)
    assert metrics.cagr([-1.0, 0.5], 252) == -1.0
    assert metrics.sharpe([0.01] * 30, 252) is None  # nothing varies
    assert metrics.sortino([0.01] * 30, 252) is None
    assert metrics.sharpe([], 252) is None and metrics.cagr([], 252) is None


def test_a_drawdown_is_as_deep_and_as_long_as_it_was() -> None:
    hours = [n * HOUR for n in range(8)]
    found = drawdown(hours, [100, 110, 99, 105, 110, 120, 60, 70])
    assert (found.depth, found.peak, found.bottom) == (-0.5, 5 * HOUR, 6 * HOUR)
    assert found.longest == 3 * HOUR  # from 110 until 110 again; the last has not ended after two
    flat = drawdown(hours, [100] * 8)
    assert (flat.depth, flat.longest) == (0.0, 0)
    assert drawdown([5], [0]).depth == 0.0


def test_days_are_those_of_the_exchange() -> None:
    # 23:00 and 01:00 UTC are one day in Shanghai, two in London.
    times, equity = [23 * HOUR, 25 * HOUR, 49 * HOUR], [100, 110, 121]
    assert daily_returns(times, equity, 8 * HOUR)[1] == pytest.approx([0.1, 0.1])
    assert daily_returns(times, equity, 0)[1] == pytest.approx([0.0, 0.1, 0.1])
    assert monthly_returns([0, 30, 31], [0.1, 0.1, 0.5]) == pytest.approx({(1970, 1): 0.21, (1970, 2): 0.5})


def trade(entry: int, exit: int, fees: int) -> Trade:
    return Trade(
        instrument="sse:600000", currency="CNY", side="long", quantity=ONE, opened=0, closed=1, entry=entry * ONE,
        exit=exit * ONE, fees=fees * ONE, order="x",
    )  # fmt: skip


def test_trades_and_costs_by_hand() -> None:
    curve = Curve([0, DAY, 2 * DAY], [100 * ONE, 100 * ONE, 104 * ONE], [0, 50 * ONE, 0])
    trades = [trade(100, 110, 2), trade(100, 99, 1), trade(100, 101, 1)]
    found = measure("CNY", curve, trades, Costs(6, 600 * ONE, 3 * ONE, ONE, 5), 0, 252)
    assert (found.profit, found.first, found.last) == (4 * ONE, 100 * ONE, 104 * ONE)
    assert found.trades == 3
    assert found.hit_rate == pytest.approx(1 / 3)
    assert found.profit_factor == pytest.approx(8 / 2)
    assert found.average_profit == 2 * ONE
    assert found.exposure == pytest.approx(0.5 / 3)
    assert found.time_in_market == pytest.approx(1 / 3)
    assert found.cagr is found.sharpe is found.turnover is None  # three days say nothing of a year
    assert (found.fees, found.taxes, found.slippage, found.traded) == (3 * ONE, ONE, 5, 600 * ONE)


def test_rolling_sharpe_is_that_of_its_window() -> None:
    returns = returns_of(4, 50)
    rolled = metrics.rolling_sharpe(returns, 20, 252)
    assert rolled[:19] == [None] * 19
    assert rolled[19] == metrics.sharpe(returns[:20], 252)
    assert rolled[-1] == metrics.sharpe(returns[-20:], 252)


def test_the_deflated_sharpe_ratio_of_the_paper() -> None:
    # Bailey and Lopez de Prado (2014), "A numerical example": 100 trials whose yearly ratios vary by 1/2, five years
    # of daily returns, skewness -3, kurtosis 10, yearly ratio 2.5: SR0 0.1132 a day, DSR 0.9004.
    expected = metrics.expected_best_sharpe(0.5 / 250, 100)
    assert expected == pytest.approx(0.1132, abs=5e-5)
    assert metrics.deflated_sharpe(2.5 / math.sqrt(250), expected, 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)
    assert metrics.expected_best_sharpe(0.5, 1) == 0.0
    assert metrics.deflated_sharpe(0.1, 0.0, 1, 0, 3) == 0.0
