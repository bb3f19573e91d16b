"""Give pytest a broker: the fixture `barnabas_broker`, there as soon as the package is installed.

One broker serves a whole test session (one for each worker of pytest-xdist); each test gets a `TestBroker` whose topics
and groups are dropped behind it. Nothing of the broker is imported until a test asks for the fixture.

Options: `--barnabas-process` puts the broker into a process of its own; the session-scoped fixture
`barnabas_properties` may be overridden to set keys of server.properties.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from barnabas.embedded import Broker

__all__ = ["KafkaContainer", "TestBroker", "barnabas_broker", "barnabas_properties"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the plugin's option."""
    parser.getgroup("barnabas").addoption(
        "--barnabas-process", action="store_true", help="run the broker of barnabas_broker in a process of its own"
    )


class TestBroker:
    """Be the broker of one test. Everything that `barnabas.embedded.Broker` has is here as well."""

    __test__ = False

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    @property
    def bootstrap(self) -> str:
        """Return HOST:PORT for clients."""
        return self._broker.bootstrap

    def topic(self, name: str | None = None, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        """Make a topic and return its name; without a name it gets one that no other test has."""
        chosen = name or f"test-{uuid.uuid4().hex[:12]}"
        self._broker.create_topic(chosen, partitions, configs)
        return chosen


@pytest.fixture(scope="session")
def barnabas_properties() -> dict[str, str]:
    """Return keys of server.properties for the session's broker; override it to set some."""
    return {}


@pytest.fixture(scope="session")
def _barnabas_session(request: pytest.FixtureRequest, barnabas_properties: dict[str, str]) -> Iterator[Broker]:
    from barnabas.embedded import Broker

    process = bool(request.config.getoption("--barnabas-process"))
    with Broker(properties=barnabas_properties, process=process) as broker:
        yield broker


@pytest.fixture
def barnabas_broker(_barnabas_session: Broker) -> Iterator[TestBroker]:
    """Return a broker for one test; topics that the test made are dropped behind it."""
    broker = _barnabas_session
    before = set(broker.topics())
    yield TestBroker(broker)
    if not broker.is_running:
        broker.restart()
    broker.clear_faults()
    for topic in broker.topics():
        if topic not in before and not topic.startswith("__"):
            broker.delete_topic(topic)


class KafkaContainer:
    """Be used as testcontainers' KafkaContainer is, without a container.

    A test suite switches by one import: `from barnabas.testing import KafkaContainer`. Arguments that choose an image
    are taken and ignored.
    """

    def __init__(self, image: str = "", port: int = 9093, **_: Any) -> None:
        from barnabas.embedded import Broker

        self.port = port
        self._broker = Broker()

    def with_kraft(self) -> KafkaContainer:
        """Do nothing: the broker never has a ZooKeeper."""
        return self

    def with_env(self, key: str, value: str) -> KafkaContainer:
        """Set a key of server.properties as Kafka's images do: `KAFKA_A_B` is `a.b`."""
        from barnabas.config.properties import from_environment

        self._broker.set_properties(from_environment({key: value}))
        return self

    def with_exposed_ports(self, *ports: int) -> KafkaContainer:
        """Do nothing: the broker's port is reachable as it is."""
        return self

    def get_bootstrap_server(self) -> str:
        """Return HOST:PORT for clients."""
        return self._broker.bootstrap

    def get_container_host_ip(self) -> str:
        """Return the address of the broker's machine, this one."""
        return "127.0.0.1"

    def get_exposed_port(self, port: int) -> int:
        """Return the broker's port, whatever a container would have mapped."""
        return self._broker.port

    def start(self, timeout: int = 30) -> KafkaContainer:
        """Start the broker."""
        self._broker.start()
        return self

    def stop(self, **_: Any) -> None:
        """Stop the broker and drop its data."""
        self._broker.stop()

    def __enter__(self) -> KafkaContainer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
