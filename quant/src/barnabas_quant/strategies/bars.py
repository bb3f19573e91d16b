"""Which bars a strategy takes, where bars of several intervals come: on the topic all of them stand."""

from __future__ import annotations

from barnabas_quant.model.intervals import Interval
from barnabas_quant.trading.events import Bar


def check_interval(wanted: str) -> None:
    """Hold a parameter against what an interval is; empty: the shortest that comes. Raises ValueError."""
    if wanted:
        Interval.parse(wanted)


def is_taken(bar: Bar, wanted: str, taken: str) -> bool:
    """Tell whether a bar is to be taken: it is of the interval wanted or, where none is, of the shortest so far.

    `taken` is the interval of the bars before, empty at first. One that is shorter takes its place, and whoever asks
    begins anew with it: so the order in which bars of two intervals come to an end at the same moment does not matter.
    """
    if wanted:
        return bar.interval == wanted
    if not taken or bar.interval == taken:
        return True
    return Interval.parse(bar.interval).length < Interval.parse(taken).length
