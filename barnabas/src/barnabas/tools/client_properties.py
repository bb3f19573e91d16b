"""Make the configuration of confluent-kafka's producers and consumers from the properties of Java's.

A table says for each key of Java's ProducerConfig and ConsumerConfig what values it takes: a wrong one is refused in
Java's words. `librdkafka.py` translates them. Where the defaults of the two differ and it shows, Java's are set; where
librdkafka's limits are narrower, values are brought within them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.tools.cluster import Cluster, Unreachable
from barnabas.tools.errors import ConfigError, ToolError
from barnabas.tools.librdkafka import Kind, librdkafka_config
from barnabas.tools.settings import Settings, load_properties

#: kind, what is allowed (the least number; or the words)
Rule = tuple[str, Any]

_BOTH: Final[dict[str, Rule]] = {
    "client.dns.lookup": ("words", ("use_all_dns_ips", "resolve_canonical_bootstrap_servers_only")),
    "client.id": ("text", None),
    "connections.max.idle.ms": ("LONG", None),
    "metadata.max.age.ms": ("LONG", 0),
    "receive.buffer.bytes": ("INT", -1),
    "reconnect.backoff.max.ms": ("LONG", 0),
    "reconnect.backoff.ms": ("LONG", 0),
    "retry.backoff.max.ms": ("LONG", 0),
    "retry.backoff.ms": ("LONG", 0),
    "send.buffer.bytes": ("INT", -1),
    "socket.connection.setup.timeout.ms": ("LONG", None),
}
_PRODUCER: Final[dict[str, Rule]] = {
    **_BOTH,
    "acks": ("words", ("all", "-1", "0", "1")),
    "batch.size": ("INT", 0),
    "buffer.memory": ("LONG", 0),
    "compression.type": ("words", ("none", "gzip", "snappy", "lz4", "zstd")),
    "delivery.timeout.ms": ("INT", 0),
    "enable.idempotence": ("BOOLEAN", None),
    "linger.ms": ("LONG", 0),
    "max.block.ms": ("LONG", 0),
    "max.in.flight.requests.per.connection": ("INT", 1),
    "max.request.size": ("INT", 0),
    "request.timeout.ms": ("INT", 0),
    "retries": ("INT", 0),
    "transaction.timeout.ms": ("INT", None),
    "transactional.id": ("filled", None),
}
_CONSUMER: Final[dict[str, Rule]] = {
    **_BOTH,
    "allow.auto.create.topics": ("BOOLEAN", None),
    "auto.commit.interval.ms": ("INT", 0),
    "auto.offset.reset": ("reset", ("latest", "earliest", "none")),
    "check.crcs": ("BOOLEAN", None),
    "client.rack": ("text", None),
    "enable.auto.commit": ("BOOLEAN", None),
    "fetch.max.bytes": ("INT", 0),
    "fetch.max.wait.ms": ("INT", 0),
    "fetch.min.bytes": ("INT", 0),
    "group.id": ("text", None),
    "group.instance.id": ("filled", None),
    "group.protocol": ("Words", ("CONSUMER", "CLASSIC")),
    "group.remote.assignor": ("text", None),
    "heartbeat.interval.ms": ("INT", None),
    "isolation.level": ("words", ("read_committed", "read_uncommitted")),
    "max.partition.fetch.bytes": ("INT", 0),
    "max.poll.interval.ms": ("INT", 1),
    "max.poll.records": ("INT", 1),
    "partition.assignment.strategy": ("assignors", None),
    "request.timeout.ms": ("INT", 0),
    "session.timeout.ms": ("INT", None),
}
_RANGES: Final = {"INT": 1 << 31, "LONG": 1 << 63}
#: librdkafka's own limits, where Java allows more
_LEAST: Final = {"batch.size": 1, "fetch.min.bytes": 1, "message.max.bytes": 1000, "queue.buffering.max.kbytes": 1,
                 "retry.backoff.ms": 1, "retry.backoff.max.ms": 1, "metadata.max.age.ms": 1, "fetch.max.bytes": 1000,
                 "socket.receive.buffer.bytes": 0, "socket.send.buffer.bytes": 0, "socket.timeout.ms": 10,
                 "max.partition.fetch.bytes": 1, "delivery.timeout.ms": 1, "request.timeout.ms": 1}
_NOT_YET: Final = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.LEADER_NOT_AVAILABLE)
_PATIENCE: Final = 5.0
_CLASSES: Final = "org.apache.kafka.clients.consumer"
_ASSIGNORS: Final = tuple(f"{_CLASSES}.{name}Assignor" for name in ("Range", "RoundRobin", "CooperativeSticky"))


def check(kind: str, key: str, text: str, allowed: Any) -> Any:
    """Return a property's value. Raises `ConfigError` in Java's words."""
    value = text.strip()
    if kind in _RANGES:
        try:
            number = int(value)
        except ValueError:
            number = _RANGES[kind]
        if not -_RANGES[kind] <= number < _RANGES[kind]:
            raise ConfigError(f"Invalid value {text} for configuration {key}: Not a number of type {kind}")
        if allowed is not None and number < allowed:
            raise ConfigError(f"Invalid value {number} for configuration {key}: Value must be at least {allowed}")
        return number
    if kind == "BOOLEAN":
        if value.lower() not in ("true", "false"):
            raise ConfigError(
                f"Invalid value {text} for configuration {key}: Expected value to be either true or false"
            )
        return value.lower()
    if kind == "words" and value not in allowed:
        raise ConfigError(f"Invalid value {text} for configuration {key}: String must be one of: {', '.join(allowed)}")
    if kind == "Words" and value.upper() not in allowed:
        raise ConfigError(
            f"Invalid value {text} for configuration {key}: String must be one of (case insensitive): "
            f"{', '.join(allowed)}"
        )
    if kind == "filled" and not value:
        raise ConfigError(f"Invalid value {text} for configuration {key}: String must be non-empty")
    if kind == "reset" and value not in allowed:
        raise ConfigError(
            f"Invalid value {text} for configuration {key}: Invalid value `{text}` for configuration {key}. The value "
            "must be either 'earliest', 'latest', 'none' or of the format 'by_duration:<PnDTnHnMn.nS.>'."
        )
    if kind == "assignors":
        for name in value.split(","):
            if name.strip() == f"{_CLASSES}.StickyAssignor":
                raise ToolError(f"{name} is not there: librdkafka knows Range, RoundRobin and CooperativeSticky")
            if name.strip() not in _ASSIGNORS:
                raise ToolError(
                    "Failed to construct kafka consumer\nCaused by: org.apache.kafka.common.KafkaException: "
                    f"{name.strip()} ClassNotFoundException exception occurred"
                )
    return value


def _translate(properties: Mapping[str, str], rules: Mapping[str, Rule], what: Kind) -> dict[str, object]:
    if "bootstrap.servers" not in properties:
        raise ToolError('Missing required configuration "bootstrap.servers" which has no default value.')
    for key, (kind, allowed) in rules.items():
        if key in properties:
            try:
                check(kind, key, properties[key], allowed)
            except ConfigError as e:
                raise ToolError(str(e)) from None
    try:
        config = librdkafka_config(Settings(dict(properties)), kind=what)
    except ConfigError as e:
        raise ToolError(f"Failed to construct kafka {what}\nCaused by: {e.exception}: {e}") from None
    for name, least in _LEAST.items():
        if name in config:
            config[name] = max(least, int(str(config[name])))
    config["log_level"] = 0  # what goes wrong is said once, by the tool
    config["error_cb"] = _ignore
    return config


def _ignore(error: object) -> None:
    """Take librdkafka's news about connections: it repairs them itself."""


