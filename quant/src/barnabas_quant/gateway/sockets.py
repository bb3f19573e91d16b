"""The WebSocket: one task reads what a client asks, one sends what waits for it, as fast as the client takes it.

The stream `account` is that of who asks: what the trading service tells of that account, and of no other. Whether the
client may still hear it is asked again and again: a session ends, a key is revoked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Annotated, Literal

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from barnabas_quant.errors import QuantError
from barnabas_quant.gateway.hub import Client, Hub, StreamError, shown
from barnabas_quant.gateway.identity import identify
from barnabas_quant.settings import Gateway

log = logging.getLogger(__name__)

_MESSAGE = 256 * 1024  # bytes of one message to a client, about
_SEND_PATIENCE = 30.0  # seconds that a client may take for one message

_AGAIN = 30.0  # seconds between two looks at who a client is

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

ACCOUNT = "account"
"""The stream as clients name it."""
_MINE = f"{ACCOUNT}:"


async def _own(websocket: WebSocket) -> str:
    """Name the stream of the account of who asks. Raises StreamError, in words."""
    try:
        identity = await identify(websocket)
    except QuantError as error:
        raise StreamError(str(error)) from error
    if identity is None:
        raise StreamError("sign in to hear of your account")
    return f"{_MINE}{identity.account}"


class Sockets:
    """Serve WebSocket clients from a hub. All of it runs on one loop."""

    def __init__(self, hub: Hub, bounds: Gateway) -> None:
        self.again = _AGAIN
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
        tasks = (
            asyncio.create_task(self._send(websocket, client, awake, answers)),
            asyncio.create_task(self._read(websocket, client, awake, answers)),
            asyncio.create_task(self._guard(websocket, client)),
        )
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            log.debug("a client went: %r", error)
        finally:
            self._hub.remove(client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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
            answers.append(msgspec.json.encode(await self._do(websocket, client, text)))
            if len(answers) > 100 or sum(map(len, answers)) > self._bounds.client_bytes:  # it asks and does not listen
                client.overflow()
                return
            awake.set()

    async def _guard(self, websocket: WebSocket, client: Client) -> None:
        """End when a client hears of an account that it may not hear of any more."""
        while True:
            await asyncio.sleep(self.again)
            if mine := [stream for stream in client.streams if stream.startswith(_MINE)]:
                try:
                    if await _own(websocket) == mine[0]:
                        continue
                except StreamError as error:
                    log.debug("a client may not hear of its account any more: %s", error)
                return

    async def _do(self, websocket: WebSocket, client: Client, text: str) -> _Answer:
        try:
            request = _request(text)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            return _Answer("error", message=str(error))
        if request.op == "list":
            return _Answer("list", sorted(map(shown, client.streams)), request.id)
        if request.op == "ping":
            return _Answer("pong", id=request.id)
        try:
            if any(stream.startswith(_MINE) for stream in request.streams):
                raise StreamError("write account: it is that of who asks")
            if ACCOUNT not in request.streams:
                streams = request.streams
            elif request.op == "subscribe":
                own = await _own(websocket)
                streams = [own if stream == ACCOUNT else stream for stream in request.streams]
            else:
                mine = [stream for stream in client.streams if stream.startswith(_MINE)]
                streams = [*mine, *(stream for stream in request.streams if stream != ACCOUNT)]
            if request.op == "subscribe":
                fresh = self._hub.subscribe(client, streams, self._bounds.streams)
                return _Answer("subscribed", [*map(shown, fresh)], request.id)
            return _Answer("unsubscribed", [*map(shown, self._hub.unsubscribe(client, streams))], request.id)
        except StreamError as error:
            return _Answer("error", id=request.id, message=str(error))

    async def _send(self, websocket: WebSocket, client: Client, awake: asyncio.Event, answers: list[bytes]) -> None:
        while not client.overflowed:
            await awake.wait()
            awake.clear()
            while True:
                while answers:  # they do not wait for the market, which may be faster than the client
                    await self._one(websocket, b"[%s]" % answers.pop(0))
                if (message := client.take(_MESSAGE)) is None:
                    break
                await self._one(websocket, message)

    async def _one(self, websocket: WebSocket, message: bytes) -> None:
        try:
            await asyncio.wait_for(websocket.send_text(message.decode()), _SEND_PATIENCE)
        except TimeoutError as error:
            raise OSError("a client takes nothing") from error
