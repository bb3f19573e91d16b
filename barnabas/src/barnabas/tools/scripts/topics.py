"""kafka-topics: create, list, describe, alter and delete topics.

Requests: CreateTopics, DeleteTopics, CreatePartitions, Metadata, DescribeTopicPartitions (where the broker has it: it
alone knows eligible leader replicas), DescribeConfigs, ListPartitionReassignments. Differs from Java's tool: topics are
described in alphabetical order, and there is --json.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

from barnabas.protocol.errors import BarnabasError, ErrorCode
from barnabas.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from barnabas.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from barnabas.protocol.messages.delete_topics import DeleteTopicsRequest
from barnabas.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.describing import (
    DEFAULT_CONFIG,
    TOPIC,
    Partition,
    Topic,
    describe_configs,
    describe_topic_ids,
    describe_topics,
    is_missing,
)
from barnabas.tools.errors import AnswerError, ConfigError, ToolError, UsageError, check
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.texts import INTERNAL_TOPICS, TopicFilter, java_int, joined, parse_uuid, uuid_text

SUMMARY = "Create, delete, describe, or change a topic."
OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("create", "Create a topic."),
    Option("list", "List the topics."),
    Option("describe", "Show partitions, replicas and configuration of topics."),
    Option("alter", "Add partitions to a topic. Configurations are changed with kafka-configs."),
    Option("delete", "Delete topics."),
    Option(
        "topic", "The topic; a regular expression too, except with --create.", "topic", completes="topic"
    ),
    Option("topic-id", "The id of the topic to describe.", "topic-id"),
    Option("config", "A configuration of the topic that is created; may be given several times.", "name=value"),
    Option("delete-config", "No longer supported: use kafka-configs.", "name"),
    Option("partitions", "How many partitions the topic gets. The cluster's default without it.", "count", "int"),
    Option("replication-factor", "Replicas of each partition. The cluster's default without it.", "count", "int"),
    Option(
        "replica-assignment", "The brokers of each partition, by hand.", "broker:broker,broker:broker,..."
    ),
    Option("if-exists", "With --alter, --delete, --describe: do nothing where the topic does not exist."),
    Option("if-not-exists", "With --create: do nothing where the topic exists."),
    Option("exclude-internal", "With --list, --describe: leave internal topics out."),
    Option("topics-with-overrides", "With --describe: only topics with configurations of their own."),
    Option("under-replicated-partitions", "With --describe: only partitions with replicas that lag."),
    Option("unavailable-partitions", "With --describe: only partitions without a live leader."),
    Option("under-min-isr-partitions", "With --describe: only partitions below min.insync.replicas."),
    Option("at-min-isr-partitions", "With --describe: only partitions exactly at min.insync.replicas."),
    Option(
        "partition-size-limit-per-response", "With --describe: how many partitions one answer holds at most.", "count",
        "int",
    ),
    JSON,
)
EXAMPLE = """
kafka-topics --bootstrap-server localhost:9092 --create --topic stock-realtime --partitions 3
kafka-topics --bootstrap-server localhost:9092 --describe --topic stock-realtime
"""

_ACTIONS = ("list", "describe", "create", "alter", "delete")
_REPORTS = (
    "under-replicated-partitions", "unavailable-partitions", "under-min-isr-partitions", "at-min-isr-partitions"
)
#: option: the actions that it goes with
_GOES_WITH = {
    "config": ("create",),
    "partitions": ("create", "alter"),
    "replication-factor": ("create",),
    "replica-assignment": ("create", "alter"),
    **dict.fromkeys((*_REPORTS, "topics-with-overrides"), ("describe",)),
    "if-exists": ("alter", "delete", "describe"),
    "if-not-exists": ("create",),
    "exclude-internal": ("list", "describe"),
}
_COLLISION = (
    "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To "
    "avoid issues it is best to use either, but not both."
)


def run(options: Parsed) -> int:
    """Do what was asked. Errors are printed as Kafka's tool prints them: on standard output."""
    _check(options)
    settings = settings_of(options)
    try:
        with Cluster(settings) as cluster:
            action = next(name for name in _ACTIONS if options.has(name))
            _DO[action](cluster, options)
    except ConfigError:
        raise
    except BarnabasError as e:
        raise ToolError(f"Error while executing topic command : {e}", on_stdout=True) from e
    return 0


