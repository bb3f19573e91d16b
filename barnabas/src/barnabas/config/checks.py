"""Rules that tie several broker keys together, with Kafka's words for breaking them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from barnabas.config.definitions import ConfigException

if TYPE_CHECKING:
    from barnabas.config.server import ServerConfig

_BOUNDED = (
    "group.consumer.session.timeout.ms",
    "group.consumer.heartbeat.interval.ms",
    "group.consumer.assignment.interval.ms",
    "group.share.session.timeout.ms",
    "group.share.heartbeat.interval.ms",
    "group.share.assignment.interval.ms",
    "group.share.record.lock.duration.ms",
    "group.share.delivery.count.limit",
    "group.share.partition.max.record.locks",
    "group.streams.session.timeout.ms",
    "group.streams.heartbeat.interval.ms",
    "group.streams.assignment.interval.ms",
)
_ASSIGNORS = {"group.consumer.assignors": ("uniform", "range"), "group.share.assignors": ("simple",)}


def check_broker(config: ServerConfig) -> None:
    """Raise ConfigException for the first rule that the values in effect break together."""
    _check_log(config)
    _check_connections(config)
    bounds = [(name, *_bounds(name)) for name in _BOUNDED]
    # First the bounds, which must leave room, then what lies between them.
    for _, low, high in bounds:
        check_bounds(config, high, _number(config, high), low, None)
    for name, low, high in bounds:
        check_bounds(config, name, _number(config, name), low, high)
    standby = config.group_streams_num_standby_replicas
    check_bounds(config, "group.streams.num.standby.replicas", standby, None, "group.streams.max.standby.replicas")
    for name, known in _ASSIGNORS.items():
        assignors = config.get(name)
        for assignor in assignors if isinstance(assignors, list) else ():
            # Kafka also takes the names of Java classes; those of its own assignors are understood.
            if assignor.rpartition(".")[2].removesuffix("Assignor").lower() not in known:
                raise ConfigException(name, assignor, f"String must be one of: {', '.join(known)}")
    if "classic" not in config.group_coordinator_rebalance_protocols:
        protocols = ",".join(config.group_coordinator_rebalance_protocols)
        sentence = "Disabling the 'classic' protocol is not supported."
        raise ConfigException("group.coordinator.rebalance.protocols", protocols, sentence=sentence)


def _bounds(name: str) -> tuple[str, str]:
    _, family, rest = name.split(".", 2)
    return f"group.{family}.min.{rest}", f"group.{family}.max.{rest}"


def check_bounds(config: ServerConfig, name: str, value: int, low: str | None, high: str | None) -> None:
    """Raise ConfigException where a value lies outside of what two other broker keys allow."""
    if low is not None and value < _number(config, low):
        raise ConfigException(name, value, sentence=f"{name} must be greater than or equal to {low}")
    if high is not None and value > _number(config, high):
        raise ConfigException(name, value, sentence=f"{name} must be less than or equal to {high}")


def _number(config: ServerConfig, name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int):
        raise TypeError(f"{name} is not a number: {value!r}")
    return value


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    # Kafka's words; it has the prefix from the Scala function that checks these.
    if not holds:
        raise ConfigException(name, value, sentence=f"requirement failed: {rule}")


def _check_log(config: ServerConfig) -> None:
    retention = config.log_retention_ms
    rule = "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"
    _require(retention == -1 or retention >= 1, "log.retention.ms", retention, rule)
    _require(
        config.log_roll_ms >= 1, "log.roll.ms", config.log_roll_ms, "log.roll.ms must be greater than or equal to 1"
    )
    jitter = config.log_roll_jitter_ms
    _require(jitter >= 0, "log.roll.jitter.ms", jitter, "log.roll.jitter.ms must be greater than or equal to 0")
    buffer, threads = config.log_cleaner_dedupe_buffer_size, max(config.log_cleaner_threads, 1)
    rule = "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."
    _require(buffer // threads > 1024 * 1024, "log.cleaner.dedupe.buffer.size", buffer, rule)


def _check_connections(config: ServerConfig) -> None:
    queued = config.queued_max_request_bytes
    rule = "queued.max.request.bytes must be larger or equal to socket.request.max.bytes"
    _require(queued <= 0 or queued >= config.socket_request_max_bytes, "queued.max.request.bytes", queued, rule)
    overrides = connection_overrides(config.max_connections_per_ip_overrides)
    rule = "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
    _require(config.max_connections_per_ip > 0 or bool(overrides), "max.connections.per.ip", 0, rule)


def connection_overrides(text: str) -> dict[str, int]:
    """Split HOST:NUMBER pairs; raise ConfigException for a pair of another form."""
    found: dict[str, int] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        host, _, number = pair.rpartition(":")
        if not host or not number.isdecimal():
            raise ConfigException("max.connections.per.ip.overrides", text, f"{pair} is not of the form HOST:NUMBER")
        found[host] = int(number)
    return found
