"""Parsing and printing of values, against what Apache Kafka 4.3.0's own parser does with the same texts."""

from __future__ import annotations

import math

import pytest

from barnabas.config.broker import BROKER_KEYS
from barnabas.config.definitions import ConfigException, ConfigKey, ConfigType, Secret, parse, render
from barnabas.config.topic import TOPIC_KEYS

DOUBLE = ConfigKey("d", ConfigType.DOUBLE)
INT = ConfigKey("i", ConfigType.INT)


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), (" 7 ", 7), ("+7", 7), ("-7", -7), ("2147483647", 2147483647), ("-2147483648", -2147483648)],
)
def test_integers(text: str, value: int) -> None:
    assert parse(INT, text) == value


@pytest.mark.parametrize("text", ["", "x", "0x10", "1_000", "1.5", "2147483648", "-2147483649", "+-1", "+", "7 7"])
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(ConfigException) as raised:
        parse(INT, text)
    assert str(raised.value) == f"Invalid value {text} for configuration i: Not a number of type INT"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5f", 0.5),
        ("1d", 1.0),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("-Infinity", -math.inf),
        ("1e400", math.inf),
    ],
)
def test_doubles(text: str, value: float) -> None:
    assert parse(DOUBLE, text) == value


def test_not_a_number_is_a_double() -> None:
    value = parse(DOUBLE, "+NaN")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize("text", ["", "x", "1_0", "inf", "nan", "infinity", "++Infinity", "f", "1ff", "1e"])
def test_what_is_no_double(text: str) -> None:
    with pytest.raises(ConfigException, match="Not a number of type DOUBLE"):
        parse(DOUBLE, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e7, "1.0E7"),
        (0.001, "0.001"),
        (9.99e-4, "9.99E-4"),
        (123456.789, "123456.789"),
        (1e6, "1000000.0"),
        (12345678.9, "1.23456789E7"),
        (1e21, "1.0E21"),
        (0.1 + 0.2, "0.30000000000000004"),
        (100.0, "100.0"),
        (-0.0, "-0.0"),
        (1e22, "1.0E22"),
        (-2.5e-5, "-2.5E-5"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (True, "true"),
        (["a", "b"], "a,b"),
        ([], ""),
        (None, None),
        (-1, "-1"),
    ],
)
def test_printing(value: float | bool | list[str] | None, text: str | None) -> None:
    assert render(value) == text


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), (" true ", True), ("False", False)])
def test_booleans(text: str, value: bool) -> None:
    assert parse(TOPIC_KEYS["preallocate"], text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", []),
        (" delete , compact ", ["delete", "compact"]),
        ("delete,delete,compact", ["delete", "compact"]),
    ],
)
def test_lists(text: str, value: list[str]) -> None:
    assert parse(TOPIC_KEYS["cleanup.policy"], text) == value


def test_a_password_is_in_no_message() -> None:
    value = parse(BROKER_KEYS["ssl.keystore.password"], "hunter2")
    assert value == "hunter2"
    assert isinstance(value, Secret)
    assert "hunter2" not in str(ConfigException("ssl.keystore.password", value, "wrong"))


@pytest.mark.parametrize("name", [name for name, key in BROKER_KEYS.items() if key.default is not None])
def test_each_default_is_allowed_and_prints_as_it_stands(name: str) -> None:
    key = BROKER_KEYS[name]
    assert render(parse(key, key.default or "")) == key.default
