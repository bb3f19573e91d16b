"""The language of expressions: what it means, what it refuses, and that nothing else comes out of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from barnabas.console import exact
from barnabas.console.errors import FilterError
from barnabas.console.filters import DEPTH, MISSING, parse

from .properties import relaxed

RECORD: dict[str, Any] = {
    "key": "binance:BTCUSDT",
    "value": exact.read(
        '{"price": 9007199254740993, "small": 0.1, "a": {"b": [1, {"c": null}]}, "odd name": "é", "yes": true,'
        ' "list": ["x", "y"]}'
    ),
    "headers": {"source": "the feed", "content-type": "json"}, "partition": 1, "offset": 100,
    "timestamp": 1_700_000_000_001, "size": 42,
}


def holds(text: str, record: dict[str, Any] | None = None) -> bool:
    known = RECORD if record is None else record
    return parse(text).matches(lambda root: known.get(root, MISSING))


@pytest.mark.parametrize("text", [
    'value.price > 10 && key == "binance:BTCUSDT" && headers.source contains "feed" && partition in [0, 1]',
    "offset >= 100 && timestamp > 1700000000000",
    "value.price == 9007199254740993", "value.price > 9007199254740992", "value.price != 9007199254740992",
    "value.price == 9007199254740993.0", "value.small == 0.1", "value.small == 1e-1",
    "value.small < 0.10000000000000001",
    "value.a.b[0] == 1", "value.a.b[1].c == null", "value.a.b[-1].c == null", 'value["odd name"] == "é"',
    'headers["content-type"] == "json"', "value.yes", "!value.no", "exists(value.a.b)", "!exists(value.a.x)",
    "!(value.x == 1)", 'key startsWith "binance:"', 'key endsWith "USDT"', 'value.list contains "x"',
    'value contains "price"', "key in ['a', 'binance:BTCUSDT']", "value.yes == true", "1 < 2 || value.x == 1",
    "value.a != 1", '"a" < "b"', "size == 42", "'it\\'s' == \"it's\"", '"\\u00e9" == "é"', "-1 < 0",
])
def test_it_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize("text", [
    "value.x == 1", "value.x != 1", "value.price == 9007199254740992", 'value.price > "1"', "value.yes == 1",
    "key == 1", "value.a.b[7] == 1", "value.a.b.c == 1", "key.upper == 1", "value.price", "key && key",
    "value.a == value.a", "value < 1", "null < 1", "partition in []", "value.price in value.a.b",
    "value.__class__ == 1", "exists(key.__class__)", "exists(value.a.b.append)",
])
def test_it_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_regular_expressions_are_those_of_re2() -> None:
    assert holds('key matches "^bin.*T$"')
    assert not holds('key matches "^bin$"')
    with pytest.raises(FilterError, match="RE2"):
        parse(r'key matches "(a)\\1"')  # back-references take exponential time: RE2 has none
    assert not holds('key matches "(a+)+$"', {"key": "a" * 100_000 + "b"})


@pytest.mark.parametrize(("text", "position"), [
    ("", 0), ("value.", 6), ("value.price >", 13), ('key == "x', 7), ("1 2", 2), ("key in 3", 7), ("value[1.5]", 6),
    ("__import__('os')", 0), ("open('x')", 0), ("value.price()", 11), ("key == 'a' and key == 'b'", 11),
    ("value; key", 5), ("value[", 6), ('key matches "("', 12), ("exists(1)", 7), ("(key", 4), ("lambda: 1", 6),
    ("key == 'a' &&", 13), ("value.price @ 1", 12), ("key == '\\q'", 8), ("key == `a`", 7), ("1 +1", 2),
])
def test_what_is_none_says_where(text: str, position: int) -> None:
    with pytest.raises(FilterError) as error:
        parse(text)
    assert error.value.position == position


def test_it_is_bounded() -> None:
    for text in ("(" * (DEPTH + 2) + "1" + ")" * (DEPTH + 2), "!" * (DEPTH + 2) + "key", "x" * 2001):
        with pytest.raises(FilterError):
            parse(text)
    assert holds("(" * DEPTH + "1 == 1" + ")" * DEPTH)
    assert holds(" && ".join(["1 == 1"] * 150))
    assert holds("1 == " + "1" * 1 + " || key == 'x'" * 100)


words = st.sampled_from([
    *"key value headers partition offset true false null exists contains startsWith endsWith matches in".split(),
    *"== != < <= > >= && || ! ( ) [ ] , .".split(), "1", "-2.5", "1e9", '"a"', "'('", "x", "__class__", " ", "lambda",
    "\\", '"', "import", "9" * 30,
])


@relaxed
@given(st.one_of(st.text(max_size=80), st.lists(words, max_size=30).map(" ".join), st.lists(words).map("".join)))
@example("value matches '\\ud800'")
def test_nothing_but_its_own_error_comes_out(text: str) -> None:
    try:
        expression = parse(text)
    except FilterError as e:
        assert 0 <= e.position <= len(text)
        return
    touched: list[str] = []

    def look(root: str) -> Any:
        touched.append(root)
        return RECORD[root]

    assert expression.matches(look) in (True, False)
    assert set(touched) <= set(RECORD)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8,
)


@relaxed
@given(documents, documents, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "contains", "startsWith", "in"]))
def test_any_two_values_compare_without_an_error(left: Any, right: Any, operator: str) -> None:
    record = {"key": left, "value": right}
    assert holds(f"key {operator} value", record) in (True, False)


def test_the_wrong_numbers_of_documents_have_no_order() -> None:
    assert not holds("key < value", {"key": Decimal("sNaN"), "value": 1})