def producer_config(properties: Mapping[str, str]) -> dict[str, object]:
    """Return what confluent-kafka's Producer takes. Raises `ToolError` in the words of Java's KafkaProducer."""
    config = _translate(properties, _PRODUCER, "producer")
    asked = config.get("enable.idempotence")
    broken = ""
    if int(str(config.get("retries", 1))) == 0:
        broken = "Must set retries to non-zero when using the idempotent producer."
    elif config.get("acks", "all") not in ("all", "-1"):
        broken = (
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."
        )
    elif int(str(config.get("max.in.flight.requests.per.connection", 5))) > 5:
        broken = "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer."
    transactional = "transactional.id" in config
    if broken and (asked == "true" or transactional):
        raise ToolError(broken)
    if transactional and asked == "false":
        raise ToolError("Cannot set a transactional.id without also enabling idempotence.")
    defaults: dict[str, object] = {
        "enable.idempotence": "false" if broken else "true", "linger.ms": 5, "batch.size": 16_384,
        "queue.buffering.max.kbytes": 32_768, "queue.buffering.max.messages": 500_000, "delivery.timeout.ms": 120_000,
        "message.max.bytes": 1_048_576, "partitioner": "murmur2_random",
    }
    config = defaults | config
    # librdkafka, unlike Java's client, refuses one limit above the other
    limit = int(str(config.get("transaction.timeout.ms", 60_000)))
    if transactional:
        config["delivery.timeout.ms"] = min(int(str(config["delivery.timeout.ms"])), limit)
    config["batch.size"] = min(int(str(config["batch.size"])), int(str(config["message.max.bytes"])))
    return config


