"""The platform's topics, and making sure that they exist."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from barnabas_quant.errors import BusError
from barnabas_quant.model import MARKET_RECORDS

log = logging.getLogger(__name__)

_WEEK = 7 * 24 * 3600 * 1000  # milliseconds


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """Describe a topic; the replication factor is the broker's default."""

    name: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


MARKET_TOPICS: tuple[TopicSpec, ...] = tuple(
    TopicSpec(record.topic, 12, {"retention.ms": str(_WEEK)}) for record in MARKET_RECORDS
)
"""Twelve partitions and seven days each."""

TOPICS: tuple[TopicSpec, ...] = (
    *MARKET_TOPICS,
    TopicSpec("stock-realtime", 3),
    TopicSpec("trade-signal", 1),
    TopicSpec("user-events", 3),
)
"""Every topic that the platform starts with."""


def quiet(**settings: Any) -> dict[str, Any]:
    """Give client settings with librdkafka's own log lines sent to this package's logger."""
    return {"logger": logging.getLogger("barnabas_quant.librdkafka"), **settings}


def wait_for_kafka(bootstrap: str, seconds: float, give_up: Callable[[], bool] = lambda: False) -> None:
    """Wait until a real client gets an answer. Raises BusError after `seconds`, or as soon as `give_up()` is true."""
    admin = AdminClient(quiet(**{"bootstrap.servers": bootstrap}))
    deadline = time.monotonic() + seconds
    while not give_up():
        try:
            if admin.list_topics(timeout=0.5).brokers:
                return
        except KafkaException as error:
            log.debug("%s: no answer yet: %s", bootstrap, error)
        if time.monotonic() > deadline:
            raise BusError(f"no Kafka answers at {bootstrap} (waited {seconds:g} s)")
    raise BusError(f"gave up waiting for Kafka at {bootstrap}")


def ensure_topics(bootstrap: str, specs: Iterable[TopicSpec] = TOPICS) -> list[str]:
    """Create the topics that are missing and answer their names; topics that exist are left as they are.

    Raises BusError where the broker refuses one.
    """
    admin = AdminClient(quiet(**{"bootstrap.servers": bootstrap}))
    try:
        present = admin.list_topics(timeout=10).topics
        missing = [spec for spec in specs if spec.name not in present]
        created = (
            admin.create_topics([NewTopic(spec.name, spec.partitions, config=dict(spec.settings)) for spec in missing])
            if missing
            else {}
        )
    except KafkaException as error:
        raise BusError(f"{bootstrap}: cannot list or create topics: {error}") from error
    names = []
    for name, future in created.items():
        try:
            future.result()
            names.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was quicker: as good
                raise BusError(f"topic {name}: {error.args[0].str()}") from error
    return names


def partition_counts(bootstrap: str, topics: Iterable[str], seconds: float = 10.0) -> dict[str, int]:
    """Give the number of partitions of each topic. Raises BusError where one is still not there after `seconds`."""
    admin = AdminClient(quiet(**{"bootstrap.servers": bootstrap}))
    wanted = list(topics)
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = admin.list_topics(timeout=seconds).topics
        except KafkaException as error:
            raise BusError(f"{bootstrap}: cannot list topics: {error}") from error
        counts = {name: len(found[name].partitions) for name in wanted if name in found and found[name].partitions}
        if len(counts) == len(wanted):
            return counts
        if time.monotonic() > deadline:
            raise BusError(f"{bootstrap}: no topic {', '.join(sorted(set(wanted) - counts.keys()))}")
        time.sleep(0.05)
