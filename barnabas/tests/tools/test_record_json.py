"""JSON as Kafka's converters and Jackson write it."""

from __future__ import annotations

import pytest

from barnabas.protocol.records import metadata as r
from barnabas.tools.record_json import (
    MalformedRecord,
    UnknownRecord,
    as_json,
    camel_case,
    decode_coordinator_record,
    dumps,
    group_records,
    java_double,
)


@pytest.mark.parametrize(("value", "text"), [
    (1.0, "1.0"), (0.001, "0.001"), (0.0001, "1.0E-4"), (9999999.5, "9999999.5"), (1e7, "1.0E7"),
    (123456789.0, "1.23456789E8"), (-2.5e20, "-2.5E20"), (float("inf"), "Infinity"), (float("nan"), "NaN"),
])
def test_fractions_are_java_s(value: float, text: str) -> None:
    assert java_double(value) == text


def test_text_is_escaped_as_jackson_does() -> None:
    assert dumps({"a": 'ä"\\\n\x1f', "b": [1e7, None, True]}) == '{"a":"ä\\"\\\\\\n\\u001F","b":[1.0E7,null,true]}'


def test_no_text_is_taken_for_a_fraction_or_an_escape() -> None:
    assert dumps(['"\0f1.5', "\0", "\0f1.5", "\\u001f"]) == r'["\"\u0000f1.5","\u0000","\u0000f1.5","\\u001f"]'


def test_tagged_fields_stand_where_the_definition_has_them_unless_they_are_default() -> None:
    change = r.PartitionChangeRecord(3, bytes(16), leader=1, isr=[1])
    assert as_json(change, 2) == {
        "partitionId": 3, "topicId": "AAAAAAAAAAAAAAAAAAAAAA", "isr": [1], "leader": 1
    }
    assert camel_case("k_raft_version") == "kRaftVersion"


def test_what_cannot_be_decoded_is_said_in_java_s_words() -> None:
    with pytest.raises(UnknownRecord):
        decode_coordinator_record(group_records(), b"\x00\x63", None)
    with pytest.raises(MalformedRecord, match="Could not read version from key's buffer"):
        decode_coordinator_record(group_records(), b"\x00", None)
    with pytest.raises(MalformedRecord, match="Could not read record with version 2 from key's buffer due to"):
        decode_coordinator_record(group_records(), b"\x00\x02\x00\x09g", None)
    with pytest.raises(MalformedRecord, match="Found an unknown record version 99 for 2 type"):
        decode_coordinator_record(group_records(), b"\x00\x02\x00\x01g", b"\x00\x63")
