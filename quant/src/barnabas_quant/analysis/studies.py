"""Indicators over closed bars: one set for each symbol and interval, fed as bars are closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from barnabas_quant.analysis.indicator import Indicator
from barnabas_quant.analysis.indicators import INDICATORS, create
from barnabas_quant.analysis.snapshot import pack, unpack
from barnabas_quant.errors import StateError
from barnabas_quant.model.intervals import DAY, MINUTE, Interval
from barnabas_quant.model.records import Kline, Reading

VERSION = 1
_KIND = b"STUD"
_SHORTEST = MINUTE  # nobody looks at the indicators of seconds


@dataclass(frozen=True, slots=True)
class Study:
    """Name an indicator and its parameters, and the label that its value goes by."""

    label: str
    indicator: str
    parameters: Mapping[str, float] = field(default_factory=dict)


USUAL = (
    Study("ma5", "sma", {"period": 5}),
    Study("ma10", "sma", {"period": 10}),
    Study("ma20", "sma", {"period": 20}),
    Study("macd", "macd"),
    Study("rsi14", "rsi", {"period": 14}),
    Study("bollinger20", "bollinger", {"period": 20}),
)
"""What is computed unless something else is asked for."""


class _State(msgspec.Struct):
    labels: list[str]
    kept: list[tuple[str, str, str, list[msgspec.Raw]]]


class Studies:
    """Keep indicators of many symbols."""

    def __init__(self, studies: Iterable[Study] = USUAL) -> None:
        """Take what is to be computed. Raises ValueError for indicators and parameters that do not exist."""
        self._studies = tuple(studies)
        for study in self._studies:
            create(study.indicator, **study.parameters)
        self._kept: dict[tuple[str, str, str], list[Indicator]] = {}

    def readings(self, closed: Iterable[Kline]) -> Iterator[Reading]:
        """Take closed bars in order; give a reading for each that any indicator has a value for."""
        for bar in closed:
            if not bar.closed or Interval.parse(bar.interval).length < _SHORTEST:
                continue
            key = (bar.exchange, bar.symbol, bar.interval)
            indicators = self._kept.get(key)
            if indicators is None:
                indicators = self._kept[key] = [create(study.indicator, **study.parameters) for study in self._studies]
            parts = {
                "high": float(bar.high),
                "low": float(bar.low),
                "close": float(bar.close),
                "volume": float(bar.volume),
                "session": bar.open_time // DAY,
            }
            values: dict[str, float] = {}
            for study, indicator in zip(self._studies, indicators, strict=True):
                value = indicator.on_bar(parts)
                if isinstance(value, tuple):
                    values |= {
                        f"{study.label}.{name}": part for name, part in zip(indicator.outputs, value, strict=True)
                    }
                elif value is not None:
                    values[study.label] = value
            if values:
                yield Reading(
                    exchange=bar.exchange,
                    symbol=bar.symbol,
                    interval=bar.interval,
                    open_time=bar.open_time,
                    values=values,
                    event_time=bar.event_time,
                )

    def save(self) -> bytes:
        """Write the state."""
        kept = [(*key, [_raw(each) for each in indicators]) for key, indicators in self._kept.items()]
        return pack(_KIND, VERSION, _State(self._labels(), kept))

    def load(self, data: bytes) -> None:
        """Take up saved state. Raises StateError where it is damaged or of other studies."""
        state = unpack(data, _KIND, VERSION, _State)
        if state.labels != self._labels():
            raise StateError(f"state of {', '.join(state.labels)}: other studies")
        try:
            self._kept = {
                (exchange, symbol, interval): [
                    msgspec.json.decode(raw, type=INDICATORS[study.indicator])
                    for study, raw in zip(self._studies, raws, strict=True)
                ]
                for exchange, symbol, interval, raws in state.kept
            }
        except (msgspec.DecodeError, ValueError) as error:
            raise StateError(f"state of indicators cannot be read: {error}") from error

    def _labels(self) -> list[str]:
        return [f"{each.label}={each.indicator}{dict(sorted(each.parameters.items()))}" for each in self._studies]


def _raw(indicator: Indicator) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(indicator))
