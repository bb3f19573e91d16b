"""Sessions in Redis: the browser holds a token, Redis what it stands for, under the token's hash.

Who reads Redis can be nobody with what stands there. A session is good for as long as the account is the one that it
was begun for, in the same generation (`Account.sessions`): a changed password ends them all, without a search.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from redis import BusyLoadingError, OutOfMemoryError, ReadOnlyError
from redis import ConnectionError as RedisConnectionError
from redis import TimeoutError as RedisTimeoutError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from barnabas_quant.errors import StoreUnavailable
from barnabas_quant.model.account import Account

SECONDS = 7 * 24 * 3600
"""How long a session lives that nobody uses."""

_RENEW_AFTER = 60  # seconds of use in which it is not renewed again
_DOWN = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, OSError)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Say whose session it is. `created` and `sessions` are those of the account, and tell it from a later one."""

    user: str
    created: int
    sessions: int

    def of(self, account: Account) -> bool:
        """Tell whether it is good for an account as that is now."""
        return self == Session(user=account.user, created=account.created, sessions=account.sessions)


_decoder = msgspec.json.Decoder(Session)


def mark_of(token: str) -> str:
    """Give the name that a token has in Redis, and by its first eight digits among a user's events."""
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """Begin, find and end sessions. Every method raises StoreUnavailable while Redis does not answer."""

    def __init__(self, url: str, patience: float = 2.0) -> None:
        """Connect to `redis://HOST:PORT/DATABASE` at first use; `patience` in seconds, of each answer."""
        self._redis: Any = Redis.from_url(
            url,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 1),  # a connection of before Redis was started anew fails once
        )

    async def begin(self, account: Account) -> str:
        """Begin a session; give its token."""
        token = secrets.token_urlsafe(32)
        session = Session(user=account.user, created=account.created, sessions=account.sessions)
        value = msgspec.json.encode(session)
        await self._ask(lambda: self._redis.set(_key(token), value, ex=SECONDS))
        return token

    async def find(self, token: str) -> Session | None:
        """Give what a token stands for, which lives on from now; None: it is no session, or none any more."""
        key = _key(token)

        def look() -> Awaitable[list[Any]]:
            found: Awaitable[list[Any]] = self._redis.pipeline(transaction=False).get(key).ttl(key).execute()
            return found

        value, left = await self._ask(look)
        try:
            session = _decoder.decode(value or b"")
        except ValueError:  # nothing, or somebody else's value
            return None
        if left < SECONDS - _RENEW_AFTER:
            await self._ask(lambda: self._redis.expire(key, SECONDS))
        return session

    async def end(self, token: str) -> None:
        """End a session."""
        await self._ask(lambda: self._redis.delete(_key(token)))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _ask(self, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await work()
        except _DOWN as error:  # the address is left out: it may hold Redis' password
            raise StoreUnavailable(f"Redis, where sessions are, does not answer: {type(error).__name__}") from error


def _key(token: str) -> str:
    return f"session:{mark_of(token)}"
