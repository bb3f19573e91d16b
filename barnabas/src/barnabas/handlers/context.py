"""What handlers are given and what they give back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from barnabas.config.server import Listener
from barnabas.protocol.schema import Buffer, Message

#: an encoded body in pieces, which are written one behind the other and never joined
Buffers = list[Buffer]


class Deferred:
    """Be an answer that is not there yet. `resolve` may come before or after somebody listens, once."""

    __slots__ = ("_answer", "_listener", "_resolved", "on_cancel")

    def __init__(self) -> None:
        self._answer: Message | Buffers | None = None
        self._resolved = False
        self._listener: Callable[[Message | Buffers | None], None] | None = None
        self.on_cancel: Callable[[], None] | None = None

    def resolve(self, answer: Message | Buffers | None) -> None:
        """Give the answer; a second one is ignored."""
        if self._resolved:
            return
        self._resolved = True
        self._answer = answer
        if self._listener is not None:
            self._listener(answer)

    def listen(self, listener: Callable[[Message | Buffers | None], None]) -> None:
        """Be told the answer, at once where it is there already."""
        self._listener = listener
        if self._resolved:
            listener(self._answer)

    def cancel(self) -> None:
        """Say that nobody waits any more: the connection is gone."""
        if not self._resolved:
            self._resolved = True
            if self.on_cancel is not None:
                self.on_cancel()


#: what a handler returns: an answer, its encoded pieces, a promise of either, or None for no answer at all
Answer = Message | Buffers | Deferred | None


@dataclass(slots=True)
class Client:
    """Describe the connection that requests come from. `id` tells connections apart."""

    id: int
    host: str
    listener: Listener
    software_name: str = ""
    software_version: str = ""


@dataclass(slots=True)
class Request:
    """Hold one decoded request. `client_id` is what the header says, "" where it says null."""

    key: int
    version: int
    client_id: str
    client: Client
    message: Any


class CloseConnection(Exception):
    """The request cannot be answered: the connection is closed, as Kafka does."""
