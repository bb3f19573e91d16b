"""Make the configuration of confluent-kafka's producers and consumers from the properties of Java's.

`client_keys.py` knows the keys, `client_rules.py` what values they take, this module how they go together: what is
wrong is refused in Java's words. `librdkafka.py` then translates them. Where the defaults of the two differ and it
shows, Java's are set; where librdkafka's limits are narrower, values are brought within them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.tools.client_rules import check_all, missing_class
from barnabas.tools.cluster import Cluster, Unreachable
from barnabas.tools.errors import ConfigError, ToolError
from barnabas.tools.librdkafka import Kind, librdkafka_config
from barnabas.tools.settings import Settings, load_properties
from barnabas.tools.terminal import Waiting

#: librdkafka's own limits, under its names, where Java allows more: the least value and the largest
_LIMITS: Final = {
    "auto.commit.interval.ms": (0, 86_400_000), "batch.size": (1, 1 << 31), "connections.max.idle.ms": (0, 1 << 31),
    "delivery.timeout.ms": (1, 1 << 31), "fetch.max.bytes": (1000, 2_147_483_135), "fetch.min.bytes": (1, 100_000_000),
    "fetch.wait.max.ms": (0, 300_000), "heartbeat.interval.ms": (1, 3_600_000), "linger.ms": (0, 900_000),
    "max.in.flight.requests.per.connection": (1, 1_000_000), "max.partition.fetch.bytes": (1, 1_000_000_000),
    "max.poll.interval.ms": (1, 86_400_000), "message.max.bytes": (1000, 1_000_000_000),
    "metadata.max.age.ms": (1, 86_400_000), "metadata.recovery.rebootstrap.trigger.ms": (0, 1 << 31),
    "queue.buffering.max.kbytes": (1, 1 << 31), "reconnect.backoff.max.ms": (0, 3_600_000),
    "reconnect.backoff.ms": (0, 3_600_000), "request.timeout.ms": (1, 900_000),
    "retry.backoff.max.ms": (1, 300_000), "retry.backoff.ms": (1, 300_000), "session.timeout.ms": (1, 3_600_000),
    "socket.connection.setup.timeout.ms": (1000, 1 << 31), "socket.receive.buffer.bytes": (0, 100_000_000),
    "socket.send.buffer.bytes": (0, 100_000_000), "socket.timeout.ms": (10, 300_000),
    "transaction.timeout.ms": (1000, 1 << 31),
}
_NOT_YET: Final = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.LEADER_NOT_AVAILABLE)
_PATIENCE: Final = 5.0
_CLASSES: Final = "org.apache.kafka.clients.consumer"
_KAFKA_EXCEPTION: Final = "org.apache.kafka.common.KafkaException"
#: keys that a group of a protocol does not have
_REFUSED: Final = {
    "CLASSIC": ("group.remote.assignor", "share.acknowledgement.mode", "share.acquire.mode"),
    "CONSUMER": ("partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms",
                 "share.acknowledgement.mode", "share.acquire.mode"),
}
_ASSIGNORS: Final = tuple(f"{_CLASSES}.{name}Assignor" for name in ("Range", "RoundRobin", "CooperativeSticky"))


def _translate(properties: Mapping[str, str], what: Kind) -> dict[str, object]:
    if "bootstrap.servers" not in properties:
        raise ToolError('Missing required configuration "bootstrap.servers" which has no default value.')
    try:
        check_all(properties, what)
    except ConfigError as e:
        raise ToolError(str(e)) from None
    (_check_producer if what == "producer" else _check_consumer)(properties)
    missing = missing_class(properties)
    if missing:
        raise _not_built(what, f"{_KAFKA_EXCEPTION}: Class {missing} cannot be found")
    try:
        config = librdkafka_config(Settings(dict(properties)), kind=what)
    except ConfigError as e:
        raise _not_built(what, f"{e.exception}: {e}") from None
    for name, (least, largest) in _LIMITS.items():
        if name in config:
            config[name] = min(max(least, int(str(config[name]))), largest - (largest == 1 << 31))
    config["log_level"] = 0  # what goes wrong is said once, by the tool
    config["error_cb"] = _ignore
    return config


def _not_built(what: str, cause: str) -> ToolError:
    """Say why a client could not be made, as Java's does."""
    return ToolError(f"Failed to construct kafka {what}\nCaused by: {cause}")


