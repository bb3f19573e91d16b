"""Parse options as joptsimple does, which most of Kafka's tools use, and check how they go together.

`--name value`, `--name=value`, and both with one dash. A required argument is the next word, whatever it looks like; an
optional one is the next word unless that is an option, or no number where one is wanted. Nothing is abbreviated. Words
that belong to no option are collected. Values are converted when they are asked for, so that errors come where Kafka's
come. The error texts are joptsimple's and those of Kafka's `CommandLineUtils`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from barnabas.tools.errors import OptionError, UsageError

Kind = Literal["string", "int", "long", "double"]
_RANGES = {"int": 1 << 31, "long": 1 << 63}


class Option(msgspec.Struct, frozen=True):
    """Declare one option.

    `value` names its argument in the help; without one it is a flag. `optional`: the argument may be left out.
    `completes` says what a shell may offer as its value: "topic", "group", "file", or words.
    """

    name: str
    help: str
    value: str = ""
    kind: Kind = "string"
    default: Any = None
    optional: bool = False
    completes: str = ""


class Parsed:
    """Hold the options of one command line."""

    def __init__(self, options: Sequence[Option]) -> None:
        self._options = {option.name: option for option in options}
        self._given: dict[str, list[str]] = {}
        self.words: list[str] = []
        """What belongs to no option."""
        self.arguments: list[str] = []
        """The command line as it came."""
        self.order: list[str] = []
        """The names of the options as they came, each time."""

    def add(self, name: str, value: str | None) -> None:
        """Take an option in, as the parser finds it."""
        self.order.append(name)
        values = self._given.setdefault(name, [])
        if value is not None:
            values.append(value)

    def has(self, name: str) -> bool:
        """Tell whether the option was given."""
        return name in self._given

    def values(self, name: str) -> list[Any]:
        """Return all values of an option, converted. Raises `OptionError`."""
        option = self._options[name]
        given = self._given.get(name, [])
        if not given and option.default is not None and not option.optional:
            return [option.default]
        return [_convert(text, option) for text in given]

    def value(self, name: str) -> Any:
        """Return the value of an option: its default, else None, where it has none. Raises `OptionError`."""
        values = self.values(name)
        if len(values) > 1:
            raise OptionError(f"Found multiple arguments for option {name}, but you asked for only one")
        return values[0] if values else self._options[name].default

    def require(self, *names: str) -> None:
        """Raise `UsageError` for the first of the options that was not given."""
        for name in names:
            if not self.has(name):
                raise UsageError(f'Missing required argument "[{name}]"')

    def refuse(self, with_: str, names: Iterable[str]) -> None:
        """Raise `UsageError` if one of the names was given together with the option `with_`."""
        if self.has(with_):
            for name in names:
                if self.has(name):
                    raise UsageError(f'Option "[{with_}]" can\'t be used with option "[{name}]"')


def _convert(text: str, option: Option) -> Any:
    if option.kind == "string":
        return text
    try:
        if option.kind == "double":
            return float(text)
        number = int(text) if text.isascii() and "_" not in text and text.strip() == text else None
    except ValueError:
        number = None
    if number is None or not -_RANGES[option.kind] <= number < _RANGES[option.kind]:
        raise OptionError(f"Cannot parse argument '{text}' of option {option.name}")
    return number


def _may_follow(option: Option, word: str) -> bool:
    """Tell whether joptsimple takes a word for the argument of an option whose argument may be left out."""
    if option.kind == "string":
        return not word.startswith("-")
    try:
        _convert(word, option)
    except OptionError:
        return False
    return True


def parse(options: Sequence[Option], arguments: Sequence[str]) -> Parsed:
    """Parse a command line. Raises `OptionError` for an unknown option and for a missing argument."""
    known = {option.name: option for option in options}
    parsed = Parsed(options)
    words = list(arguments)
    parsed.arguments = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            parsed.words += words
            break
        if not word.startswith("-") or word == "-":
            parsed.words.append(word)
            continue
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        option = known.get(name)
        if option is None:
            # of a cluster behind one dash joptsimple names the first letter that it does not know
            shown = name if word.startswith("--") else next((c for c in name if c not in known), name)
            raise OptionError(f"{shown} is not a recognized option")
        if not option.value:
            parsed.add(name, None)  # a value behind `=` is ignored
        elif equals:
            parsed.add(name, value)
        elif option.optional:
            parsed.add(name, words.pop(0) if words and _may_follow(option, words[0]) else None)
        elif words:
            parsed.add(name, words.pop(0))
        else:
            raise OptionError(f"Option {name} requires an argument")
    return parsed


HELP = Option("help", "Print this help.")
VERSION = Option("version", "Print the version.")
JSON = Option("json", "Print the result as JSON. Not in Apache Kafka's tool.")


def usage(script: str, summary: str, options: Sequence[Option], example: str, width: int = 100) -> str:
    """Write a help page: what it is for, the options, an example."""
    lines = [f"{script}: {summary}", "", "Options:"]
    for option in sorted(options, key=lambda o: o.name):
        value = f" [{option.value}]" if option.optional else f" <{option.value}>" if option.value else ""
        text = option.help
        if option.default not in (None, "", []):
            text += f" Default: {option.default}."
        head = f"  --{option.name}{value}"
        folded = textwrap.wrap(text, width - 34) or [""]
        if len(head) > 32:
            lines.append(head)
        else:
            lines.append(f"{head:<34}{folded.pop(0)}")
        lines += [" " * 34 + line for line in folded]
    lines += ["", "Example:"]
    lines += [f"  {line}" for line in example.strip().splitlines()]
    return "\n".join(lines)