def hint(arguments: list[str]) -> str:
    """Name the command that does what older documents do with --alter: configure a topic, or delete it."""
    if "--alter" not in arguments:
        return ""
    topic = next((after for word, after in itertools.pairwise(arguments) if word == "--topic"), "TOPIC")
    if "--delete" in arguments:
        return f"a topic is deleted without --alter: kafka-topics --bootstrap-server HOST:PORT --delete --topic {topic}"
    known = {f"--{option.name}" for option in OPTIONS}
    for word, after in itertools.pairwise((*arguments, "VALUE")):
        if word.startswith("--") and word not in known:
            return (
                "configurations are changed with kafka-configs --bootstrap-server HOST:PORT --alter "
                f"--entity-type topics --entity-name {topic} --add-config {word[2:]}={after}"
            )
    return ""


def _check(options: Parsed) -> None:
    if sum(options.has(name) for name in _ACTIONS) != 1:
        raise UsageError(
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete"
        )
    if options.has("delete-config"):
        raise ToolError(
            "delete-config option is no longer supported and deprecated since version 4.0. The config will be fully "
            "removed in future releases."
        )
    if not options.has("bootstrap-server"):
        raise ToolError("--bootstrap-server must be specified")
    if options.has("describe") and options.has("if-exists") and not (options.has("topic") or options.has("topic-id")):
        raise UsageError("--topic or --topic-id is required to describe a topic")
    if not options.has("list") and not options.has("describe"):
        options.require("topic")
    if options.has("alter"):
        if options.has("config"):
            raise UsageError(
                'Option combination "[[config], [bootstrap-server]]" can\'t be used with option "[alter]" '
                "(To alter topic configurations, the kafka-configs tool can be used.)"
            )
        options.require("partitions")
    for name, actions in _GOES_WITH.items():
        options.refuse(name, (action for action in _ACTIONS if action not in actions))
    if options.has("create"):
        options.refuse("replica-assignment", ("partitions", "replication-factor"))


# --- create, alter, delete ----------------------------------------------------------------------------------


def _create(cluster: Cluster, options: Parsed) -> None:
    name: str = options.value("topic")
    partitions: int | None = options.value("partitions")
    factor: int | None = options.value("replication-factor")
    assignment = _assignment(options)
    configs = []
    for text in options.values("config"):
        key, equals, value = text.partition("=")
        if not equals:
            raise ToolError(
                'requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".'
            )
        configs.append(CreatableTopicConfig(key.strip(), value.strip()))
    if "." in name or "_" in name:
        print(_COLLISION)
    if factor is not None and not 1 <= factor <= 32767:
        raise ToolError("The replication factor must be between 1 and 32767 inclusive")
    if partitions is not None and partitions < 1:
        raise ToolError("The partitions must be greater than 0")
    by_hand = [CreatableReplicaAssignment(index, brokers) for index, brokers in enumerate(assignment)]
    topic = CreatableTopic(
        name, -1 if by_hand or partitions is None else partitions, -1 if by_hand or factor is None else factor, by_hand,
        configs,
    )
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
    result = cluster.ask(CreateTopicsRequest([topic], timeout_ms), call="createTopics").topics[0]
    if result.error_code == ErrorCode.TOPIC_ALREADY_EXISTS and options.has("if-not-exists"):
        return
    check(result.error_code, result.error_message)
    print(f"Created topic {name}.")


def _assignment(options: Parsed) -> list[list[int]]:
    """Read `1:2,2:3`: the brokers of each partition. Raises `ToolError` in Kafka's words."""
    text = options.value("replica-assignment")
    if text is None:
        return []
    found: list[list[int]] = []
    for index, part in enumerate(text.split(",")):
        brokers = [java_int(broker.strip()) for broker in part.strip().split(":")]
        double = list(dict.fromkeys(b for b in brokers if brokers.count(b) > 1))
        if double:
            raise ToolError(f"Partition replica lists may not contain duplicate entries: {joined(double)}")
        if found and len(brokers) != len(found[0]):
            raise ToolError(f"Partition {index} has different replication factor: {brokers}")
        found.append(brokers)
    return found


