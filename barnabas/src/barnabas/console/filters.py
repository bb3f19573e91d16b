"""Compile and evaluate the expressions that choose records: `value.price > 10 && key startsWith "binance:"`.

What it guarantees: an expression reads the record it is given and nothing else, since there are no calls, no names but
the roots below, and no attributes of Python's objects; evaluation does one step for each part of the expression (2,000
characters, 50 levels at most), and `matches` runs in RE2, whose time is linear; `parse` raises `FilterError` alone, and
`Expression.matches` nothing. Numbers are exact: whole numbers and decimals, never floats of the expression's making.

    or      := and ("||" and)*
    and     := not ("&&" not)*
    not     := "!" not | compare
    compare := operand (OPERATOR operand)?        OPERATOR: == != < <= > >= contains startsWith endsWith matches in
    operand := literal | path | list | "(" or ")" | "exists" "(" path ")"
    path    := root ("." NAME | "[" NUMBER | STRING "]")*      root: key value headers partition offset timestamp size

A comparison with something that the record does not have is false, also with `!=`. Values of different kinds are
unequal and have no order. A path that stands alone is true where the record has `true` there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from barnabas.console.errors import FilterError
from barnabas.console.filter_words import Token, tokens

DEPTH: Final = 50
"""Levels of an expression at most: brackets and negations within each other."""
ROOTS: Final = ("key", "value", "headers", "partition", "offset", "timestamp", "size")
_WORDS: Final = ("contains", "startsWith", "endsWith", "matches", "in")
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=", *_WORDS)
_REGEX_MEMORY: Final = 1 << 20


class _Missing:
    """Stand for what a record does not have."""


MISSING: Final = _Missing()
Lookup = Callable[[str], Any]
"""Gives the value of a root, or MISSING."""


# --- what an expression is made of --------------------------------------------------------------------------


class Literal(msgspec.Struct, frozen=True):
    """Be a value of the expression."""

    value: Any

    def get(self, record: Lookup) -> Any:
        """Return it."""
        return self.value


class Path(msgspec.Struct, frozen=True):
    """Be a place in the record."""

    root: str
    steps: tuple[str | int, ...]

    def get(self, record: Lookup) -> Any:
        """Return what stands there, or MISSING."""
        found = record(self.root)
        for step in self.steps:
            if isinstance(step, int):
                if not isinstance(found, list) or not -len(found) <= step < len(found):
                    return MISSING
                found = found[step]
            elif isinstance(found, Mapping):
                found = found.get(step, MISSING)
            else:
                return MISSING
        return found


class Exists(msgspec.Struct, frozen=True):
    """Be whether the record has a place."""

    path: Path

    def get(self, record: Lookup) -> Any:
        """Tell whether it is there."""
        return self.path.get(record) is not MISSING


class Not(msgspec.Struct, frozen=True):
    """Be the opposite."""

    of: Any

    def get(self, record: Lookup) -> Any:
        """Tell whether what it holds is not true."""
        return self.of.get(record) is not True


class Every(msgspec.Struct, frozen=True):
    """Be true where all parts are."""

    parts: tuple[Any, ...]

    def get(self, record: Lookup) -> Any:
        """Tell whether all are true."""
        return all(part.get(record) is True for part in self.parts)


class Some(msgspec.Struct, frozen=True):
    """Be true where one part is."""

    parts: tuple[Any, ...]

    def get(self, record: Lookup) -> Any:
        """Tell whether one is true."""
        return any(part.get(record) is True for part in self.parts)


class Compare(msgspec.Struct, frozen=True):
    """Be a comparison of two values. `pattern` is the right one of `matches`, compiled."""

    operator: str
    left: Any
    right: Any
    pattern: Any = None

    def get(self, record: Lookup) -> Any:
        """Tell whether it holds."""
        left, right = self.left.get(record), self.right.get(record)
        if left is MISSING or right is MISSING:
            return False
        if self.pattern is not None:
            return isinstance(left, str) and _found(self.pattern, left)
        return _compare(self.operator, left, right)


def _found(pattern: Any, text: str) -> bool:
    try:
        return pattern.search(text) is not None
    except UnicodeEncodeError:  # half of a pair, which JSON's escapes can make and RE2 does not take
        return False


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float | Decimal):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__


def _equal(left: Any, right: Any) -> bool:
    kind = _kind(left)
    if kind != _kind(right):
        return False
    return bool(left == right) if kind in ("number", "text", "bytes") else kind in ("None", "True", "False")


def _compare(operator: str, left: Any, right: Any) -> bool:
    try:
        if operator in ("==", "!="):
            return _equal(left, right) is (operator == "==")
        if operator == "in":
            return isinstance(right, list | tuple) and any(_equal(left, one) for one in right)
        if operator == "contains":
            if isinstance(left, str):
                return isinstance(right, str) and right in left
            if isinstance(left, Mapping):
                return isinstance(right, str) and right in left
            return isinstance(left, list) and any(_equal(one, right) for one in left)
        if operator in ("startsWith", "endsWith"):
            if not (isinstance(left, str) and isinstance(right, str)):
                return False
            return left.startswith(right) if operator == "startsWith" else left.endswith(right)
        if (kind := _kind(left)) not in ("number", "text") or kind != _kind(right):
            return False
        if operator == "<":
            return bool(left < right)
        if operator == "<=":
            return bool(left <= right)
        return bool(left > right) if operator == ">" else bool(left >= right)
    except ArithmeticError:  # a number that is none, which no order has
        return False


# --- parsing ------------------------------------------------------------------------------------------------


class Expression:
    """Hold a compiled expression."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree

    def matches(self, record: Lookup) -> bool:
        """Tell whether a record is meant; `record` gives the values of the roots."""
        return self._tree.get(record) is True


