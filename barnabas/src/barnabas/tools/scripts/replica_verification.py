"""kafka-replica-verification: compare the replicas of topics, batch by batch, until it is stopped.

Requests: Metadata, ListOffsets, and Fetch to every replica as a debugging consumer (replica id -2), which followers
answer too. A round fetches each partition from all its replicas at one offset, and compares offsets and checksums of
batches up to the high watermark. Another checksum is reported; another offset is reported, and ends the tool with
status 1. Where a broker does not answer, its partitions wait. Differs from Java's tool: a partition without a record at
--time begins at its end, where Java's tool fails.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from barnabas.protocol.batch import BatchHeader, batches
from barnabas.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
    ReplicaState,
)
from barnabas.protocol.messages.metadata import MetadataResponseTopic
from barnabas.tools.arguments import check_servers
from barnabas.tools.cluster import Cluster, Unreachable, group_by
from barnabas.tools.errors import AnswerError, ClientError, ToolError, check
from barnabas.tools.leaders import TopicPartition, name_of
from barnabas.tools.offsets import LATEST, FoundOffset, list_offsets
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.settings import Settings
from barnabas.tools.texts import TopicFilter

SUMMARY = "Validate that all replicas for a set of topics have the same data."
OPTIONS = (
    Option("broker-list", "REQUIRED: the brokers to connect to.", "host:port", completes="server"),
    Option("topics-include", "The topics: a regular expression.", "regex", default=".*", completes="topic"),
    Option(
        "time", "Where to begin: a time in milliseconds, -1 (the end) or -2 (the start).", "time", "long", LATEST
    ),
    Option("fetch-size", "How many bytes one partition's answer may hold.", "bytes", "int", 1048576),
    Option("max-wait-ms", "How long a broker may wait for records.", "ms", "int", 1000),
    Option("report-interval-ms", "How often the lag is reported.", "ms", "long", 30000),
    JSON,
)
EXAMPLE = "kafka-replica-verification --broker-list localhost:9092 --topics-include 'orders.*' --time -2"
Tell = Callable[[str, Mapping[str, Any]], Any]
_DEBUGGING_CONSUMER: Final = -2
_BY_ID: Final = 13
"""The first version of Fetch that names topics by their id."""


class Differ(ToolError):
    """Two replicas have batches that end at different offsets: there is nothing more to compare."""


def run(options: Parsed) -> int:
    """Compare until stopped."""
    options.require("broker-list")
    check_servers(options.value("broker-list"))
    expression: str = options.value("topics-include")
    settings = Settings({"bootstrap.servers": options.value("broker-list")})
    with Cluster(settings) as cluster:
        try:
            topics = cluster.topics()
            try:
                re.compile(expression)
            except re.error:
                raise ToolError(f"{expression} is an invalid regex") from None
            chosen = TopicFilter(expression)
            topics = [topic for topic in topics if chosen.allows(topic.name or "")]
            if not topics:
                raise ToolError(
                    "No topics found. [topics-include] if specified, is either filtering out all topics or there is no "
                    "topic."
                )
            comparison = Comparison(cluster, topics, options)
            comparison.tell("verification process is started", {"report": "started"})
            while True:
                comparison.round()
        except AnswerError as e:
            raise ToolError(f"org.apache.kafka.common.errors.{e.exception}: {e}") from e
        except Unreachable as e:
            raise ToolError(f"org.apache.kafka.common.errors.TimeoutException: {e}") from e


def say(text: str, figures: Mapping[str, Any]) -> None:
    """Print a line with the time before it."""
    now = time.time()
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))},{int(now * 1000) % 1000:03}: {text}", flush=True)


def say_json(text: str, figures: Mapping[str, Any]) -> None:
    """Print the figures of a report as JSON, in a line."""
    print(json.dumps({"time": int(time.time() * 1000), **figures}, ensure_ascii=False), flush=True)


class Comparison:
    """Hold where the comparison of each partition is."""

    def __init__(self, cluster: Cluster, topics: Iterable[MetadataResponseTopic], options: Parsed) -> None:
        self._cluster = cluster
        self._ids = {topic.name or "": topic.topic_id for topic in topics}
        self._replicas: dict[TopicPartition, list[int]] = {
            (topic.name or "", p.partition_index): list(p.replica_nodes) for topic in topics for p in topic.partitions
        }
        self._fetch_size: int = options.value("fetch-size")
        self._max_wait_ms: int = options.value("max-wait-ms")
        self.tell: Tell = say_json if options.has("json") else say
        """Take a report in: its text, and its figures."""
        self._interval = options.value("report-interval-ms") / 1000
        self._offsets = _begin(cluster, self._replicas, options.value("time"))
        self._brokers = sorted({broker for those in self._replicas.values() for broker in those})
        for broker in self._brokers:
            cluster.node(broker)  # all have to be there at the start
        self._reported = time.monotonic()

    def round(self) -> None:
        """Fetch from all replicas at once, and compare. Raises `Differ`."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(self._brokers)) as threads:
            answers = dict(zip(self._brokers, threads.map(self._fetch, self._brokers), strict=True))
        largest = offset_of_largest = -1
        where: TopicPartition | None = None
        for partition, replicas in self._replicas.items():
            found = {broker: answers[broker].get(partition) or PartitionData(high_watermark=-1) for broker in replicas}
            self._offsets[partition] = offset = compare(partition, self._offsets[partition], found, self.tell)
            lag = max(data.high_watermark for data in found.values()) - offset
            if lag > largest:
                largest, offset_of_largest, where = lag, offset, partition
        if time.monotonic() - self._reported > self._interval:
            name = name_of(where) if where else "null"
            self.tell(
                f"max lag is {largest} for partition {name} at offset {offset_of_largest} among {len(self._replicas)} "
                "partitions",
                {"report": "lag", "maxLag": largest, "partition": name if where else None,
                 "offset": offset_of_largest, "partitions": len(self._replicas)},
            )
            self._reported = time.monotonic()

    def _fetch(self, broker: int) -> dict[TopicPartition, PartitionData]:
        """Fetch what a broker has of its partitions; nothing where it does not answer."""
        mine = [partition for partition, replicas in self._replicas.items() if broker in replicas]
        topics = [
            FetchTopic(topic, self._ids[topic], [
                FetchPartition(
                    index, fetch_offset=self._offsets[topic, index], log_start_offset=0,
                    partition_max_bytes=self._fetch_size,
                )
                for _, index in those
            ])
            for topic, those in group_by(mine, lambda partition: partition[0]).items()
        ]
        try:
            connection = self._cluster.node(broker)
            highest = None if all(any(self._ids[topic.topic]) for topic in topics) else _BY_ID - 1
            version = connection.version_of(FetchRequest.KEY, highest)
            request = FetchRequest(
                replica_id=_DEBUGGING_CONSUMER, replica_state=ReplicaState(_DEBUGGING_CONSUMER, -1),
                max_wait_ms=self._max_wait_ms, min_bytes=1, topics=topics,
            )
            answer: FetchResponse = self._cluster.ask(request, node=broker, highest=version)
            check(answer.error_code)
        except ClientError:
            time.sleep(min(self._max_wait_ms, 1000) / 1000)
            return {}
        names = {topic_id: name for name, topic_id in self._ids.items()}
        return {
            (names[t.topic_id] if version >= _BY_ID else t.topic, p.partition_index): p
            for t in answer.responses for p in t.partitions
        }


