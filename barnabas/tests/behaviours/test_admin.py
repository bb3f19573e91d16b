"""Behaviours 32, 33 and 36: topics, configurations, automatic creation; and what was asked of Kafka about them."""

from __future__ import annotations

from typing import Any

import pytest

from barnabas.embedded import Broker
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages import alter_configs, incremental_alter_configs
from barnabas.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from barnabas.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from barnabas.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from barnabas.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from barnabas.protocol.messages.describe_topic_partitions import Cursor, DescribeTopicPartitionsRequest, TopicRequest
from barnabas.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.schema import ZERO_UUID

from .client import UNKNOWN_ID, Client, batch, unique

TOPIC, BROKER, GROUP = 2, 4, 32
SET, DELETE, APPEND, SUBTRACT = range(4)
#: sources of a configuration
OF_TOPIC, STATIC, DEFAULT = 1, 4, 5


# --- 32: topics -----------------------------------------------------------------------------------------------

def test_32_minus_1_is_the_default(client: Client) -> None:
    made = client.create(unique("t"), -1, -1)
    assert (made.error_code, made.num_partitions, made.replication_factor) == (0, 1, 1)
    assert len(made.configs) > 25
    assert made.topic_id != ZERO_UUID


@pytest.mark.parametrize(
    ("partitions", "replicas", "code"),
    [(0, 1, "INVALID_PARTITIONS"), (-2, 1, "INVALID_PARTITIONS"), (1, 0, "INVALID_REPLICATION_FACTOR"),
     (1, -2, "INVALID_REPLICATION_FACTOR"), (1, 2, "INVALID_REPLICATION_FACTOR"),
     (1, 32767, "INVALID_REPLICATION_FACTOR"),
     (100_000, 1, "POLICY_VIOLATION"), (2**31 - 1, 1, "POLICY_VIOLATION")],
)
@pytest.mark.parametrize("validate_only", [False, True])
def test_32_numbers_out_of_range(
    client: Client, partitions: int, replicas: int, code: str, validate_only: bool
) -> None:
    name = unique("t")
    answer = client.create(name, partitions, replicas, validate_only=validate_only)
    assert (answer.error_code, answer.configs) == (ErrorCode[code], [])
    assert answer.error_message
    assert name not in client.broker.topics()


