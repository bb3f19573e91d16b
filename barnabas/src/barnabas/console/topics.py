"""Describe, create, change, empty and delete topics. Functions that take a client block: they run in threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from barnabas.console.errors import BadRequest, NotFound
from barnabas.protocol.error_texts import text_of
from barnabas.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from barnabas.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from barnabas.protocol.messages.delete_topics import DeleteTopicsRequest
from barnabas.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
)
from barnabas.protocol.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from barnabas.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from barnabas.protocol.messages.metadata import MetadataResponseTopic
from barnabas.tools.cluster import Cluster, group_by
from barnabas.tools.describing import BROKER, DEFAULT_CONFIG, SOURCES, TOPIC, describe_configs
from barnabas.tools.errors import AnswerError, ClientError, check
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.offsets import EARLIEST, LATEST, FoundOffset, list_offsets
from barnabas.tools.record_deletion import delete_records
from barnabas.tools.texts import uuid_text

SUMMARIES: Final = 200
"""Topics of one summary at most."""
_TYPES: Final = (
    "unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password"
)
Sizes = dict[TopicPartition, dict[int, int]]
"""Bytes of each partition at each broker that told."""


class TopicRow(msgspec.Struct, frozen=True, rename="camel"):
    """Describe a topic in the list."""

    name: str
    id: str | None
    internal: bool
    partitions: int
    replication: int
    under_replicated: int
    offline: int


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """Say how much a topic holds: records by its offsets, bytes of the leaders' logs."""

    records: str = "0"
    bytes: str | None = None
    cleanup: str | None = None
    error: str | None = None


class PartitionRow(msgspec.Struct, frozen=True, rename="camel"):
    """Describe a partition; `begin` and `end` are None where its leader did not say."""

    id: int
    leader: int
    replicas: list[int]
    isr: list[int]
    begin: str | None
    end: str | None
    bytes: str | None
    leader_epoch: int
    error: str | None = None


class ConfigRow(msgspec.Struct, frozen=True, rename="camel"):
    """Describe a configuration, and where its value comes from."""

    name: str
    value: str | None
    default: bool
    source: str
    read_only: bool
    sensitive: bool
    documentation: str | None
    type: str
    synonyms: list[dict[str, str | None]]


class TopicDetail(msgspec.Struct, frozen=True, rename="camel"):
    """Describe one topic."""

    name: str
    id: str | None
    internal: bool
    partitions: list[PartitionRow]
    configs: list[ConfigRow]


# --- list, summary ------------------------------------------------------------------------------------------


def list_topics(cluster: Cluster) -> list[TopicRow]:
    """Return all topics, by name, from one Metadata request."""
    return [_row(topic) for topic in cluster.topics()]


def _row(topic: MetadataResponseTopic) -> TopicRow:
    partitions = topic.partitions
    return TopicRow(
        topic.name or "", _id(topic.topic_id), topic.is_internal, len(partitions),
        len(partitions[0].replica_nodes) if partitions else 0,
        sum(len(p.isr_nodes) < len(p.replica_nodes) for p in partitions), sum(p.leader_id < 0 for p in partitions),
    )


def _id(raw: bytes) -> str | None:
    return uuid_text(raw) if any(raw) else None


def summaries(cluster: Cluster, names: Sequence[str]) -> dict[str, Summary]:
    """Say how much topics hold. What cannot be told of one stands in its `error`."""
    found: dict[str, Summary] = {}
    partitions: list[TopicPartition] = []
    leaders: dict[TopicPartition, int] = {}
    for topic in cluster.metadata(dict.fromkeys(names)).topics:
        name = topic.name or ""
        if topic.error_code:
            found[name] = Summary(error=text_of(topic.error_code))
            continue
        found[name] = Summary()
        leaders |= {(name, p.partition_index): p.leader_id for p in topic.partitions}
        partitions += [(name, p.partition_index) for p in topic.partitions if p.leader_id >= 0]
    known = [name for name, summary in found.items() if summary.error is None]
    begins, ends = bounds(cluster, partitions)
    sizes = log_sizes(cluster, known)
    policies = _policies(cluster, known)
    by_topic = group_by(leaders, lambda at: at[0])
    for name in known:
        of_topic = by_topic.get(name, [])
        errors = [one for at in of_topic for one in (begins.get(at), ends.get(at)) if isinstance(one, AnswerError)]
        without = sum(leaders[at] < 0 for at in of_topic)
        error = str(errors[0]) if errors else f"{without} partitions have no leader" if without else None
        records = sum(_offset(ends.get(at)) - _offset(begins.get(at)) for at in of_topic)
        bytes_ = None
        if sizes is not None:
            bytes_ = str(sum(_size(sizes, at, leaders[at]) or 0 for at in of_topic))
        found[name] = Summary(str(records), bytes_, policies.get(name), error)
    return found


