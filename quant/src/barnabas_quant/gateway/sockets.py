"""The WebSocket: one task reads what a client asks, one sends what waits for it, as fast as the client takes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Annotated, Literal

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from barnabas_quant.gateway.hub import Client, Hub, StreamError
from barnabas_quant.settings import Gateway

log = logging.getLogger(__name__)

_MESSAGE = 256 * 1024  # bytes of one message to a client, about
_SEND_PATIENCE = 30.0  # seconds that a client may take for one message

TRY_AGAIN_LATER = 1013
POLICY = 1008


_Id = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | Annotated[str, msgspec.Meta(max_length=100)] | None


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    op: Literal["subscribe", "unsubscribe", "list", "ping"]
    streams: list[str] = []
    id: _Id = None


class _Answer(msgspec.Struct, omit_defaults=True):
    op: str
    streams: list[str] | None = None
    id: int | str | None = None
    message: str | None = None


_request = msgspec.json.Decoder(_Request).decode


class Sockets:
    """Serve WebSocket clients from a hub. All of it runs on one loop."""

    def __init__(self, hub: Hub, bounds: Gateway) -> None:
        self._hub = hub
        self._bounds = bounds

    @property
    def count(self) -> int:
        """Give the number of clients."""
        return len(self._hub.clients)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one client until either side ends it."""
        await websocket.accept()
        if len(self._hub.clients) >= self._bounds.clients:
            await websocket.close(TRY_AGAIN_LATER, "too many clients")
            return
        awake = asyncio.Event()
        client = Client(awake.set, self._bounds.client_bytes)
        answers: list[bytes] = []
        self._hub.add(client)
        sender = asyncio.create_task(self._send(websocket, client, awake, answers))
        reader = asyncio.create_task(self._read(websocket, client, awake, answers))
        try:
            done, _ = await asyncio.wait((sender, reader), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            log.debug("a client went: %r", error)
        finally:
            self._hub.remove(client)
            for task in (sender, reader):
                task.cancel()
            await asyncio.gather(sender, reader, return_exceptions=True)
            if websocket.application_state is not WebSocketState.DISCONNECTED:
                with contextlib.suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):
                    reason = "too slow" if client.overflowed else ""
                    await asyncio.wait_for(websocket.close(POLICY if client.overflowed else 1000, reason), 1)

    async def _read(self, websocket: WebSocket, client: Client, awake: asyncio.Event, answers: list[bytes]) -> None:
        while True:
            try:
                text = await websocket.receive_text()
            except KeyError:  # a binary message
                text = ""
            answers.append(msgspec.json.encode(self._do(client, text)))
            if len(answers) > 100 or sum(map(len, answers)) > self._bounds.client_bytes:  # it asks and does not listen
                client.overflow()
                return
            awake.set()

    def _do(self, client: Client, text: str) -> _Answer:
        try:
            request = _request(text)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            return _Answer("error", message=str(error))
        if request.op == "list":
            return _Answer("list", sorted(client.streams), request.id)
        if request.op == "ping":
            return _Answer("pong", id=request.id)
        try:
            if request.op == "subscribe":
                fresh = self._hub.subscribe(client, request.streams, self._bounds.streams)
                return _Answer("subscribed", fresh, request.id)
            return _Answer("unsubscribed", self._hub.unsubscribe(client, request.streams), request.id)
        except StreamError as error:
            return _Answer("error", id=request.id, message=str(error))

    async def _send(self, websocket: WebSocket, client: Client, awake: asyncio.Event, answers: list[bytes]) -> None:
        while not client.overflowed:
            await awake.wait()
            awake.clear()
            while answers:
                await self._one(websocket, b"[%s]" % answers.pop(0))
            while (message := client.take(_MESSAGE)) is not None:
                await self._one(websocket, message)

    async def _one(self, websocket: WebSocket, message: bytes) -> None:
        try:
            await asyncio.wait_for(websocket.send_text(message.decode()), _SEND_PATIENCE)
        except TimeoutError as error:
            raise OSError("a client takes nothing") from error
