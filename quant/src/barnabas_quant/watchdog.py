"""Ending what takes too long: a call of a strategy's method, in the main thread, by SIGALRM.

While it is armed, the alarm rings eight times within the limit; a call that is still the same after that many is ended
by an exception, raised within it. Alarms that come while the process gets no processor fall together, so a busy machine
stops no strategy. The exception is no Exception, so that `except Exception` in a loop does not hold it up; where even
that is caught, again and again, `give_up` is called, which ends the process.

A call into C that never comes back (`sum(range(10**12))`) is not ended: Python handles signals between its own steps.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from barnabas_quant.strategies.host import TookTooLong

LIMIT = 2.0
"""Seconds that a strategy may take over one event."""

_RINGS = 8
_CAUGHT = 4  # further ones that a call may survive


class Watchdog:
    """Make calls that are ended when they take too long; only while armed, and in the main thread."""

    def __init__(self, give_up: Callable[[str, str, TookTooLong], None], limit: float = LIMIT) -> None:
        """Take what ends the process where a call cannot be ended, and the limit in seconds."""
        self._give_up = give_up
        self._limit = limit
        self._called = 0
        self._inside: tuple[str, str] | None = None
        self._seen = 0
        self._rung = 0
        self._ended: TookTooLong | None = None
        self._ending = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Watch the calls made meanwhile. In another thread than the main one nothing is watched."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, self._limit / _RINGS, self._limit / _RINGS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def __call__(self, strategy: str, method: Callable[..., None], given: tuple[Any, ...]) -> None:
        self._called += 1
        try:
            self._inside = (strategy, method.__name__)
            method(*given)
        finally:
            self._inside = None
            if self._ended is not None:  # also where the call has caught it: what it did then follows from no input
                error, self._ended = self._ended, None
                raise error

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._inside is None or self._ending:  # the next alarm may come while this one writes its trace
            return
        if self._called != self._seen:
            self._seen, self._rung = self._called, 0
            return
        self._rung += 1
        if self._rung < _RINGS:
            return
        self._ending = True
        try:
            self._end(self._inside, frame)
        finally:
            self._ending = False

    def _end(self, inside: tuple[str, str], frame: FrameType | None) -> None:
        stack = traceback.extract_stack(frame)
        own = max((n for n, each in enumerate(stack) if each.filename == __file__), default=-1)
        trace = "Stopped while it was here:\n" + "".join(traceback.format_list(stack[own + 1 :]))[-20_000:]
        error = TookTooLong(f"took longer than {self._limit:g} s over an event", trace)
        if self._rung >= _RINGS + _CAUGHT:
            signal.setitimer(signal.ITIMER_REAL, 0)  # or the next alarm would end what `give_up` does
            self._give_up(*inside, error)
        self._ended = error
        raise error
