"""Know who asks: nobody has to say, or signs in with a password, or was named by a proxy.

Passwords stand in a file of `NAME:HASH` lines with bcrypt hashes, as `htpasswd -B` writes it; it is read again when it
changes. Sessions are random cookies, kept in memory, so that a restart ends them; one holds for as long as the file has
the hash that it began with. A token against requests of other sites (CSRF) belongs to each session: it is a keyed hash
of it, and only a page of the same origin can read it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from barnabas.console.errors import BadRequest, Busy
from barnabas.tools.errors import ToolError

COOKIE: Final = "barnabas_console"
_IDLE: Final = 12 * 3600.0
_SESSIONS: Final = 10_000
_WINDOW: Final = 60.0
_TRIES: Final = 5
_BCRYPT: Final = ("$2a$", "$2b$", "$2y$")
_MOST: Final = 72
_NAME: Final = 256

Way = Literal["none", "password", "header"]


class Identity(msgspec.Struct, frozen=True):
    """Say who asks. `user` is None where nobody is known; `may` tells whether that matters."""

    user: str | None
    csrf: str
    may: bool


class Users:
    """Hold names and hashes of a file. Raises `ToolError` where the file is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed: tuple[int, int] | None = None
        self._hashes: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._read()

    def _read(self) -> None:
        try:
            about = self._path.stat()
            changed = about.st_mtime_ns, about.st_size
            if changed == self._changed:
                return
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise ToolError(f"--users {self._path}: {e}") from None
        found: dict[str, bytes] = {}
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, colon, hashed = line.partition(":")
            if not colon or not name or not hashed.startswith(_BCRYPT):
                raise ToolError(f"--users {self._path}, line {number}: expected NAME:HASH with a hash of bcrypt; "
                                "`htpasswd -B FILE NAME` writes one")
            found[name] = hashed.encode()
        self._hashes, self._changed = found, changed

    def hash_of(self, name: str) -> bytes | None:
        """Return the hash of a name, as the file is now, None where it has none. Raises `ToolError`."""
        with self._lock:
            self._read()
        return self._hashes.get(name)

    def verify(self, name: str, password: str) -> bytes | None:
        """Return the hash that the password belongs to, None where it is wrong. Raises `ToolError`.

        Takes a tenth of a second, also for a name that nobody has.
        """
        import bcrypt

        hashed = self.hash_of(name)
        raw = password.encode("utf-8", "replace")
        if len(raw) > _MOST:
            return None
        try:
            right = bcrypt.checkpw(raw, hashed or _nobody())
        except ValueError:  # a hash that is cut short
            return None
        return hashed if right else None


_dummy: list[bytes] = []


def _nobody() -> bytes:
    import bcrypt

    if not _dummy:
        _dummy.append(bcrypt.hashpw(secrets.token_bytes(16), bcrypt.gensalt(10)))
    return _dummy[0]


class Attempts:
    """Bound how often a name is tried with a wrong password. Decides, and does no I/O."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def begin(self, name: str) -> None:
        """Count a try. Raises `Busy` where there were too many."""
        now = self._now()
        while self._failed and now - next(iter(self._failed.values()))[-1] >= _WINDOW:
            self._failed.popitem(last=False)
        recent = [at for at in self._failed.pop(name, []) if now - at < _WINDOW]
        if len(recent) >= _TRIES:
            self._failed[name] = recent
            raise Busy(f"too many wrong passwords: try again in {int(_WINDOW - (now - recent[0])) + 1} s")
        self._failed[name] = [*recent, now]
        while len(self._failed) > _SESSIONS:
            self._failed.popitem(last=False)

    def was_right(self, name: str) -> None:
        """Forget the tries of a name."""
        self._failed.pop(name, None)


class Login:
    """Know who asks, from the headers of a request."""

    def __init__(
        self, users: Users | None, header: str | None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.way: Way = "password" if users else "header" if header else "none"
        self._users, self._now = users, now
        self._header = header.lower() if header else ""
        self._secret = secrets.token_bytes(32)
        self._sessions: OrderedDict[str, tuple[str, bytes, float]] = OrderedDict()
        self._attempts = Attempts(now)

    def _csrf(self, of: str) -> str:
        return hmac.new(self._secret, f"{self.way}:{of}".encode(), hashlib.sha256).hexdigest()

    def identify(self, headers: Mapping[str, str], cookie: str | None) -> Identity:
        """Say who asks; the names of headers are in small letters."""
        if self.way == "none":
            return Identity(None, self._csrf(""), True)
        if self.way == "header":
            user = headers.get(self._header) or None
            return Identity(user, self._csrf(user or ""), user is not None)
        user = self._user_of(cookie) if cookie else None
        return Identity(user, self._csrf(cookie if user and cookie else ""), user is not None)

    def _user_of(self, cookie: str) -> str | None:
        user, hashed, at = self._sessions.pop(cookie, ("", b"", 0.0))
        now = self._now()
        if not user or now - at > _IDLE:
            return None
        self._sessions[cookie] = (user, hashed, now)
        try:
            # One that the file does not have is kept: a file that is just being written has it again.
            return user if self._users is not None and self._users.hash_of(user) == hashed else None
        except ToolError:
            return None

    def verify(self, name: str, password: str) -> bytes | None:
        """Return the hash that a password belongs to, None where it is wrong. Blocks for a tenth of a second.

        Raises `ToolError` for a broken file.
        """
        return self._users.verify(name, password) if self._users is not None else None

    def begin(self, name: str) -> None:
        """Count a try to sign in. Raises `Busy`, `BadRequest`."""
        if self.way != "password":
            raise BadRequest("nobody signs in here")
        if len(name) > _NAME:
            raise BadRequest(f"user: {_NAME} characters at most")
        self._attempts.begin(name)

    def enter(self, name: str, hashed: bytes) -> str:
        """Begin a session of one whose password belongs to a hash; return its cookie."""
        self._attempts.was_right(name)
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = (name, hashed, self._now())
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return cookie

    def leave(self, cookie: str | None) -> None:
        """End a session."""
        if cookie:
            self._sessions.pop(cookie, None)
