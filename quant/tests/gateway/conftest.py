"""Stores and gateways that the tests of users share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from barnabas_quant.bus import ensure_topics

from ..conftest import eventually
from ..stores import Valkey
from .common import GatewayProcess


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """Give a Kafka of this module's own: the topic of accounts has a fixed name, and one gateway writes it."""
    embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        yield broker.bootstrap


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, kafka: str, valkey: Valkey) -> Iterator[GatewayProcess]:
    """Give a gateway that lets in only those who say who they are, and writes accounts."""
    gateway = GatewayProcess(tmp_path_factory.mktemp("closed"), kafka, valkey.url)
    try:
        eventually(gateway.writes)
        yield gateway
        gateway.end()
    finally:
        gateway.kill()