def _ignore(error: object) -> None:
    """Take librdkafka's news about connections: it repairs them itself."""


def _number(properties: Mapping[str, str], key: str, default: int) -> int:
    return int(properties.get(key, default))


def _idempotent(properties: Mapping[str, str]) -> bool:
    """Tell whether a producer is idempotent: it is unless something asks for the contrary. Raises `ToolError`."""
    asked = properties.get("enable.idempotence", "").strip().lower()
    if asked == "false":
        return False
    broken = ""
    if _number(properties, "retries", 1) == 0:
        broken = "Must set retries to non-zero when using the idempotent producer."
    elif properties.get("acks", "all").strip() not in ("all", "-1"):
        broken = (
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."
        )
    if broken and asked:
        raise ToolError(broken)
    in_flight = _number(properties, "max.in.flight.requests.per.connection", 5)
    if in_flight > 5:
        raise ToolError(
            "To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. Current "
            f"value is {in_flight}."
        )
    return not broken


def _check_producer(properties: Mapping[str, str]) -> None:
    """Check how a producer's properties go together. Raises `ToolError` in Java's words."""
    if not _idempotent(properties) and "transactional.id" in properties:
        raise ToolError("Cannot set a transactional.id without also enabling idempotence.")
    two_phases = properties.get("transaction.two.phase.commit.enable", "").strip().lower() == "true"
    if two_phases and "transactional.id" in properties and "transaction.timeout.ms" in properties:
        raise ToolError(
            "Cannot set transaction.timeout.ms when transaction.two.phase.commit.enable is set to true. Transactions "
            "will not expire with two-phase commit enabled."
        )
    if _number(properties, "delivery.timeout.ms", 1 << 31) < _least_delivery(properties):
        raise _not_built(
            "producer", "org.apache.kafka.common.config.ConfigException: delivery.timeout.ms should be equal to or "
            "larger than linger.ms + request.timeout.ms",
        )


def _least_delivery(properties: Mapping[str, str]) -> int:
    """Return the least time, in ms, after which Java's producer gives a record up."""
    asked = _number(properties, "linger.ms", 5) + _number(properties, "request.timeout.ms", 30_000)
    return min(asked, (1 << 31) - 1)


def producer_config(properties: Mapping[str, str]) -> dict[str, object]:
    """Return what confluent-kafka's Producer takes. Raises `ToolError` in the words of Java's KafkaProducer."""
    config = _translate(properties, "producer")
    defaults: dict[str, object] = {
        "linger.ms": 5, "batch.size": 16_384, "queue.buffering.max.kbytes": 32_768,
        "queue.buffering.max.messages": 500_000, "delivery.timeout.ms": max(120_000, _least_delivery(properties)),
        "message.max.bytes": 1_048_576, "partitioner": "murmur2_random",
    }
    config = defaults | config | {"enable.idempotence": "true" if _idempotent(properties) else "false"}
    level = properties.get(f"compression.{config.get('compression.type')}.level")
    if level is not None:
        config["compression.level"] = min(max(-1, int(level)), 12)
    # librdkafka, unlike Java's client, refuses one limit above the other
    limit = int(str(config.get("transaction.timeout.ms", 60_000)))
    if "transactional.id" in config:
        config["delivery.timeout.ms"] = min(int(str(config["delivery.timeout.ms"])), limit)
    config["linger.ms"] = min(int(str(config["linger.ms"])), max(0, int(str(config["delivery.timeout.ms"])) - 1))
    config["batch.size"] = min(int(str(config["batch.size"])), int(str(config["message.max.bytes"])))
    return config