def _offset(answer: FoundOffset | AnswerError | None) -> int:
    return answer.offset if isinstance(answer, FoundOffset) else 0


def bounds(
    cluster: Cluster, partitions: Iterable[TopicPartition]
) -> tuple[dict[TopicPartition, FoundOffset | AnswerError], dict[TopicPartition, FoundOffset | AnswerError]]:
    """Return the first offsets and the ends of partitions: one request to each leader for either."""
    wanted = list(partitions)
    if not wanted:
        return {}, {}
    return list_offsets(cluster, dict.fromkeys(wanted, EARLIEST)), list_offsets(cluster, dict.fromkeys(wanted, LATEST))


def log_sizes(cluster: Cluster, names: Sequence[str] | None) -> Sizes | None:
    """Return the bytes of partitions, of all topics for None; None where no broker tells."""
    if names is not None and not names:
        return {}
    asked = None
    if names is not None:
        parts = {t.name or "": [p.partition_index for p in t.partitions] for t in cluster.metadata(names).topics}
        asked = [DescribableLogDirTopic(name, indexes) for name, indexes in parts.items()]
    found: Sizes = {}
    told = False
    for node in sorted(cluster.brokers):
        try:
            answer = cluster.ask(DescribeLogDirsRequest(asked), node=node, call="describeLogDirs")
        except ClientError:  # a broker that is away, or a user who may not: the others still tell
            continue
        if answer.error_code:
            continue
        told = True
        for directory in answer.results:
            for topic in directory.topics:
                for p in topic.partitions:
                    if not p.is_future_key:
                        found.setdefault((topic.name, p.partition_index), {})[node] = p.partition_size
    return found if told else None


def _size(sizes: Sizes, at: TopicPartition, leader: int) -> int | None:
    replicas = sizes.get(at)
    return None if not replicas else replicas.get(leader, max(replicas.values()))


def _policies(cluster: Cluster, names: Sequence[str]) -> dict[str, str | None]:
    if not names:
        return {}
    asked = [DescribeConfigsResource(TOPIC, name, ["cleanup.policy"]) for name in names]
    try:
        answer = cluster.ask(DescribeConfigsRequest(asked), call="describeConfigs")
    except AnswerError:  # who may not see configurations sees the rest
        return {}
    return {
        result.resource_name: next((c.value for c in result.configs if c.name == "cleanup.policy"), None)
        for result in answer.results
    }


# --- one ----------------------------------------------------------------------------------------------------


def partitions_of(cluster: Cluster, name: str) -> MetadataResponseTopic:
    """Return what Metadata says of one topic. Raises `NotFound`, `AnswerError`."""
    topic: MetadataResponseTopic = cluster.metadata([name]).topics[0]
    if topic.error_code:
        raise AnswerError(topic.error_code, f"{name}: {text_of(topic.error_code)}")
    return topic


def detail(cluster: Cluster, name: str) -> TopicDetail:
    """Describe one topic. Raises `AnswerError`."""
    topic = partitions_of(cluster, name)
    led = [(name, p.partition_index) for p in topic.partitions if p.leader_id >= 0]
    begins, ends = bounds(cluster, led)
    sizes = log_sizes(cluster, [name]) or {}
    rows = []
    for p in sorted(topic.partitions, key=lambda p: p.partition_index):
        at = (name, p.partition_index)
        begin, end = begins.get(at), ends.get(at)
        error = next((str(one) for one in (begin, end) if isinstance(one, AnswerError)), None)
        size = _size(sizes, at, p.leader_id)
        rows.append(PartitionRow(
            p.partition_index, p.leader_id, p.replica_nodes, p.isr_nodes,
            str(begin.offset) if isinstance(begin, FoundOffset) else None,
            str(end.offset) if isinstance(end, FoundOffset) else None, None if size is None else str(size),
            p.leader_epoch, error if p.leader_id >= 0 else "no leader",
        ))
    return TopicDetail(name, _id(topic.topic_id), topic.is_internal, rows, configs_of(cluster, TOPIC, name))


def configs_of(cluster: Cluster, kind: int, name: str) -> list[ConfigRow]:
    """Return the configuration of a topic or a broker, by name of the key. Raises `AnswerError`."""
    node = int(name) if kind == BROKER and name else None
    result = describe_configs(cluster, kind, [name], synonyms=True, documentation=True, node=node)[name]
    check(result.error_code, result.error_message)
    return [_config(entry) for entry in sorted(result.configs, key=lambda entry: entry.name)]


