"""The exchanges' clock: when a market trades, and how much trading time lies between two moments.

Hours are those from the first auction to the last print of the closing auction. Holidays are not known: a day without
records takes no time, and whoever asks `is_open` on a holiday is told yes.
"""

from __future__ import annotations

from collections.abc import Iterable

from barnabas_quant.model.intervals import DAY
from barnabas_quant.model.markets import Venue
from barnabas_quant.model.sessions import HONG_KONG, SHANGHAI, SessionCalendar

_CALENDARS: dict[Venue, SessionCalendar] = {"sse": SHANGHAI, "szse": SHANGHAI, "hkex": HONG_KONG}
_OFFSET = SHANGHAI.offset  # Hong Kong's is the same


def is_open(venue: Venue, time: int) -> bool:
    """Tell whether a market trades at `time` (microseconds since 1970), or had its last print up to 5 minutes ago."""
    day, clock = divmod(time + _OFFSET, DAY)
    if (day + 3) % 7 >= 5:  # the first of January 1970 was a Thursday
        return False
    return any(start <= clock < end for start, end in _stretches(_CALENDARS[venue], slack=DAY // 288))


class TradingClock:
    """Count trading time only: nights, lunch and days without records take none.

    Ask it in the order of time. Of several venues an hour counts when any of them trades.
    """

    def __init__(self, venues: Iterable[Venue]) -> None:
        self._open = _union(stretch for venue in set(venues) for stretch in _stretches(_CALENDARS[venue]))
        self._full = sum(end - start for start, end in self._open)
        self._day: int | None = None
        self._before = 0  # trading time of the days that were, in microseconds

    def trading_time(self, time: int) -> int:
        """Give the trading time that has passed at `time`, both in microseconds, counted from its first day."""
        day, clock = divmod(time + _OFFSET, DAY)
        if self._day is None:
            self._day = day
        elif day > self._day:
            self._before += self._full
            self._day = day
        return self._before + sum(min(max(clock - start, 0), end - start) for start, end in self._open)


def _stretches(calendar: SessionCalendar, slack: int = 0) -> list[tuple[int, int]]:
    """Give when anything is printed, from the opening auction to the closing one, in microseconds after midnight."""
    starts = [calendar.opens, *(start for start, _ in calendar.sessions[1:])]
    ends = [*(end for _, end in calendar.sessions[:-1]), calendar.settles]
    return [(start, end + slack) for start, end in zip(starts, ends, strict=True)]


def _union(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