def parse(text: str) -> Expression:
    """Compile an expression. Raises `FilterError`, which says where it is wrong."""
    parser = _Parser(tokens(text))
    tree = parser.any_of(0)
    parser.expect("end", None)
    return Expression(tree)


class _Parser:
    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._next = 0

    @property
    def word(self) -> Token:
        return self._words[self._next]

    def _takes(self, kind: str, value: str) -> bool:
        if self.word.kind == kind and self.word.value == value:
            self._next += 1
            return True
        return False

    def expect(self, kind: str, value: str | None) -> Token:
        word = self.word
        if word.kind != kind or (value is not None and word.value != value):
            wanted = value or {"end": "nothing more", "name": "a name"}.get(kind, kind)
            raise FilterError(f"expected {wanted}, not {_shown(word)}", word.at)
        self._next += 1
        return word

    def any_of(self, depth: int) -> Any:
        if depth > DEPTH:
            raise FilterError(f"an expression has at most {DEPTH} levels", self.word.at)
        parts = [self._all_of(depth)]
        while self._takes("sign", "||"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _all_of(self, depth: int) -> Any:
        parts = [self._not(depth)]
        while self._takes("sign", "&&"):
            parts.append(self._not(depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _not(self, depth: int) -> Any:
        negations = 0
        while self._takes("sign", "!"):
            negations += 1
            if depth + negations > DEPTH:
                raise FilterError(f"an expression has at most {DEPTH} levels", self.word.at)
        found = self._comparison(depth + negations)
        for _ in range(negations):
            found = Not(found)
        return found

    def _comparison(self, depth: int) -> Any:
        left = self._operand(depth)
        word = self.word
        if word.kind not in ("sign", "name") or word.value not in _COMPARISONS:
            return left
        self._next += 1
        at = self.word.at
        right = self._list() if word.value == "in" and self._takes("sign", "[") else self._operand(depth)
        if word.value == "in" and isinstance(right, Literal) and not isinstance(right.value, tuple):
            raise FilterError("`in` wants a list: in [1, 2]", at)
        pattern = _pattern(right, at) if word.value == "matches" else None
        return Compare(word.value, left, right, pattern)

    def _operand(self, depth: int) -> Any:
        word = self.word
        if self._takes("sign", "("):
            found = self.any_of(depth + 1)
            self.expect("sign", ")")
            return found
        if word.kind == "value":
            self._next += 1
            return Literal(word.value)
        if word.kind != "name":
            raise FilterError(f"expected a value, not {_shown(word)}", word.at)
        self._next += 1
        if word.value in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[word.value])
        if word.value == "exists":
            self.expect("sign", "(")
            path = self._path(self.expect("name", None))
            self.expect("sign", ")")
            return Exists(path)
        return self._path(word)

    def _path(self, root: Token) -> Path:
        if root.value not in ROOTS:
            raise FilterError(f"{root.value} is not known; a record has {', '.join(ROOTS)}", root.at)
        steps: list[str | int] = []
        while True:
            if self._takes("sign", "."):
                steps.append(str(self.expect("name", None).value))
            elif self._takes("sign", "["):
                word = self.word
                if word.kind != "value" or not isinstance(word.value, str | int):
                    raise FilterError(f"expected a whole number or a text, not {_shown(word)}", word.at)
                self._next += 1
                steps.append(word.value)
                self.expect("sign", "]")
            else:
                return Path(str(root.value), tuple(steps))

    def _list(self) -> Literal:
        found: list[Any] = []
        while not self._takes("sign", "]"):
            if found:
                self.expect("sign", ",")
            word = self.word
            if word.kind == "name" and word.value in ("true", "false", "null"):
                found.append({"true": True, "false": False, "null": None}[word.value])
            elif word.kind == "value":
                found.append(word.value)
            else:
                raise FilterError(f"expected a value of the list, not {_shown(word)}", word.at)
            self._next += 1
        return Literal(tuple(found))


def _shown(word: Token) -> str:
    return str(word.value) if word.kind == "end" else repr(word.value)


def _pattern(right: Any, at: int) -> Any:
    if not isinstance(right, Literal) or not isinstance(right.value, str):
        raise FilterError("`matches` wants a regular expression in quotes", at)
    try:
        import re2
    except ImportError:
        raise FilterError(
            "`matches` needs RE2, which is not installed: pip install 'barnabas[schemas]'", at
        ) from None
    options = re2.Options()
    options.max_mem, options.log_errors = _REGEX_MEMORY, False
    try:
        return re2.compile(right.value, options)
    except (re2.error, UnicodeEncodeError) as e:
        raise FilterError(f"not a regular expression of RE2: {_words(e)}", at) from None


def _words(error: Exception) -> str:
    found = error.args[0] if error.args else error
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)
