"""A message as it came from a venue, before anybody has read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """Hold one message as it came from the venue.

    `sequence` is its place in its source: ever rising, compared as a tuple. `received` is in nanoseconds since 1970.
    `symbol` is known from outside for a REST answer, which does not name it.
    """

    sequence: tuple[int, ...]
    received: int
    text: bytes
    symbol: str | None = None
