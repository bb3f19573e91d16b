"""Give each module of behaviours a broker, and each test a client of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from barnabas.embedded import Broker

from .client import Client


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """Return the module's broker. Its clock may be moved: what a test makes must not depend on its age."""
    with Broker(properties={"offsets.topic.num.partitions": "4"}) as broker:
        yield broker


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    """Return a client with a connection of its own."""
    with Client(broker) as client:
        yield client


@pytest.fixture
def other(broker: Broker) -> Iterator[Client]:
    """Return a second client."""
    with Client(broker) as client:
        yield client
