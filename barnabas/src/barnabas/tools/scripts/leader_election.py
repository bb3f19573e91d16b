"""kafka-leader-election: elect leaders of partitions.

Requests: ElectLeaders. Differs from Java's tool: partitions are sorted, a cluster that does not answer is given up
after a few seconds, and there is --json.
"""

from __future__ import annotations

import json

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, TopicPartitions
from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster, Unreachable, group_by
from barnabas.tools.errors import AnswerError, OptionError, ToolError, check
from barnabas.tools.json_files import as_array, as_object, integer, parse, read_text, string
from barnabas.tools.leaders import TopicPartition, name_of
from barnabas.tools.options import JSON, Option, Parsed

SUMMARY = (
    "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are "
    "preferred replicas and unclean replicas."
)
OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("admin.config", "The former name of --command-config.", "file", completes="file"),
    Option(
        "election-type",
        "REQUIRED: preferred, to elect the first replica of partitions that another one leads; unclean, to elect any "
        "live replica of partitions that have no leader.",
        "type", completes="preferred unclean",
    ),
    Option("topic", "The topic of the partition.", "topic", completes="topic"),
    Option("partition", "The partition. REQUIRED with --topic.", "partition", "int"),
    Option("all-topic-partitions", "Elect leaders of all partitions that need it."),
    Option(
        "path-to-json-file",
        'A file with partitions: {"partitions": [{"topic": "foo", "partition": 1}, {"topic": "bar", "partition": 2}]}',
        "file", completes="file",
    ),
    JSON,
)
EXAMPLE = """
kafka-leader-election --bootstrap-server localhost:9092 --election-type preferred --all-topic-partitions
kafka-leader-election --bootstrap-server localhost:9092 --election-type unclean --topic orders --partition 0
"""
_TYPES = {"PREFERRED": 0, "UNCLEAN": 1}
_CHOICES = ("topic", "all-topic-partitions", "path-to-json-file")


def run(options: Parsed) -> int:
    """Elect leaders."""
    _check(options)
    given: str = options.value("election-type")
    kind = given.upper()
    if kind not in _TYPES:
        raise OptionError(f"Cannot parse argument '{given}' of option election-type")
    partitions: list[TopicPartition] | None = None
    if options.has("path-to-json-file"):
        partitions = parse_partitions(read_text(options.value("path-to-json-file")))
    elif options.has("topic"):
        partitions = [(options.value("topic"), options.value("partition"))]
    config = "command-config"
    if options.has("admin.config"):
        config = "admin.config"
        print(
            "Option --admin.config has been deprecated and will be removed in a future version. Use --command-config "
            "instead."
        )
    with Cluster(settings_of(options, config=config)) as cluster:
        _report(kind, _elect(cluster, kind, partitions), as_json=options.has("json"))
    return 0


def _check(options: Parsed) -> None:
    missing = [name for name in ("bootstrap-server", "election-type") if not options.has(name)]
    if missing:
        raise ToolError(f"Missing required option(s): {', '.join(missing)}")
    options.refuse("admin.config", ("command-config",))
    if sum(options.has(name) for name in _CHOICES) != 1:
        raise ToolError(f"One and only one of the following options is required: {', '.join(_CHOICES)}")
    if options.has("topic") and not options.has("partition"):
        raise ToolError("Missing required option(s): partition")
    if options.has("partition") and not options.has("topic"):
        raise ToolError("Option partition is only allowed if topic is used")


def _elect(
    cluster: Cluster, kind: str, partitions: list[TopicPartition] | None
) -> dict[TopicPartition, AnswerError | None]:
    topics = None
    if partitions is not None:
        topics = [
            TopicPartitions(topic, [index for _, index in those])
            for topic, those in group_by(partitions, lambda partition: partition[0]).items()
        ]
    timeout_ms = cluster.settings.integer("request.timeout.ms", 15_000)
    request = ElectLeadersRequest(_TYPES[kind], topics, timeout_ms)
    try:
        answer: ElectLeadersResponse = cluster.ask(request, call="electLeaders")
        check(answer.error_code)
    except AnswerError as e:
        if e.code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
            print("Not authorized to perform leader election")
            raise ToolError("Not authorized to perform leader election") from e
        if e.code == ErrorCode.REQUEST_TIMED_OUT:
            print("Timeout waiting for election results")
            raise ToolError("Timeout waiting for election results") from e
        raise ToolError(
            f"java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.{e.exception}: {e}"
        ) from e
    except Unreachable:
        print("Timeout waiting for election results")
        raise ToolError("Timeout waiting for election results") from None
    return {
        (topic.topic, p.partition_id): AnswerError(p.error_code, p.error_message) if p.error_code else None
        for topic in answer.replica_election_results for p in topic.partition_result
    }


def _report(kind: str, results: dict[TopicPartition, AnswerError | None], *, as_json: bool) -> None:
    needless = [p for p, e in results.items() if e is not None and e.code == ErrorCode.ELECTION_NOT_NEEDED]
    failed = {p: e for p, e in sorted(results.items()) if e is not None and p not in needless}
    elected = [p for p, e in results.items() if e is None]
    if as_json:
        print(json.dumps(
            [
                {
                    "topic": p[0], "partition": p[1], "elected": p in elected,
                    "error": str(failed[p]) if p in failed else None,
                }
                for p in sorted(results)
            ],
            ensure_ascii=False,
        ))
    else:
        if elected:
            names = ", ".join(map(name_of, sorted(elected)))
            print(f"Successfully completed leader election ({kind}) for partitions {names}")
        if needless:
            print(f"Valid replica already elected for partitions {', '.join(map(name_of, sorted(needless)))}")
        for partition, error in failed.items():
            print(
                f"Error completing leader election ({kind}) for partition: {name_of(partition)}: "
                f"org.apache.kafka.common.errors.{error.exception}: {error}"
            )
    if failed:
        raise ToolError(f"{len(failed)} replica(s) could not be elected")


def parse_partitions(text: str) -> list[TopicPartition]:
    """Read a file of partitions. Raises `ToolError`."""
    try:
        value = parse(text)
    except ValueError:
        raise ToolError("Replica election data is empty") from None
    try:
        document = as_object(value)
        if "partitions" in document:
            found = [(string(as_object(p), "topic"), integer(p, "partition")) for p in as_array(document["partitions"])]
    except ToolError as e:
        raise ToolError(f"com.fasterxml.jackson.databind.JsonMappingException: {e}") from None
    if "partitions" not in document:
        raise ToolError('Replica election data is missing "partitions" field')
    double = dict.fromkeys(p for p in found if found.count(p) > 1)
    if double:
        raise ToolError(f"Replica election data contains duplicate partitions: [{', '.join(map(name_of, double))}]")
    return found
