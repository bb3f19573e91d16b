"""When a frame is due: in the time of the recording, faster or slower, or at once."""

from __future__ import annotations

from collections.abc import Callable

NANOSECONDS = 10**9


class Pacer:
    """Say how long to wait before a frame goes out.

    `speed` is how many seconds of the source pass in one of ours; None: no waiting. The first frame asked about is
    due at once, and all others after it by their distance. A `live` source follows the wall clock instead: frames of
    the past are due at once, until it has caught up.
    """

    def __init__(self, speed: float | None, now: Callable[[], int], live: bool = False) -> None:
        """Take the speed and a clock in nanoseconds, since 1970 where the source is live."""
        if speed is not None and not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self._speed = speed
        self._now = now
        self._live = live and speed == 1
        self._anchor: tuple[int, int] | None = None  # a time of the source, and when that was here

    def wait(self, time: int) -> float:
        """Give the seconds until a frame of `time` (nanoseconds, the source's clock) is due; 0 if it is overdue."""
        if self._speed is None:
            return 0.0
        now = self._now()
        if self._anchor is None:
            # A live source that runs ahead of the clock (it was played faster before) is not waited for either.
            self._anchor = (time, min(time, now) if self._live else now)
        then, here = self._anchor
        return max(0.0, (here - now + (time - then) / self._speed) / NANOSECONDS)

    def source_time(self) -> int | None:
        """Give the time that the source's clock shows now, in nanoseconds; None before the first frame or unpaced."""
        if self._speed is None or self._anchor is None:
            return None
        then, here = self._anchor
        return then + round((self._now() - here) * self._speed)
