"""Open what kafka-console-consumer reads from: a partition, a topic, or all topics that match."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from typing import Any, Final, Protocol

from barnabas.tools.errors import ClientError, ConfigError, ToolError
from barnabas.tools.texts import INTERNAL_TOPICS

_NEW_PROTOCOL: Final = (
    "The consumer rebalance protocol (KIP-848) is production-ready! Set group.protocol=consumer to try it out. See "
    "https://kafka.apache.org/documentation/#consumer_rebalance_protocol"
)


class Consumer(Protocol):
    """Be what records come from: confluent-kafka's Consumer, in part."""

    def poll(self, timeout: float = -1) -> Any: ...
    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Any]: ...
    def assignment(self) -> list[Any]: ...
    def store_offsets(self, message: Any) -> None: ...
    def close(self) -> Any: ...


def open_source(
    properties: dict[str, str], timeout: float | None, *, topic: str = "", include: str | None = None,
    partition: int | None = None, offset: int = -1,
) -> Consumer | None:
    """Begin to consume one topic, or all that match `include`; `partition` alone, from an offset, without a group.

    What a group commits must be stored with `store_offsets`: a record that was consumed may not be printed yet.
    Return None where no broker can be reached before the time (in seconds) is over. Raises `ToolError`, `ConfigError`.
    """
    from barnabas.tools.client_properties import consumer_config

    config = consumer_config(properties)
    reachable = _reachable(properties, timeout)
    if partition is None and properties.get("group.protocol", "classic").lower() != "consumer":
        print(_NEW_PROTOCOL, file=sys.stderr)
    if include is None and not topic:
        raise ToolError(
            "java.lang.IllegalArgumentException: Topic collection to subscribe to cannot contain null or empty topic"
        )
    if partition is None and not properties.get("partition.assignment.strategy", "x").strip():
        raise ToolError(
            "java.lang.IllegalStateException: Must configure at least one partition assigner class name to "
            "partition.assignment.strategy configuration property"
        )
    pattern = None if include is None else _pattern(include)
    if not reachable:
        return None
    import confluent_kafka

    consumer = confluent_kafka.Consumer(config | {
        "queued.min.messages": 200_000, "fetch.wait.max.ms": 500, "fetch.error.backoff.ms": 50,
        "topic.metadata.refresh.fast.interval.ms": 50, "enable.auto.offset.store": False,
    } | {k: v for k, v in config.items() if k.startswith("fetch.")})
    if partition is not None:
        with contextlib.suppress(confluent_kafka.KafkaException):
            consumer.list_topics(topic, 3)  # else librdkafka waits half a second before it looks for the leader
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, offset)])
    elif pattern is None:
        consumer.subscribe([topic])
    else:
        return _ByPattern(consumer, pattern, int(properties.get("metadata.max.age.ms", "300000")) / 1000)
    return consumer


class _ByPattern:
    """Consume all topics whose names match: here, because librdkafka knows other regular expressions than Java."""

    def __init__(self, consumer: Any, pattern: re.Pattern[str], interval: float) -> None:
        self._consumer, self._pattern = consumer, pattern
        self._interval = interval
        self._names: list[str] = []
        self._next = 0.0
        self.consume, self.close = consumer.consume, consumer.close
        self.assignment, self.store_offsets = consumer.assignment, consumer.store_offsets

    def poll(self, timeout: float = -1) -> Any:
        """Return a record, or None; look for new topics now and then."""
        if time.monotonic() >= self._next:
            self._look()
        return self._consumer.poll(timeout)

    def _look(self) -> None:
        import confluent_kafka

        with contextlib.suppress(confluent_kafka.KafkaException):
            known = self._consumer.list_topics(timeout=3).topics
            names = sorted(n for n in known if n not in INTERNAL_TOPICS and self._pattern.fullmatch(n))
            if names != self._names:
                self._consumer.subscribe(names)
                self._names = names
        self._next = time.monotonic() + (self._interval if self._names else min(self._interval, 1.0))


def _pattern(include: str) -> re.Pattern[str]:
    try:
        return re.compile(include)
    except re.error as e:
        raise ToolError(f"java.util.regex.PatternSyntaxException: {e.msg} near index {e.pos} {include}") from None


def _reachable(properties: dict[str, str], timeout: float | None) -> bool:
    """Wait for a broker that answers. Raises `ToolError` after some seconds; returns False if `timeout` is shorter."""
    from barnabas.tools.cluster import PATIENCE, Cluster, Unreachable
    from barnabas.tools.settings import Settings

    try:
        with Cluster(Settings(properties), patience=PATIENCE if timeout is None else max(timeout, 0.1)) as cluster:
            cluster.any()
    except ConfigError:
        raise
    except Unreachable:
        if timeout is not None:
            return False
        raise ToolError(
            f"Connection to {properties['bootstrap.servers']} could not be established. Node may not be available."
        ) from None
    except ClientError as e:
        raise ToolError(str(e)) from None
    return True
