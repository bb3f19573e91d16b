"""Every broker key of Apache Kafka 4.3.0, in its order of declaration.

Names, types, defaults, checks and scopes are those that a running Apache Kafka 4.3.0 describes. Defaults differ where
one node needs other ones; `DEVIATING_DEFAULTS` lists Kafka's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from barnabas.config.definitions import ConfigKey
from barnabas.config.group_keys import GROUP_KEYS
from barnabas.config.log_keys import LOG_KEYS
from barnabas.config.node_keys import NODE_KEYS
from barnabas.config.rows import CLUSTER_WIDE, LONG, LONG_MAX, at_least, known
from barnabas.config.security_keys import SECURITY_KEYS
from barnabas.config.state_keys import STATE_KEYS

BROKER_KEYS: Final[Mapping[str, ConfigKey]] = {
    key.name: key for key in (*NODE_KEYS, *GROUP_KEYS, *LOG_KEYS, *STATE_KEYS, *SECURITY_KEYS)
}

# Accepted from AlterConfigs only; no properties file knows them.
DYNAMIC_ONLY_KEYS: Final[Mapping[str, ConfigKey]] = {
    name: known(name, LONG, LONG_MAX, at_least(0), CLUSTER_WIDE)
    for name in (
        "leader.replication.throttled.rate",
        "follower.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    )
}

# What Kafka has where our default differs; None: Kafka has no default.
DEVIATING_DEFAULTS: Final[Mapping[str, str | None]] = {
    "group.initial.rebalance.delay.ms": "3000",
    "process.roles": None,
    "node.id": None,
    "listeners": "PLAINTEXT://:9092",
    "offsets.topic.replication.factor": "3",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "transaction.state.log.min.isr": "2",
    "transaction.state.log.replication.factor": "3",
}

# One node holds one replica, whatever a file written for a cluster says.
SINGLE_REPLICA_KEYS: Final = frozenset(
    (
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
        "transaction.state.log.min.isr",
        "transaction.state.log.replication.factor",
    )
)

LISTENER_PREFIX: Final = "listener.name."


def base_name(name: str) -> str | None:
    """Give the key that `listener.name.NAME.key` overrides for one listener; None for other names."""
    if not name.startswith(LISTENER_PREFIX):
        return None
    _, dot, base = name[len(LISTENER_PREFIX) :].partition(".")
    return base if dot else None


def find(name: str) -> ConfigKey | None:
    """Look up a broker key, an override for one listener included; None where Kafka does not know the name.

    Keys that Kafka lets one mechanism of a listener override (`listener.name.NAME.MECHANISM.sasl.jaas.config`) are
    found as the key that they override.
    """
    key = BROKER_KEYS.get(name)
    base = None if key is not None else base_name(name)
    while key is None and base:
        key = BROKER_KEYS.get(base)
        base = base.partition(".")[2]
    return key
