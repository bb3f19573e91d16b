"""Write times as Java's SimpleDateFormat does, in the machine's time zone and in English."""

from __future__ import annotations

import re
import time
from datetime import datetime

from barnabas.tools.errors import ToolError

_PART = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_LETTERS = "GyYMLwWDdFEuaHkKhmsSzZX"
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class SimpleDate:
    """Hold a pattern. Raises `ToolError` in Java's words where it is none."""

    def __init__(self, pattern: str) -> None:
        self._parts: list[tuple[str, str]] = []
        at = 0
        while at < len(pattern):
            match = _PART.match(pattern, at)
            if match is None:
                raise ToolError("Unterminated quote")
            at = match.end()
            if match[2] is None:
                quoted = match[1]
                text = match[0] if quoted is None else quoted.replace("''", "'") or "'"
                self._parts.append(("", text))
            elif match[2] not in _LETTERS:
                raise ToolError(f"Illegal pattern character '{match[2]}'")
            else:
                self._parts.append((match[2], match[0]))

    def write(self, ms: float) -> str:
        """Write a time, given in milliseconds since 1970."""
        moment = datetime.fromtimestamp(ms / 1000).astimezone()
        return "".join(text if not letter else _field(letter, len(text), moment, int(ms)) for letter, text in
                       self._parts)


def _field(letter: str, width: int, at: datetime, ms: int) -> str:
    if letter == "G":
        return "AD"
    if letter in "yY":
        year = at.year if letter == "y" else _week(at)[0]
        return f"{year % 100:02}" if width == 2 else f"{year:0{width}}"
    if letter in "ML" and width > 2:
        return _MONTHS[at.month - 1] if width > 3 else _MONTHS[at.month - 1][:3]
    if letter == "E":
        return _DAYS[at.weekday()] if width > 3 else _DAYS[at.weekday()][:3]
    if letter == "a":
        return "AM" if at.hour < 12 else "PM"
    if letter == "z":
        return at.tzname() or "" if width < 4 else _zone_name(at)
    if letter == "Z":
        return at.strftime("%z")[:5]
    if letter == "X":
        return _offset(at, width)
    number = {
        "M": at.month, "L": at.month, "w": _week(at)[1], "W": (at.day + _column(at.replace(day=1)) - 1) // 7 + 1,
        "D": at.timetuple().tm_yday, "d": at.day, "F": (at.day - 1) // 7 + 1, "u": at.isoweekday(), "H": at.hour,
        "k": at.hour or 24, "K": at.hour % 12, "h": at.hour % 12 or 12, "m": at.minute, "s": at.second, "S": ms % 1000,
    }[letter]
    return f"{number:0{width}}"


def _column(at: datetime) -> int:
    """Return the day of the week, counted from Sunday as in Java's calendar of the United States."""
    return at.isoweekday() % 7


def _week(at: datetime) -> tuple[int, int]:
    """Return year and number of the week: weeks begin on Sunday, and 1 January is in the first."""
    if at.month == 12 and at.day + 6 - _column(at) > 31:
        return at.year + 1, 1
    return at.year, (at.timetuple().tm_yday + _column(at.replace(month=1, day=1)) - 1) // 7 + 1


def _zone_name(at: datetime) -> str:
    return "Coordinated Universal Time" if at.tzname() == "UTC" else at.tzname() or time.tzname[0]


def _offset(at: datetime, width: int) -> str:
    text = at.strftime("%z")
    if text[1:5] == "0000":
        return "Z"
    return {1: text[:3], 2: text[:5]}.get(width, f"{text[:3]}:{text[3:5]}")
