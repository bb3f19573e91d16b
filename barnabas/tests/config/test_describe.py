"""DescribeConfigs: each expectation is an answer of a running Apache Kafka 4.3.0 with the same settings."""

from __future__ import annotations

import pytest

from barnabas.config.describe import Entry, ResourceType, Source, describe
from barnabas.config.server import ServerConfig

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listeners": "PLAINTEXT://127.0.0.1:29920,CONTROLLER://127.0.0.1:29921",
    "controller.listener.names": "CONTROLLER",
    "log.retention.hours": "5",
    "log.roll.hours": "3",
    "log.roll.jitter.hours": "1",
    "log.flush.scheduler.interval.ms": "77",
    "foo.bar": "1",
    "listener.name.plaintext.max.connections": "44",
    "listener.name.plaintext.ssl.keystore.password": "hunter2",
    "log.cleanup.policy": "compact , delete",
    "group.consumer.session.timeout.ms": "50000",
    "delegation.token.secret.key": "hunter2",
    "log.cleaner.min.cleanable.ratio": "0.30",
    "auto.create.topics.enable": "FALSE",
}
PER_BROKER = {
    "message.max.bytes": "3000000",
    "log.retention.bytes": "9999",
    "max.connections": "77",
    "listener.name.plaintext.max.connections": "66",
}
ALL_BROKERS = {
    "log.retention.ms": "5555",
    "message.max.bytes": "2000000",
    "log.cleanup.policy": "delete",
    "foo.dyn": "3",
    "log.roll.ms": "999999",
}
TOPIC = {
    "retention.ms": "1000",
    "segment.ms": "604800000",
    "cleanup.policy": " delete , compact ",
    "min.cleanable.dirty.ratio": "0.50",
    "max.message.bytes": " +5",
    "internal.segment.bytes": "1000",
}


def started() -> ServerConfig:
    return ServerConfig.load(PROPERTIES)[0]


def changed() -> ServerConfig:
    return started().with_dynamic(PER_BROKER, ALL_BROKERS)


def entries(
    kind: ResourceType, server: ServerConfig, overrides: dict[str, str] | None = None, name: str = "1"
) -> dict[str, Entry]:
    return {entry.name: entry for entry in describe(kind, name, overrides or {}, server)}


def shown(entry: Entry) -> tuple[str | None, int, list[tuple[str, str | None, int]]]:
    return entry.value, int(entry.source), [(one.name, one.value, int(one.source)) for one in entry.synonyms]


@pytest.mark.parametrize(
    ("name", "value", "source", "synonyms"),
    [
        ("num.partitions", "1", 5, [("num.partitions", "1", 5)]),
        ("log.retention.ms", None, 5, []),
        ("log.retention.hours", "5", 4, [("log.retention.hours", "5", 4), ("log.retention.hours", "168", 5)]),
        (
            "log.cleanup.policy",
            "compact,delete",
            4,
            [("log.cleanup.policy", "compact , delete", 4), ("log.cleanup.policy", "delete", 5)],
        ),
        (
            "auto.create.topics.enable",
            "false",
            4,
            [("auto.create.topics.enable", "FALSE", 4), ("auto.create.topics.enable", "true", 5)],
        ),
        (
            "log.cleaner.min.cleanable.ratio",
            "0.3",
            4,
            [("log.cleaner.min.cleanable.ratio", "0.30", 4), ("log.cleaner.min.cleanable.ratio", "0.5", 5)],
        ),
        ("broker.id", "1", 4, [("broker.id", "1", 4), ("broker.id", "-1", 5)]),
        ("delegation.token.secret.key", None, 4, [("delegation.token.secret.key", None, 4)]),
        ("foo.bar", None, 4, [("foo.bar", None, 4)]),
        (
            "listener.name.plaintext.max.connections",
            "44",
            4,
            [("listener.name.plaintext.max.connections", "44", 4), ("max.connections", "2147483647", 5)],
        ),
    ],
)
def test_a_broker_as_its_file_says(
    name: str, value: str | None, source: int, synonyms: list[tuple[str, str | None, int]]
) -> None:
    assert shown(entries(ResourceType.BROKER, started())[name]) == (value, source, synonyms)


