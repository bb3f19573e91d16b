"""What the tools for groups read: times, durations, files, regular expressions."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas.tools.errors import ToolError
from barnabas.tools.group_admin import decode_assignment
from barnabas.tools.java_time import parse_datetime, parse_duration
from barnabas.tools.re2 import problem_of
from barnabas.tools.reset_offsets import parse_scope, read_plan, write_plan


@pytest.mark.parametrize(("text", "milliseconds"), [
    ("1970-01-01T00:00:01.500", 1500), ("1970-01-01T00:00:00.5", 5), ("1970-01-01T01:00:00.000+01:00", 0),
    ("1970-01-01T00:00:00.000-0100", 3_600_000), ("1970-01-01T00:00:00.000+0130", -3_600_000),
    ("1969-12-31T23:59:59.999Z", -1), ("2023-1-2T3:4:5.6Z", 1_672_628_645_006),
])
def test_times(text: str, milliseconds: int) -> None:
    assert parse_datetime(text) == milliseconds


@pytest.mark.parametrize("text", [
    "", "T", "1970-01-01", "1970-01-01T", "1970-01-01T00:00:00", "1970-02-30T00:00:00.000", "1970-01-01T24:00:00.000",
    "1970-01-01T00:00:00.1000", "999999-01-01T00:00:00.000",
])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ToolError, match="ParseException"):
        parse_datetime(text)


@pytest.mark.parametrize(("text", "milliseconds"), [
    ("P1D", 86_400_000), ("pt1h2m3.5s", 3_723_500), ("PT-0.5S", -500), ("-PT1S", -1000), ("P1DT1S", 86_401_000),
    ("PT1,25S", 1250), ("PT1.S", 1000),
])
def test_durations(text: str, milliseconds: float) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1D", "P1W", "P1.5D", "PT1S1M", "P99999999999999999D"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ToolError, match="Text cannot be parsed to a Duration"):
        parse_duration(text)


def test_a_plan_survives_the_way_through_a_file(tmp_path: Path) -> None:
    plan = {"a group, quoted": {("t", 0): 5, ("t", 1): 7}, "b": {("u", 3): 1}}
    path = tmp_path / "plan.csv"
    path.write_text(write_plan(plan, with_group=True))
    assert read_plan(str(path), ["a group, quoted", "b"]) == plan
    assert read_plan(str(path), ["b"]) == plan


def test_a_file_with_an_error_in_its_last_line_is_no_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("t,0,5\nt,1,99999999999999999999\n")
    with pytest.raises(ToolError, match="not a valid `long` value"):
        read_plan(str(path), ["a"])


def test_scopes() -> None:
    assert parse_scope("t:0,1") == [("t", 0), ("t", 1)]


@pytest.mark.parametrize("expression", [
    "", "a|b|", "(a|b)*?", "a{", "a{1,", "a{,2}", "a{2,1000}", "[]a]", "[^]]", "[a-]", "[-a]", r"[\d\-z]",
    r"\x{10FFFF}", r"\Qa(b\E", "(?i)a(?:b)(?s-i:c)", r"\p{Greek}\PL", "[[:^alpha:]x]", r"\0\07", "()", "^*", "a{2}",
])
def test_regular_expressions(expression: str) -> None:
    assert problem_of(expression) is None


@pytest.mark.parametrize(("expression", "problem"), [
    ("(", "missing closing )"), ("[", "missing closing ]"), ("[]", "missing closing ]"), ("|*", "missing argument"),
    ("(+)", "missing argument"), ("a{2}{3}", "invalid nested"), ("(?z)", "Perl"), (r"\8", "escape"), (r"\y", "escape"),
    ("(?P<a", "named capture"), (r"\x{110000}", "escape"), (r"[a-\d]", "range"), ("x)", "internal error"),
])
def test_wrong_regular_expressions(expression: str, problem: str) -> None:
    assert problem in (problem_of(expression) or "")


@pytest.mark.parametrize("raw", [
    b"\0\0\0\0\0\1", b"\0\0\x7f\xff\xff\xff", b"\0\1\xff\xff\xff\xff\0\0", b"\0\3\0\0\0\1\0\5ab",
    b"\0\0\0\0\0\1\0\1\xff\0",
])
def test_assignments_that_are_none(raw: bytes) -> None:
    with pytest.raises(ToolError, match="cannot be decoded"):
        decode_assignment(raw)


def test_assignments() -> None:
    raw = bytes.fromhex("0001 00000001 0001 74 00000002 00000000 00000003 ffffffff")
    assert decode_assignment(raw) == [("t", 0), ("t", 3)]
    assert decode_assignment(b"\0\x63" + raw[2:]) == [("t", 0), ("t", 3)]  # a version from the future
    assert decode_assignment(b"") == []
