"""kafka-log-dirs: show how much the log directories of brokers hold.

Requests: DescribeCluster or Metadata, DescribeLogDirs (to each broker). Differs from Java's tool: brokers, directories
and partitions are sorted, and --json leaves the two lines before the JSON out.
"""

from __future__ import annotations

from typing import Any

from barnabas.protocol.error_texts import exception_of
from barnabas.protocol.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import AnswerError, ToolError, check
from barnabas.tools.json_files import compact
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.texts import java_int, joined

SUMMARY = "This tool helps to query log directory usage on the specified brokers."
OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("describe", "REQUIRED: show the log directories."),
    Option("topic-list", "The topics to show, commas between. All without it.", "topics", default=""),
    Option("broker-list", "The ids of the brokers to ask, commas between. All without it.", "ids", default=""),
    JSON,
)
EXAMPLE = "kafka-log-dirs --bootstrap-server localhost:9092 --describe --topic-list stock-realtime"


def run(options: Parsed) -> int:
    """Show the log directories."""
    options.require("bootstrap-server", "describe")
    with Cluster(settings_of(options)) as cluster:
        topics = {name for name in options.value("topic-list").split(",") if name}
        try:
            existing = sorted(cluster.brokers)
            asked = {java_int(text) for text in options.value("broker-list").split(",") if text}
            missing = sorted(asked.difference(existing))
            if missing:
                raise ToolError(
                    f"ERROR: The given brokers do not exist from --broker-list: {joined(missing)}. "
                    f"Current existent brokers: {joined(existing)}"
                )
            brokers = sorted(asked) or existing
            if not options.has("json"):
                print("Querying brokers for log directories information")
            answers = {node: _describe(cluster, node) for node in brokers}
        except AnswerError as e:
            raise ToolError(f"org.apache.kafka.common.errors.{e.exception}: {e}") from e
    if not options.has("json"):
        print(f"Received log directory information from brokers {joined(brokers)}")
    print(compact({
        "brokers": [{"broker": node, "logDirs": _directories(answers[node], topics)} for node in brokers], "version": 1
    }))
    return 0


def _describe(cluster: Cluster, node: int) -> DescribeLogDirsResponse:
    answer: DescribeLogDirsResponse = cluster.ask(DescribeLogDirsRequest(None), node=node, call="describeLogDirs")
    check(answer.error_code)
    return answer


def _directories(answer: DescribeLogDirsResponse, topics: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "partitions": [
                {
                    "partition": f"{topic.name}-{p.partition_index}", "size": p.partition_size,
                    "offsetLag": p.offset_lag, "isFuture": p.is_future_key,
                }
                for topic in sorted(result.topics, key=lambda t: t.name) if not topics or topic.name in topics
                for p in sorted(topic.partitions, key=lambda p: p.partition_index)
            ],
            "error": _class_of(result.error_code),
            "logDir": result.log_dir,
        }
        for result in sorted(answer.results, key=lambda r: r.log_dir)
    ]


def _class_of(code: int) -> str | None:
    return f"org.apache.kafka.common.errors.{exception_of(code)}" if code else None
