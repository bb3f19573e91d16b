"""Send a scan to a client as fast as the client takes it, and end it when the client goes.

A scan has one thread. The next piece is pulled when the last one has been handed to the network, so a slow client
slows the scan and keeps one piece in memory. As many scans run as `Scans` allows; the others are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from barnabas.console.errors import Busy
from barnabas.console.exports import RECORD, Writer
from barnabas.console.messages import OpenScan


class Scans:
    """Count the scans that run."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.running = 0
        """How many run."""

    def enter(self) -> None:
        """Take a place. Raises `Busy` where there is none."""
        if self.running >= self._most:
            raise Busy(f"{self._most} scans are running already: stop one, or wait for it")
        self.running += 1

    def leave(self) -> None:
        """Give the place back."""
        self.running -= 1


class RunningScan:
    """Be a scan in its thread, from `start` to `close`; whoever starts it closes it."""

    def __init__(self, scans: Scans, opening: Callable[[], OpenScan]) -> None:
        self._scans, self._opening = scans, opening
        self._thread = ThreadPoolExecutor(1, "scan")
        self._loop = asyncio.get_running_loop()
        self._scan: OpenScan | None = None
        self._is_over = False

    async def start(self) -> None:
        """Open the scan. Raises `Busy`, and what opening raises."""
        self._scans.enter()
        try:
            self._scan = await self._loop.run_in_executor(self._thread, self._open)
        except BaseException:
            self.close()
            raise

    def _open(self) -> OpenScan:
        opened = self._opening()
        if self._is_over:  # nobody waits for it any more
            opened.close()
        return opened

    async def pull(self) -> list[bytes] | None:
        """Return the next lines, None after the last."""
        assert self._scan is not None
        return await self._loop.run_in_executor(self._thread, self._scan.pull)

    @property
    def reason(self) -> str | None:
        """Return why the scan ended."""
        return self._scan.reason if self._scan is not None else None

    def close(self) -> None:
        """Stop the scan; its thread closes the consumer and then gives the place back."""
        if self._is_over:
            return
        self._is_over = True
        scan = self._scan
        if scan is not None:
            scan.stop()
        closing: Future[None] = self._thread.submit(scan.close if scan is not None else lambda: None)
        self._thread.shutdown(wait=False)

        def leave(_: Future[None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._scans.leave)

        closing.add_done_callback(leave)


async def as_lines(scan: RunningScan) -> AsyncGenerator[bytes, None]:
    """Give a scan as lines of JSON."""
    while (lines := await scan.pull()) is not None:
        yield b"\n".join(lines) + b"\n"


async def as_file(scan: RunningScan, writer: Writer) -> AsyncGenerator[bytes, None]:
    """Give the records of a scan as a file. Raises `ClientDisconnect` where it is not complete: the download fails."""
    yield writer.begin()
    while (lines := await scan.pull()) is not None:
        records = [line for line in lines if line.startswith(RECORD)]
        if records:
            yield writer.add(records)
    if scan.reason not in ("limit", "end"):
        raise ClientDisconnect
    yield writer.end()


class StreamResponse(Response):
    """Send what an iterator gives, and close the scan whatever happens. `stall`: seconds for which it may wait."""

    def __init__(
        self, scan: RunningScan, pieces: AsyncGenerator[bytes, None], media_type: str, stall: float,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status_code, self.background, self.media_type = 200, None, media_type
        self.init_headers({"X-Accel-Buffering": "no", **(headers or {})})
        self._scan, self._pieces, self._stall = scan, pieces, stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; return when all is sent or the client has gone."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                with contextlib.suppress(ClientDisconnect, TimeoutError):  # the answer stays incomplete, on purpose
                    sending.result()
        finally:
            self._scan.close()
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                body = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(body), self._stall)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
