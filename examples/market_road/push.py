"""Stage 2, consumer 3: every tick to every WebSocket client that is connected, from the newest on.

A client that reads too slowly piles up messages here, until it misses its pings and is dropped; the platform's gateway
lets each client choose its streams and gives a slow one the newest values alone.

    python push.py --listen localhost:8765
"""

from __future__ import annotations

import argparse
import asyncio
import json

from ticks import arguments, batches
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def hold(client: ServerConnection) -> None:
    """Keep a client until it goes; what it says is not read."""
    await client.wait_closed()


async def push(options: argparse.Namespace) -> None:
    """Serve and broadcast until told to stop. Kafka is read in a thread, so that clients never wait for it."""
    host, _, port = options.listen.rpartition(":")
    incoming = batches(options, options.group, start="latest")
    async with serve(hold, host, int(port)) as server:
        print(f"ws://{options.listen}", flush=True)
        while (ticks := await asyncio.to_thread(next, incoming, None)) is not None:
            for tick in ticks:
                broadcast(server.connections, json.dumps(tick))


def main() -> None:
    """Push ticks to WebSocket clients."""
    parser = arguments("Push ticks to WebSocket clients.")
    parser.add_argument("--listen", default="localhost:8765", metavar="HOST:PORT")
    parser.add_argument("--group", default="road-push")
    asyncio.run(push(parser.parse_args()))


if __name__ == "__main__":
    main()
