"""Print the events of the verifiable tools as Kafka's system tests read them: a JSON document on each line."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import Any


def line_of(name: str, **fields: Any) -> str:
    """Write an event, with the time in milliseconds since 1970 before everything else."""
    event = {"timestamp": int(time.time() * 1000), "name": name, **fields}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"


def say(name: str, **fields: Any) -> None:
    """Print an event at once: what reads it waits for it."""
    sys.stdout.write(line_of(name, **fields))
    sys.stdout.flush()


class Stop:
    """Learn of the signals that end a tool. `signal` is the one that came, 0 while none has."""

    def __init__(self) -> None:
        self.signal = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, _: Any) -> None:
        self.signal = number

    @property
    def status(self) -> int:
        """Return the exit status of what a signal ended; 0 where none did."""
        return 128 + self.signal if self.signal else 0
