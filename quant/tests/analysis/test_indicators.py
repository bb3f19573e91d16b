"""Indicators against TA-Lib: on random walks, on flat and jumping prices, on daily bars of shares."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Mapping, Sequence
from math import isclose, isfinite, isnan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.analysis.indicators import INDICATORS, create, describe
from barnabas_quant.errors import StateError

from .common import recording

np: Any = pytest.importorskip("numpy")
talib: Any = pytest.importorskip("talib", reason="TA-Lib is not installed")

Bars = dict[str, list[float]]


def walk(seed: int, count: int = 600, volatility: float = 0.01, tick: float | None = None) -> Bars:
    """Make bars whose close is a random walk; `tick` rounds prices, which makes equal ones."""
    rng = random.Random(seed)
    bars: Bars = {"high": [], "low": [], "close": [], "volume": []}
    close = 100.0
    for _ in range(count):
        path = [close]
        for _ in range(4):
            path.append(path[-1] * (1 + rng.gauss(0, volatility)))
        if tick:
            path = [round(price / tick) * tick for price in path]
        close = path[-1]
        bars["high"].append(max(path))
        bars["low"].append(min(path))
        bars["close"].append(close)
        bars["volume"].append(float(rng.randrange(0, 10_000)))
    return bars


def share(name: str) -> Bars:
    with recording(f"ashare/{name}").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["trade_date"])
    columns = {"high": "high", "low": "low", "close": "close", "volume": "vol"}
    return {ours: [float(row[theirs]) for row in rows] for ours, theirs in columns.items()}


def t(name: str, *inputs: str, **parameters: Any) -> Callable[[Mapping[str, Any]], Any]:
    """Call a function of TA-Lib on columns of the bars."""
    return lambda bars: getattr(talib, name)(*[bars[each] for each in inputs], **parameters)


def both(*functions: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
    return lambda bars: tuple(function(bars) for function in functions)


def keltner(bars: Mapping[str, Any]) -> Any:
    middle, span = talib.EMA(bars["close"], 20), talib.ATR(bars["high"], bars["low"], bars["close"], 10)
    return middle + 2 * span, np.where(np.isnan(span), np.nan, middle), middle - 2 * span


def donchian(bars: Mapping[str, Any]) -> Any:
    upper, lower = talib.MAX(bars["high"], 20), talib.MIN(bars["low"], 20)
    return upper, (upper + lower) / 2, lower


def ichimoku(bars: Mapping[str, Any]) -> Any:
    one, two, three = (talib.MIDPRICE(bars["high"], bars["low"], period) for period in (9, 26, 52))
    lines = (one, two, (one + two) / 2, three, bars["close"])
    return tuple(np.where(np.isnan(three), np.nan, line) for line in lines)


HLC = ("high", "low", "close")
CASES: list[tuple[str, dict[str, float], Callable[[Mapping[str, Any]], Any]]] = [
    *(
        (name, {"period": period}, t(name.upper(), "close", timeperiod=period))
        for name in ("sma", "ema", "wma", "dema", "tema", "kama")
        for period in (2, 3, 20, 55)
    ),
    *(("macd", {"fast": f, "slow": s, "signal": n}, t("MACD", "close", fastperiod=f, slowperiod=s, signalperiod=n))
      for f, s, n in ((12, 26, 9), (3, 4, 1), (5, 35, 5))),
    *(("rsi", {"period": n}, t("RSI", "close", timeperiod=n)) for n in (2, 14, 50)),
    *(("bollinger", {"period": n, "deviations": d}, t("BBANDS", "close", timeperiod=n, nbdevup=d, nbdevdn=d))
      for n, d in ((20, 2.0), (5, 1.5))),
    *(("atr", {"period": n}, t("ATR", *HLC, timeperiod=n)) for n in (1, 2, 14)),
    *(("adx", {"period": n}, both(t("ADX", *HLC, timeperiod=n), t("PLUS_DI", *HLC, timeperiod=n),
                                  t("MINUS_DI", *HLC, timeperiod=n))) for n in (2, 14, 30)),
    *(("stochastic", {"k_period": k, "slowing": s, "d_period": d},
       t("STOCH", *HLC, fastk_period=k, slowk_period=s, slowd_period=d)) for k, s, d in ((5, 3, 3), (14, 1, 5))),
    *(("stochastic_fast", {"k_period": k, "d_period": d}, t("STOCHF", *HLC, fastk_period=k, fastd_period=d))
      for k, d in ((5, 3), (1, 1), (21, 9))),
    *(("stochastic_rsi", {"period": n, "k_period": k, "d_period": d},
       t("STOCHRSI", "close", timeperiod=n, fastk_period=k, fastd_period=d)) for n, k, d in ((14, 5, 3), (9, 14, 1))),
    *(("cci", {"period": n}, t("CCI", *HLC, timeperiod=n)) for n in (2, 14, 40)),
    ("obv", {}, t("OBV", "close", "volume")),
    *(("williams_r", {"period": n}, t("WILLR", *HLC, timeperiod=n)) for n in (2, 14)),
    *(("mfi", {"period": n}, t("MFI", *HLC, "volume", timeperiod=n)) for n in (2, 14)),
    *(("roc", {"period": n}, t("ROC", "close", timeperiod=n)) for n in (1, 10)),
    *(("momentum", {"period": n}, t("MOM", "close", timeperiod=n)) for n in (1, 10)),
    *(("aroon", {"period": n}, lambda bars, n=n: talib.AROON(bars["high"], bars["low"], n)[::-1]) for n in (2, 14, 25)),
    *(("sar", {"step": s, "limit": m}, t("SAR", "high", "low", acceleration=s, maximum=m))
      for s, m in ((0.02, 0.2), (0.05, 0.1), (0.3, 0.2))),
    *(("stddev", {"period": n}, t("STDDEV", "close", timeperiod=n)) for n in (2, 20)),
    ("donchian", {}, donchian),
    ("keltner", {}, keltner),
    ("ichimoku", {}, ichimoku),
]  # fmt: skip


def rows_of(bars: Bars) -> list[dict[str, float]]:
    return [dict(zip(bars, row, strict=True)) for row in zip(*bars.values(), strict=True)]


def check(name: str, parameters: dict[str, float], oracle: Callable[[Mapping[str, Any]], Any], bars: Bars) -> None:
    expected = oracle({key: np.array(column) for key, column in bars.items()})
    columns = expected if isinstance(expected, tuple) else (expected,)
    indicator = create(name, **parameters)
    # Where a value is the small difference of large ones, both sides carry the rounding of the large ones.
    scale = [1e-9 * max(1e-6, float(np.nanmedian(np.abs(column)))) for column in columns]
    count = len(bars["close"])
    answered = 0
    for place, row in enumerate(rows_of(bars)):
        value = indicator.on_bar(row)
        theirs = [float(column[place]) for column in columns]
        if value is None:
            assert place < indicator.warm_up
            assert any(map(isnan, theirs)), (name, place)
            continue
        ours = list(value) if isinstance(value, tuple) else [value]
        assert place >= indicator.warm_up
        assert all(map(isfinite, ours))
        for mine, other, near in zip(ours, theirs, scale, strict=True):
            assert isclose(mine, other, rel_tol=1e-9, abs_tol=near), (name, parameters, place, ours, theirs)
        answered += 1
    assert answered == max(0, count - indicator.warm_up)


@pytest.mark.parametrize(("name", "parameters", "oracle"), CASES, ids=[f"{c[0]}-{list(c[1].values())}" for c in CASES])
def test_as_talib_on_random_walks(name: str, parameters: dict[str, float], oracle: Any) -> None:
    check(name, parameters, oracle, walk(1))
    check(name, parameters, oracle, walk(2, tick=0.5))
    check(name, parameters, oracle, walk(3, count=int(create(name, **parameters).warm_up) + 1))


@pytest.mark.parametrize("file", ["000001.SZ.csv", "600519.SH.csv", "600000.SH.csv"])
def test_as_talib_on_recorded_days(file: str) -> None:
    bars = share(file)
    assert len(bars["close"]) > 2000
    for name, parameters, oracle in CASES:
        check(name, parameters, oracle, bars)


def test_every_indicator_is_compared() -> None:
    assert {name for name, _, _ in CASES} | {"vwap"} == set(INDICATORS)


def test_vwap_begins_anew_with_each_session() -> None:
    vwap = create("vwap")
    bars = [(12, 9, 9, 10, 1), (22, 18, 20, 30, 1), (5, 5, 5, 0, 2), (6, 6, 6, 4, 2)]
    values = [vwap.on_bar(dict(zip(("high", "low", "close", "volume", "session"), bar, strict=True))) for bar in bars]
    assert values == [10.0, (100 + 600) / 40, None, 6.0]


def flat(values: Sequence[float]) -> list[dict[str, float]]:
    return [{"high": v, "low": v, "close": v, "volume": 0.0, "session": 0} for v in values]


@pytest.mark.parametrize("name", sorted(INDICATORS))
def test_prices_that_stand_still_give_no_error(name: str) -> None:
    indicator = create(name)
    values = [indicator.on_bar(bar) for bar in flat([10.0] * 200)]
    last = values[-1]
    for value in last if isinstance(last, tuple) else [last]:
        assert value is None or isfinite(value)


def test_a_spike_leaves_no_trace_behind() -> None:
    """Running sums would keep the digits lost to a price of 10^15; these are made anew."""
    for name in ("sma", "wma", "stddev", "kama", "bollinger"):
        spiked = create(name, period=5)
        clean = create(name, period=5)
        for price in [1.1, 1e15, *[1.0 + n / 7 for n in range(100)]]:
            after = spiked.on_bar({"close": price})
        for price in [1.0 + n / 7 for n in range(100)]:
            expected = clean.on_bar({"close": price})
        if name != "kama":  # it never forgets its first value
            assert after == pytest.approx(expected, rel=1e-12), name


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(sorted(INDICATORS)), seed=st.integers(0, 100), cut=st.integers(0, 150))
def test_saved_anywhere_it_goes_on_as_if_nothing_had_been(name: str, seed: int, cut: int) -> None:
    rows = [row | {"session": place // 40} for place, row in enumerate(rows_of(walk(seed, count=150)))]
    whole = create(name)
    expected = [whole.on_bar(row) for row in rows]
    indicator = create(name)
    values = [indicator.on_bar(row) for row in rows[:cut]]
    indicator = type(indicator).load(indicator.save())
    values += [indicator.on_bar(row) for row in rows[cut:]]
    assert values == expected
    assert indicator == whole


def test_state_of_another_is_refused() -> None:
    data = create("sma", period=3).save()
    with pytest.raises(StateError, match="of sma, not of ema"):
        INDICATORS["ema"].load(data)
    with pytest.raises(StateError, match="checksum"):
        INDICATORS["sma"].load(data[:-1])


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("sma", {"period": 0}, "sma: period is 0; it has to be a whole number of bars from 1 to 10000"),
        ("sma", {"period": 2.5}, "period is 2.5"),
        ("sma", {"period": True}, "period is True"),
        ("rsi", {"period": 10_001}, "from 2 to 10000"),
        ("bollinger", {"deviations": float("nan")}, "deviations is nan"),
        ("sar", {"step": -0.1}, "sar: step"),
        ("macd", {"fast": 26, "slow": 26}, "slow has to be the longer one"),
        ("sma", {"length": 3}, "sma: no parameter length; there are: period"),
        ("smaa", {}, "no indicator 'smaa'; there are: adx, aroon"),
    ],
)
def test_wrong_parameters_are_named(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create(name, **parameters)


def test_the_list_describes_what_can_be_made() -> None:
    listed = {each["name"]: each for each in describe()}
    assert listed.keys() == INDICATORS.keys()
    assert listed["macd"]["outputs"] == ["macd", "signal", "histogram"]
    assert listed["macd"]["warm_up"] == 33
    for name, each in listed.items():
        assert each["text"]
        assert set(each["inputs"]) <= {"high", "low", "close", "volume", "session"}
        made = create(name, **{parameter["name"]: parameter["default"] for parameter in each["parameters"]})
        assert made == create(name)
