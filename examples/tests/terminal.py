"""A terminal for tests: a shell on a pseudo-terminal, that types as a person does and reads what is shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import termios
import threading
from collections.abc import Mapping
from pathlib import Path

from .platform import PATIENCE, eventually

_LINES, _COLUMNS = 60, 400
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
# A session leader that opens a terminal has it, so Ctrl-C there reaches what runs in the foreground.
_OPEN = 'exec bash --noprofile --norc --noediting -i <>"$0" >&0 2>&1'


def _interruptible() -> None:
    """Let Ctrl-C end what runs in it also where these tests run in a shell's background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Be a shell in a folder. What is typed is not echoed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (_LINES, _COLUMNS))
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        self._shell = subprocess.Popen(
            ["sh", "-c", _OPEN, os.ttyname(slave)], cwd=folder, env={**environment, "TERM": "xterm", "PS1": "$ "},
            start_new_session=True, preexec_fn=_interruptible,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._slave = slave  # open here too, so that reading does not end before the shell has it
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # nobody has the other side any more
                return
            if not data:
                return
            self._shown += data

    def type(self, text: str) -> None:
        """Type text; "\\x03" is Ctrl-C, "\\x04" Ctrl-D at the beginning of a line."""
        os.write(self._master, text.encode())

    def place(self) -> int:
        """Tell how much was shown up to now."""
        return len(self._shown)

    def shown(self, since: int = 0) -> str:
        """Give what was shown since a place, without colours and movements of the cursor."""
        return _CONTROL.sub("", bytes(self._shown[since:]).decode(errors="replace"))

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait until the shell asks for the next command."""
        since = self.place()
        self.type("\x03")
        eventually(lambda: "$ " in self.shown(since), f"Ctrl-C ended nothing: {self.shown()[-2000:]}")

    def close(self) -> None:
        """Press Ctrl-C and leave the shell; what does not end is hung up."""
        try:
            self.interrupt()  # a shell forgets what was typed right behind Ctrl-C
            self.type("exit\n")
            self._shell.wait(PATIENCE)
        finally:
            if self._shell.poll() is None:
                self._shell.kill()
                self._shell.wait()
            os.close(self._slave)
            self._reader.join(PATIENCE)
            os.close(self._master)
