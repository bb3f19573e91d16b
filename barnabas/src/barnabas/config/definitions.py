"""What a configuration key is: its type, its default, what it allows, and the words of refusal.

A key is data; `parse` turns text into the key's Python type exactly where Apache Kafka 4.3 would accept it (so `0.5f`
is a double, `1_000` is no number, `delete,delete` is one policy), and `render` gives the text that Kafka would print.
Refusals carry Kafka's own sentences: tools and tests of other projects compare them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | list[str]"
Validator: TypeAlias = Callable[[str, "Value"], None]


class ConfigType(IntEnum):
    """Number a key's type as DescribeConfigs v3 and later does on the wire."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Scope(IntEnum):
    """Say where a broker key may be changed while the broker runs."""

    READ_ONLY = 0
    PER_BROKER = 1
    CLUSTER_WIDE = 2


class ConfigException(ValueError):
    """Refuse a configuration value; `str()` is Kafka's sentence (wire error INVALID_CONFIG)."""

    def __init__(self, name: str, value: object, message: str = "", *, sentence: str | None = None) -> None:
        """Compose `Invalid value V for configuration N: message`, or take a whole `sentence`."""
        self.name = name
        self.value = value
        self.message = message
        shown = "null" if value is None else "[hidden]" if isinstance(value, Secret) else value
        composed = f"Invalid value {shown} for configuration {name}" + (f": {message}" if message else "")
        super().__init__(composed if sentence is None else sentence)


class ConfigRequestException(ConfigException):
    """Refuse an update that Kafka answers with INVALID_REQUEST instead of INVALID_CONFIG."""


class Secret(str):
    """Mark a password's text, so that no message shows it."""

    __slots__ = ()


class Range:
    """Allow numbers from `low` to `high`, both included; None is open."""

    __slots__ = ("high", "low")

    def __init__(self, low: float | None, high: float | None = None) -> None:
        self.low = low
        self.high = high

    def __call__(self, name: str, value: Value) -> None:
        if isinstance(value, int | float):
            if self.low is not None and value < self.low:
                raise ConfigException(name, render(value), f"Value must be at least {self.low}")
            if self.high is not None and value > self.high:
                raise ConfigException(name, render(value), f"Value must be no more than {self.high}")


class OneOf:
    """Allow the given texts."""

    __slots__ = ("any_case", "texts")

    def __init__(self, *texts: str, any_case: bool = False) -> None:
        self.texts = texts
        self.any_case = any_case

    def __call__(self, name: str, value: Value) -> None:
        text = str(value)
        if (text.upper() if self.any_case else text) not in self.texts:
            hint = " (case insensitive)" if self.any_case else ""
            raise ConfigException(name, text, f"String must be one of{hint}: {', '.join(self.texts)}")


class ListOf:
    """Allow lists without empty items; of the given texts if any; of length zero where `empty`."""

    __slots__ = ("empty", "texts")

    def __init__(self, *texts: str, empty: bool = True) -> None:
        self.texts = texts
        self.empty = empty

    def __call__(self, name: str, value: Value) -> None:
        items = value if isinstance(value, list) else [str(value)]
        if not items and not self.empty:
            valid = f"[{', '.join(self.texts)}]" if self.texts else "any non-empty value"
            sentence = f"Configuration '{name}' must not be empty. Valid values include: {valid}"
            raise ConfigException(name, "", sentence=sentence)
        for item in items:
            if not item:
                sentence = f"Configuration '{name}' values must not be empty."
                raise ConfigException(name, ",".join(items), sentence=sentence)
            if self.texts and item not in self.texts:
                raise ConfigException(name, item, f"String must be one of: {', '.join(self.texts)}")


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """Describe one configuration key.

    `default` is the text that Kafka prints for it (None: no value). `has_default` is False for the few keys that a
    Kafka properties file must name. `synonyms` are the broker keys behind this key, most important first. `supported`
    says whether the key has an effect here; `internal` keys are described only where they are set.
    """

    name: str
    type: ConfigType
    default: str | None = None
    validator: Validator | None = None
    scope: Scope = Scope.READ_ONLY
    synonyms: tuple[str, ...] = ()
    supported: bool = False
    has_default: bool = True
    internal: bool = False

    @property
    def sensitive(self) -> bool:
        """Say whether the value must never be shown."""
        return self.type is ConfigType.PASSWORD

    @property
    def read_only(self) -> bool:
        """Say whether the key can change only with a restart."""
        return self.scope is Scope.READ_ONLY

    @property
    def documentation(self) -> str:
        """Give one sentence on what the key does; empty for a key that has no effect here."""
        # The sentences are read only when somebody asks: starting the broker does not need them.
        from barnabas.config.documentation import sentence

        return sentence(self.name, self.synonyms) if self.supported else ""


