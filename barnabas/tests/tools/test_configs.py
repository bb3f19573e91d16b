"""Read what kafka-configs, kafka-features and kafka-acls are given."""

from __future__ import annotations

import pytest

from barnabas.tools.errors import OptionError, ToolError
from barnabas.tools.scripts.acls import parse_principal
from barnabas.tools.scripts.configs import parse_added
from barnabas.tools.scripts.features import parse_level
from barnabas.tools.texts import java_double, java_order


def test_brackets_hold_values_with_commas_and_equals_signs() -> None:
    assert parse_added("a=1,b=[x,y=z], c = 3 ,d=") == {"a": "1", "b": "x,y=z", "c": "3", "d": ""}
    assert parse_added(",") == {}


@pytest.mark.parametrize("text", ["", "a", "a=b=c", "a=1,b"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="requirement failed: Invalid entity config"):
        parse_added(text)


def test_numbers_are_written_as_java_writes_them() -> None:
    numbers = [1e7, 12345678.0, 0.0001, 100000.0, 0.001, 1e21, 0.0, -2.5, float("nan"), float("-inf")]
    assert [java_double(number) for number in numbers] == [
        "1.0E7", "1.2345678E7", "1.0E-4", "100000.0", "0.001", "1.0E21", "0.0", "-2.5", "NaN", "-Infinity",
    ]


def test_strings_come_in_the_order_of_a_hash_map() -> None:
    assert java_order(["foo", "bar"], 16) == ["bar", "foo"]


@pytest.mark.parametrize("text", ["group.version", "group.version=x", "group.version=40000"])
def test_a_level_is_a_short(text: str) -> None:
    assert parse_level(" group.version = 1") == ("group.version", 1)
    with pytest.raises(ToolError, match="Can't parse feature=level string"):
        parse_level(text)


def test_a_principal_has_a_type() -> None:
    assert parse_principal("User:a:b") == "User:a:b"
    with pytest.raises(ToolError, match="principalType:principalName but got ann"):
        parse_principal("ann")
