"""What signing in waits for, and what it does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from barnabas_quant.errors import BusError
from barnabas_quant.gateway import user_routes
from barnabas_quant.gateway.user_routes import UserRoutes
from barnabas_quant.model.account import Account

ANNA = Account(user="anna", role="user", password="", created=0)


def test_an_account_that_is_not_opened_in_a_moment_is_opened_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(user_routes, "_HOOK_PATIENCE", 0.05)
    opened: list[str] = []

    async def run() -> None:
        kafka = asyncio.Event()

        async def slow(user: str) -> None:
            await kafka.wait()
            opened.append(user)

        async def fails(user: str) -> None:
            raise BusError("nobody answers")

        nothing: Any = None
        routes = UserRoutes(nothing, nothing, nothing, nothing, registration=True)
        routes.on_account += [slow, fails]
        await routes._call(ANNA)
        assert opened == []
        assert "anna: the trading account may not be there: nobody answers" in caplog.text
        kafka.set()
        while not opened:
            await asyncio.sleep(0)
        routes.close()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert opened == ["anna"]
