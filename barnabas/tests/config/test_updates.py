"""AlterConfigs and IncrementalAlterConfigs: what Apache Kafka 4.3.0 allows, and its words where it does not."""

from __future__ import annotations

import pytest

from barnabas.config.broker import BROKER_KEYS
from barnabas.config.definitions import ConfigException, ConfigRequestException
from barnabas.config.durations import parse_duration
from barnabas.config.group import (
    client_patterns,
    group_value,
    validate_client_metrics_configs,
    validate_group_configs,
)
from barnabas.config.server import ServerConfig
from barnabas.config.topic import TOPIC_KEYS
from barnabas.config.updates import Operation, apply_operations, validate_broker_configs

SERVER = ServerConfig.load({})[0]
FIXED = "Cannot update these configs dynamically: "
LISTENER_ONLY = "These security configs can be dynamically updated only per-listener using the listener prefix: "


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("log.retention.ms", "abc", "Invalid value abc for configuration log.retention.ms: Not a number of type LONG"),
        (
            "log.retention.ms",
            "0",
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        ),
        ("num.partitions", "5", FIXED + "[num.partitions]"),
        ("log.retention.hours", "5", FIXED + "[log.retention.hours]"),
        ("advertised.listeners", "PLAINTEXT://x:1", FIXED + "[advertised.listeners]"),
        (
            "log.segment.bytes",
            "1",
            "Invalid value 1 for configuration log.segment.bytes: Value must be at least 1048576",
        ),
        ("ssl.keystore.password", "x", LISTENER_ONLY + "[ssl.keystore.password]"),
        ("log.roll.ms", "0", "requirement failed: log.roll.ms must be greater than or equal to 1"),
        (
            "leader.replication.throttled.rate",
            "-1",
            "Invalid value -1 for configuration leader.replication.throttled.rate: Value must be at least 0",
        ),
        (
            "transaction.partition.verification.enable",
            "maybe",
            "Invalid value maybe for configuration transaction.partition.verification.enable: "
            "Expected value to be either true or false",
        ),
    ],
)
@pytest.mark.parametrize("per_broker", [True, False])
def test_changes_of_a_broker_that_are_refused(name: str, text: str, words: str, per_broker: bool) -> None:
    with pytest.raises(ConfigRequestException) as raised:
        validate_broker_configs({name: text}, SERVER, per_broker=per_broker)
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.retention.ms", "-5"),
        ("foo", "1"),
        ("zookeeper.connect", "x"),
        ("log.cleaner.threads", "2"),
        ("max.connections.per.ip", "10"),
        ("max.connections.per.ip.overrides", "127.0.0.1:5"),
        ("listener.name.plaintext.max.connections", "5"),
        ("leader.replication.throttled.rate", "10"),
        ("group.consumer.assignment.interval.ms", "5"),
        ("metric.reporters", ""),
    ],
)
@pytest.mark.parametrize("per_broker", [True, False])
def test_changes_of_a_broker_that_are_allowed(name: str, text: str, per_broker: bool) -> None:
    validate_broker_configs({name: text}, SERVER, per_broker=per_broker)


def test_what_belongs_to_one_broker_is_not_set_for_all() -> None:
    validate_broker_configs({"listener.name.plaintext.foo": "5"}, SERVER, per_broker=True)
    with pytest.raises(ConfigRequestException) as refused:  # of one broker's own they are fixed here, unlike Kafka's
        validate_broker_configs({"listeners": "PLAINTEXT://:1"}, SERVER, per_broker=True)
    assert str(refused.value) == FIXED + "[listeners]"
    for name in ("cordoned.log.dirs", "listener.name.plaintext.foo", "listeners"):
        with pytest.raises(ConfigRequestException) as raised:
            validate_broker_configs({name: "/x"}, SERVER, per_broker=False)
        assert str(raised.value) == (
            f"Cannot update these configs at default cluster level, broker id must be specified: [{name}]"
        )


def test_rules_look_at_the_other_level_too() -> None:
    with pytest.raises(ConfigRequestException, match=r"max.connections.per.ip can be set to zero only if"):
        validate_broker_configs({"max.connections.per.ip": "0"}, SERVER, per_broker=True)
    limited = SERVER.with_dynamic({}, {"max.connections.per.ip.overrides": "127.0.0.1:5"})
    validate_broker_configs({"max.connections.per.ip": "0"}, limited, per_broker=True)


@pytest.mark.parametrize(
    ("operation", "name", "text", "outcome"),
    [
        (Operation.SET, "retention.ms", "5", {"cleanup.policy": "compact", "retention.ms": "5"}),
        (Operation.DELETE, "cleanup.policy", None, {}),
        (Operation.DELETE, "foo", None, {"cleanup.policy": "compact"}),
        (Operation.APPEND, "cleanup.policy", "delete", {"cleanup.policy": "compact,delete"}),
        (Operation.APPEND, "cleanup.policy", "compact", {"cleanup.policy": "compact"}),
        (Operation.SUBTRACT, "cleanup.policy", "compact", {"cleanup.policy": ""}),
        (Operation.SUBTRACT, "cleanup.policy", "delete", {"cleanup.policy": "compact"}),
    ],
)
def test_operations(operation: Operation, name: str, text: str | None, outcome: dict[str, str]) -> None:
    assert apply_operations({"cleanup.policy": "compact"}, [(operation, name, text)], TOPIC_KEYS) == outcome


