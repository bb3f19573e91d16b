"""Run the console's server, and end it with status 0: at SIGTERM and SIGINT, or with the process that started it.

What is still asked for then has a second; whatever holds the process after that, such as a thread that waits for a
broker, is left behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator
from typing import Final

import uvicorn

_GRACE: Final = 1.8


class Server(uvicorn.Server):
    """Serve until it is told to stop. `after_stdin`: by the end of a pipe on stdin, then Ctrl-C is not its business."""

    def __init__(self, config: uvicorn.Config, *, after_stdin: bool) -> None:
        super().__init__(config)
        self._after_stdin = after_stdin

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: uvicorn would raise them again in the end, and the status would be the signal's."""
        yield

    def heed(self) -> None:
        """Stop from now on when there is a reason to."""
        signal.signal(signal.SIGTERM, self._stop)
        if self._after_stdin:
            # Ctrl-C reaches the whole group of processes: this one ends when the broker, which has its stdin, says so.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            threading.Thread(target=self._await_parent, name="parent", daemon=True).start()
        else:
            signal.signal(signal.SIGINT, self._stop)

    def _stop(self, *_: object) -> None:
        if not self.should_exit:
            self.should_exit = True
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is broken off now is no error
            threading.Thread(target=self._leave, name="leave", daemon=True).start()

    def _await_parent(self) -> None:
        """Wait until the pipe on stdin ends: then the process that holds it has stopped, or was killed."""
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        self._stop()

    def _leave(self) -> None:
        threading.Event().wait(_GRACE)
        sys.stdout.flush()
        os._exit(0)
