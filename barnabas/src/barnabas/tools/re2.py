"""Check regular expressions against the syntax of RE2, in which brokers match what consumers subscribe to (KIP-848).

It reads an expression once, from left to right, and keeps which groups are open; nothing is compiled or matched. The
syntax and the words for what is wrong are those of RE2/J, which the broker and Java's tool use.
"""

from __future__ import annotations

import re
from typing import Final

from barnabas.protocol.errors import BarnabasError

_RANGE = "invalid character class range"
_ESCAPE = "invalid escape sequence"
_PERL = "invalid or unsupported Perl syntax"
_MISSING_ARGUMENT = "missing argument to repetition operator"
_CLASSES: Final = frozenset(
    "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split()
)
_CATEGORIES: Final = frozenset(
    "Any C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs "
    "Arabic Armenian Balinese Bengali Bopomofo Braille Buginese Buhid Canadian_Aboriginal Carian Cham Cherokee Common "
    "Coptic Cuneiform Cypriot Cyrillic Deseret Devanagari Ethiopic Georgian Glagolitic Gothic Greek Gujarati Gurmukhi "
    "Han Hangul Hanunoo Hebrew Hiragana Inherited Kannada Katakana Kayah_Li Kharoshthi Khmer Lao Latin Lepcha Limbu "
    "Linear_B Lycian Lydian Malayalam Mongolian Myanmar New_Tai_Lue Nko Ogham Ol_Chiki Old_Italic Old_Persian Oriya "
    "Osmanya Phags_Pa Phoenician Rejang Runic Saurashtra Shavian Sinhala Sundanese Syloti_Nagri Syriac Tagalog "
    "Tagbanwa Tai_Le Tamil Telugu Thaana Thai Tibetan Tifinagh Ugaritic Vai Yi".split()
)
_REPEAT: Final = re.compile(r"\{(\d+)(,(\d*))?\}")
_NAMED: Final = re.compile(r"\(\?P<(\w+)>", re.ASCII)
_FLAGS: Final = re.compile(r"\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)?([:)])")


class _Wrong(BarnabasError):
    """The expression is wrong, and how."""


def problem_of(expression: str) -> str | None:
    """Return what is wrong with an expression, None where nothing is."""
    try:
        _Reader(expression).read()
    except _Wrong as e:
        return str(e)
    return None


class _Reader:
    """Read one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.names: set[str] = set()

    def read(self) -> None:
        text = self.text
        depth = 0
        operand = repeated = False  # whether there is something to repeat, and whether it was just repeated
        while self.at < len(text):
            c = text[self.at]
            was_repeated, repeated = repeated, False
            if c == "(":
                opens = self._group()
                depth += opens
                operand = operand and not opens
            elif c == "|":
                self.at += 1
                operand = False
            elif c == ")":
                if not depth:
                    raise _Wrong("regexp/syntax: internal error")
                depth -= 1
                self.at += 1
                operand = True
            elif c in "*+?" or (c == "{" and _REPEAT.match(text, self.at)):
                self._repeat(operand=operand, nested=was_repeated)
                operand = repeated = True
            elif c == "[":
                self._set()
                operand = True
            elif c == "\\":
                self._escape(inside=False)
                operand = True
            else:
                self.at += 1
                operand = True
        if depth:
            raise _Wrong("missing closing )")

    def _group(self) -> bool:
        """Read what opens a group, or a setting of flags, which opens none."""
        if not self.text.startswith("(?", self.at):
            self.at += 1
            return True
        if self.text.startswith("(?P", self.at):
            match = _NAMED.match(self.text, self.at)
            if match is None:
                raise _Wrong("invalid named capture" if self.text.startswith("(?P<", self.at) else _PERL)
            if match[1] in self.names:
                raise _Wrong("duplicate capture group name")
            self.names.add(match[1])
            self.at = match.end()
            return True
        match = _FLAGS.match(self.text, self.at)
        if match is None:
            if self.text in ("(?", "(?i", "(?m", "(?s", "(?U"):
                raise _Wrong("missing closing )")
            raise _Wrong(_PERL)
        self.at = match.end()
        return match[1] == ":"

    def _repeat(self, *, operand: bool, nested: bool) -> None:
        match = _REPEAT.match(self.text, self.at)
        if match is None:
            self.at += 1
        else:
            low = int(match[1])
            high = low if match[2] is None else int(match[3]) if match[3] else -1
            if low > 1000 or high > 1000 or 0 <= high < low:
                raise _Wrong("invalid repeat count")
            self.at = match.end()
        if not operand:
            raise _Wrong(_MISSING_ARGUMENT)
        if self.text.startswith("?", self.at):
            self.at += 1
        if nested:
            raise _Wrong("invalid nested repetition operator")

    def _set(self) -> None:
        """Read `[...]`."""
        text = self.text
        self.at += 2 if text.startswith("[^", self.at) else 1
        first = True
        while self.at >= len(text) or text[self.at] != "]" or first:
            if self.at >= len(text):
                raise _Wrong("missing closing ]")
            if text.startswith("[:", self.at) and (end := text.find(":]", self.at + 2)) >= 0:
                if text[self.at + 2 : end].removeprefix("^") not in _CLASSES:
                    raise _Wrong(_RANGE)
                self.at = end + 2
            else:
                low = self._element()
                if low is not None and text.startswith("-", self.at) and not text.startswith("-]", self.at):
                    self.at += 1
                    if self.at >= len(text):
                        raise _Wrong("missing closing ]")
                    high = self._element()
                    if high is None or high < low:
                        raise _Wrong(_RANGE)
            first = False
        self.at += 1

    def _element(self) -> int | None:
        """Read one character of a set and return it, None for a class."""
        if self.text[self.at] == "\\":
            return self._escape(inside=True)
        self.at += 1
        return ord(self.text[self.at - 1])

    def _escape(self, *, inside: bool) -> int | None:
        """Read an escape sequence; return the character that it means, None where it is something else."""
        text = self.text
        if self.at + 1 >= len(text):
            raise _Wrong("trailing backslash at end of expression")
        c = text[self.at + 1]
        self.at += 2
        if c in "dDsSwW" or (not inside and c in "AbBz"):
            return None
        if c == "Q" and not inside:
            end = text.find("\\E", self.at)
            self.at = len(text) if end < 0 else end + 2
            return None
        if c in "pP":
            name = re.compile(r"\{\^?([^}]*)\}|\^?([^{])", re.DOTALL).match(text, self.at)
            if name is None or (name[1] or name[2]) not in _CATEGORIES:
                raise _Wrong(_RANGE)
            self.at = name.end()
            return None
        if c in "afnrtv":
            return ord({"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}[c])
        if c in "01234567":
            octal = re.compile("[0-7]{0,2}").match(text, self.at)
            assert octal is not None
            if c != "0" and not octal[0]:
                raise _Wrong(_ESCAPE)  # a reference to a group
            self.at = octal.end()
            return int(c + octal[0], 8)
        if c == "x":
            digits = re.compile(r"\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2})").match(text, self.at)
            if digits is None or int(digits[1] or digits[2], 16) > 0x10FFFF:
                raise _Wrong(_ESCAPE)
            self.at = digits.end()
            return int(digits[1] or digits[2], 16)
        if ord(c) < 0x80 and not c.isalnum():
            return ord(c)
        raise _Wrong(_ESCAPE)
