"""Durations as Java writes them (ISO 8601: P2DT3H4M5.6S), for share groups that begin some time ago."""

from __future__ import annotations

import re

_NUMBER = r"([-+]?\d+)"
_DURATION = rf"([-+]?)P(?:{_NUMBER}D)?(?:T(?=[-+\d])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}(?:[.,](\d{{0,9}}))?S)?)?"


def parse_duration(text: str) -> int:
    """Convert a duration to milliseconds, rounded down; any part may have a sign. Raise ValueError for other texts."""
    match = re.fullmatch(_DURATION, text, re.IGNORECASE | re.ASCII)
    if match is None or not any(match.groups()[1:5]):
        raise ValueError(f"not a duration: {text}")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    whole = ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    nanoseconds = int((fraction or "").ljust(9, "0"))
    if (seconds or "").startswith("-"):
        nanoseconds = -nanoseconds
    total = whole * 1_000_000_000 + nanoseconds
    return (-total if sign == "-" else total) // 1_000_000
