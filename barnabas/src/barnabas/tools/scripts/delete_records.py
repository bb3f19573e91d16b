"""kafka-delete-records: delete the records before an offset.

Requests: Metadata, DeleteRecords (to each partition's leader). Differs from Java's tool: partitions come in
alphabetical order, an unknown topic is given up after a few seconds, and there is --json. As in Java's tool the status
is 0 when a partition was refused.
"""

from __future__ import annotations

import json
from typing import Any

from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import AnswerError, ToolError
from barnabas.tools.json_files import as_array, as_object, field, integer, parse, read_text, string, version_of
from barnabas.tools.leaders import TopicPartition, name_of
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.record_deletion import delete_records

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
