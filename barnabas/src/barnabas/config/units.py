"""Keys that say the same in different units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_RETENTION = ("log.retention.ms", "log.retention.minutes", "log.retention.hours")
_ROLL = ("log.roll.ms", "log.roll.hours")
_JITTER = ("log.roll.jitter.ms", "log.roll.jitter.hours")

# Each key of a chain -> the chain, the finest unit first; the first that is set counts.
CHAINS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_RETENTION, _RETENTION),
    **dict.fromkeys(_ROLL, _ROLL),
    **dict.fromkeys(_JITTER, _JITTER),
    # The scheduler's own key stands alone: only a flush time that is not set falls back to it.
    "log.flush.interval.ms": ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
}


def in_milliseconds(name: str, value: int) -> int:
    """Convert a value to milliseconds, by the unit in which its key's name ends."""
    return value * (3_600_000 if name.endswith(".hours") else 60_000 if name.endswith(".minutes") else 1)