@pytest.mark.parametrize(
    ("name", "value", "source", "synonyms"),
    [
        (
            "message.max.bytes",
            "3000000",
            2,
            [
                ("message.max.bytes", "3000000", 2),
                ("message.max.bytes", "2000000", 3),
                ("message.max.bytes", "1048588", 5),
            ],
        ),
        (
            "log.retention.ms",
            "5555",
            3,
            [("log.retention.ms", "5555", 3), ("log.retention.hours", "5", 4), ("log.retention.hours", "168", 5)],
        ),
        # A change of the milliseconds hides the hours of the file, though they are still listed.
        ("log.retention.hours", "168", 4, [("log.retention.hours", "5", 4), ("log.retention.hours", "168", 5)]),
        (
            "listener.name.plaintext.max.connections",
            "66",
            2,
            [
                ("listener.name.plaintext.max.connections", "66", 2),
                ("max.connections", "77", 2),
                ("listener.name.plaintext.max.connections", "44", 4),
                ("max.connections", "2147483647", 5),
            ],
        ),
        ("foo.dyn", None, 3, [("foo.dyn", None, 3)]),
    ],
)
def test_a_broker_after_changes(
    name: str, value: str | None, source: int, synonyms: list[tuple[str, str | None, int]]
) -> None:
    assert shown(entries(ResourceType.BROKER, changed())[name]) == (value, source, synonyms)


def test_flags_of_broker_keys() -> None:
    found = entries(ResourceType.BROKER, started())
    assert [found[name].read_only for name in ("num.partitions", "log.retention.ms", "listeners")] == [
        True,
        False,
        False,
    ]
    unknown = found["foo.bar"]
    assert (unknown.read_only, unknown.sensitive, int(unknown.type), unknown.documentation) == (True, True, 0, "")
    secret = found["listener.name.plaintext.ssl.keystore.password"]
    assert (secret.value, secret.sensitive, secret.read_only, int(secret.type)) == (None, True, True, 9)
    assert not any("hunter2" in repr(entry) for entry in found.values())
    assert found["num.partitions"].documentation
    assert "log.initial.task.delay.ms" not in found
    # The 340 that Kafka describes, and the three named above that it does not know as they stand.
    assert len(found) == 343


def test_a_key_that_kafka_keeps_to_itself_is_described_where_it_is_set() -> None:
    server, _ = ServerConfig.load({"log.initial.task.delay.ms": "5"})
    assert shown(entries(ResourceType.BROKER, server)["log.initial.task.delay.ms"])[:2] == ("5", 4)


def test_all_brokers() -> None:
    found = entries(ResourceType.BROKER, changed(), name="")
    # The order of Kafka's answer.
    assert set(found) == set(ALL_BROKERS)
    assert shown(found["log.roll.ms"]) == ("999999", 3, [("log.roll.ms", "999999", 3)])
    assert shown(found["foo.dyn"]) == (None, 3, [("foo.dyn", None, 3)])
    assert entries(ResourceType.BROKER, started(), name="") == {}


@pytest.mark.parametrize(
    ("name", "value", "source", "synonyms"),
    [
        # The hours are no synonym of their own: Kafka lists from the milliseconds on.
        ("retention.ms", "18000000", 5, []),
        ("segment.ms", "10800000", 5, []),
        ("segment.jitter.ms", "3600000", 5, []),
        ("flush.ms", "77", 5, []),
        (
            "cleanup.policy",
            "compact,delete",
            4,
            [("log.cleanup.policy", "compact , delete", 4), ("log.cleanup.policy", "delete", 5)],
        ),
        ("max.message.bytes", "1048588", 5, [("message.max.bytes", "1048588", 5)]),
        ("remote.storage.enable", "false", 5, []),
    ],
)
def test_a_topic_without_settings(
    name: str, value: str, source: int, synonyms: list[tuple[str, str | None, int]]
) -> None:
    assert shown(entries(ResourceType.TOPIC, started())[name]) == (value, source, synonyms)


