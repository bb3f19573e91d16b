"""Take commands for a broker in a child process: a JSON line each on standard input, an answer line on standard output.

Used by `barnabas.embedded` when the broker runs in a process of its own. The end of the input stops the broker, so
that a child does not outlive its parent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from barnabas.node.topics import NewTopic
from barnabas.protocol.errors import BarnabasError
from barnabas.server.broker import Broker

PREFIX = "BARNABAS-CONTROL "


async def answer_commands(broker: Broker, stopping: asyncio.Event) -> None:
    """Say where the broker listens, then carry out commands until the input ends or the broker is to stop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _say({"bootstrap": broker.bootstrap, "port": next(x.port for x in broker.listeners if not x.is_controller)})
    stop = asyncio.create_task(stopping.wait())
    while True:
        read = asyncio.create_task(reader.readline())
        await asyncio.wait((stop, read), return_when=asyncio.FIRST_COMPLETED)
        if not read.done():
            read.cancel()
            return
        line = read.result()
        if not line:
            break
        try:
            command = json.loads(line)
            _say({"done": execute(broker, command["do"], command.get("with", {}))})
        except (BarnabasError, KeyError, ValueError, TypeError) as e:
            _say({"error": str(e)})
    stop.cancel()
    stopping.set()


def execute(broker: Broker, what: str, arguments: dict[str, Any]) -> Any:
    """Carry out one command on the broker's loop and return its result, which JSON can hold.

    Raises `BarnabasError` for a command that does not exist, and where the broker refuses what it asks.
    """
    commands: dict[str, Callable[..., Any]] = {
        "advance": broker.advance,
        "fail": broker.faults.fail,
        "delay": broker.faults.delay,
        "clear_faults": broker.faults.clear,
        "drop_connections": broker.drop_connections,
        "topics": lambda: list(broker.node.image.topics),
        "create_topic": lambda name, partitions, configs: _create(broker, name, partitions, configs),
        "delete_topic": lambda name: broker.node.topics.delete(broker.node.topics.get(name)),
    }
    if what not in commands:
        raise BarnabasError(f"There is no command {what!r}")
    return commands[what](**arguments)


def _create(broker: Broker, name: str, partitions: int, configs: dict[str, str]) -> None:
    broker.node.topics.create(NewTopic(name, partitions, configs=configs))


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(PREFIX + json.dumps(answer) + "\n")
    sys.stdout.flush()
