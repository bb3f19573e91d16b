"""When a market is open, and where its bars lie: around the clock, or in the sessions of a trading day.

Crypto never closes: bars follow one another without end. On a stock exchange bars lie inside sessions, counted from
each session's start and cut at its end, and there is none at lunch. What is printed outside sessions still belongs
somewhere: the opening auction's trade (09:25) and what prints during lunch to the next bar, the closing auction's to
the last one, as in the vendors' minute files. So a bar knows when it begins to take trades and when it stops, besides
the times that it is labelled with.

Bars are labelled by their beginning; a daily bar of a stock by the start of its first session, which has the right
date in UTC and in the exchange's zone. No list of holidays is needed: a day without a trade has no bars.

Times are microseconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from barnabas_quant.model.intervals import DAY, HOUR, MINUTE, Interval


class Period(NamedTuple):
    """Place a bar in time."""

    since: int
    """From when on trades belong to it."""
    open: int
    """Its label: the time that it is said to begin at."""
    end: int
    """The time that it is said to end at, exclusive."""
    until: int
    """From when on trades no longer belong to it: it can be closed."""


class Calendar(Protocol):
    """Say where the bars of a market lie."""

    def check(self, interval: Interval) -> None:
        """Raise ValueError for an interval that the market has no bars of."""

    def at(self, interval: Interval, time: int) -> Period | None:
        """Give the bar that a trade at a time belongs to; None outside trading hours."""

    def after(self, interval: Interval, period: Period) -> Period | None:
        """Give the bar that follows without a break; None where trading ends with this one."""

    def first(self, interval: Interval, time: int) -> Period | None:
        """Give the first bar to show when the first trade after a break comes at a time; None outside hours."""

    def nests(self, inner: Interval, outer: Interval) -> bool:
        """Tell whether bars of one interval are made of whole bars of another."""


class AroundTheClock:
    """Be the calendar of a market that never closes."""

    def check(self, interval: Interval) -> None:
        pass

    def at(self, interval: Interval, time: int) -> Period:
        begin = interval.begin(time)
        end = begin + interval.length
        return Period(begin, begin, end, end)

    def after(self, interval: Interval, period: Period) -> Period:
        end = period.end + interval.length
        return Period(period.end, period.end, end, end)

    def first(self, interval: Interval, time: int) -> Period:
        return self.at(interval, time)

    def nests(self, inner: Interval, outer: Interval) -> bool:
        return inner.divides(outer)


@dataclass(frozen=True, slots=True)
class SessionCalendar:
    """Be the calendar of a stock exchange. All times of day are microseconds after local midnight.

    Days are those of the exchange's zone, seven a week: whoever has no trade on a Sunday has no bar on it.
    """

    offset: int
    """Local time minus UTC. China and Hong Kong: eight hours, without summer time since 1991 and 1979."""
    opens: int
    """When the first trades of a day can be printed: the opening auction."""
    sessions: tuple[tuple[int, int], ...]
    """Start and end of each session, in order."""
    settles: int
    """When the closing auction's trades have been printed, and the last bar of the day is complete."""

    def check(self, interval: Interval) -> None:
        if interval.length > DAY:
            raise ValueError(f"{interval.name}: bars in sessions are those of one day at most")

    def at(self, interval: Interval, time: int) -> Period | None:
        midnight, clock = self._split(time)
        if not self.opens <= clock < self.settles:
            return None
        if interval.length >= DAY:
            end = midnight + self.sessions[-1][1]
            return Period(midnight + self.opens, midnight + self.sessions[0][0], end, midnight + self.settles)
        last = len(self.sessions) - 1
        index = next((i for i, (_, end) in enumerate(self.sessions) if clock < end), last)
        start, end = self.sessions[index]
        number = max(0, min(clock, end - 1) - start) // interval.length
        return self._place(interval, midnight, index, number)

    def after(self, interval: Interval, period: Period) -> Period | None:
        return self.at(interval, period.until)

    def first(self, interval: Interval, time: int) -> Period | None:
        midnight, clock = self._split(time)
        return self.at(interval, midnight + self.opens) if self.opens <= clock < self.settles else None

    def nests(self, inner: Interval, outer: Interval) -> bool:
        return outer.length >= DAY > inner.length or inner.divides(outer)

    def day(self, time: int) -> tuple[int, int]:
        """Give when trading ends and when the last bars are complete, on the local day of a time."""
        midnight, _ = self._split(time)
        return midnight + self.sessions[-1][1], midnight + self.settles

    def _split(self, time: int) -> tuple[int, int]:
        clock = (time + self.offset) % DAY
        return time - clock, clock

    def _place(self, interval: Interval, midnight: int, index: int, number: int) -> Period:
        start, end = self.sessions[index]
        opens = start + number * interval.length
        ends = min(opens + interval.length, end)
        since, until = opens, ends
        if number == 0:  # takes what was printed since the session before it
            since = self.sessions[index - 1][1] if index else self.opens
        if ends == end and index == len(self.sessions) - 1:
            until = self.settles
        return Period(midnight + since, midnight + opens, midnight + ends, midnight + until)


AROUND_THE_CLOCK = AroundTheClock()

SHANGHAI = SessionCalendar(
    offset=8 * HOUR,
    opens=9 * HOUR + 15 * MINUTE,
    sessions=((9 * HOUR + 30 * MINUTE, 11 * HOUR + 30 * MINUTE), (13 * HOUR, 15 * HOUR)),
    settles=15 * HOUR + 5 * MINUTE,
)
"""Shanghai and Shenzhen. Source: trading rules of both exchanges; after-hours trading at a fixed price is left out."""

HONG_KONG = SessionCalendar(
    offset=8 * HOUR,
    opens=9 * HOUR,
    sessions=((9 * HOUR + 30 * MINUTE, 12 * HOUR), (13 * HOUR, 16 * HOUR)),
    settles=16 * HOUR + 11 * MINUTE,
)
"""Hong Kong, closing auction at 16:08 to 16:10. Source: HKEX, "Trading Hours" of the securities market."""