def _check_consumer(properties: Mapping[str, str]) -> None:
    """Check how a consumer's properties go together. Raises `ToolError` in Java's words."""
    protocol = properties.get("group.protocol", "classic").strip().upper()
    for key in _REFUSED[protocol]:
        if properties.get(key, "").strip():
            raise ToolError(f"{key} cannot be set when group.protocol={protocol}")
    instance = properties.get("group.instance.id", "x")
    if instance in (".", ".."):
        raise ToolError(f"Group instance id is invalid: '{instance}' is not allowed")
    if len(instance) > 249:
        raise ToolError(
            f"Group instance id is invalid: the length of '{instance}' is longer than the max allowed length 249"
        )
    if not re.fullmatch("[a-zA-Z0-9._-]+", instance):
        raise ToolError(
            f"Group instance id is invalid: '{instance}' contains one or more characters other than ASCII "
            "alphanumerics, '.', '_' and '-'"
        )
    if "group.id" in properties and not properties["group.id"].strip():
        raise _not_built(
            "consumer", "org.apache.kafka.common.errors.InvalidGroupIdException: The configured group.id should not be "
            "an empty string or whitespace.",
        )
    if properties.get("auto.offset.reset", "").strip().startswith("by_duration"):
        raise ToolError("auto.offset.reset=by_duration is not there: librdkafka knows earliest, latest and none")
    if protocol == "CLASSIC":
        _check_classic(properties)


def _check_classic(properties: Mapping[str, str]) -> None:
    """Check what only a consumer of a classic group has. Raises `ToolError` in Java's words."""
    for name in properties.get("partition.assignment.strategy", _ASSIGNORS[0]).split(","):
        if name.strip() == f"{_CLASSES}.StickyAssignor":
            raise ToolError(f"{name} is not there: librdkafka knows Range, RoundRobin and CooperativeSticky")
        if name.strip() not in (*_ASSIGNORS, ""):
            text = f"{name.strip()} ClassNotFoundException exception occurred"
            raise _not_built("consumer", f"{_KAFKA_EXCEPTION}: {text}")
    heartbeat = _number(properties, "heartbeat.interval.ms", 3000)
    if "group.id" in properties and (heartbeat < 0 or heartbeat >= _number(properties, "session.timeout.ms", 45_000)):
        text = "Heartbeat must be set lower than the session timeout"
        if heartbeat < 0:
            text = f"Invalid negative timeout {heartbeat}"
        raise _not_built("consumer", f"java.lang.IllegalArgumentException: {text}")


def consumer_config(properties: Mapping[str, str]) -> dict[str, object]:
    """Return what confluent-kafka's Consumer takes. Raises `ToolError` in the words of Java's KafkaConsumer."""
    config = _translate(properties, "consumer")
    defaults: dict[str, object] = {
        "auto.offset.reset": "latest", "isolation.level": "read_uncommitted", "allow.auto.create.topics": "true",
        "fetch.queue.backoff.ms": 5,  # librdkafka would pause for a second whenever its queue is full
    }
    if config.get("group.protocol", "classic") == "classic":
        defaults["partition.assignment.strategy"] = "range"
        # librdkafka, unlike Java's client, refuses one limit above the other
        if "max.poll.interval.ms" in config:
            session = int(str(config.get("session.timeout.ms", 45_000)))
            config["max.poll.interval.ms"] = max(session, int(str(config["max.poll.interval.ms"])))
    if int(str(config.get("fetch.max.bytes", 0))) > 99_999_488:
        defaults["receive.message.max.bytes"] = int(str(config["fetch.max.bytes"])) + 512
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
        with Cluster(Settings(dict(properties))) as cluster, Waiting(f"Waiting for topic {topic}") as waiting:
            while cluster.ask(request).topics[0].error_code in _NOT_YET:
                if time.monotonic() - begun > _PATIENCE:
                    raise Unreachable
                waiting.tick()
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
