"""Test the raw client of the tests itself, against a broker."""

from __future__ import annotations

import pytest

from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.testing import TestBroker

from ..wire import Closed, Wire


def test_answers_come_in_the_order_of_the_requests(barnabas_broker: TestBroker) -> None:
    topic = barnabas_broker.topic(partitions=3)
    with Wire.to(barnabas_broker.bootstrap) as wire:
        first = wire.send(ApiVersionsRequest(client_software_name="test", client_software_version="1"), 4)
        second = wire.send(MetadataRequest(topics=[MetadataRequestTopic(name=topic)]), 12, client_id=None)
        correlation, versions = wire.receive()
        assert correlation == first
        assert {18, 0, 1, 3} <= {x.api_key for x in versions.api_keys}
        correlation, metadata = wire.receive()
        assert correlation == second
        assert [(t.name, len(t.partitions)) for t in metadata.topics] == [(topic, 3)]


@pytest.mark.parametrize("version", [0, 1, 8, 9, 13])
def test_old_and_flexible_headers(barnabas_broker: TestBroker, version: int) -> None:
    with Wire.to(barnabas_broker.bootstrap) as wire:
        assert [b.port for b in wire.request(MetadataRequest(topics=[]), version).brokers]


def test_a_closed_connection_is_told(barnabas_broker: TestBroker) -> None:
    with Wire.to(barnabas_broker.bootstrap) as wire:
        wire.raw(b"\x00\x00\x00\x0a" + b"\x7f" * 10)
        with pytest.raises(Closed):
            wire.read_frame()
