"""Topic configurations: refusals in the words of Apache Kafka 4.3.0, and what a topic inherits."""

from __future__ import annotations

import dataclasses

import pytest

from barnabas.config.definitions import ConfigException
from barnabas.config.server import ServerConfig
from barnabas.config.topic import TOPIC_KEYS, TopicConfig, validate_topic_configs

INVALID = "Invalid value {} for configuration {}: {}"
CODECS = "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"
POLICIES = "String must be one of: compact, delete"


def server(**properties: str) -> ServerConfig:
    return ServerConfig.load({name.replace("_", "."): text for name, text in properties.items()})[0]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("retention.ms", "abc", "Not a number of type LONG"),
        ("retention.ms", "-5", "Value must be at least -1"),
        ("retention.ms", "", "Not a number of type LONG"),
        ("retention.ms", "99999999999999999999", "Not a number of type LONG"),
        ("segment.bytes", "3000000000", "Not a number of type INT"),
        ("segment.bytes", "1048575", "Value must be at least 1048576"),
        ("cleanup.policy", "foo", POLICIES),
        ("cleanup.policy", "Compact", POLICIES),
        ("compression.type", "GZIP", CODECS),
        ("compression.type", "", CODECS),
        ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
        ("compression.gzip.level", "10", "Value must be between 1 and 9 or equal to -1"),
        ("compression.lz4.level", "18", "Value must be no more than 17"),
        ("compression.zstd.level", "-131073", "Value must be at least -131072"),
        ("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1"),
        ("min.cleanable.dirty.ratio", "-0.5", "Value must be at least 0"),
        ("preallocate", "yes", "Expected value to be either true or false"),
        ("message.timestamp.type", "createtime", "String must be one of: CreateTime, LogAppendTime"),
        ("min.insync.replicas", "0", "Value must be at least 1"),
        ("segment.index.bytes", "3", "Value must be at least 4"),
        ("flush.messages", "0", "Value must be at least 1"),
        ("local.retention.ms", "-3", "Value must be at least -2"),
        ("max.compaction.lag.ms", "0", "Value must be at least 1"),
    ],
)
def test_values_that_are_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigException) as raised:
        validate_topic_configs({name: text})
    assert str(raised.value) == INVALID.format(text, name, words)
    assert raised.value.name == name


def test_refusals_that_name_another_value() -> None:
    assert refusal({"cleanup.policy": "delete,foo"}) == INVALID.format("foo", "cleanup.policy", POLICIES)
    assert refusal({"min.cleanable.dirty.ratio": "5."}) == INVALID.format(
        "5.0", "min.cleanable.dirty.ratio", "Value must be no more than 1"
    )
    name = "leader.replication.throttled.replicas"
    pairs = "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
    words = f"{name} must be the literal '*' or a list of replicas in the following format: {pairs}"
    assert refusal({name: "0:1,*"}) == INVALID.format("[0:1, *]", name, words)


def refusal(overrides: dict[str, str | None]) -> str:
    with pytest.raises(ConfigException) as raised:
        validate_topic_configs(overrides)
    return str(raised.value)


def test_sentences_of_their_own() -> None:
    assert refusal({"foo": "1"}) == "Unknown topic config name: foo"
    assert refusal({"": ""}) == "Unknown topic config name: "
    assert refusal({"retention.ms": None}) == "Null value not supported for topic configs: retention.ms"
    assert refusal({"segment.ms": None, "retention.ms": None, "flush.ms": None, "foo": "1"}) == (
        "Null value not supported for topic configs: flush.ms,segment.ms,retention.ms"
    )
    assert refusal({"cleanup.policy": "delete,,compact"}) == "Configuration 'cleanup.policy' values must not be empty."
    assert refusal({"min.compaction.lag.ms": "100", "max.compaction.lag.ms": "10"}) == (
        "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (10)"
    )
    assert refusal({"remote.storage.enable": "true"}) == (
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )
    # Names are looked at before values.
    assert refusal({"retention.ms": "x", "foo": "1"}) == "Unknown topic config name: foo"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("retention.ms", " +7 "),
        ("internal.segment.bytes", "1000"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "delete,delete"),
        ("compression.gzip.level", "-1"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", "0:1,1:2"),
        ("leader.replication.throttled.replicas", ""),
        ("retention.bytes", "-5"),
        ("min.insync.replicas", "5"),
        ("max.compaction.lag.ms", "10"),
        ("min.compaction.lag.ms", "9223372036854775807"),
        ("remote.log.copy.disable", "true"),
    ],
)
def test_values_that_are_allowed(name: str, text: str) -> None:
    validate_topic_configs({name: text})


