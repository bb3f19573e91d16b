"""A broker and a console for the tests of this folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from barnabas.embedded import Broker

from .site import Console

_numbers = itertools.count()


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(process=True) as broker:
        yield broker


@pytest.fixture(scope="module")
def console(broker: Broker) -> Iterator[Console]:
    with Console("--cluster", f"local={broker.bootstrap}") as console:
        yield console


@pytest.fixture
def topic(broker: Broker) -> Callable[..., str]:
    """Make topics with names of their own."""

    def make(partitions: int = 1, **configs: str) -> str:
        name = f"topic.{next(_numbers)}"
        broker.create_topic(name, partitions, {key.replace("_", "."): value for key, value in configs.items()})
        return name

    return make
