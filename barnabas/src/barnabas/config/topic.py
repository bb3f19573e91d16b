"""A topic's configuration: its own settings, and what it inherits from the broker's.

`TOPIC_KEYS` stands in the order of Kafka's DescribeConfigs answers. Each key names the broker keys behind it
(`synonyms`); a chain of units, such as log.retention.ms, .minutes, .hours behind retention.ms, counts from its first
member that is set.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from barnabas.config.definitions import (
    ConfigException,
    ConfigKey,
    ConfigType,
    ListOf,
    OneOf,
    Scope,
    Validator,
    Value,
    answer_order,
    parse,
)
from barnabas.config.rows import (
    BOOLEAN,
    CODECS,
    DOUBLE,
    INT,
    LIST,
    LONG,
    LONG_MAX,
    STRING,
    at_least,
    between,
    gzip_level,
    throttled_replicas,
)
from barnabas.config.server import ServerConfig, resolve
from barnabas.config.units import CHAINS

_logger = logging.getLogger(__name__)


def _topic(
    name: str,
    kind: ConfigType,
    default: str | None,
    check: Validator | None,
    server_synonym: str | None = None,
    *,
    supported: bool = True,
) -> ConfigKey:
    synonyms = () if server_synonym is None else CHAINS.get(server_synonym, (server_synonym,))
    internal = name.startswith("internal.")
    return ConfigKey(name, kind, default, check, Scope.CLUSTER_WIDE, synonyms, supported, internal=internal)


def _unused(
    name: str, kind: ConfigType, default: str, check: Validator | None, server_synonym: str | None = None
) -> ConfigKey:
    return _topic(name, kind, default, check, server_synonym, supported=False)


_DECLARED: tuple[ConfigKey, ...] = (
    _topic("segment.bytes", INT, "1073741824", at_least(1048576), "log.segment.bytes"),
    _topic("segment.ms", LONG, "604800000", at_least(1), "log.roll.ms"),
    _topic("segment.jitter.ms", LONG, "0", at_least(0), "log.roll.jitter.ms"),
    _topic("segment.index.bytes", INT, "10485760", at_least(4), "log.index.size.max.bytes"),
    _topic("flush.messages", LONG, LONG_MAX, at_least(1), "log.flush.interval.messages"),
    _topic("flush.ms", LONG, LONG_MAX, at_least(0), "log.flush.interval.ms"),
    _topic("retention.bytes", LONG, "-1", None, "log.retention.bytes"),
    _topic("retention.ms", LONG, "604800000", at_least(-1), "log.retention.ms"),
    _topic("max.message.bytes", INT, "1048588", at_least(0), "message.max.bytes"),
    _topic("index.interval.bytes", INT, "4096", at_least(0), "log.index.interval.bytes"),
    _topic("delete.retention.ms", LONG, "86400000", at_least(0), "log.cleaner.delete.retention.ms"),
    _topic("min.compaction.lag.ms", LONG, "0", at_least(0), "log.cleaner.min.compaction.lag.ms"),
    _topic("max.compaction.lag.ms", LONG, LONG_MAX, at_least(1), "log.cleaner.max.compaction.lag.ms"),
    _topic("file.delete.delay.ms", LONG, "60000", at_least(0), "log.segment.delete.delay.ms"),
    _topic("min.cleanable.dirty.ratio", DOUBLE, "0.5", between(0, 1), "log.cleaner.min.cleanable.ratio"),
    _topic("cleanup.policy", LIST, "delete", ListOf("compact", "delete"), "log.cleanup.policy"),
    _topic("unclean.leader.election.enable", BOOLEAN, "false", None, "unclean.leader.election.enable"),
    _topic("min.insync.replicas", INT, "1", at_least(1), "min.insync.replicas"),
    _topic("compression.type", STRING, "producer", OneOf(*CODECS), "compression.type"),
    _topic("compression.gzip.level", INT, "-1", gzip_level, "compression.gzip.level"),
    _topic("compression.lz4.level", INT, "9", between(1, 17), "compression.lz4.level"),
    _topic("compression.zstd.level", INT, "3", between(-131072, 22), "compression.zstd.level"),
    _topic("preallocate", BOOLEAN, "false", None, "log.preallocate"),
    _topic(
        "message.timestamp.type",
        STRING,
        "CreateTime",
        OneOf("CreateTime", "LogAppendTime"),
        "log.message.timestamp.type",
    ),
    _topic("message.timestamp.before.max.ms", LONG, LONG_MAX, at_least(0), "log.message.timestamp.before.max.ms"),
    _topic("message.timestamp.after.max.ms", LONG, "3600000", at_least(0), "log.message.timestamp.after.max.ms"),
    _unused("leader.replication.throttled.replicas", LIST, "", throttled_replicas),
    _unused("follower.replication.throttled.replicas", LIST, "", throttled_replicas),
    _unused("remote.storage.enable", BOOLEAN, "false", None),
    _unused("local.retention.ms", LONG, "-2", at_least(-2), "log.local.retention.ms"),
    _unused("local.retention.bytes", LONG, "-2", at_least(-2), "log.local.retention.bytes"),
    _unused("remote.log.copy.disable", BOOLEAN, "false", None),
    _unused("remote.log.delete.on.disable", BOOLEAN, "false", None),
    _topic("internal.segment.bytes", INT, None, None),
)
_BY_NAME = {key.name: key for key in _DECLARED}

TOPIC_KEYS: Final[Mapping[str, ConfigKey]] = {
    name: _BY_NAME[name] for name in answer_order(_BY_NAME, lambda name: _BY_NAME[name].internal)
}


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """Hold the configuration of one topic in effect: the keys of `TOPIC_KEYS`, dots written as underscores.

    Times are milliseconds, sizes bytes; -1 is no limit. An empty `cleanup_policy` keeps everything.
    """

    segment_bytes: int
    segment_ms: int
    segment_jitter_ms: int
    segment_index_bytes: int
    flush_messages: int
    flush_ms: int
    retention_bytes: int
    retention_ms: int
    max_message_bytes: int
    index_interval_bytes: int
    delete_retention_ms: int
    min_compaction_lag_ms: int
    max_compaction_lag_ms: int
    file_delete_delay_ms: int
    min_cleanable_dirty_ratio: float
    cleanup_policy: tuple[str, ...]
    unclean_leader_election_enable: bool
    min_insync_replicas: int
    compression_type: str
    compression_gzip_level: int
    compression_lz4_level: int
    compression_zstd_level: int
    preallocate: bool
    message_timestamp_type: str
    message_timestamp_before_max_ms: int
    message_timestamp_after_max_ms: int
    leader_replication_throttled_replicas: tuple[str, ...]
    follower_replication_throttled_replicas: tuple[str, ...]
    remote_storage_enable: bool
    local_retention_ms: int
    local_retention_bytes: int
    remote_log_copy_disable: bool
    remote_log_delete_on_disable: bool
    internal_segment_bytes: int | None

    @classmethod
    def of(cls, overrides: Mapping[str, str], server: ServerConfig) -> Self:
        """Combine a topic's own settings with the broker's.

        The settings were checked when they were made; one that is not allowed any more is left out, with a line in the
        log, and names that Kafka does not know have no effect.
        """
        values: dict[str, Any] = {
            name.replace(".", "_"): _value(key, overrides, server) for name, key in _BY_NAME.items()
        }
        return cls(**values)

    @property
    def segment_size(self) -> int:
        """Give the size at which a segment is closed, whichever key set it."""
        return self.segment_bytes if self.internal_segment_bytes is None else self.internal_segment_bytes

    @property
    def compacts(self) -> bool:
        """Say whether old records give way to newer ones of their key."""
        return "compact" in self.cleanup_policy

    @property
    def deletes(self) -> bool:
        """Say whether segments are deleted by age and size."""
        return "delete" in self.cleanup_policy


def inherited(key: ConfigKey, server: ServerConfig) -> Value | None:
    """Give what a topic without a setting of its own has for a key."""
    if len(key.synonyms) > 1:
        return resolve(server, key.synonyms)
    if key.synonyms:
        return server.get(key.synonyms[0])
    return None if key.default is None else parse(key, key.default)


def _value(key: ConfigKey, overrides: Mapping[str, str], server: ServerConfig) -> object:
    value: Value | None
    try:
        value = parse(key, overrides[key.name]) if key.name in overrides else inherited(key, server)
    except ConfigException as error:
        _logger.error("topic config %s: a stored setting is left out: %s", key.name, error)
        value = inherited(key, server)
    return tuple(value) if isinstance(value, list) else value


def validate_topic_configs(overrides: Mapping[str, str | None]) -> None:
    """Check a topic's whole set of own settings, as CreateTopics and AlterConfigs do.

    Raise ConfigException, with Kafka's words: for values that are null, then for a name that does not exist, for a
    value that is not allowed, and for settings that contradict each other.
    """
    nulls = answer_order((name for name, text in overrides.items() if text is None), lambda _: False)
    if nulls:
        sentence = f"Null value not supported for topic configs: {','.join(nulls)}"
        raise ConfigException(nulls[0], None, sentence=sentence)
    for name in overrides:
        if name not in TOPIC_KEYS:
            raise ConfigException(name, overrides[name], sentence=f"Unknown topic config name: {name}")
    values = {name: parse(TOPIC_KEYS[name], cast("str", text)) for name, text in overrides.items()}
    shortest, longest = values.get("min.compaction.lag.ms"), values.get("max.compaction.lag.ms")
    if isinstance(shortest, int) and isinstance(longest, int) and shortest > longest:
        names = "min.compaction.lag.ms", "max.compaction.lag.ms"
        sentence = f"conflict topic config setting {names[0]} ({shortest}) > {names[1]} ({longest})"
        raise ConfigException(names[0], shortest, sentence=sentence)
    if values.get("remote.storage.enable") is True:
        sentence = "Tiered Storage functionality is disabled in the broker. "
        sentence += "Topic cannot be configured with remote log storage."
        raise ConfigException("remote.storage.enable", "true", sentence=sentence)
