"""Passwords: argon2id in threads of their own, as many at once as the memory is to bear."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from barnabas_quant.gateway.web import BadRequest, Busy

LEAST, MOST = 8, 200
"""Characters of a password."""

_AT_ONCE = 2  # each takes 64 MiB
_WAITING = 64  # beyond that a request is turned away: by then the first has waited for seconds

_T = TypeVar("_T")


def check_password(password: str) -> None:
    """Raise BadRequest, in words, for what is no password."""
    if not LEAST <= len(password) <= MOST:
        raise BadRequest(f"a password has {LEAST} to {MOST} characters")


class Passwords:
    """Hash and verify without holding the loop up."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(_AT_ONCE, "argon2")
        self._waiting = 0
        # Somebody whom nobody knows is verified against this one: it takes as long, and says no.
        self._nobody = self._threads.submit(self._hasher.hash, secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Give argon2id's text for a password. Raises Busy."""
        return await self._work(lambda: self._hasher.hash(password))

    async def verify(self, held: str | None, password: str) -> bool:
        """Tell whether it is the password; None for a user whom nobody knows: as slow, and no. Raises Busy."""

        def verify() -> bool:
            try:
                self._hasher.verify(self._nobody.result() if held is None else held, password)
            except (VerifyMismatchError, VerificationError, InvalidHashError):
                return False
            return held is not None

        return await self._work(verify)

    def outdated(self, held: str) -> bool:
        """Tell whether a password should be hashed again, with the parameters of today."""
        return self._hasher.check_needs_rehash(held)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def _work(self, work: Callable[[], _T]) -> _T:
        if self._waiting >= _WAITING:
            raise Busy("too many passwords at once; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
