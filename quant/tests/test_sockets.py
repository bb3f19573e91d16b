"""What the gateway's WebSocket sends, and in which order, to a client that takes one message at a time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket

from barnabas_quant.gateway.hub import Hub
from barnabas_quant.gateway.sockets import Sockets
from barnabas_quant.settings import Gateway

TRADE = "trade:binance:BTCUSDT"


class Slow:
    """A client at the other end of ASGI's channel: what is sent to it waits until it takes it."""

    def __init__(self) -> None:
        self._says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1)

    def serve(self, hub: Hub) -> asyncio.Task[None]:
        self._says.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
        return asyncio.create_task(Sockets(hub, Gateway()).serve(WebSocket(scope, self._says.get, self._sent.put)))

    def say(self, **request: Any) -> None:
        self._says.put_nowait({"type": "websocket.receive", "text": json.dumps(request)})

    async def take(self) -> list[Any]:
        message = await self._sent.get()
        found: list[Any] = json.loads(message["text"]) if message["type"] == "websocket.send" else []
        return found


async def turns() -> None:
    """Let the loop do all that it can."""
    for _ in range(100):
        await asyncio.sleep(0)


def test_an_answer_does_not_wait_for_the_market() -> None:
    async def walk() -> list[list[Any]]:
        hub, client = Hub(), Slow()
        serving = client.serve(hub)
        await client.take()
        client.say(op="subscribe", streams=[TRADE])
        assert [event["op"] for event in await client.take()] == ["subscribed"]
        for number in range(10_000):  # some megabytes, which wait for the client
            hub.publish(TRADE, None, json.dumps({"data": {"n": number, "text": "x" * 200}}).encode())
        await turns()  # two messages are on their way
        client.say(op="ping")
        await turns()
        taken = [await client.take() for _ in range(5)]
        serving.cancel()
        return taken

    taken = asyncio.run(walk())
    assert [{"op": "pong"}] in taken[:3] and all(len(events) > 100 for events in taken[3:])
    numbers = [event["data"]["n"] for events in taken for event in events if "data" in event]
    assert numbers == list(range(len(numbers)))
