"""Read times and durations as Java's tools do: ISO-8601, in the ways of SimpleDateFormat and of java.time.Duration."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from barnabas.tools.errors import ToolError

_DATETIME: Final = re.compile(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\.(\d+)(?:Z|([+-])(\d\d)(?::(\d\d))?)")
_DURATION: Final = re.compile(
    r"([-+]?)P(?:([-+]?[0-9]+)D)?(T(?:([-+]?[0-9]+)H)?(?:([-+]?[0-9]+)M)?(?:([-+]?[0-9]+)(?:[.,]([0-9]{0,9}))?S)?)?",
    re.IGNORECASE,
)
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_datetime(text: str) -> int:
    """Return the milliseconds since 1970 of `2025-10-08T14:30:00.000`, in UTC unless it names a zone.

    What follows a complete time is ignored. Raises `ToolError` in Java's words.
    """
    date, t, rest = text.partition("T")
    if not t or not rest or not date:
        raise ToolError(
            "java.text.ParseException: Error parsing timestamp. It does not contain a 'T' according to ISO8601 format"
        )
    if not re.search("[-+Z]", rest.partition("T")[0]):
        text += "Z"
    match = _DATETIME.match(text)
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute, second, milli = (int(part) for part in match.groups()[:7])
        if milli > 999:
            raise ValueError
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _UNIX
        if match[8]:
            zone = timedelta(hours=int(match[9]), minutes=int(match[10] or 0))
            at -= zone if match[8] == "+" else -zone
    except (ValueError, OverflowError):
        raise ToolError(f'java.text.ParseException: Unparseable date: "{text}"') from None
    return at // timedelta(milliseconds=1) + milli


def parse_duration(text: str) -> float:
    """Return the milliseconds of a duration, `P1DT2H3M4.5S`. Raises `ToolError` in Java's words."""
    match = _DURATION.fullmatch(text)
    if match is None or (match[3] or "").upper() == "T" or not any(match[n] for n in (2, 4, 5, 6)):
        raise ToolError("Text cannot be parsed to a Duration")
    seconds = 0.0
    for number, name, unit in ((2, "days", 86400), (4, "hours", 3600), (5, "minutes", 60), (6, "seconds", 1)):
        value = int(match[number] or 0) * unit
        if abs(value) >= 1 << 63:
            raise ToolError(f"Text cannot be parsed to a Duration: {name}")
        seconds += value
    fraction = float(f"0.{match[7]}") if match[7] else 0.0
    seconds += -fraction if (match[6] or "").startswith("-") else fraction
    return (-seconds if match[1] == "-" else seconds) * 1000
