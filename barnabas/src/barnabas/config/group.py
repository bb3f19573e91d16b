"""The configuration of groups (KIP-848, KIP-932, KIP-1071) and of client metrics subscriptions (KIP-714)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast

from barnabas.config.checks import check_bounds
from barnabas.config.definitions import (
    ConfigException,
    ConfigKey,
    ConfigRequestException,
    ConfigType,
    OneOf,
    Scope,
    Validator,
    Value,
    parse,
)
from barnabas.config.rows import ANY_LIST, BOOLEAN, INT, LIST, STRING, at_least, offset_reset
from barnabas.config.server import ServerConfig


def _group(name: str, kind: ConfigType, default: str, check: Validator | None, inherits: bool = True) -> ConfigKey:
    return ConfigKey(name, kind, default, check, Scope.CLUSTER_WIDE, (f"group.{name}",) if inherits else (), True)


def _metric(name: str, kind: ConfigType, default: str, check: Validator | None = None) -> ConfigKey:
    return ConfigKey(name, kind, default, check, Scope.CLUSTER_WIDE, (), True)


# In the order of Kafka's DescribeConfigs answers.
GROUP_KEYS: Final[Mapping[str, ConfigKey]] = {
    key.name: key
    for key in (
        _group("consumer.session.timeout.ms", INT, "45000", at_least(1)),
        _group("consumer.assignment.interval.ms", INT, "1000", at_least(0)),
        _group("share.auto.offset.reset", STRING, "latest", offset_reset, inherits=False),
        _group("share.renew.acknowledge.enable", BOOLEAN, "true", None, inherits=False),
        _group("streams.initial.rebalance.delay.ms", INT, "3000", at_least(0)),
        _group("share.session.timeout.ms", INT, "45000", at_least(1)),
        _group("streams.assignment.interval.ms", INT, "1000", at_least(0)),
        _group("share.heartbeat.interval.ms", INT, "5000", at_least(1)),
        _group("streams.heartbeat.interval.ms", INT, "5000", at_least(1)),
        _group("share.delivery.count.limit", INT, "5", at_least(2)),
        _group("consumer.heartbeat.interval.ms", INT, "5000", at_least(1)),
        _group("share.record.lock.duration.ms", INT, "30000", at_least(1000)),
        _group("share.assignment.interval.ms", INT, "1000", at_least(0)),
        _group(
            "share.isolation.level",
            STRING,
            "read_uncommitted",
            OneOf("read_committed", "read_uncommitted"),
            inherits=False,
        ),
        _group("streams.session.timeout.ms", INT, "45000", at_least(1)),
        _group("share.partition.max.record.locks", INT, "2000", at_least(100)),
        _group("streams.num.standby.replicas", INT, "0", at_least(0)),
    )
}

CLIENT_METRICS_KEYS: Final[Mapping[str, ConfigKey]] = {
    key.name: key
    for key in (
        _metric("interval.ms", INT, "300000"),
        _metric("match", LIST, "", ANY_LIST),
        _metric("metrics", LIST, "", ANY_LIST),
    )
}

CLIENT_MATCH_NAMES: Final = (
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
)
_INTERVAL_MS = (100, 3_600_000)

# Keys whose bounds are broker keys; the standby replicas have only an upper one.
_UNBOUNDED = frozenset(("streams.initial.rebalance.delay.ms", "streams.num.standby.replicas"))


def group_value(name: str, overrides: Mapping[str, str], server: ServerConfig) -> Value | None:
    """Give the value in effect of a group's key: its own, else the broker's, else the default."""
    key = GROUP_KEYS[name]
    if name in overrides:
        return parse(key, overrides[name])
    return server.get(key.synonyms[0]) if key.synonyms else parse(key, key.default or "")


def validate_group_configs(overrides: Mapping[str, str], server: ServerConfig) -> None:
    """Check a group's whole set of own settings; raise ConfigException with Kafka's words."""
    for name in overrides:
        if name not in GROUP_KEYS:
            raise ConfigException(name, overrides[name], sentence=f"Unknown group config name: {name}")
    values = {name: parse(GROUP_KEYS[name], text) for name, text in overrides.items()}
    for name, value in values.items():
        family, _, rest = name.partition(".")
        if name == "streams.num.standby.replicas":
            check_bounds(server, name, cast("int", value), None, "group.streams.max.standby.replicas")
        elif GROUP_KEYS[name].synonyms and name not in _UNBOUNDED:
            low, high = f"group.{family}.min.{rest}", f"group.{family}.max.{rest}"
            check_bounds(server, name, cast("int", value), low, high)


def validate_client_metrics_configs(overrides: Mapping[str, str]) -> None:
    """Check a client metrics subscription; raise ConfigException with Kafka's words."""
    for name, text in overrides.items():
        key = CLIENT_METRICS_KEYS.get(name)
        if key is None:
            sentence = f"Unknown client metrics configuration: {name}"
            raise ConfigRequestException(name, text, sentence=sentence)
        value = parse(key, text)
        if isinstance(value, int) and not _INTERVAL_MS[0] <= value <= _INTERVAL_MS[1]:
            sentence = f"Invalid value {value} for {name}, interval must be between 100 and 3600000 (1 hour)"
            raise ConfigRequestException(name, text, sentence=sentence)
    client_patterns(overrides.get("match", ""))


def client_patterns(text: str) -> dict[str, re.Pattern[str]]:
    """Split a subscription's `match` into a pattern for each property of a client; all must match in full.

    Raise ConfigException for a property that does not exist and for what is no regular expression.
    """
    found: dict[str, re.Pattern[str]] = {}
    for pair in cast("list[str]", parse(CLIENT_METRICS_KEYS["match"], text)):
        name, equals, pattern = (part.strip() for part in pair.partition("="))
        try:
            if not equals or name not in CLIENT_MATCH_NAMES or "=" in pattern:
                raise ValueError(pair)
            found[name] = re.compile(pattern)
        except (ValueError, re.error) as error:
            sentence = f"Illegal client matching pattern: {pair}"
            raise ConfigException("match", text, sentence=sentence) from error
    return found
