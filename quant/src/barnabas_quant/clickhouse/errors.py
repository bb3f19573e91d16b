"""ClickHouse's errors as they are answered here: a class, a table of HTTP statuses, a reader of chDB's texts."""

from __future__ import annotations

import re
from typing import Final

from barnabas_quant.errors import QuantError

_OF_STATUS: Final[dict[int, tuple[int, ...]]] = {
    400: (
        6, 8, 15, 25, 26, 27, 36, 38, 41, 43, 44, 53, 62, 72, 117, 167, 168, 223, 237, 321, 376, 427, 441, 675, 676
    ),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336, 372, 511),
    408: (159,),
    413: (66,),
    501: (48,),
    503: (76, 202, 209, 439),
}  # fmt: skip
_STATUS: Final = {code: status for status, codes in _OF_STATUS.items() for code in codes}

# chDB wraps an error in itself once or twice, with or without the version: `Code: 73. DB::Exception: Code: 73. ...`.
_PREFIX: Final = re.compile(r"(?:Code: (\d+)\. DB::Exception: )+")
_SUFFIX: Final = re.compile(r"(?:\.? ?\(([A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\))?)+\s*\Z")


class ClickHouseError(QuantError):
    """Stand for an error with ClickHouse's number and name."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}. ({name})")
        self.code = code
        self.name = name
        self.text = text

    @property
    def status(self) -> int:
        """Give the HTTP status that ClickHouse answers with."""
        return _STATUS.get(self.code, 500)


def from_chdb(message: str) -> ClickHouseError:
    """Read what chDB raised; a text without a number becomes LOGICAL_ERROR (49)."""
    found = _PREFIX.search(message)
    if found is None:
        return ClickHouseError(49, "LOGICAL_ERROR", message.strip().rstrip("."))
    text = message[found.end() :]
    name = _SUFFIX.search(text)
    if name is not None:
        text = text[: name.start()]
    return ClickHouseError(int(found[1]), name[1] if name else "UNKNOWN_EXCEPTION", text.strip().rstrip("."))


def not_implemented(text: str) -> ClickHouseError:
    """Refuse something by its name."""
    return ClickHouseError(48, "NOT_IMPLEMENTED", text)


def syntax_error(text: str) -> ClickHouseError:
    """Say that a statement is not one."""
    return ClickHouseError(62, "SYNTAX_ERROR", text)
