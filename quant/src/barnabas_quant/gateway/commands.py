"""What people ask of a service: a record of its topic of commands, answered by a record that names it.

Of the trading service on `trade-commands`, answered by its decisions; of the strategies' on `strategy-commands`,
answered by what it tells of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from barnabas_quant.bus.answers import Answer
from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError
from barnabas_quant.trading.events import Cancel, Open, Place, Switch, Transfer

Command = Open | Place | Cancel | Switch | Transfer
"""What the trading service is asked."""


_A = TypeVar("_A", bound=Answer)

_PATIENCE = 10.0  # seconds for an acknowledgement
_REMEMBERED = 2000  # decisions: one may be heard before it is known that it was waited for


class Commands(Generic[_A]):
    """Write commands, and know what became of them. All of it runs on one loop, but for a thread that hears from Kafka.

    A thread of its own: those that the loop lends would all wait here while Kafka is away, and whatever else needs one
    (Redis, health) behind them.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        """Take where the commands go; who hears the answers hands them to `hear`."""
        self._topic = topic
        self._producer = Producer(
            client_settings(
                bootstrap,
                {"enable.idempotence": True, "message.timeout.ms": round(_PATIENCE * 1000), "linger.ms": 0},
            )
        )
        self._decided: OrderedDict[str, _A] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[_A]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._acknowledge, name=f"commands {topic}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join(2)

    def hear(self, decision: _A) -> None:
        """Take what was decided about anything."""
        waiting = self._waiting.pop(decision.subject, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(decision)
        self._decided[decision.subject] = decision
        if len(self._decided) > _REMEMBERED:
            self._decided.popitem(last=False)

    async def send(self, command: Any) -> str:
        """Write a command; give its id, which is its place. Raises BusError where Kafka does not take it."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[int] = loop.create_future()

        def delivered(error: KafkaError | None, message: Message) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, error, int(message.offset() or 0))

        def settle(error: KafkaError | None, offset: int) -> None:
            if written.done():
                return
            if error is None:
                written.set_result(offset)
            else:
                written.set_exception(BusError(f"{self._topic}: the command was not written: {error.str()}"))

        try:
            self._producer.produce(self._topic, msgspec.json.encode(command), partition=0, on_delivery=delivered)
        except (BufferError, KafkaException) as error:
            raise BusError(f"{self._topic}: {error}") from error
        try:
            return f"{self._topic}-0-{await asyncio.wait_for(written, _PATIENCE + 1)}"
        except TimeoutError as error:
            raise BusError(f"{self._topic}: the command is not acknowledged; perhaps it is there") from error

    def _acknowledge(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(0.5)

    async def ask(self, command: Any, seconds: float) -> tuple[str, _A | None]:
        """Write a command and wait for what is decided about it; None where that takes longer. Raises BusError."""
        id = await self.send(command)
        if (decision := self._decided.get(id)) is not None:
            return id, decision
        waiting = self._waiting[id] = asyncio.get_running_loop().create_future()
        try:
            return id, await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            return id, None
        finally:
            self._waiting.pop(id, None)
