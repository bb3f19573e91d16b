"""The HTTP interface as an ASGI application: a request becomes a query, its result an answer.

The first MEGABYTE of a result is held back, so that an error before it is a proper answer and the summary is complete;
with `wait_end_of_query=1` all of it is. After that an error stands in the body as ClickHouse puts it there, between
marks that a header announces, and the connection is cut. A client that goes away ends a query that only reads.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import asdict
from typing import Any, Final

from barnabas_quant.clickhouse.compression import BlockEncoder, Encoder, accepted, encoder
from barnabas_quant.clickhouse.engine import Counts, Engine, Running
from barnabas_quant.clickhouse.errors import ClickHouseError
from barnabas_quant.clickhouse.request import ClientGone, Receive, Request, Sessions

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[str, str]

MEGABYTE: Final = 1 << 20
_TEXT: Final = "text/plain; charset=UTF-8"


class CutOff(Exception):
    """End a connection in the middle of an answer, so that nobody takes the answer for whole."""


class Application:
    """Answer requests with an engine."""

    def __init__(self, engine: Engine, max_body: int, max_queries: int) -> None:
        self._engine = engine
        self._max_body = max_body
        self._max_queries = max_queries
        self._sessions = Sessions()
        self._queries = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request.of(scope)
        headers = {"x-clickhouse-server-display-name": self._engine.display_name, "content-type": _TEXT}
        if request.method not in {"GET", "POST", "HEAD"}:
            return await _answer(send, 405, headers | {"allow": "GET, POST, HEAD"}, b"Method not allowed\n")
        if request.path in {"/ping", "/replicas_status"} or (
            request.path == "/" and request.method in {"GET", "HEAD"} and not request.parameters
        ):
            return await _answer(send, 200, headers, b"Ok.\n")
        if request.path != "/":
            return await _answer(send, 404, headers, b"There is no handle for this path. Use / or /ping\n")
        try:
            await self._query(request, headers, receive, send)
        except ClientGone:
            return None
        except ClickHouseError as error:
            headers |= {"x-clickhouse-exception-code": str(error.code)}
            if error.status == 413:
                headers |= {"connection": "close"}
            await _answer(send, error.status, headers, self._words(error))
        return None

    async def _query(self, request: Request, headers: Headers, receive: Receive, send: Send) -> None:
        await request.read(receive, self._max_body)
        query = request.query(self._sessions)
        named = request.parameters.get("query_id") or request.headers.get("x-clickhouse-query-id", "")
        headers["x-clickhouse-query-id"] = _plain(named) or str(uuid.uuid4())
        headers["x-clickhouse-timezone"] = _plain(query.settings.get("session_timezone") or self._engine.timezone)
        if self._queries >= self._max_queries:
            raise ClickHouseError(
                202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries. Maximum: {self._max_queries}"
            )
        self._queries += 1
        running = Running(query)
        source, sink = os.pipe()
        os.set_blocking(source, False)
        counts = self._start(running, sink)
        gone = asyncio.create_task(_gone(receive))
        try:
            await self._result(request, headers, running, _chunks(source, gone), counts, send)
        except ClientGone:
            pass
        finally:
            gone.cancel()
            os.close(source)
            if not counts.done() and running.harmless:
                await self._give_up(running, counts)
            await asyncio.wait({counts})
            self._queries -= 1
            if not counts.cancelled():
                counts.exception()  # seen by whoever was to see it

    def _start(self, running: Running, sink: int) -> asyncio.Future[Counts]:
        # A thread of its own: a pool's threads would be waited for at the end of the process.
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Counts] = loop.create_future()

        def tell(counts: Counts | None, error: Exception | None) -> None:
            if not future.done():
                if error is None and counts is not None:
                    future.set_result(counts)
                else:
                    future.set_exception(error or RuntimeError("no result"))

        def work() -> None:
            counts, failure = None, None
            try:
                counts = self._engine.run(running, sink)
            except Exception as error:
                failure = error
            finally:
                os.close(sink)
                running.query.body.close()
            loop.call_soon_threadsafe(tell, counts, failure)

        threading.Thread(target=work, daemon=True, name=f"query-{running.tag[:8]}").start()
        return future

    async def _give_up(self, running: Running, counts: asyncio.Future[Counts]) -> None:
        while not counts.done():
            await asyncio.to_thread(self._engine.give_up, [running])
            await asyncio.wait({counts}, timeout=0.1)

    async def _result(
        self,
        request: Request,
        headers: Headers,
        running: Running,
        chunks: AsyncIterator[bytes],
        counts: asyncio.Future[Counts],
        send: Send,
    ) -> None:
        whole = request.parameters.get("wait_end_of_query") == "1"
        with tempfile.SpooledTemporaryFile(max_size=32 * MEGABYTE) as held:
            ended = True
            async for chunk in chunks:
                held.write(chunk)
                if not whole and held.tell() > MEGABYTE:
                    ended = False
                    break
            if ended:
                headers["x-clickhouse-summary"] = _summary(await counts, held.tell())
            if running.result_format is not None:
                headers["x-clickhouse-format"] = _plain(running.result_format)
                headers["content-type"] = self._engine.formats.get(running.result_format.lower(), ("", ""))[1] or _TEXT
            stages = _encoders(request, headers)
            if ended and not stages:
                headers["content-length"] = str(held.tell())
            tag = secrets.token_hex(8)
            await _start(send, 200, headers | {"x-clickhouse-exception-tag": tag})
            if request.method == "HEAD":
                return await send({"type": "http.response.body", "body": b""})
            held.seek(0)
            while part := held.read(MEGABYTE):
                await _body(send, _feed(stages, part))
        if not ended:
            async for chunk in chunks:
                await _body(send, _feed(stages, chunk))
            try:
                await counts
            except ClickHouseError as error:
                words = self._words(error)
                mark = b"__exception__\r\n"
                tagged = tag.encode()
                block = b"\r\n%b%b\r\n%b%d %b\r\n%b" % (mark, tagged, words, len(words), tagged, mark)
                await _body(send, _feed(stages, block) + _finish(stages))
                raise CutOff from error
        return await send({"type": "http.response.body", "body": _finish(stages)})

    def _words(self, error: ClickHouseError) -> bytes:
        return f"{error} (version {self._engine.version})\n".encode(errors="replace")


def _encoders(request: Request, headers: Headers) -> list[Encoder]:
    stages: list[Encoder] = []
    if request.parameters.get("compress") == "1":
        stages.append(BlockEncoder())
        headers["content-type"] = "application/octet-stream"
    encoding = accepted(request.headers.get("accept-encoding", ""))
    if encoding is not None and request.parameters.get("enable_http_compression") in {"1", "true"}:
        stages.append(encoder(encoding))
        headers["content-encoding"] = encoding
    return stages


def _feed(stages: list[Encoder], data: bytes) -> bytes:
    for stage in stages:
        data = stage.feed(data)
    return data


def _finish(stages: list[Encoder]) -> bytes:
    data = b""
    for stage in stages:
        data = (stage.feed(data) if data else b"") + stage.finish()
    return data


async def _chunks(source: int, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
    # Everything written to a pipe, until its other end is closed; raises ClientGone when the client is.
    loop = asyncio.get_running_loop()
    while True:
        try:
            chunk = os.read(source, MEGABYTE)
        except BlockingIOError:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_reader(source, _done, ready)
            try:
                await asyncio.wait({ready, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                loop.remove_reader(source)
            if gone.done():
                raise ClientGone from None
            continue
        if not chunk:
            return
        if gone.done():
            raise ClientGone
        yield chunk


def _done(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _plain(text: str) -> str:
    # What may stand in a header.
    return "".join(c for c in text if " " <= c <= "~")[:1000]


def _summary(counts: Counts, size: int) -> str:
    numbers = asdict(counts) | {"result_bytes": size}
    known = {name: str(number) for name, number in numbers.items() if number is not None}
    return json.dumps(known, separators=(",", ":"))


async def _start(send: Send, status: int, headers: Headers) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _body(send: Send, data: bytes) -> None:
    if data:
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await _start(send, status, headers | {"content-length": str(len(body))})
    await send({"type": "http.response.body", "body": body})
