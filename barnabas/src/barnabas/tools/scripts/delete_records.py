"""kafka-delete-records: delete the records before an offset.

Requests: Metadata, DeleteRecords (to each partition's leader). Differs from Java's tool: partitions come in
alphabetical order, an unknown topic is given up after a few seconds, and there is --json. As in Java's tool the status
is 0 when a partition was refused.
"""

from __future__ import annotations

import json
from typing import Any

from barnabas.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster, group_by
from barnabas.tools.errors import AnswerError, ToolError
from barnabas.tools.json_files import as_array, as_object, field, integer, parse, read_text, string, version_of
from barnabas.tools.leaders import TopicPartition, ask_leaders, name_of
from barnabas.tools.options import JSON, Option, Parsed

SUMMARY = "This tool helps to delete records of the given partitions down to the specified offset."
OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option(
        "offset-json-file",
        'REQUIRED: a file that says, for each partition, before which offset records are deleted (-1: all): '
        '{"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version": 1}',
        "file", completes="file",
    ),
    JSON,
)
EXAMPLE = "kafka-delete-records --bootstrap-server localhost:9092 --offset-json-file offsets.json"


def run(options: Parsed) -> int:
    """Delete records."""
    options.require("bootstrap-server", "offset-json-file")
    settings = settings_of(options)
    offsets = parse_offsets(read_text(options.value("offset-json-file")))
    as_json = options.has("json")
    with Cluster(settings) as cluster:
        cluster.any("deleteRecords")
        if not as_json:
            print("Executing records delete operation")
        found = delete_records(cluster, offsets)
    if as_json:
        print(json.dumps([_row(p, found[p]) for p in sorted(found)], ensure_ascii=False))
        return 0
    print("Records delete operation completed:")
    for partition in sorted(found):
        answer = found[partition]
        if isinstance(answer, AnswerError):
            error = f"org.apache.kafka.common.errors.{answer.exception}: {answer}"
            print(f"partition: {name_of(partition)}\terror: {error}")
        else:
            print(f"partition: {name_of(partition)}\tlow_watermark: {answer}")
    return 0


def _row(partition: TopicPartition, answer: int | AnswerError) -> dict[str, Any]:
    row: dict[str, Any] = {"topic": partition[0], "partition": partition[1]}
    if isinstance(answer, AnswerError):
        return row | {"error": str(answer)}
    return row | {"lowWatermark": answer}


def delete_records(cluster: Cluster, offsets: dict[TopicPartition, int]) -> dict[TopicPartition, int | AnswerError]:
    """Delete the records before each partition's offset; return the new low watermarks."""
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)

    def ask(node: int, partitions: list[TopicPartition]) -> dict[TopicPartition, int | AnswerError]:
        topics = [
            DeleteRecordsTopic(topic, [DeleteRecordsPartition(index, offsets[topic, index]) for _, index in those])
            for topic, those in group_by(partitions, lambda partition: partition[0]).items()
        ]
        answer = cluster.ask(DeleteRecordsRequest(topics, timeout_ms), node=node, call="deleteRecords")
        return {
            (t.name, p.partition_index): AnswerError(p.error_code) if p.error_code else p.low_watermark
            for t in answer.topics for p in t.partitions
        }

    return ask_leaders(cluster, offsets, ask)


def parse_offsets(text: str) -> dict[TopicPartition, int]:
    """Read the file of offsets. Raises `ToolError`."""
    try:
        document = as_object(parse(text))
    except ValueError:
        raise ToolError("The input string is not a valid JSON") from None
    version_of(document)
    if "partitions" not in document:
        raise ToolError("Missing partitions field")
    found: dict[TopicPartition, int] = {}
    double = []
    for item in as_array(field(document, "partitions")):
        fields = as_object(item)
        partition = string(fields, "topic"), integer(fields, "partition")
        if partition in found and partition not in double:
            double.append(partition)
        found[partition] = integer(fields, "offset", 64)
    if double:
        raise ToolError(f"Offset json file contains duplicate topic partitions: {','.join(map(name_of, double))}")
    return found
