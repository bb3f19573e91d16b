"""Write what consumers print, in large pieces, and let signals end them in good order."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from types import FrameType, TracebackType
from typing import Any, Self


class Output:
    """Be standard output, and count records. `broken` tells that nobody reads it any more."""

    def __init__(self) -> None:
        self.count = 0
        """How many records were written."""
        self.broken = False

    def write(self, data: bytes, records: int = 0, each: Callable[[], Iterable[bytes]] = list) -> int:
        """Write bytes at once, and return how many of the records that they show went out whole.

        `each` returns what shows each of them; it is asked where nobody reads any more.
        """
        written = self._write(memoryview(data))
        if written < len(data):
            records = sum(end <= written for end in accumulate(map(len, each())))
        self.count += records
        return records

    def _write(self, data: memoryview) -> int:
        """Return how many bytes were written: all, unless nobody reads any more."""
        if not data or self.broken:
            return 0
        written = 0
        try:
            sys.stdout.flush()  # what was printed before comes before
            raw: Any = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)  # it alone says how far it came
            while written < len(data):
                count = raw.write(data[written:])
                if count is None:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                written += count
        except BrokenPipeError:
            self.broken = True
            print("Unable to write to standard out, closing consumer.", file=sys.stderr)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return written


def parts(pieces: Sequence[bytes], ends: Iterable[int]) -> Iterable[bytes]:
    """Join pieces to what shows each record: `ends` says how many there were behind each."""
    return (b"".join(pieces[begin:end]) for begin, end in pairwise([0, *ends]))


class Stop:
    """Take Ctrl-C and SIGTERM for a wish to end; it is true once one came. A second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self.status = 0
        """The exit status that the signal asks for."""
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.status != 0

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.status:
            raise KeyboardInterrupt
        self.status = 128 + number
