"""A venue's REST interface, within its limits: weight counted, 429 and 418 obeyed, failures tried again ever later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import httpx

from barnabas_quant.errors import QuantError
from barnabas_quant.feeds.live.pace import Backoff

log = logging.getLogger(__name__)

_WEIGHT = "x-mbx-used-weight-1m"
_MOST_BYTES = 64 * 2**20
_LONGEST = 3 * 24 * 3600.0
"""Seconds: the longest that Binance bans an address for; whoever says more is not believed."""


class RestError(QuantError):
    """Say what a venue's REST interface refused; `code` is the venue's own, 0 where it gave none."""

    def __init__(self, message: str, code: int = 0, final: bool = False) -> None:
        """Take `final` True where asking again gives the same answer."""
        super().__init__(message)
        self.code = code
        self.final = final


class Rest:
    """Ask one venue, one request at a time, in the order of asking."""

    def __init__(
        self, base: str, weight: int, pause: float, backoff: Callable[[], Backoff], patience: float = 10.0
    ) -> None:
        """Take the base address, the weight of a minute, seconds between requests, how failures are spaced."""
        self._client = httpx.AsyncClient(base_url=base.rstrip("/"), timeout=patience)
        self._weight = weight
        self._pause = pause
        self._backoff = backoff
        self._turn = asyncio.Lock()
        self.requests = 0
        self.refused = 0
        """Answers 429 and 418 so far."""

    async def get(self, path: str, parameters: Mapping[str, str | int], attempts: int = 8) -> bytes:
        """Give the body of an answer. Raises RestError for a refusal, and when `attempts` have failed."""
        backoff = self._backoff()
        reason = ""
        for _ in range(attempts):
            async with self._turn:
                body, reason = await self._ask(path, parameters, backoff)
            if body is not None:
                return body
            await asyncio.sleep(backoff.next())  # a failing path holds up no other
        raise RestError(f"{reason} ({attempts} times)")

    async def _ask(self, path: str, parameters: Mapping[str, str | int], backoff: Backoff) -> tuple[bytes | None, str]:
        """Ask once, in our turn; give the body, or why there is none. Whoever is told to wait keeps the turn."""
        self.requests += 1
        try:
            answer = await self._client.get(path, params=dict(parameters))
        except httpx.HTTPError as error:
            return None, f"{path}: {error!r}"
        reason = f"{path}: {answer.status_code} {answer.text[:200]}"
        if answer.status_code in (418, 429):
            self.refused += 1
            pause = max(_seconds(answer.headers.get("retry-after")), backoff.next())
            log.info("%s; again in %.1f s", reason, pause)
            await asyncio.sleep(pause)
            return None, reason
        if answer.status_code == 200 and len(answer.content) <= _MOST_BYTES:
            await self._heed_weight(answer)
            return answer.content, ""
        if answer.status_code == 200 or answer.status_code >= 500:
            log.info("%s", reason)
            return None, reason
        code = _code(answer)
        raise RestError(reason, code, final=code != 0)  # without a code of the venue it is something on the way

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _heed_weight(self, answer: httpx.Response) -> None:
        used = answer.headers.get(_WEIGHT, "")
        pause = self._pause
        if used.isascii() and used.isdigit() and int(used) > self._weight * 0.9:
            log.info("REST weight %s of %d used: waiting", used, self._weight)
            pause = max(pause, 5.0)
        if pause:
            await asyncio.sleep(pause)


def _seconds(text: str | None) -> float:
    if not text or not text.isascii() or not text.isdigit() or len(text) > 9:
        return 0.0
    return min(float(text), _LONGEST)


def _code(answer: httpx.Response) -> int:
    try:
        return int(answer.json().get("code", 0))
    except (ValueError, AttributeError, TypeError):
        return 0
