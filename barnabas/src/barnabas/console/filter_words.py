"""Cut the expressions of `filters.py` into words: signs, names, texts, exact numbers. No evaluation, no I/O."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from barnabas.console.errors import FilterError

LENGTH: Final = 2000
"""Characters of an expression at most."""
_SIGNS: Final = ("==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", ".")
_NUMBER: Final = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?)", re.ASCII)
_NAME: Final = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_SPACE: Final = re.compile(r"\s+")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}


class Token(NamedTuple):
    """Be one word of an expression: its kind (sign, name, value, end), what it means, where it begins."""

    kind: str
    value: Any
    at: int


def tokens(text: str) -> list[Token]:
    """Cut an expression into words. Raises `FilterError`."""
    if len(text) > LENGTH:
        raise FilterError(f"an expression has at most {LENGTH} characters", LENGTH)
    found: list[Token] = []
    at = 0
    while at < len(text):
        if match := _SPACE.match(text, at):
            pass
        elif match := _STRING.match(text, at):
            found.append(Token("value", _unquoted(match[0][1:-1], at), at))
        elif match := _NUMBER.match(text, at):
            found.append(Token("value", _number(match[0], at), at))
        elif match := _NAME.match(text, at):
            found.append(Token("name", match[0], at))
        else:
            sign = next((sign for sign in _SIGNS if text.startswith(sign, at)), None)
            if sign is None:
                what = "a text without an end" if text[at] in "\"'" else f"{text[at]!r} is not known here"
                raise FilterError(what, at)
            found.append(Token("sign", sign, at))
            at += len(sign)
            continue
        at = match.end()
    found.append(Token("end", "the end", len(text)))
    return found


def _unquoted(text: str, at: int) -> str:
    def meant(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] == "u" and len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape not in _ESCAPES:
            raise FilterError(f"the escape \\{escape} is not known", at + 1 + match.start())
        return _ESCAPES[escape]

    return _ESCAPE.sub(meant, text)


def _number(text: str, at: int) -> int | Decimal:
    try:
        return Decimal(text) if set(text) & {".", "e", "E"} else int(text)
    except (ValueError, InvalidOperation):
        raise FilterError("a number that is too large", at) from None
