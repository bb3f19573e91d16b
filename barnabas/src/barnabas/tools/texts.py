"""Read and write what stands in the tools' arguments and answers: ids, regular expressions, lists."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from barnabas.tools.errors import ToolError

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
