"""Run the console beside the broker: a process of its own, which ends with this one, however this one ends.

The child waits on a pipe whose other end only this process has: when the broker stops, or is killed, the pipe ends. It
is a client like any other and shares nothing else; should it end by itself, the broker says so and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Final

from barnabas.server import logs

_GRACE: Final = 5.0


@contextlib.asynccontextmanager
async def running_console(bootstrap: str, listen: str) -> AsyncIterator[None]:
    """Run `barnabas console` for the time of the context."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "barnabas", "console", "--cluster", f"local={bootstrap}", "--listen", listen,
        "--end-with-stdin", stdin=subprocess.PIPE,
    )
    watching = asyncio.create_task(_watch(process))
    try:
        yield
    finally:
        watching.cancel()
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _GRACE)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _watch(process: asyncio.subprocess.Process) -> None:
    status = await process.wait()
    logs.KAFKA_SERVER.warning("the console has ended with status %d; the broker goes on without it", status)