def _config(entry: DescribeConfigsResourceResult) -> ConfigRow:
    return ConfigRow(
        entry.name, entry.value, entry.config_source == DEFAULT_CONFIG, SOURCES.get(entry.config_source, "UNKNOWN"),
        entry.read_only, entry.is_sensitive, entry.documentation or None,
        _TYPES[entry.config_type] if 0 <= entry.config_type < len(_TYPES) else "unknown",
        [{"name": s.name, "value": s.value, "source": SOURCES.get(s.source, "UNKNOWN")} for s in entry.synonyms],
    )


# --- changes ------------------------------------------------------------------------------------------------


def create(
    cluster: Cluster, name: str, partitions: int | None, replication: int | None, configs: Mapping[str, str], *,
    validate_only: bool,
) -> None:
    """Create a topic; None leaves a number to the cluster. Raises `AnswerError`."""
    topic = CreatableTopic(
        name, -1 if partitions is None else partitions, -1 if replication is None else replication, [],
        [CreatableTopicConfig(key, value) for key, value in configs.items()],
    )
    request = CreateTopicsRequest([topic], _timeout_ms(cluster), validate_only)
    result = cluster.ask(request, call="createTopics").topics[0]
    check(result.error_code, result.error_message)


def delete(cluster: Cluster, name: str) -> None:
    """Delete a topic. Raises `AnswerError`."""
    request = DeleteTopicsRequest(topic_names=[name], timeout_ms=_timeout_ms(cluster))
    result = cluster.ask(request, call="deleteTopics", highest=5).responses[0]
    check(result.error_code, result.error_message)


def add_partitions(cluster: Cluster, name: str, count: int, *, validate_only: bool) -> None:
    """Give a topic more partitions. Raises `AnswerError`."""
    request = CreatePartitionsRequest([CreatePartitionsTopic(name, count, None)], _timeout_ms(cluster), validate_only)
    result = cluster.ask(request, call="createPartitions").results[0]
    check(result.error_code, result.error_message)


def alter_configs(
    cluster: Cluster, kind: int, name: str, added: Mapping[str, str], deleted: Iterable[str], *, validate_only: bool
) -> None:
    """Set and delete keys of a topic or a broker, all or none. Raises `AnswerError`."""
    changes = [AlterableConfig(key, 1, "") for key in deleted]
    changes += [AlterableConfig(key, 0, value) for key, value in added.items()]
    request = IncrementalAlterConfigsRequest([AlterConfigsResource(kind, name, changes)], validate_only)
    node = int(name) if kind == BROKER and name else None
    for result in cluster.ask(request, node=node, call="incrementalAlterConfigs").responses:
        check(result.error_code, result.error_message)


def purge(
    cluster: Cluster, name: str, before: Mapping[int, int | None], *, preview: bool
) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """Delete the records before offsets, None being the end; return rows of what is, and the offsets that were meant.

    Raises `NotFound`, `BadRequest`, `AnswerError`.
    """
    known = {p.partition_index for p in partitions_of(cluster, name).partitions}
    missing = sorted(set(before) - known)
    if missing:
        raise NotFound(f"{name} has no partition {missing[0]}")
    begins, ends = bounds(cluster, [(name, index) for index in before])
    meant: dict[int, int] = {}
    rows: list[dict[str, Any]] = []
    for index in sorted(before):
        begin, end = begins[name, index], ends[name, index]
        for answer in (begin, end):
            if isinstance(answer, AnswerError):
                raise answer
        assert isinstance(begin, FoundOffset)
        assert isinstance(end, FoundOffset)
        wanted = before[index]
        meant[index] = end.offset if wanted is None else wanted
        if not 0 <= meant[index] <= end.offset:
            raise BadRequest(f"partition {index} ends at {end.offset}: {meant[index]} lies outside")
        rows.append({
            "id": index, "begin": str(begin.offset), "end": str(end.offset),
            "after": str(max(begin.offset, meant[index])),
        })
    if preview:
        return rows, meant
    done: dict[TopicPartition, int | AnswerError] = delete_records(
        cluster, {(name, index): offset for index, offset in meant.items()}
    )
    for row in rows:
        answer_ = done[name, row["id"]]
        if isinstance(answer_, AnswerError):
            raise answer_
        row["after"] = str(answer_)
    return rows, meant


def _timeout_ms(cluster: Cluster) -> int:
    return cluster.settings.integer("request.timeout.ms", 30_000)