def _alter(cluster: Cluster, options: Parsed) -> None:
    count: int = options.value("partitions")
    assignment = _assignment(options)
    names = _chosen(cluster, options)
    _expect(names, options, "topic", "Topic")
    topics = describe_topics(cluster, names)
    asked = []
    for topic in topics:
        check(topic.error_code)
        by_hand = [CreatePartitionsAssignment(b) for b in assignment[len(topic.partitions) :]] if assignment else None
        asked.append(CreatePartitionsTopic(topic.name or "", count, by_hand))
    if asked:
        timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
        results = cluster.ask(CreatePartitionsRequest(asked, timeout_ms), call="createPartitions").results
        for result in results:
            check(result.error_code, result.error_message)


def _delete(cluster: Cluster, options: Parsed) -> None:
    names = _chosen(cluster, options)
    _expect(names, options, "topic", "Topic")
    if not names:
        return
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
    request = DeleteTopicsRequest(topic_names=names, timeout_ms=timeout_ms)
    for result in cluster.ask(request, call="deleteTopics", highest=5).responses:
        check(result.error_code, result.error_message)


def _chosen(cluster: Cluster, options: Parsed, *, exclude_internal: bool = False) -> list[str]:
    """Return the names of the topics that --topic asks for, all without it; sorted."""
    names = [t.name or "" for t in cluster.topics()]
    expression = options.value("topic")
    if not expression:
        return [n for n in names if not (exclude_internal and n in INTERNAL_TOPICS)]
    topics = TopicFilter(expression)
    return [n for n in names if topics.allows(n, exclude_internal=exclude_internal)]


def _expect(found: Iterable[object], options: Parsed, option: str, what: str) -> None:
    """Raise where nothing was found although something was asked for by name."""
    wanted = options.value(option)
    if wanted and not list(found) and not options.has("if-exists"):
        raise ToolError(f"{what} '{wanted}' does not exist as expected")


# --- list, describe -----------------------------------------------------------------------------------------


def _list(cluster: Cluster, options: Parsed) -> None:
    names = _chosen(cluster, options, exclude_internal=options.has("exclude-internal"))
    print(json.dumps(names) if options.has("json") else "\n".join(names))


def _describe(cluster: Cluster, options: Parsed) -> None:
    topics = _described(cluster, options)
    names = [t.name or "" for t in topics]
    configs = describe_configs(cluster, TOPIC, names)
    reports = [name for name in _REPORTS if options.has(name)]
    only_overrides = options.has("topics-with-overrides")
    moving = _reassignments(cluster)
    live = set(cluster.brokers)
    described: list[dict[str, Any]] = []
    for topic in topics:
        name = topic.name or ""
        entries = configs[name].configs
        overrides = {e.name: e.value for e in entries if e.config_source != DEFAULT_CONFIG}
        least = next((int(e.value or 1) for e in entries if e.name == "min.insync.replicas"), 1)
        if only_overrides and not overrides:
            continue
        partitions = [
            p for p in topic.partitions
            if not reports or any(_reported(p, report, least, live, moving.get((name, p.partition_index))) for report in
                                  reports)
        ]
        described.append(_as_json(topic, overrides, partitions, moving))
        if options.has("json"):
            continue
        if not reports:
            print(_topic_line(topic, overrides, moving))
        if not only_overrides:
            for partition in partitions:
                print(_partition_line(name, partition, moving.get((name, partition.partition_index))))
    if options.has("json"):
        print(json.dumps(described, ensure_ascii=False, indent=2))


