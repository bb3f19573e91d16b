"""Strategies that a person stops and starts: the command, what is told of how a strategy stands, what is remembered.

A record of `strategy-commands` is an input of the strategies' service as the market is: it stands in the journal, and a
replay stops at the same place. What became of it is a record of `strategy-events`, which also tells of each strategy
when the service begins by new settings, and of each failure: its last record of a strategy is how that one stands.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from barnabas_quant.errors import RecordError

COMMANDS = "strategy-commands"

Standing = Literal["running", "stopped", "failed"]


class StrategyCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a strategy to be stopped, or to go on. `id` and `time` are those of its place on the topic."""

    strategy: Annotated[str, Meta(min_length=1, max_length=60)]
    """What its signals are called by."""
    on: bool
    who: Annotated[str, Meta(max_length=200)]
    reason: Annotated[str, Meta(max_length=200)] = ""
    id: str = ""
    time: int = 0
    """Microseconds since 1970 UTC."""


class StrategyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Tell how a strategy stands: the record of the topic `strategy-events`."""

    topic: ClassVar[str] = "strategy-events"

    strategy: str
    time: int
    """The market's, as the strategies have heard it, microseconds since 1970 UTC."""
    state: Standing | Literal["removed"] | None
    """None: there is none of that name; removed: the settings name it no more."""
    verdict: Literal["accepted", "rejected"] = "accepted"
    """Of what was asked for."""
    subject: str = ""
    """Id of the command that this answers; empty: nobody asked."""
    who: str = ""
    reason: str = ""
    where: str = ""
    """Of one that failed: the place in its file."""
    name: str = ""
    """Of the strategy in the package, or of its file."""
    symbols: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}

    @property
    def key(self) -> str:
        return self.strategy


class Failed(msgspec.Struct, kw_only=True):
    """Remember why a strategy failed, and what its fills add up to: a new life begins with that."""

    time: int
    reason: str
    where: str
    positions: dict[str, int] = {}


class Off(msgspec.Struct, kw_only=True):
    """Remember who stopped a strategy, and why."""

    who: str
    reason: str


_decode = msgspec.json.Decoder(StrategyCommand).decode


def read_command(value: bytes, produced: int, id: str) -> StrategyCommand:
    """Read a record of `strategy-commands`; `produced` is Kafka's timestamp in milliseconds. Raises RecordError."""
    try:
        return msgspec.structs.replace(_decode(value), id=id, time=produced * 1000)
    except (ValueError, RecursionError) as error:  # msgspec's and Unicode's are kinds of the first
        raise RecordError(f"{COMMANDS}: {error}") from error


def place_of(trace: str) -> str:
    """Give the innermost place that a traceback names: `File "x.py", line 3, in on_bar`."""
    places = [line.strip() for line in trace.splitlines() if line.lstrip().startswith("File ")]
    return places[-1][:300] if places else ""