def consumer_config(properties: Mapping[str, str]) -> dict[str, object]:
    """Return what confluent-kafka's Consumer takes. Raises `ToolError` in the words of Java's KafkaConsumer."""
    config = _translate(properties, _CONSUMER, "consumer")
    defaults: dict[str, object] = {
        "auto.offset.reset": "latest", "isolation.level": "read_uncommitted", "allow.auto.create.topics": "true",
        "fetch.queue.backoff.ms": 5,  # librdkafka would pause for a second whenever its queue is full
    }
    if config.get("group.protocol", "classic") == "classic":
        defaults["partition.assignment.strategy"] = "range"
    else:
        for key in ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"):
            if key in config:
                raise ToolError(f"{key} cannot be set when group.protocol=CONSUMER")
    return defaults | config


def read_properties(path: str | None) -> dict[str, str]:
    """Read a property file, if there is one. Raises `ToolError` with what Java's tools show of the exception."""
    if path is None:
        return {}
    if os.path.isdir(path or "."):
        raise ToolError("Is a directory")
    if not os.path.exists(path):
        raise ToolError(path)
    return load_properties(path)


def await_topic(properties: Mapping[str, str], topic: str, what: Kind = "producer") -> None:
    """Wait until a topic is there, created by the broker perhaps. Raises `ToolError` after a few seconds.

    librdkafka would not say for minutes that a cluster cannot be reached.
    """
    begun = time.monotonic()
    request = MetadataRequest([MetadataRequestTopic(name=topic)], allow_auto_topic_creation=True)
    try:
        with Cluster(Settings(dict(properties))) as cluster:
            while cluster.ask(request).topics[0].error_code in _NOT_YET:
                if time.monotonic() - begun > _PATIENCE:
                    raise Unreachable
                time.sleep(0.1)
    except ConfigError as e:
        raise ToolError(f"Failed to construct kafka {what}\nCaused by: {e.exception}: {e}") from None
    except Unreachable:
        waited = int((time.monotonic() - begun) * 1000)
        raise ToolError(f"Topic {topic} not present in metadata after {waited} ms.") from None


def await_cluster(properties: Mapping[str, str], what: Kind) -> None:
    """Learn whether a cluster can be reached. Raises `ToolError` and `Unreachable` after a few seconds."""
    try:
        with Cluster(Settings(dict(properties))) as cluster:
            cluster.any()
    except ConfigError as e:
        raise ToolError(f"Failed to construct kafka {what}\nCaused by: {e.exception}: {e}") from None


def failure(error: Any) -> str:
    """Write an error of librdkafka (a KafkaError) as Java writes the exception that it has for it."""
    name, text = exception_for(error)
    return f"{name}: {text}"


def exception_for(error: Any) -> tuple[str, str]:
    """Return the class and the message of the exception that Java has for an error of librdkafka (a KafkaError)."""
    from confluent_kafka import KafkaError

    from barnabas.protocol.error_texts import exception_of, text_of

    code = error.code()
    package = "org.apache.kafka.common.errors"
    if code > 0:
        return f"{package}.{exception_of(code)}", text_of(code)
    if code in (KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._UNKNOWN_TOPIC):
        return f"{package}.TimeoutException", str(error.str())
    return "org.apache.kafka.common.KafkaException", str(error.str())
