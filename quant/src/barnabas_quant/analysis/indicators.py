"""All indicators by name: what a gateway lists, what a strategy asks for."""

from __future__ import annotations

import inspect
from typing import Any

from barnabas_quant.analysis.averages import DEMA, EMA, KAMA, SMA, TEMA, WMA
from barnabas_quant.analysis.bands import ATR, BollingerBands, DonchianChannel, KeltnerChannel, StandardDeviation
from barnabas_quant.analysis.indicator import Indicator
from barnabas_quant.analysis.oscillators import (
    CCI,
    ROC,
    RSI,
    FastStochastic,
    Momentum,
    SlowStochastic,
    StochasticRSI,
    WilliamsR,
)
from barnabas_quant.analysis.trends import ADX, MACD, Aroon, Ichimoku, ParabolicSAR
from barnabas_quant.analysis.volumes import MFI, OBV, VWAP

INDICATORS: dict[str, type[Indicator]] = {
    kind.name: kind
    for kind in (
        SMA, EMA, WMA, DEMA, TEMA, KAMA, MACD, RSI, BollingerBands, ATR, ADX, SlowStochastic, FastStochastic,
        StochasticRSI, CCI, OBV, VWAP, WilliamsR, MFI, ROC, Momentum, Aroon, ParabolicSAR, StandardDeviation,
        DonchianChannel, KeltnerChannel, Ichimoku,
    )
}  # fmt: skip
"""The class of each indicator, by its name."""


def create(name: str, **parameters: float) -> Indicator:
    """Make an indicator. Raises ValueError for a name or a parameter that does not exist, or a value out of range."""
    kind = INDICATORS.get(name)
    if kind is None:
        raise ValueError(f"no indicator {name!r}; there are: {', '.join(sorted(INDICATORS))}")
    known = {parameter.name for parameter in kind.parameters}
    if unknown := parameters.keys() - known:
        raise ValueError(f"{name}: no parameter {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    make: Any = kind
    made: Indicator = make(**parameters)
    return made


def describe() -> list[dict[str, Any]]:
    """Describe every indicator for a list: name, text, inputs, outputs, parameters with unit, range and default."""
    return [
        {
            "name": name,
            "text": (inspect.getdoc(kind) or "").partition("\n")[0],
            "inputs": list(kind.inputs),
            "outputs": list(kind.outputs),
            "warm_up": create(name).warm_up,
            "parameters": [
                {
                    "name": parameter.name,
                    "text": parameter.text,
                    "unit": parameter.unit,
                    "low": parameter.low,
                    "high": parameter.high,
                    "whole": parameter.whole,
                    "default": getattr(create(name), parameter.name),
                }
                for parameter in kind.parameters
            ],
        }
        for name, kind in sorted(INDICATORS.items())
    ]