def test_lists_without_a_setting_begin_with_the_default() -> None:
    assert apply_operations({}, [(Operation.APPEND, "cleanup.policy", "compact")], TOPIC_KEYS) == {
        "cleanup.policy": "delete,compact"
    }


@pytest.mark.parametrize("name", ["retention.ms", "foo"])
@pytest.mark.parametrize("operation", [Operation.APPEND, Operation.SUBTRACT])
def test_only_lists_grow_and_shrink(name: str, operation: Operation) -> None:
    with pytest.raises(ConfigException) as raised:
        apply_operations({}, [(operation, name, "5")], TOPIC_KEYS)
    assert str(raised.value) == f"Can't {operation.name} to key {name} because its type is not LIST."


def test_a_null_where_a_value_is_needed() -> None:
    with pytest.raises(ConfigRequestException) as raised:
        apply_operations({}, [(Operation.SET, "log.retention.ms", None)], BROKER_KEYS)
    assert str(raised.value) == "Null value not supported for : log.retention.ms"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "consumer.session.timeout.ms",
            "1",
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            "share.delivery.count.limit",
            "11",
            "share.delivery.count.limit must be less than or equal to group.share.max.delivery.count.limit",
        ),
        (
            "streams.num.standby.replicas",
            "3",
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
        ),
        (
            "share.record.lock.duration.ms",
            "999",
            "Invalid value 999 for configuration share.record.lock.duration.ms: Value must be at least 1000",
        ),
        (
            "share.isolation.level",
            "READ_COMMITTED",
            "Invalid value READ_COMMITTED for configuration share.isolation.level: "
            "String must be one of: read_committed, read_uncommitted",
        ),
        ("foo", "1", "Unknown group config name: foo"),
    ],
)
def test_groups_are_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigException) as raised:
        validate_group_configs({name: text}, SERVER)
    assert str(raised.value) == words
    assert not isinstance(raised.value, ConfigRequestException)


@pytest.mark.parametrize(
    "text",
    ["foo", "by_duration:-PT1H", "by_duration:x", "by_duration:P", "by_duration:PT", "BY_DURATION:PT1H", "EARLIEST"],
)
def test_where_a_share_group_cannot_begin(text: str) -> None:
    name = "share.auto.offset.reset"
    with pytest.raises(ConfigException) as raised:
        validate_group_configs({name: text}, SERVER)
    assert str(raised.value) == (
        f"Invalid value {text} for configuration {name}: Invalid value `{text}` for configuration {name}. "
        "The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
    )


@pytest.mark.parametrize(
    "text", ["earliest", "latest", "by_duration:PT1H", "by_duration:P2DT3H4M5.5S", "by_duration:P1D"]
)
def test_where_a_share_group_can_begin(text: str) -> None:
    validate_group_configs({"share.auto.offset.reset": text}, SERVER)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("PT1H", 3600000),
        ("pt1h", 3600000),
        ("P2DT3H4M5.678S", 183845678),
        ("PT0S", 0),
        ("PT-0S", 0),
        ("PT1,5S", 1500),
        ("PT1.S", 1000),
        ("P-1DT48H", 86400000),
        ("PT+1H", 3600000),
        ("-PT-1H", 3600000),
        ("PT-1.5S", -1500),
    ],
)
def test_durations_that_java_reads(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "P", "PT", "PT.5S", "P1DT", "PT1H1H", "P1W", "PT1.1234567890S", " PT1H", "1H"])
def test_durations_that_java_does_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_a_group_inherits_from_the_broker() -> None:
    server, _ = ServerConfig.load({"group.share.record.lock.duration.ms": "16000"})
    assert group_value("share.record.lock.duration.ms", {}, server) == 16000
    assert group_value("share.record.lock.duration.ms", {"share.record.lock.duration.ms": "17000"}, server) == 17000
    assert group_value("share.renew.acknowledge.enable", {}, server) is True


@pytest.mark.parametrize(
    ("name", "text", "words", "request_error"),
    [
        (
            "interval.ms",
            "99",
            "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
            True,
        ),
        ("interval.ms", "x", "Invalid value x for configuration interval.ms: Not a number of type INT", False),
        ("match", "foo=bar", "Illegal client matching pattern: foo=bar", False),
        ("match", "client_id", "Illegal client matching pattern: client_id", False),
        ("match", "client_id=[", "Illegal client matching pattern: client_id=[", False),
        ("match", "client_id=a=b", "Illegal client matching pattern: client_id=a=b", False),
        ("foo", "1", "Unknown client metrics configuration: foo", True),
    ],
)
def test_subscriptions_are_refused(name: str, text: str, words: str, request_error: bool) -> None:
    with pytest.raises(ConfigException) as raised:
        validate_client_metrics_configs({name: text})
    assert str(raised.value) == words
    assert isinstance(raised.value, ConfigRequestException) == request_error


def test_subscriptions() -> None:
    validate_client_metrics_configs({"interval.ms": "100", "metrics": "*", "match": ""})
    patterns = client_patterns("client_software_name=librd.*, client_id=a")
    assert list(patterns) == ["client_software_name", "client_id"]
    assert patterns["client_software_name"].fullmatch("librdkafka")