def _described(cluster: Cluster, options: Parsed) -> list[Topic]:
    if options.has("topic-id") and options.value("topic-id"):
        found = [t for t in describe_topic_ids(cluster, [parse_uuid(options.value("topic-id"))]) if not t.error_code]
        _expect(found, options, "topic-id", "TopicId")
        return found
    names = _chosen(cluster, options, exclude_internal=options.has("exclude-internal"))
    _expect(names, options, "topic", "Topic")
    found = []
    for topic in describe_topics(cluster, names, options.value("partition-size-limit-per-response") or 2000):
        if not is_missing(topic.error_code):  # deleted between the two requests
            check(topic.error_code)
            found.append(topic)
    return found


class _Moving:
    """Hold the replicas that a reassignment adds to a partition and takes away."""

    def __init__(self, adding: list[int], removing: list[int]) -> None:
        self.adding, self.removing = adding, removing


def _reassignments(cluster: Cluster) -> dict[tuple[str, int], _Moving]:
    try:
        answer = cluster.ask(ListPartitionReassignmentsRequest(30_000, None), call="listPartitionReassignments")
        check(answer.error_code, answer.error_message)
    except AnswerError as e:
        print(f"Couldn't query reassignments through the AdminClient API: {e}")
        return {}
    return {
        (t.name, p.partition_index): _Moving(p.adding_replicas, p.removing_replicas)
        for t in answer.topics
        for p in t.partitions
    }


def _replication_factor(partition: Partition, moving: _Moving | None) -> int:
    """Count the replicas that a partition is meant to have: those that are only being added do not count."""
    return len(partition.replica_nodes) - (len(moving.adding) if moving else 0)


def _reported(partition: Partition, report: str, least: int, live: set[int], moving: _Moving | None) -> bool:
    in_sync = len(partition.isr_nodes)
    if report == "under-replicated-partitions":
        return in_sync < _replication_factor(partition, moving)
    if report == "unavailable-partitions":
        return partition.leader_id not in live
    return in_sync < least if report == "under-min-isr-partitions" else in_sync == least


def _topic_line(
    topic: Topic, overrides: dict[str, str | None], moving: dict[tuple[str, int], _Moving]
) -> str:
    first = topic.partitions[0]
    factor = _replication_factor(first, moving.get((topic.name or "", first.partition_index)))
    configs = joined(f"{key}={value}" for key, value in overrides.items())
    return (
        f"Topic: {topic.name}\tTopicId: {uuid_text(topic.topic_id)}\tPartitionCount: {len(topic.partitions)}\t"
        f"ReplicationFactor: {factor}\tConfigs: {configs}"
    )


def _partition_line(name: str, partition: Partition, moving: _Moving | None) -> str:
    def shown(nodes: list[int] | None) -> str:
        return "N/A" if nodes is None else joined(nodes)

    leader = partition.leader_id if partition.leader_id >= 0 else "none"
    line = (
        f"\tTopic: {name}\tPartition: {partition.partition_index}\tLeader: {leader}\t"
        f"Replicas: {joined(partition.replica_nodes)}\tIsr: {joined(partition.isr_nodes)}\t"
        f"Elr: {shown(partition.eligible_leader_replicas)}\tLastKnownElr: {shown(partition.last_known_elr)}"
    )
    if moving is not None:
        line += f"\tAdding Replicas: {joined(moving.adding)}\tRemoving Replicas: {joined(moving.removing)}"
    return line


def _as_json(
    topic: Topic, overrides: dict[str, str | None], partitions: list[Partition], moving: dict[tuple[str, int], _Moving]
) -> dict[str, Any]:
    rows = []
    for p in partitions:
        at = moving.get((topic.name or "", p.partition_index))
        rows.append({
            "partition": p.partition_index, "leader": p.leader_id if p.leader_id >= 0 else None,
            "replicas": p.replica_nodes, "isr": p.isr_nodes, "elr": p.eligible_leader_replicas,
            "lastKnownElr": p.last_known_elr, "addingReplicas": at.adding if at else [],
            "removingReplicas": at.removing if at else [],
        })
    return {
        "topic": topic.name, "topicId": uuid_text(topic.topic_id), "partitionCount": len(topic.partitions),
        "configs": overrides, "partitions": rows,
    }


_DO = {"create": _create, "alter": _alter, "delete": _delete, "list": _list, "describe": _describe}