def _begin(cluster: Cluster, partitions: Iterable[TopicPartition], position: int) -> dict[TopicPartition, int]:
    wanted = dict.fromkeys(partitions, position)
    found: dict[TopicPartition, int] = {}
    while wanted:
        answers: dict[TopicPartition, FoundOffset | AnswerError] = list_offsets(cluster, wanted)
        for partition, answer in answers.items():
            if isinstance(answer, AnswerError):
                raise answer
            if answer.offset >= 0 or wanted[partition] == LATEST:
                found[partition] = max(answer.offset, 0)
        wanted = {partition: LATEST for partition in wanted if partition not in found}
    return found


def compare(
    partition: TopicPartition, offset: int, found: Mapping[int, PartitionData], tell: Tell
) -> int:
    """Compare what the replicas of a partition sent from an offset on; return the offset up to which all have the same.

    `found` has the answer of each replica, by broker. Another checksum goes to `tell`. Raises `Differ`.
    """
    streams = {broker: batches(data.records or b"") for broker, data in sorted(found.items())}
    while True:
        heads: dict[int, BatchHeader] = {}
        for broker, stream in streams.items():
            header = next((header for header, _ in stream), None)
            if header is not None and header.last_offset < found[broker].high_watermark:
                heads[broker] = header
        if not heads:
            return offset
        first_broker, first = next(iter(heads.items()))
        for broker, header in heads.items():
            if header.last_offset != first.last_offset:
                tell(
                    f"partition {name_of(partition)}: replica {first_broker}'s offset {first.last_offset} doesn't "
                    f"match replica {broker}'s offset {header.last_offset}",
                    {"report": "offsets differ", "partition": name_of(partition),
                     "offsets": {first_broker: first.last_offset, broker: header.last_offset}},
                )
                raise Differ("")
            if header.crc != first.crc:
                tell(
                    f"partition {name_of(partition)} has unmatched checksum at offset {header.last_offset}; replica "
                    f"{first_broker}'s checksum {first.crc}; replica {broker}'s checksum {header.crc}",
                    {"report": "checksums differ", "partition": name_of(partition), "offset": header.last_offset,
                     "checksums": {first_broker: first.crc, broker: header.crc}},
                )
        if len(heads) < len(streams):
            return offset
        offset = first.last_offset + 1