@pytest.mark.parametrize(
    ("name", "value", "source", "synonyms"),
    [
        (
            "retention.ms",
            "1000",
            1,
            [
                ("retention.ms", "1000", 1),
                ("log.retention.ms", "5555", 3),
                ("log.retention.hours", "5", 4),
                ("log.retention.hours", "168", 5),
            ],
        ),
        (
            "max.message.bytes",
            "5",
            1,
            [
                ("max.message.bytes", "5", 1),
                ("message.max.bytes", "3000000", 2),
                ("message.max.bytes", "2000000", 3),
                ("message.max.bytes", "1048588", 5),
            ],
        ),
        (
            "cleanup.policy",
            "delete,compact",
            1,
            [
                ("cleanup.policy", "delete,compact", 1),
                ("log.cleanup.policy", "delete", 3),
                ("log.cleanup.policy", "compact , delete", 4),
                ("log.cleanup.policy", "delete", 5),
            ],
        ),
        ("retention.bytes", "9999", 2, [("log.retention.bytes", "9999", 2), ("log.retention.bytes", "-1", 5)]),
        ("internal.segment.bytes", "1000", 1, [("internal.segment.bytes", "1000", 1)]),
    ],
)
def test_a_topic_with_settings(name: str, value: str, source: int, synonyms: list[tuple[str, str | None, int]]) -> None:
    assert shown(entries(ResourceType.TOPIC, changed(), TOPIC)[name]) == (value, source, synonyms)


def test_topics_list_their_keys_in_kafkas_order() -> None:
    names = [entry.name for entry in describe(ResourceType.TOPIC, "t", {}, started())]
    assert len(names) == 33
    assert names[:8] == [
        "compression.type",
        "remote.log.delete.on.disable",
        "leader.replication.throttled.replicas",
        "remote.storage.enable",
        "min.insync.replicas",
        "segment.jitter.ms",
        "remote.log.copy.disable",
        "local.retention.ms",
    ]
    assert names[-3:] == ["message.timestamp.before.max.ms", "segment.ms", "segment.index.bytes"]
    with_internal = [entry.name for entry in describe(ResourceType.TOPIC, "t", TOPIC, started())]
    assert with_internal == ["internal.segment.bytes", *names]


def test_a_value_set_to_its_default_is_a_setting_of_the_topic() -> None:
    server, _ = ServerConfig.load({})
    entry = entries(ResourceType.TOPIC, server, {"retention.bytes": "-1"})["retention.bytes"]
    assert shown(entry) == ("-1", 1, [("retention.bytes", "-1", 1), ("log.retention.bytes", "-1", 5)])


def test_groups() -> None:
    found = entries(ResourceType.GROUP, started(), {"share.auto.offset.reset": "earliest"})
    assert len(found) == 17
    assert shown(found["consumer.session.timeout.ms"]) == (
        "50000",
        4,
        [("group.consumer.session.timeout.ms", "50000", 4), ("group.consumer.session.timeout.ms", "45000", 5)],
    )
    assert shown(found["share.auto.offset.reset"]) == (
        "earliest",
        8,
        [("share.auto.offset.reset", "earliest", 8), ("share.auto.offset.reset", "latest", 5)],
    )


def test_client_metrics() -> None:
    found = entries(ResourceType.CLIENT_METRICS, started(), {"interval.ms": "5000"})
    assert list(found) == ["interval.ms", "match", "metrics"]
    assert shown(found["interval.ms"]) == ("5000", 7, [("interval.ms", "5000", 7)])
    assert shown(found["match"]) == ("", 5, [])


def test_an_answer_can_be_limited_to_some_keys() -> None:
    wanted = ["retention.ms", "segment.ms", "nothing"]
    found = describe(ResourceType.TOPIC, "t", {}, started(), wanted)
    assert [entry.name for entry in found] == ["retention.ms", "segment.ms"]
    assert found[0].source is Source.DEFAULT