def test_the_fields_are_the_keys() -> None:
    assert {field.name for field in dataclasses.fields(TopicConfig)} == {name.replace(".", "_") for name in TOPIC_KEYS}
    assert len(TOPIC_KEYS) == 34


def test_defaults_are_those_that_kafka_prints() -> None:
    plain = TopicConfig.of({}, server())
    assert (plain.retention_ms, plain.segment_ms, plain.segment_jitter_ms) == (604800000, 604800000, 0)
    assert (plain.flush_ms, plain.flush_messages) == (2**63 - 1, 2**63 - 1)
    assert (plain.cleanup_policy, plain.compression_type, plain.min_cleanable_dirty_ratio) == (
        ("delete",),
        "producer",
        0.5,
    )
    assert (plain.segment_size, plain.max_message_bytes) == (1073741824, 1048588)
    assert (plain.deletes, plain.compacts) == (True, False)


def test_own_settings() -> None:
    own = {"retention.ms": " 1000 ", "cleanup.policy": "compact, delete", "internal.segment.bytes": "100"}
    config = TopicConfig.of(own, server())
    assert (config.retention_ms, config.cleanup_policy, config.segment_size) == (1000, ("compact", "delete"), 100)
    assert config.compacts
    assert config.deletes


@pytest.mark.parametrize(
    ("properties", "retention"),
    [
        ({}, 604800000),
        ({"log_retention_hours": "5"}, 18000000),
        ({"log_retention_minutes": "2", "log_retention_hours": "5"}, 120000),
        ({"log_retention_ms": "9", "log_retention_minutes": "2", "log_retention_hours": "5"}, 9),
        ({"log_retention_hours": "-1"}, -1),
        ({"log_retention_minutes": "-5"}, -1),
    ],
)
def test_retention_is_the_finest_unit_that_is_set(properties: dict[str, str], retention: int) -> None:
    assert TopicConfig.of({}, server(**properties)).retention_ms == retention


def test_other_chains() -> None:
    config = TopicConfig.of(
        {}, server(log_roll_hours="3", log_roll_jitter_hours="1", log_flush_scheduler_interval_ms="77")
    )
    assert (config.segment_ms, config.segment_jitter_ms, config.flush_ms) == (10800000, 3600000, 77)


def test_where_a_value_comes_from() -> None:
    base = server(message_max_bytes="4", log_retention_hours="5")
    assert TopicConfig.of({}, base).max_message_bytes == 4
    everywhere = base.with_dynamic({}, {"message.max.bytes": "3", "log.retention.ms": "7"})
    assert TopicConfig.of({}, everywhere).max_message_bytes == 3
    assert TopicConfig.of({}, everywhere).retention_ms == 7
    here = base.with_dynamic({"message.max.bytes": "2"}, {"message.max.bytes": "3"})
    assert TopicConfig.of({}, here).max_message_bytes == 2
    assert TopicConfig.of({"max.message.bytes": "1"}, here).max_message_bytes == 1
    assert here.topic_defaults.max_message_bytes == 2


def test_a_stored_setting_that_is_not_allowed_any_more(caplog: pytest.LogCaptureFixture) -> None:
    config = TopicConfig.of({"retention.ms": "x", "of.a.later.kafka": "1"}, server(log_retention_ms="8"))
    assert config.retention_ms == 8
    assert "Not a number of type LONG" in caplog.text