def test_32_names_that_differ_in_dots_and_underscores_collide(client: Client) -> None:
    name = unique("a.b_c")
    assert client.create(name).error_code == 0
    for other in (name.replace(".", "_"), name.replace("_", ".")):
        answer = client.create(other)
        assert answer.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
        assert answer.error_message == f"Topic '{other}' collides with existing topic: {name}"


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ä", "a/b", "x" * 250, "a\n"])
def test_32_names_that_are_refused(client: Client, name: str) -> None:
    answer = client.create(name)
    assert answer.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert answer.error_message.startswith("Topic name is invalid: ")
    assert client.metadata(name, create=True).topics[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_32_validate_only_answers_and_creates_nothing(client: Client) -> None:
    name = unique("t")
    answer = client.create(name, 3, validate_only=True)
    assert (answer.error_code, answer.num_partitions) == (0, 3)
    assert name not in client.broker.topics()
    assert client.create(name, configs={"no.such": "1"}, validate_only=True).error_code == ErrorCode.INVALID_CONFIG


def test_32_a_topic_that_exists(client: Client) -> None:
    topic = client.topic()
    answer = client.create(topic)
    assert (answer.error_code, answer.error_message) == (36, f"Topic '{topic}' already exists.")


def test_asked_of_kafka_a_name_twice(client: Client) -> None:
    twice, once = unique("t"), unique("t")
    request = CreateTopicsRequest([CreatableTopic(n, 1, 1) for n in (twice, once, twice)], 5000)
    answers = {t.name: (t.error_code, t.error_message) for t in client.wire.request(request, 7).topics}
    assert answers == {twice: (42, "Duplicate topic name."), once: (0, None)}


@pytest.mark.parametrize(
    ("assigned", "code", "text"),
    [
        ({0: [0]}, 39, "The manual partition assignment includes broker 0, but no such broker is registered."),
        ({0: [-1]}, 39, "The manual partition assignment includes broker -1, but no such broker is registered."),
        ({0: []}, 39, "The manual partition assignment includes an empty replica list."),
        ({0: [1, 1]}, 39, "The manual partition assignment includes the broker 1 more than once."),
        ({1: [1]}, 39, "partitions should be a consecutive 0-based integer sequence"),
    ],
)
def test_asked_of_kafka_manual_assignments(
    client: Client, assigned: dict[int, list[int]], code: int, text: str
) -> None:
    answer = client.create(unique("t"), -1, -1, assigned=assigned)
    assert (answer.error_code, answer.error_message) == (code, text)
    assert client.create(unique("t"), -1, -1, assigned={0: [1], 1: [1]}).num_partitions == 2


def test_32_the_metadata_topic_cannot_be_made(client: Client) -> None:
    assert client.create("__cluster_metadata").error_code == ErrorCode.INVALID_REQUEST


def test_32_partitions_are_added(client: Client) -> None:
    topic = client.topic(partitions=2)

    def grow(*asked: tuple[str, int, list[list[int]] | None], validate_only: bool = False) -> Any:
        topics = [
            CreatePartitionsTopic(n, c, None if a is None else [CreatePartitionsAssignment(r) for r in a])
            for n, c, a in asked
        ]
        answer = client.wire.request(CreatePartitionsRequest(topics, 5000, validate_only), 3)
        return [(r.error_code, r.error_message) for r in answer.results]

    assert grow((topic, 4, None), validate_only=True) == [(0, None)]
    assert grow((topic, 2, None)) == [(37, "Topic already has 2 partition(s).")]
    assert grow((topic, 1, None))[0][0] == ErrorCode.INVALID_PARTITIONS
    assert grow((topic, 3, [[9]]))[0][0] == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert grow((topic, 3, None), (topic, 4, None)) == [(42, "Duplicate topic name.")]
    assert grow((unique("no"), 3, None))[0][0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    # Kafka dies of this one
    assert grow((topic, 2**31 - 1, None))[0][0] == ErrorCode.POLICY_VIOLATION
    assert grow((topic, 3, None)) == [(0, None)]
    assert len(client.metadata(topic).topics[0].partitions) == 3
    assert client.produce(topic, batch(b"a"), partition=2).base_offset == 0


def test_32_topics_are_deleted_by_name_or_id(client: Client) -> None:
    one, two, three = (client.topic() for _ in range(3))

    def delete(*asked: tuple[str | None, bytes]) -> dict[str | None, int]:
        request = DeleteTopicsRequest([DeleteTopicState(*a) for a in asked], [], 5000)
        return {r.name: r.error_code for r in client.wire.request(request, 6).responses}

    assert delete((one, client.ids[one]), (None, ZERO_UUID)) == {one: 42, None: 42}
    assert delete((one, ZERO_UUID), (None, client.ids[one])) == {one: 42}
    assert delete((one, ZERO_UUID), (one, ZERO_UUID)) == {one: 42}
    assert one in client.broker.topics()
    assert delete((one, ZERO_UUID), (None, client.ids[two]), (unique("no"), ZERO_UUID), (None, UNKNOWN_ID))[one] == 0
    assert not {one, two} & set(client.broker.topics())
    answer = client.wire.request(DeleteTopicsRequest([], [three, three], 5000), 5)
    assert [(r.name, r.error_code, r.error_message) for r in answer.responses] == [(three, 42, "Duplicate topic name.")]


# --- 33: configurations ---------------------------------------------------------------------------------------

def configs(client: Client, kind: int, name: str, keys: list[str] | None = None, *, synonyms: bool = True) -> Any:
    """Return the entries of one resource by their names."""
    request = DescribeConfigsRequest([DescribeConfigsResource(kind, name, keys)], synonyms)
    result = client.wire.request(request, 4).results[0]
    assert result.error_code == 0, result.error_message
    return {e.name: e for e in result.configs}


def change(client: Client, kind: int, name: str, *operations: tuple[str, int, str | None], check: bool = False) -> Any:
    """Change single keys; return code and message."""
    m = incremental_alter_configs
    resource = m.AlterConfigsResource(kind, name, [m.AlterableConfig(*operation) for operation in operations])
    answer = client.wire.request(m.IncrementalAlterConfigsRequest([resource], check), 1).responses[0]
    return answer.error_code, answer.error_message


def test_33_every_key_has_its_source_and_synonyms_in_order(client: Client) -> None:
    topic = client.topic(segment_bytes="1073741824")  # set to its default: still the topic's own
    found = configs(client, TOPIC, topic)
    assert len(found) == 33
    entry = found["segment.bytes"]
    assert (entry.value, entry.config_source) == ("1073741824", OF_TOPIC)
    assert [(s.name, s.source) for s in entry.synonyms] == [("segment.bytes", OF_TOPIC), ("log.segment.bytes", DEFAULT)]
    assert (found["segment.ms"].value, found["segment.ms"].config_source) == ("604800000", DEFAULT)
    assert all(e.config_type for e in found.values())
    assert configs(client, TOPIC, topic, synonyms=False)["retention.ms"].synonyms == []
    assert list(configs(client, TOPIC, topic, ["retention.ms", "no.such"])) == ["retention.ms"]
    assert len(configs(client, TOPIC, topic, [])) == 33


def test_33_what_server_properties_sets_is_static(client: Client) -> None:
    found = configs(client, BROKER, "1", ["offsets.topic.num.partitions", "num.io.threads", "ssl.key.password"])
    assert found["offsets.topic.num.partitions"].config_source == STATIC
    assert found["num.io.threads"].config_source == DEFAULT
    sensitive = found["ssl.key.password"]
    assert (sensitive.is_sensitive, sensitive.value) == (True, None)


def test_asked_of_kafka_a_group_that_does_not_exist_has_configs(client: Client) -> None:
    found = configs(client, GROUP, unique("no"))
    assert len(found) == 17
    assert {key.partition(".")[0] for key in found} == {"consumer", "share", "streams"}


def test_33_single_keys_are_changed(client: Client) -> None:
    topic = client.topic()

    def value(key: str) -> Any:
        return configs(client, TOPIC, topic, [key])[key].value

    assert change(client, TOPIC, topic, ("segment.ms", SET, "5000"), check=True) == (0, None)
    assert value("segment.ms") == "604800000"
    assert change(client, TOPIC, topic, ("segment.ms", SET, "5000"), ("cleanup.policy", APPEND, "compact")) == (0, None)
    assert (value("segment.ms"), value("cleanup.policy"), value("retention.ms")) == ("5000", "delete,compact", "-1")
    assert change(client, TOPIC, topic, ("cleanup.policy", SUBTRACT, "delete")) == (0, None)
    assert value("cleanup.policy") == "compact"
    assert change(client, TOPIC, topic, ("cleanup.policy", DELETE, None)) == (0, None)
    assert value("cleanup.policy") == "delete"


@pytest.mark.parametrize(
    ("operation", "code"),
    [(("no.such", SET, "1"), "INVALID_CONFIG"), (("retention.ms", SET, "x"), "INVALID_CONFIG"),
     (("retention.ms", SET, None), "INVALID_REQUEST"), (("retention.ms", APPEND, "1"), "INVALID_CONFIG"),
     (("retention.ms", 7, "1"), "INVALID_REQUEST"), (("max.message.bytes", SET, "-1"), "INVALID_CONFIG")],
)
def test_33_bad_changes_change_nothing(client: Client, operation: tuple[str, int, str | None], code: str) -> None:
    topic = client.topic()
    before = configs(client, TOPIC, topic)
    answer = change(client, TOPIC, topic, ("segment.ms", SET, "5000"), operation)
    assert answer[0] == ErrorCode[code] and answer[1]
    assert configs(client, TOPIC, topic) == before


def test_33_resources_that_do_not_exist(client: Client) -> None:
    name = unique("no")
    one = ("segment.ms", SET, "5000")
    assert change(client, TOPIC, name, one) == (3, f"The topic '{name}' does not exist.")
    assert change(client, TOPIC, "", one) == (42, "Default topic resources are not allowed.")
    assert change(client, TOPIC, "a b", one)[0] == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert change(client, BROKER, "9", one) == (42, "Unexpected broker id, expected 1, but received 9")
    assert change(client, 99, "x", one) == (42, "Unknown resource type 99")
    assert change(client, TOPIC, client.topic(), one, one) == (42, "Error due to duplicate config keys")


def test_33_alter_configs_resets_what_it_does_not_name(client: Client) -> None:
    topic = client.topic(segment_ms="5000")
    m = alter_configs

    def replace(*pairs: tuple[str, str | None]) -> int:
        resource = m.AlterConfigsResource(TOPIC, topic, [m.AlterableConfig(*pair) for pair in pairs])
        code: int = client.wire.request(m.AlterConfigsRequest([resource]), 2).responses[0].error_code
        return code

    assert replace(("cleanup.policy", None)) == 42
    assert replace(("cleanup.policy", "compact"), ("cleanup.policy", "delete")) == 42
    assert replace(("cleanup.policy", "compact")) == 0
    found = configs(client, TOPIC, topic)
    assert [k for k, e in found.items() if e.config_source == OF_TOPIC] == ["cleanup.policy"]


def test_33_a_change_takes_effect_at_once(client: Client) -> None:
    topic = client.topic()
    assert client.produce(topic, batch(b"x" * 500)).error_code == 0
    change(client, TOPIC, topic, ("max.message.bytes", SET, "300"))
    assert client.produce(topic, batch(b"x" * 500)).error_code == ErrorCode.MESSAGE_TOO_LARGE


# --- 36 and metadata ------------------------------------------------------------------------------------------

def test_36_auto_creation_needs_the_request_flag_and_is_there_with_the_answer(client: Client) -> None:
    name = unique("auto")
    assert client.metadata(name).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert name not in client.broker.topics()
    made = client.metadata(name, create=True).topics[0]
    assert (made.error_code, len(made.partitions)) == (0, 1)
    assert client.produce(name, batch(b"a")).base_offset == 0


def test_36_auto_creation_needs_the_brokers_flag() -> None:
    with Broker(properties={"auto.create.topics.enable": "false"}) as broker, Client(broker) as client:
        assert client.metadata("t", create=True).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert broker.topics() == []


@pytest.mark.parametrize("version", [1, 9, 13])
def test_36_a_request_for_all_topics_creates_none(client: Client, version: int) -> None:
    before = client.broker.topics()
    answer = client.wire.request(MetadataRequest(None, True), version)
    assert sorted(t.name for t in answer.topics) == sorted(client.broker.topics()) == sorted(before)
    assert client.wire.request(MetadataRequest([], True), version).topics == []
    assert len(client.wire.request(MetadataRequest([]), 0).topics) == len(before)


def test_asked_of_kafka_neither_name_nor_id(client: Client) -> None:
    asked = [MetadataRequestTopic(ZERO_UUID, None)]
    answer = client.wire.request(MetadataRequest(asked), 13)
    assert (answer.error_code, answer.brokers, answer.topics[0].error_code) == (-1, [], -1)


def test_topics_by_id(client: Client) -> None:
    topic, other = client.topic(), client.topic()
    asked = [MetadataRequestTopic(client.ids[topic], None), MetadataRequestTopic(UNKNOWN_ID, None)]
    known, unknown = client.wire.request(MetadataRequest(asked), 12).topics
    assert (known.name, known.error_code) == (topic, 0)
    assert (unknown.name, unknown.error_code) == (None, ErrorCode.UNKNOWN_TOPIC_ID)
    mixed = [MetadataRequestTopic(client.ids[topic], other), MetadataRequestTopic(ZERO_UUID, other)]
    assert [t.name for t in client.wire.request(MetadataRequest(mixed), 12).topics] == [topic]
    assert [t.name for t in client.metadata(other, other).topics] == [other]


def test_partitions_are_described_page_by_page(client: Client) -> None:
    names = sorted(client.topic(partitions=n) for n in (3, 1, 2))
    seen: list[tuple[str, int]] = []
    cursor: Cursor | None = None
    for _ in range(10):
        answer = client.wire.request(DescribeTopicPartitionsRequest([TopicRequest(n) for n in names], 2, cursor), 0)
        seen += [(t.name, p.partition_index) for t in answer.topics for p in t.partitions]
        if answer.next_cursor is None:
            break
        cursor = Cursor(answer.next_cursor.topic_name, answer.next_cursor.partition_index)
    assert len(seen) == len(set(seen)) == 6
    assert seen == sorted(seen)
    bad = Cursor(names[0], -1)
    answer = client.wire.request(DescribeTopicPartitionsRequest([TopicRequest(names[0])], 2, bad), 0)
    assert answer.topics[0].error_code == ErrorCode.INVALID_REQUEST


def test_leaders_need_no_election(client: Client) -> None:
    topic = client.topic()
    answer = client.wire.request(ElectLeadersRequest(0, [TopicPartitions(topic, [0, 9])], 5000), 2)
    assert [p.error_code for p in answer.replica_election_results[0].partition_result] == [84, 3]
    assert client.wire.request(ElectLeadersRequest(7, [TopicPartitions(topic, [0])], 5000), 2).error_code == 42
