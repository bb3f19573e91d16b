"""Behaviours 1 to 3: ApiVersions, and what closes a connection."""

from __future__ import annotations

import struct

import pytest

from barnabas.embedded import Broker
from barnabas.handlers.registry import ROUTES
from barnabas.protocol.codec import decode
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from barnabas.protocol.messages.produce import ProduceRequest

from ..wire import Wire, frame
from .client import Client


def raw(broker: Broker, key: int, version: int, body: bytes = b"\x00" * 8) -> Wire:
    """Send a request made by hand on a connection of its own."""
    wire = Wire.to(broker.bootstrap)
    data = struct.pack(">hhih", key, version, 7, -1) + body
    wire.raw(struct.pack(">i", len(data)) + data)
    return wire


@pytest.mark.parametrize("version", range(5))
def test_01_api_versions_is_answered_with_the_plain_header(broker: Broker, version: int) -> None:
    with Wire.to(broker.bootstrap) as wire:
        wire.raw(frame(ApiVersionsRequest("test", "1"), version, correlation=7))
        answer = wire.read_frame()
    assert struct.unpack_from(">ih", answer) == (7, 0)  # no tagged fields in between, in any version
    count = answer[6] - 1 if version >= 3 else struct.unpack_from(">i", answer, 6)[0]
    assert count == len([r for r in ROUTES.values() if r.api.broker])


@pytest.mark.parametrize("version", [5, -1, 32767])
def test_01_an_unknown_version_of_api_versions_is_answered_in_version_0(broker: Broker, version: int) -> None:
    with raw(broker, 18, version) as wire:
        assert wire.read_frame() == struct.pack(">ihihhh", 7, 35, 1, 18, 0, 4)


@pytest.mark.parametrize(("key", "version"), [(3, 14), (3, -1), (0, 2), (0, 0), (999, 0), (-1, 0), (4, 0), (24, 0)])
def test_02_any_other_unsupported_version_closes(broker: Broker, key: int, version: int) -> None:
    with raw(broker, key, version) as wire:
        assert wire.is_closed()


@pytest.mark.parametrize("body", [b"\xff" * 40, b"GET / HTTP/1.1\r\n\r\n", b""])
def test_02_garbage_closes(broker: Broker, body: bytes) -> None:
    with raw(broker, 3, 12, body) as wire:
        assert wire.is_closed()


@pytest.mark.parametrize(
    ("name", "software"), [("", "1"), ("test", ""), ("-test", "1"), ("te st", "1"), ("test", "1.")]
)
def test_02_an_invalid_software_name_is_an_invalid_request(client: Client, name: str, software: str) -> None:
    answer = client.wire.request(ApiVersionsRequest(name, software), 3)
    assert (answer.error_code, answer.api_keys) == (ErrorCode.INVALID_REQUEST, [])
    assert client.wire.request(ApiVersionsRequest("test", "1"), 3).error_code == 0


def test_03_features_of_level_0_are_left_out_below_version_4(client: Client) -> None:
    for version in (3, 4):
        answer = client.wire.request(ApiVersionsRequest("test", "1"), version)
        lowest = {f.name: f.min_version for f in answer.supported_features}
        assert ("kraft.version" in lowest) == (version == 4)
        assert version == 4 or all(level > 0 for level in lowest.values())
        assert answer.finalized_features
        assert all(f.max_version_level > 0 for f in answer.finalized_features)
        assert "metadata.version" in {f.name for f in answer.finalized_features}


def test_03_only_what_is_served_is_advertised(client: Client) -> None:
    answer = client.wire.request(ApiVersionsRequest("test", "1"), 4)
    assert {k.api_key for k in answer.api_keys} == {r.api.key for r in ROUTES.values() if r.api.broker}
    for entry in answer.api_keys:
        api = ROUTES[entry.api_key].api
        assert entry.max_version == api.max_version
        # asked of Kafka: Produce is listed from 0 although it is served from 3
        assert entry.min_version == (0 if api.key == ProduceRequest.KEY else api.min_version)


def test_elsewhere_the_tagged_fields_of_api_versions_end_where_the_frame_ends(broker: Broker) -> None:
    """One byte off made librdkafka ask for 34 GB."""
    with Wire.to(broker.bootstrap) as wire:
        wire.raw(frame(ApiVersionsRequest("test", "1"), 3, correlation=7))
        answer = wire.read_frame()
    at = 4 + 2  # correlation id, error code
    keys = answer[at] - 1
    at += 1 + keys * 7  # each with three int16 and its own (empty) tags
    assert struct.unpack_from(">i", answer, at) == (0,)  # throttle time
    at += 4
    tags, at = answer[at], at + 1
    seen = []
    for _ in range(tags):
        tag, size = answer[at], answer[at + 1]
        assert size < 128
        seen.append(tag)
        at += 2 + size
    assert at == len(answer)
    assert seen == sorted(seen) and set(seen) <= {0, 1, 2, 3}
    assert decode(ApiVersionsResponse, 3, answer[4:]).finalized_features_epoch >= 0


def test_asked_of_kafka_produce_with_null_records_is_answered(client: Client) -> None:
    """Kafka never answers that; an answer with an error is better."""
    topic = client.topic()
    assert client.produce(topic, None, acks=1, version=9).error_code == ErrorCode.INVALID_RECORD
