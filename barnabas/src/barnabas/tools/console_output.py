"""Write what consumers print, in large pieces, and let signals end them in good order."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self


class Output:
    """Be standard output, and count records. `broken` tells that nobody reads it any more."""

    def __init__(self) -> None:
        self.count = 0
        """How many records were written."""
        self.broken = False

    def write(self, data: bytes, records: int = 0) -> None:
        """Write bytes at once."""
        self.count += records
        if not data or self.broken:
            return
        try:
            sys.stdout.flush()  # what was printed before comes before
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self.broken = True
            print("Unable to write to standard out, closing consumer.", file=sys.stderr)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
