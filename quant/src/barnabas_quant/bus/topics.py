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

from barnabas_quant.errors import BusError, SettingsError
from barnabas_quant.model import MARKET_RECORDS, Gap, Reading
from barnabas_quant.model.account import Account

log = logging.getLogger(__name__)

_WEEK = 7 * 24 * 3600 * 1000  # milliseconds


_REPLICAS = 3
"""Copies of each record, where there are as many brokers."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """Describe a topic; it gets three replicas, or as many as there are brokers."""

    name: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


MARKET_TOPICS: tuple[TopicSpec, ...] = tuple(
    TopicSpec(record.topic, 12, {"retention.ms": str(_WEEK)}) for record in MARKET_RECORDS
)
"""Twelve partitions and seven days each."""

GAPS = TopicSpec(Gap.topic, 1, {"retention.ms": str(_WEEK)})
"""What a feed missed: where, why, and whether it was fetched afterwards."""

DEAD_LETTERS = TopicSpec("market_data.dead_letters", 1, {"retention.ms": str(_WEEK)})
"""Bytes that a service could not use, with the reason."""

INDICATORS = TopicSpec(Reading.topic, 12, {"retention.ms": str(_WEEK)})
"""What indicators say about closed bars."""

ANALYSIS_STATE = TopicSpec(
    "analysis-state",
    12,
    {
        "cleanup.policy": "compact",
        "segment.bytes": str(8 * 2**20),
        "min.cleanable.dirty.ratio": "0.1",
        "max.message.bytes": str(16 * 2**20),
    },
)
"""Where services stand: key `service topic-partition`; only the last record of a key counts."""

JOURNAL = TopicSpec("engine-journal", 1, {"retention.ms": str(_WEEK)})
"""In which order the deterministic services took their inputs."""

ACCOUNTS = TopicSpec(Account.topic, 1, {"cleanup.policy": "compact"})
"""The users: the last record of a key is that user's account, and none of them ever goes by age."""

TRADING_TOPICS: tuple[TopicSpec, ...] = (
    *(
        TopicSpec(name, 1)
        for name in ("trade-commands", "orders", "fills", "positions", "equity", "trade-decisions", "risk-alerts",
                     "cash-flows", "strategy-failures", "strategy-commands")
    ),
    TopicSpec("strategy-events", 1, {"retention.ms": "-1"}),
)  # fmt: skip
"""What the services of trading and strategies are told, and what they tell: one partition each, so in one order.

The last event of a strategy is how it stands, however long ago that was told: none of them goes by age.
"""

TOPICS: tuple[TopicSpec, ...] = (
    *MARKET_TOPICS,
    INDICATORS,
    ANALYSIS_STATE,
    GAPS,
    DEAD_LETTERS,
    JOURNAL,
    *TRADING_TOPICS,
    TopicSpec("stock-realtime", 3),
    TopicSpec("trade-signal", 1),
    TopicSpec("user-events", 3),
    ACCOUNTS,
)
"""Every topic that the platform starts with."""


def topic_specs(names: Iterable[str]) -> list[TopicSpec]:
    """Give what is known of the topics of these names; others are left out."""
    known = {spec.name: spec for spec in TOPICS}
    return [known[name] for name in names if name in known]


_everywhere: dict[str, str] = {}


def set_client_settings(given: Mapping[str, str]) -> None:
    """Take what the user says about every Kafka client of this process (security, ...), under librdkafka's names.

    Said once, by whoever has read the settings and before the first client is made: there is one cluster, and every
    client in the process speaks to it.
    """
    _everywhere.clear()
    _everywhere.update(given)


def client_settings(bootstrap: str, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give the settings of a client: what it needs itself, then what the user says about every client.

    librdkafka's own log lines go to this package's logger.
    """
    quiet = {"logger": logging.getLogger("barnabas_quant.librdkafka")}
    return {**quiet, "bootstrap.servers": bootstrap, **(own or {}), **_everywhere}


def kafka_answers(bootstrap: str) -> bool:
    """Tell whether a real client gets an answer within half a second."""
    try:
        return bool(AdminClient(client_settings(bootstrap)).list_topics(timeout=0.5).brokers)
    except KafkaException as error:
        log.debug("%s: no answer: %s", bootstrap, error)
        return False


def wait_for_kafka(bootstrap: str, seconds: float, give_up: Callable[[], bool] = lambda: False) -> None:
    """Wait until a real client gets an answer. Raises BusError after `seconds`, or as soon as `give_up()` is true."""
    deadline = time.monotonic() + seconds
    while not give_up():
        if kafka_answers(bootstrap):
            return
        if time.monotonic() > deadline:
            raise BusError(f"no Kafka answers at {bootstrap} (waited {seconds:g} s)")
    raise BusError(f"gave up waiting for Kafka at {bootstrap}")


def ensure_topics(bootstrap: str, specs: Iterable[TopicSpec] = TOPICS) -> list[str]:
    """Create the topics that are missing and answer their names; topics that exist are left as they are.

    Raises BusError where the broker refuses one, SettingsError where no client can be made as the user says.
    """
    try:
        admin = AdminClient(client_settings(bootstrap))
    except KafkaException as error:
        raise SettingsError(f"kafka_client: {error.args[0].str()}") from error
    try:
        cluster = admin.list_topics(timeout=10)
        missing = [spec for spec in specs if spec.name not in cluster.topics]
        replicas = max(1, min(_REPLICAS, len(cluster.brokers)))
        wanted = [NewTopic(spec.name, spec.partitions, replicas, config=dict(spec.settings)) for spec in missing]
        created = admin.create_topics(wanted) if wanted else {}
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
    admin = AdminClient(client_settings(bootstrap))
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
