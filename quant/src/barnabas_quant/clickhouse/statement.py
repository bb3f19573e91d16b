"""What a request asks for, as far as an endpoint must know: where inserted data begin, in which format a result is.

Only the outermost level of a statement is looked at, token by token, as far as needed: an INSERT up to its `FORMAT
name` or `VALUES`, so that the data behind it is never touched. Everything else about SQL is chDB's business. Time is
linear in the length of the text, whatever it is: an open quote or comment reaches to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_TOKEN: Final = re.compile(
    rb"""(?P<space>[\s\x00]++ | --[^\n]*+ | \#[ !][^\n]*+ | /\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^'\\]++|\\.|'')*+(?:'|\Z) | \$(?P<tag>\w*+)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<name>`(?:[^`\\]++|\\.|``)*+(?:`|\Z) | "(?:[^"\\]++|\\.|"")*+(?:"|\Z))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*+)
    | (?P<number>[0-9][A-Za-z0-9_.]*+)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_BEFORE_DATA: Final = re.compile(rb"[ \t\f]*\r?\n?")
_FILES: Final = frozenset({("INTO", "OUTFILE"), ("FROM", "INFILE")})
_BEFORE_NAME: Final = frozenset({"INTO", "TABLE", "FUNCTION", ".", ",", "="})


@dataclass(frozen=True, slots=True)
class Token:
    """Hold one token of the outermost level; `text` is in upper case for words."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """Say what was found in a statement; positions count bytes."""

    words: tuple[str, ...]
    """Its first words in upper case, eight at most; `(` where one opens with a bracket."""
    clause_at: int
    """Where `INTO OUTFILE` would stand: before a last `FORMAT name`, else behind the last token."""
    output_format: str | None = None
    """The name in a last `FORMAT name`."""
    files: bool = False
    """Whether it names a file of the client's, `INTO OUTFILE` or `FROM INFILE`."""
    input_format: str | None = None
    """The format of the data behind an INSERT; None where it is no INSERT with data."""
    data_at: int = 0
    """Where that data begins."""


def read_statement(text: bytes) -> Statement:
    """Look into a statement, or into the beginning of one whose data goes on."""
    tokens = []
    for token in _outermost(text):
        tokens.append(token)
        if tokens[0].text == "INSERT" and (found := _data(tokens, text)):
            return found
    words = tuple(token.text for token in tokens[:8])
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    last = next((n for n in range(len(tokens) - 2, 0, -1) if _is_format(tokens, n)), None)
    return Statement(
        words=words,
        clause_at=tokens[-1 if last is None else last - 1].end if tokens else 0,
        output_format=None if last is None else text[tokens[last + 1].start : tokens[last + 1].end].decode(),
        files=any(
            first.kind == second.kind == "word" and (first.text, second.text) in _FILES
            for first, second in pairwise(tokens)
        ),
    )


def _outermost(text: bytes) -> Iterator[Token]:
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        if kind == "close":
            depth = max(0, depth - 1)
        if depth == 0 and kind not in {"space", "close"}:
            upper = match[0].decode(errors="replace").upper() if kind in {"word", "other", "open"} else ""
            yield Token(kind or "other", upper, match.start(), match.end())
        elif depth == 0 and kind == "close":
            yield Token("close", ")", match.start(), match.end())
        if kind == "open":
            depth += 1


def _data(tokens: list[Token], text: bytes) -> Statement | None:
    # Whether data follows the last token. ClickHouse's rule for FORMAT: blanks, then one end of line, are skipped.
    last = tokens[-1]
    if len(tokens) < 3 or last.kind != "word" or tokens[-2].text in _BEFORE_NAME:
        return None
    named = tokens[-2].text == "FORMAT" and tokens[-2].kind == "word" and tokens[-3].text not in _BEFORE_NAME
    if not named and last.text != "VALUES":
        return None
    if any(token.kind == "word" and token.text in {"SELECT", "WITH", "INFILE", "WATCH"} for token in tokens[3:-2]):
        return None
    words = tuple(token.text for token in tokens[:8])
    if not named:
        return Statement(words, last.start, input_format="Values", data_at=last.end)
    skipped = _BEFORE_DATA.match(text, last.end)
    assert skipped is not None  # it matches nothing, too
    name = text[last.start : last.end].decode()
    return Statement(words, tokens[-2].start, input_format=name, data_at=skipped.end())


def _is_format(tokens: list[Token], at: int) -> bool:
    # `FORMAT name` counts at the end only, or before trailing settings: `format` may name a column elsewhere.
    first, second = tokens[at], tokens[at + 1]
    if first.kind != "word" or first.text != "FORMAT" or second.kind != "word" or second.text == "SETTINGS":
        return False
    return at + 2 == len(tokens) or tokens[at + 2].text == "SETTINGS"
