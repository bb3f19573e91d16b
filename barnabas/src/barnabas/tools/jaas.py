"""Parse `sasl.jaas.config`: one login module, as Java's clients read it.

    org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="a \\"secret\\"";

The module's class, a control flag, options, a semicolon. Values stand in single or double quotes, with the escapes of
C, or are words, which begin with a letter and have letters, digits and `.-_$`. Comments are those of Java. The errors
are Java's, as `ConfigError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from barnabas.tools.errors import ConfigError

_TOKEN: Final = re.compile(
    r"""\s+|//[^\r\n]*|/\*.*?\*/|/[^\r\n]*                      # blanks and comments
    |(?P<quoted>"(?:\\.|[^"\\\r\n])*"?|'(?:\\.|[^'\\\r\n])*'?)
    |(?P<word>[A-Za-z_$\u00a0-\U0010ffff][\w$.\-\u00a0-\U0010ffff]*)
    |(?P<other>-?[0-9.]+|.)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\([0-3][0-7]{0,2}|[4-7][0-7]?|.)", re.DOTALL)
_CONTROL: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_FLAGS: Final = ("REQUIRED", "REQUISITE", "SUFFICIENT", "OPTIONAL")


class LoginModule(NamedTuple):
    """Hold an entry: the name of Java's class, and its options."""

    name: str
    options: dict[str, str]


class _Token(NamedTuple):
    text: str
    is_word: bool  # a word, or quoted


def _wrong(message: str) -> ConfigError:
    return ConfigError(message, exception="java.lang.IllegalArgumentException")


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match["quoted"] is not None:
            inner = match[0][1:]
            if len(match[0]) > 1 and match[0].endswith(match[0][0]):
                inner = inner[:-1]
            yield _Token(_ESCAPE.sub(_unescape, inner), True)
        elif match["word"] is not None:
            yield _Token(match[0], True)
        elif match["other"] is not None:
            yield _Token(match[0], False)


def _unescape(match: re.Match[str]) -> str:
    letter = match[1]
    return chr(int(letter, 8)) if letter[0] in "01234567" else _CONTROL.get(letter, letter)


def parse(text: str) -> LoginModule:
    """Read the one login module of a text. Raises `ConfigError`."""
    tokens = list(_tokens(text))
    found: list[LoginModule] = []
    while tokens:
        found.append(_entry(tokens))
    if not found:
        raise _wrong("Login module not specified in JAAS config")
    if len(found) > 1:
        raise _wrong(f"JAAS config property contains {len(found)} login modules, should be 1 module")
    return found[0]


def _entry(tokens: list[_Token]) -> LoginModule:
    """Take one entry from the front of the tokens."""
    name = tokens.pop(0).text
    flag = tokens.pop(0) if tokens else None
    if flag is None:
        raise _wrong("Login module control flag not specified in JAAS config")
    if not flag.is_word:
        raise _wrong("Login module control flag is not available in the JAAS config")
    if flag.text.upper() not in _FLAGS:
        raise _wrong(f"Invalid login module control flag '{flag.text}' in JAAS config")
    options: dict[str, str] = {}
    while tokens and tokens[0] != _Token(";", False):
        key = tokens.pop(0)
        if len(tokens) < 2 or tokens[0] != _Token("=", False) or not tokens[1].is_word:
            raise _wrong(f"Value not specified for key '{key.text if key.is_word else 'null'}' in JAAS config")
        options[key.text] = tokens[1].text
        del tokens[:2]
    if not tokens:
        raise _wrong("JAAS config entry not terminated by semi-colon")
    tokens.pop(0)
    return LoginModule(name, options)
