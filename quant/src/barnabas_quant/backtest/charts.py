"""Charts as inline SVG: lines, areas, candles with marks. Colours are classes that the page's style gives.

The horizontal axis counts points, not time: nights and weekends take no room. Nothing here is drawn by a library or
needs a script; what a point means stands in a `title`, which browsers show as a tooltip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

import msgspec

from barnabas_quant.model.intervals import DAY, MINUTE, SECOND

WIDTH = 1000
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 8, 20
_POINTS = 1000

Format = Callable[[float], str]


class Line(msgspec.Struct, frozen=True):
    """Say what is drawn, and by which class of the style."""

    values: Sequence[float | None]
    style: str
    filled: bool = False
    """Down (or up) to the axis of 0."""


class Mark(msgspec.Struct, frozen=True):
    """Put an arrow at a point: up for a purchase, down for a sale."""

    place: int
    value: float
    up: bool
    title: str


class Box(msgspec.Struct, frozen=True):
    """Hold open, high, low and close."""

    open: float
    high: float
    low: float
    close: float


class _Frame:
    """Map points and values to places in the picture."""

    def __init__(self, count: int, low: float, high: float, height: int) -> None:
        self.ticks = _ticks(low, high)
        self.low, self.high = min(low, self.ticks[0]), max(high, self.ticks[-1])
        self.height = height
        self._step = (WIDTH - _LEFT - _RIGHT) / max(1, count - 1)
        self._scale = (height - _TOP - _BOTTOM) / ((self.high - self.low) or 1.0)

    def x(self, place: float) -> float:
        return round(_LEFT + place * self._step, 1)

    def y(self, value: float) -> float:
        return round(_TOP + (self.high - value) * self._scale, 1)


def thinned(times: Sequence[int], values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Leave some 1,000 points of a curve, among them the highest and the lowest of each stretch."""
    if len(times) <= _POINTS:
        return list(times), list(values)
    size = math.ceil(len(times) / (_POINTS // 2))
    kept: set[int] = {0, len(times) - 1}
    for begin in range(0, len(times), size):
        stretch = range(begin, min(begin + size, len(times)))
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    places = sorted(kept)
    return [times[place] for place in places], [values[place] for place in places]


def line_chart(times: Sequence[int], lines: Sequence[Line], form: Format, offset: int, height: int = 220) -> str:
    """Draw lines over the same points; `offset` is that of the zone in which times are written."""
    every = [value for line in lines for value in line.values if value is not None]
    if not times or not every:
        return '<p class="none">nothing to draw</p>'
    zero = any(line.filled for line in lines)
    frame = _Frame(len(times), min(every + [0.0] * zero), max(every + [0.0] * zero), height)
    drawn = [_axes(frame, times, form, offset)]
    for line in lines:
        for piece in _pieces(line.values):
            points = " ".join(f"{frame.x(place)},{frame.y(value)}" for place, value in piece)
            if line.filled:
                first, last, ground = frame.x(piece[0][0]), frame.x(piece[-1][0]), frame.y(0.0)
                drawn.append(f'<polygon class="{line.style} area" points="{first},{ground} {points} {last},{ground}"/>')
            drawn.append(f'<polyline class="{line.style}" points="{points}"/>')
    return _svg(height, drawn)


def candle_chart(
    times: Sequence[int], boxes: Sequence[Box], marks: Sequence[Mark], form: Format, offset: int, height: int = 320
) -> str:
    """Draw candles (a line of closes where there are more than 400) and arrows."""
    if not boxes:
        return '<p class="none">nothing to draw</p>'
    low = min([box.low for box in boxes] + [mark.value for mark in marks])
    high = max([box.high for box in boxes] + [mark.value for mark in marks])
    frame = _Frame(len(boxes), low, high, height)
    drawn = [_axes(frame, times, form, offset)]
    if len(boxes) > 400:
        spread = [f"{frame.x(n)},{frame.y(box.high)}" for n, box in enumerate(boxes)]
        spread += [f"{frame.x(n)},{frame.y(boxes[n].low)}" for n in reversed(range(len(boxes)))]
        drawn.append(f'<polygon class="price area" points="{" ".join(spread)}"/>')
        closes = " ".join(f"{frame.x(n)},{frame.y(box.close)}" for n, box in enumerate(boxes))
        drawn.append(f'<polyline class="price" points="{closes}"/>')
    else:
        width = max(1.0, min(9.0, 0.7 * (WIDTH - _LEFT - _RIGHT) / len(boxes)))
        for place, box in enumerate(boxes):
            x, style = frame.x(place), "up" if box.close >= box.open else "down"
            top, bottom = frame.y(max(box.open, box.close)), frame.y(min(box.open, box.close))
            drawn.append(
                f'<path class="{style}" d="M{x} {frame.y(box.high)}V{frame.y(box.low)}"/>'
                f'<rect class="{style}" x="{x - width / 2:.1f}" y="{top}" width="{width:.1f}" '
                f'height="{max(1.0, bottom - top):.1f}"/>'
            )
    for mark in marks:
        x, y, way = frame.x(mark.place), frame.y(mark.value), 1 if mark.up else -1
        style = "buy" if mark.up else "sell"
        drawn.append(
            f'<path class="{style}" d="M{x} {y + 2 * way:.1f}l5 {9 * way}h-10z">'
            f"<title>{escape(mark.title)}</title></path>"
        )
    return _svg(height, drawn)


def _svg(height: int, drawn: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(drawn)}</svg>'


def _axes(frame: _Frame, times: Sequence[int], form: Format, offset: int) -> str:
    drawn = []
    for tick in frame.ticks:
        y = frame.y(tick)
        drawn.append(
            f'<path class="grid" d="M{_LEFT} {y}H{WIDTH - _RIGHT}"/>'
            f'<text class="label" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{escape(form(tick))}</text>'
        )
    labels = min(7, len(times))
    long = times[-1] - times[0]
    written = "%H:%M:%S" if long < 10 * MINUTE else "%m-%d %H:%M" if long < 3 * DAY else "%Y-%m-%d"
    for n in range(labels):
        place = round(n * (len(times) - 1) / max(1, labels - 1))
        anchor = "start" if n == 0 else "end" if n == labels - 1 and n else "middle"
        moment = datetime.fromtimestamp((times[place] + offset) // SECOND, UTC)
        text = moment.strftime(written)
        drawn.append(
            f'<text class="label" x="{frame.x(place)}" y="{frame.height - 4}" text-anchor="{anchor}">{text}</text>'
        )
    return "".join(drawn)


def _ticks(low: float, high: float) -> list[float]:
    """Give four or five round numbers that cover a range."""
    span = (high - low) or abs(high) or 1.0
    raw = span / 4
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _pieces(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Split where values are missing."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is not None:
            pieces[-1].append((place, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]
