"""Read and write what stands in the tools' arguments and answers: ids, regular expressions, lists."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from barnabas.tools.errors import ToolError
from barnabas.tools.terminal import aligned

INTERNAL_TOPICS: Final = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})


def uuid_text(raw: bytes) -> str:
    """Write a UUID as Kafka does: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parse_uuid(text: str) -> bytes:
    """Read a UUID. Raises `ToolError` in Kafka's words."""
    if len(text) > 24:
        raise ToolError(f"Input string with prefix `{text[:24]}` is too long to be decoded as a base64 UUID")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as e:
        raise ToolError(f"Input string `{text}` is no base64-encoded UUID: {e}") from None
    if len(raw) != 16:
        raise ToolError(
            f"Input string `{text}` decoded as {len(raw)} bytes, which is not equal to the expected 16 bytes of a "
            "base64-encoded UUID"
        )
    return raw


class TopicFilter:
    """Choose topics by a regular expression; a comma stands for "or". Raises `ToolError` where it is none."""

    def __init__(self, expression: str) -> None:
        pattern = expression.strip().replace(",", "|").replace(" ", "").strip("\"'")
        try:
            self._pattern = re.compile(pattern)
        except re.error:
            raise ToolError(f"{pattern} is an invalid regex.") from None

    def allows(self, topic: str, *, exclude_internal: bool = False) -> bool:
        """Tell whether the whole name matches."""
        if exclude_internal and topic in INTERNAL_TOPICS:
            return False
        return self._pattern.fullmatch(topic) is not None


def joined(items: Iterable[object]) -> str:
    """Write a list as Kafka's tables do."""
    return ",".join(str(item) for item in items)


def java_int(text: str) -> int:
    """Read a number as Java's Integer.parseInt does. Raises `ToolError` in its words."""
    if re.fullmatch(r"[+-]?[0-9]+", text) and -(1 << 31) <= int(text) < 1 << 31:
        return int(text)
    raise ToolError(f'For input string: "{text}"')


def java_order(keys: Iterable[str], least: int = 1) -> list[str]:
    """Return strings in the order in which Java's HashMap, made for as many (`least` at least), lists them."""
    names = list(keys)
    size = least
    while size < len(names) or len(names) > int(size * 0.75):
        size *= 2

    def bucket(text: str) -> int:
        code = 0
        units = text.encode("utf-16-be", "surrogatepass")
        for i in range(0, len(units), 2):
            code = (31 * code + (units[i] << 8 | units[i + 1])) & 0xFFFFFFFF
        return (code ^ code >> 16) & (size - 1)

    return sorted(names, key=bucket)


def java_double(number: float) -> str:
    """Write a number as Java's Double.toString does."""
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        text = repr(number)
        return text if "." in text or "e" in text else f"{text}.0"
    mantissa, _, exponent = f"{number!r}".partition("e")
    if not exponent:
        sign, digits = ("-", mantissa[1:]) if number < 0 else ("", mantissa)
        whole, _, part = digits.partition(".")
        figures = (whole + part).lstrip("0")
        power = len(whole) - 1 if whole.strip("0") else -(len(part) - len(part.lstrip("0")) + 1)
        figures = figures.rstrip("0") or "0"
        return f"{sign}{figures[0]}.{figures[1:] or '0'}E{power}"
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as ToolsUtils.prettyPrintTable does: cells as wide as their column, a tab after each.

    A terminal gets it without tabs.
    """
    lines = [list(headers), *([str(cell) for cell in row] for row in rows)]
    if sys.stdout.isatty():
        return aligned(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("".join(f"{cell:<{width}}\t" for cell, width in zip(line, widths, strict=True)) for line in lines)