_WIDTH = {ConfigType.INT: 32, ConfigType.SHORT: 16, ConfigType.LONG: 64}


def parse(key: ConfigKey, text: str) -> Value:
    """Turn a value's text into the key's Python type.

    Space around the text is ignored; lists lose doubled items, the first of each stays.
    Raise ConfigException where the text is not of the type or not among what the key allows.
    """
    value = _convert(key, text.strip())
    if key.validator is not None:
        key.validator(key.name, value)
    return value


def _convert(key: ConfigKey, text: str) -> Value:
    if key.type is ConfigType.BOOLEAN:
        lowered = text.lower()
        if lowered not in ("true", "false"):
            raise ConfigException(key.name, text, "Expected value to be either true or false")
        return lowered == "true"
    if key.type in _WIDTH:
        half = 1 << (_WIDTH[key.type] - 1)
        digits = text[1:] if text[:1] in ("+", "-") else text
        if not digits.isdecimal() or not -half <= (number := int(text)) < half:
            raise ConfigException(key.name, text, f"Not a number of type {key.type.name}")
        return number
    if key.type is ConfigType.DOUBLE:
        return _java_number(key, text)
    if key.type is ConfigType.LIST:
        return list(dict.fromkeys(item.strip() for item in text.split(","))) if text else []
    return Secret(text) if key.type is ConfigType.PASSWORD else text


# No regular expressions here: compiling one costs more of the start than all of the keys.
_JAVA_FLOAT = frozenset("+-.0123456789eE")


def _java_number(key: ConfigKey, text: str) -> float:
    if text.lstrip("+-") in ("NaN", "Infinity") and len(text.lstrip("+-")) >= len(text) - 1:
        return float(text)
    digits = text[:-1] if text[-1:] in tuple("fFdD") else text
    try:
        if _JAVA_FLOAT.issuperset(digits):
            return float(digits)
    except ValueError:
        pass
    raise ConfigException(key.name, text, "Not a number of type DOUBLE")


def render(value: Value | tuple[str, ...] | None) -> str | None:
    """Print a value as Kafka does: lower-case booleans, lists joined by commas, Java's notation of doubles."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _java_double(value)
    if isinstance(value, list | tuple):
        return ",".join(value)
    return str(value)


def _java_double(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    power = int(exponent or 0) + len(whole) - 1 - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0") or "0"
    return f"{'-' if value < 0 else ''}{digits[0]}.{digits[1:] or '0'}E{power}"


def answer_order(names: Iterable[str], first: Callable[[str], bool]) -> list[str]:
    """Sort names into the order of Kafka's DescribeConfigs answers.

    Kafka walks a hash map of its keys; names for which `first` holds (set, but unknown to it) come before all others.
    Within a bucket the order given stays, which should be that of declaration. No client depends on it; people who
    compare two outputs line by line do.
    """
    extra: list[str] = []
    known: list[str] = []
    for name in names:
        (extra if first(name) else known).append(name)
    buckets = 16
    while len(known) > buckets * 3 // 4:
        buckets *= 2
    return extra + sorted(known, key=lambda name: _java_hash(name) & (buckets - 1))


def _java_hash(text: str) -> int:
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value ^ (value >> 16)
