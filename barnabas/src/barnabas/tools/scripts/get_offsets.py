"""kafka-get-offsets: show the offsets of partitions.

Requests: Metadata, DescribeTopicPartitions, ListOffsets. Differs from Java's tool: the old `--broker-list` works, with
a line on standard error that says what replaced it (and `--time -1` and `--time -2`, which Kafka still takes); there
is --json.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Final

from barnabas.tools.arguments import COMMAND_CONFIG, check_servers
from barnabas.tools.cluster import Cluster
from barnabas.tools.describing import describe_topics
from barnabas.tools.errors import AnswerError, ConfigError, ToolError, check
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.offsets import (
    EARLIEST,
    EARLIEST_LOCAL,
    EARLIEST_PENDING_UPLOAD,
    LATEST,
    LATEST_TIERED,
    MAX_TIMESTAMP,
    FoundOffset,
    list_offsets,
)
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.settings import Settings, load_properties
from barnabas.tools.texts import INTERNAL_TOPICS, TopicFilter, java_int

SUMMARY = "An interactive shell for getting topic-partition offsets."
OPTIONS = (
    Option("bootstrap-server", "REQUIRED: the Kafka brokers to connect to.", "host:port", completes="server"),
    Option("broker-list", "The former name of --bootstrap-server.", "host:port", completes="server"),
    COMMAND_CONFIG,
    Option("topic", "The topic, or a regular expression. All topics without it.", "topic", completes="topic"),
    Option("partitions", "The partitions, numbers with commas between. All without it.", "numbers"),
    Option(
        "topic-partitions",
        "Topics (regular expressions) with their partitions, commas between: topic1:1,topic2:0-3,topic3,topic4:5-,"
        "topic5:-3. A range ends before its last number. Not together with --topic and --partitions.",
        "topic:partitions,...",
    ),
    Option(
        "time",
        "Which offset: of the first record at or after a time in milliseconds, or one of latest (-1), earliest (-2), "
        "max-timestamp (-3), earliest-local (-4), latest-tiered (-5), earliest-pending-upload (-6). Partitions "
        "without such an offset are left out.",
        "time", default="latest",
        completes="latest earliest max-timestamp earliest-local latest-tiered earliest-pending-upload",
    ),
    Option("exclude-internal-topics", "Leave internal topics out."),
    JSON,
)
EXAMPLE = """
kafka-get-offsets --bootstrap-server localhost:9092 --topic stock-realtime
kafka-get-offsets --bootstrap-server localhost:9092 --topic-partitions stock-realtime:0-2 --time earliest
"""
ERROR = "Error occurred: {}"

_TIMES: Final = {
    "latest": LATEST, "earliest": EARLIEST, "max-timestamp": MAX_TIMESTAMP, "earliest-local": EARLIEST_LOCAL,
    "latest-tiered": LATEST_TIERED, "earliest-pending-upload": EARLIEST_PENDING_UPLOAD,
}
_RULE: Final = re.compile(r"([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?")
_EXCEPTIONS: Final = "org.apache.kafka.common.errors."


class _Rule:
    """Choose topics by name, and some of their partitions."""

    def __init__(self, topics: TopicFilter, partitions: Callable[[int], bool]) -> None:
        self.topics, self.partitions = topics, partitions


def run(options: Parsed) -> int:
    """Show the offsets."""
    server = "bootstrap-server"
    if options.has("broker-list") and not options.has(server):
        server = "broker-list"
        print("--broker-list was replaced by --bootstrap-server in Apache Kafka 4.0", file=sys.stderr)
        former = {"-1": "latest", "-2": "earliest"}.get(options.value("time"))
        if former:
            print(f"--time {options.value('time')} is called --time {former} today", file=sys.stderr)
    options.require(server)
    check_servers(options.value(server))
    try:
        return _run(options, options.value(server))
    except ConfigError as e:
        raise ToolError(
            ERROR.format(f"Failed to create new KafkaAdminClient\nCaused by: {e.exception}: {e}")
        ) from None
    except ToolError as e:
        raise ToolError(ERROR.format(e)) from None


def _run(options: Parsed, bootstrap: str) -> int:
    if options.has("topic-partitions") and (options.has("topic") or options.has("partitions")):
        raise ToolError("--topic-partitions cannot be used with --topic or --partitions")
    position = parse_time(options.value("time"))
    if options.has("topic-partitions"):
        rules = parse_rules(options.value("topic-partitions"))
    else:
        chosen = _numbers(options.value("partitions"))
        topics = TopicFilter(options.value("topic") if options.has("topic") else ".*")
        rules = [_Rule(topics, lambda partition: not chosen or partition in chosen)]
    path = options.value("command-config")
    settings = Settings(load_properties(path) if path else {}, bootstrap)
    with Cluster(settings) as cluster:
        partitions = _partitions(cluster, rules, exclude_internal=options.has("exclude-internal-topics"))
        if not partitions:
            raise ToolError("Could not match any topic-partitions with the specified filters")
        found = list_offsets(cluster, dict.fromkeys(partitions, position))
    _show(found, as_json=options.has("json"))
    return 0


def _show(found: dict[TopicPartition, FoundOffset | AnswerError], *, as_json: bool) -> None:
    rows = []
    for (topic, partition), at in sorted(found.items(), key=lambda item: f"{item[0][0]}-{item[0][1]}"):
        if isinstance(at, AnswerError):
            print(
                f"Skip getting offsets for topic-partition {topic}-{partition} due to error: "
                f"{_EXCEPTIONS}{at.exception}: {at}", file=sys.stderr,
            )
        elif at.offset != -1:
            rows.append({"topic": topic, "partition": partition, "offset": at.offset})
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        for row in rows:
            print(f"{row['topic']}:{row['partition']}:{row['offset']}")


def _partitions(cluster: Cluster, rules: list[_Rule], *, exclude_internal: bool) -> list[TopicPartition]:
    names = [
        t.name or "" for t in cluster.topics()
        if not (exclude_internal and (t.is_internal or t.name in INTERNAL_TOPICS))
    ]
    found = []
    for topic in describe_topics(cluster, (n for n in names if any(rule.topics.allows(n) for rule in rules))):
        check(topic.error_code)
        name = topic.name or ""
        found += [
            (name, p.partition_index) for p in topic.partitions
            if any(rule.topics.allows(name) and rule.partitions(p.partition_index) for rule in rules)
        ]
    return found


def parse_time(text: str) -> int:
    """Read --time: a name, or a number. Raises `ToolError`."""
    if text in _TIMES:
        return _TIMES[text]
    if re.fullmatch(r"[+-]?[0-9]+", text) and -(1 << 63) <= int(text) < 1 << 63:
        return int(text)
    raise ToolError(
        f"Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or "
        "earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
    )


def parse_rules(text: str) -> list[_Rule]:
    """Read --topic-partitions. Raises `ToolError`."""
    specifications = text.split(",")
    while len(specifications) > 1 and not specifications[-1]:
        specifications.pop()  # as Java's split does
    return [_rule(specification) for specification in specifications]


def _rule(text: str) -> _Rule:
    match = _RULE.fullmatch(text)
    if match is None:
        raise ToolError(f"org.apache.kafka.tools.TerseException: Invalid rule specification: {text}")
    topic, single, low, high = match.groups()
    topics = TopicFilter(topic or ".*")
    if single:
        number = java_int(single)
        return _Rule(topics, lambda partition: partition == number)
    first = java_int(low) if low else 0
    end = java_int(high) if high else (1 << 31) - 1
    return _Rule(topics, lambda partition: first <= partition < end)


def _numbers(text: str | None) -> set[int]:
    try:
        return {java_int(part) for part in text.split(",")} if text else set()
    except ToolError:
        raise ToolError(
            f"--partitions expects a comma separated list of numeric partition ids, but received: {text}"
        ) from None
