"""kafka-streams-application-reset: set the offsets of a streams application back and delete its internal topics.

Requests: ConsumerGroupDescribe or DescribeGroups, LeaveGroup (--force), Metadata, ListOffsets, OffsetFetch,
OffsetCommit, DeleteTopics. Java's tool runs a consumer for the offsets; this one asks for them. Differs from it: topics
and partitions come in alphabetical order, and offsets are committed without a leader epoch.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delete_topics import DeleteTopicsRequest
from barnabas.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from barnabas.tools.cluster import Cluster
from barnabas.tools.describing import describe_topics
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, OptionError, ToolError, UsageError, check
from barnabas.tools.group_admin import (
    Group,
    Member,
    commit_offsets,
    committed_offsets,
    describe_consumer_group,
    java_error,
    wrapped,
)
from barnabas.tools.java_time import parse_datetime, parse_duration
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.offsets import EARLIEST, LATEST
from barnabas.tools.options import Option, Parsed
from barnabas.tools.reset_offsets import look_up, show
from barnabas.tools.settings import Settings, load_properties

SUMMARY = "Set the offsets of a streams application back, and delete its internal topics."
OPTIONS = (
    Option("application-id", "REQUIRED: the application's id, which is its group too.", "id", completes="group"),
    Option(
        "bootstrap-server", "The Kafka broker to connect to; localhost:9092 without it.", "host:port",
        completes="server",
    ),
    Option(
        "input-topics", "The topics that the application reads, separated by commas: set to the beginning, unless "
        "another option says where.", "topics", completes="topic",
    ),
    Option("intermediate-topics", "Deprecated: topics that are written and read, set to the end.", "topics"),
    Option("internal-topics", "Delete only these of the internal topics, separated by commas.", "topics"),
    Option("to-offset", "Set to this offset.", "offset", "long"),
    Option("to-datetime", "Set to the first record at or after a time: YYYY-MM-DDThh:mm:ss.sss.", "datetime"),
    Option("by-duration", "Set to the first record that is younger than a duration: PnDTnHnMnS.", "duration"),
    Option("to-earliest", "Set to the first offset that there is."),
    Option("to-latest", "Set to the end."),
    Option("from-file", "Set to the offsets in a file: topic,partition,offset.", "file", completes="file"),
    Option("shift-by", "Move the position by so many records, forwards or backwards.", "count", "long"),
    Option("config-file", "Deprecated: use --command-config.", "file", completes="file"),
    Option("command-config", "A property file with the client's configuration.", "file", completes="file"),
    Option("force", "Remove members that the group still has. Stop the application first."),
    Option("dry-run", "Say what would be done, and do nothing."),
)
EXAMPLE = """
kafka-streams-application-reset --bootstrap-server localhost:9092 --application-id prices \\
    --input-topics stock-realtime --dry-run
"""
WORKS_WITHOUT_ARGUMENTS = True
USAGE_AFTER_ERRORS = True

_SCENARIOS: Final = ("to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "from-file", "shift-by")
_INTERNAL: Final = re.compile(
    r".*(-changelog|-repartition|-subscription-registration-topic|-subscription-response-topic"
    r"|.-KTABLE-FK-JOIN-SUBSCRIPTION-(REGISTRATION|RESPONSE)-\d+-topic)",
    re.DOTALL,
)
_ATTEMPTS: Final = 4


def run(options: Parsed) -> int:
    """Reset the application; status 1 where a topic was not found."""
    if not options.has("application-id"):
        raise UsageError("Missing required option(s) [application-id]")
    for name in _SCENARIOS:
        options.refuse(name, (other for other in _SCENARIOS if other != name))
    options.refuse("config-file", ("command-config",))
    try:
        return _reset(options)
    except UsageError:
        raise
    except ConfigError as e:
        problem = "org.apache.kafka.common.KafkaException: Failed to create new KafkaAdminClient"
        raise ToolError(f"ERROR: {problem}\nCaused by: {e.exception}: {e}") from e
    except OptionError as e:
        kind = "OptionArgumentConversion" if "Cannot parse" in str(e) else "MultipleArgumentsForOption"
        raise ToolError(f"ERROR: joptsimple.{kind}Exception: {e}") from e
    except ClientError as e:
        raise ToolError(f"ERROR: {java_error(e)}") from e
    except ToolError as e:
        raise ToolError(f"ERROR: {e}") from e


def _reset(options: Parsed) -> int:
    group: str = options.value("application-id")
    if options.has("config-file"):
        print(
            "Option --config-file has been deprecated and will be removed in a future version. Use --command-config "
            "instead."
        )
    path = options.value("config-file" if options.has("config-file") else "command-config")
    try:
        properties = load_properties(path) if path else {}
    except ToolError as e:
        raise ToolError(f"java.nio.file.NoSuchFileException: {path}" if "No such file" in str(e) else str(e)) from e
    bootstrap = options.value("bootstrap-server") or "localhost:9092"
    with Cluster(Settings(properties, bootstrap)) as cluster:
        _remove_members(cluster, group, force=options.has("force"))
        topics = [t.name or "" for t in cluster.topics() if not t.is_internal]
        if options.has("dry-run"):
            print("----Dry run displays the actions which will be performed when running Streams Reset Tool----")
        status = _reset_topics(cluster, options, group, topics)
        _delete_internal(cluster, options, group, topics)
        return status


# --- members ------------------------------------------------------------------------------------------------


def _remove_members(cluster: Cluster, group: str, *, force: bool) -> None:
    """See to it that the group has no members. Raises `ToolError` where it has some that are to stay."""
    for attempt in range(_ATTEMPTS):
        try:
            found = describe_consumer_group(cluster, group)
            if not found.members:
                return
            if not force:
                members = ", ".join(map(_member_text, found.members))
                raise ToolError(
                    f"java.lang.IllegalStateException: Consumer group '{group}' is still active and has following "
                    f"members: [{members}]. Make sure to stop all running application instances before running the "
                    "reset tool. You can use option '--force' to remove active members from the group."
                )
            print(f"Force deleting all active members in the group: {group}")
            _leave(cluster, found)
        except AnswerError as e:
            if e.code == ErrorCode.GROUP_ID_NOT_FOUND:
                return
            if e.code != ErrorCode.UNKNOWN_MEMBER_ID or attempt + 1 == _ATTEMPTS:
                raise ToolError(wrapped(e, 2)) from e
        except ClientError as e:
            raise ToolError(wrapped(e, 2)) from e
        else:
            return


def _leave(cluster: Cluster, group: Group) -> None:
    members = [
        MemberIdentity("" if m.instance_id else m.member_id, m.instance_id, "member was removed by an admin")
        for m in group.members
    ]
    answer = cluster.ask_coordinator(
        group.name, LeaveGroupRequest(group.name, members=members), lambda answer: int(answer.error_code)
    )
    check(answer.error_code)
    for member in answer.members:
        check(member.error_code)


def _member_text(member: Member) -> str:
    def assignment(partitions: list[TopicPartition]) -> str:
        return f"(topicPartitions={','.join(map(show, partitions))})"

    target = "Optional.empty" if member.target is None else f"Optional[{assignment(member.target)}]"
    epoch = "null" if member.epoch is None else member.epoch
    upgraded = "null" if member.upgraded is None else str(member.upgraded).lower()
    return (
        f"(memberId={member.member_id}, groupInstanceId={member.instance_id or 'null'}, "
        f"rackId={member.rack_id or 'null'}, clientId={member.client_id}, host={member.host}, "
        f"assignment={assignment(member.assignment)}, targetAssignment={target}, "
        f"memberEpoch={epoch}, upgraded={upgraded})"
    )


# --- offsets ------------------------------------------------------------------------------------------------


def _names(options: Parsed, option: str) -> list[str]:
    return [name for value in options.values(option) for name in value.split(",") if name]


def _reset_topics(cluster: Cluster, options: Parsed, group: str, topics: list[str]) -> int:
    inputs = _names(options, "input-topics")
    if options.has("intermediate-topics"):
        print("WARN: `--intermediate-topics` is deprecated and will be removed in a future release")
    between = _names(options, "intermediate-topics")
    if not inputs and not between:
        print("No input or intermediate topics specified. Skipping seek.")
        return 0
    status = 0
    if inputs:
        print(f"Reset-offsets for input topics [{', '.join(inputs)}]")
    if between:
        print(f"Seek-to-end for intermediate topics [{', '.join(between)}]")
    for what, names, colon in (("input", inputs, "Topic: "), ("intermediate", between, "Topic:")):
        missing = [name for name in names if name not in topics]
        if missing:
            print(f"Following {what} topics are not found, skipping them")
            for name in missing:
                print(f"{colon}{name}")
            status = 1
    known = sorted({name for name in [*inputs, *between] if name in topics})
    if not known:
        return status
    partitions = [
        (topic.name or "", p.partition_index) for topic in describe_topics(cluster, known) for p in topic.partitions
    ]
    offsets: dict[TopicPartition, int] = {}
    at_input = sorted(at for at in partitions if at[0] in inputs)
    if at_input:
        print(f"Following input topics offsets will be reset to (for consumer group {group})")
        try:
            offsets = _positions(cluster, options, group, at_input)
        except ToolError as e:
            if str(e).startswith(("java.text.ParseException", "java.io.IOException")):
                sys.stdout.flush()
                print("ERROR: Resetting offsets failed.", file=sys.stderr)
            raise
        for topic, index in at_input:
            print(f"Topic: {topic} Partition: {index} Offset: {offsets[topic, index]}")
    at_between = sorted(at for at in partitions if at[0] not in inputs)
    if at_between:
        print(f"Following intermediate topics offsets will be reset to end (for consumer group {group})")
        for topic, _ in at_between:
            print(f"Topic: {topic}")
        offsets |= look_up(cluster, at_between, LATEST)
    if not options.has("dry-run"):
        commit_offsets(cluster, group, offsets)
    print("Done.")
    return status


def _positions(
    cluster: Cluster, options: Parsed, group: str, partitions: list[TopicPartition]
) -> dict[TopicPartition, int]:
    if options.has("to-offset"):
        return _within(cluster, dict.fromkeys(partitions, options.value("to-offset")), partitions)
    if options.has("to-latest"):
        return look_up(cluster, partitions, LATEST)
    if options.has("shift-by"):
        by: int = options.value("shift-by")
        committed = {at: c.offset for at, c in committed_offsets(cluster, group).items()}
        # a consumer without a committed offset stands at the end
        now = look_up(cluster, [at for at in partitions if at not in committed], LATEST) | committed
        return _within(cluster, {at: now[at] + by for at in partitions}, partitions)
    if options.has("to-datetime"):
        return _at_time(cluster, partitions, parse_datetime(options.value("to-datetime")))
    if options.has("by-duration"):
        try:
            duration = parse_duration(options.value("by-duration"))
        except ToolError as e:
            raise ToolError(f"java.time.format.DateTimeParseException: {e}") from e
        return _at_time(cluster, partitions, int(time.time() * 1000 - duration))
    if options.has("from-file"):
        return _within(cluster, _read_plan(options.value("from-file")), partitions)
    return look_up(cluster, partitions, EARLIEST)


def _at_time(cluster: Cluster, partitions: list[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
    found = look_up(cluster, partitions, timestamp)
    late = [at for at in partitions if found[at] < 0]
    for topic, index in late:
        print(
            f"Partition {index} from topic {topic} is empty, without a committed record. Falling back to latest known "
            "offset."
        )
    return found | look_up(cluster, late, LATEST)


def _within(
    cluster: Cluster, wanted: dict[TopicPartition, int], partitions: list[TopicPartition]
) -> dict[TopicPartition, int]:
    """Move offsets that lie outside their logs to the nearer end, and say so, of those at an end too.

    Raises `ToolError` where partitions are wanted that are no input, or the other way round.
    """
    odd = sorted(set(wanted) ^ set(partitions))
    if odd:
        raise ToolError(f"java.lang.NullPointerException: the file and the input topics do not agree on {show(odd[0])}")
    starts, ends = look_up(cluster, partitions, EARLIEST), look_up(cluster, partitions, LATEST)
    found = {}
    for at, offset in sorted(wanted.items()):
        found[at] = offset
        if offset >= ends[at]:
            found[at] = ends[at]
            print(f"New offset ({offset}) is higher than latest offset. Value will be set to {ends[at]}")
        elif offset <= starts[at]:
            found[at] = starts[at]
            print(f"New offset ({offset}) is lower than earliest offset. Value will be set to {starts[at]}")
    return found


def _read_plan(path: str) -> dict[TopicPartition, int]:
    """Read lines of topic,partition,offset. Raises `ToolError` in Java's words."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ToolError(f"java.io.IOException: Unable to read file {path}") from None
    if not text:
        raise ToolError("java.text.ParseException: Error parsing reset plan CSV file. It is empty,")
    plan = {}
    for line in text.rstrip("\n").split("\n"):
        parts = line.split(",")
        while parts and not parts[-1]:
            parts.pop()
        if len(parts) != 3:
            raise ToolError(
                "java.text.ParseException: Reset plan CSV file is not following the format `TOPIC,PARTITION,OFFSET`."
            )
        for part in parts[1:]:
            if not re.fullmatch(r"[+-]?[0-9]+", part):
                raise ToolError(f'java.lang.NumberFormatException: For input string: "{part}"')
        plan[parts[0], int(parts[1])] = int(parts[2])
    return plan


# --- internal topics ----------------------------------------------------------------------------------------


def _delete_internal(cluster: Cluster, options: Parsed, group: str, topics: list[str]) -> None:
    named = {*_names(options, "input-topics"), *_names(options, "intermediate-topics")}
    found = [t for t in topics if t not in named and t.startswith(f"{group}-") and _INTERNAL.fullmatch(t)]
    chosen = _names(options, "internal-topics")
    if not set(chosen) <= set(found):
        raise ToolError(
            "java.lang.IllegalArgumentException: Invalid topic specified in the --internal-topics option. Ensure that "
            "the topics specified are all internal topics. Do a dry run without the --internal-topics option to see "
            "the list of all internal topics that can be deleted."
        )
    names = chosen or found
    print(f"Deleting {'specified' if chosen else 'inferred'} internal topics [{', '.join(names)}]")
    if names and not options.has("dry-run"):
        timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
        request = DeleteTopicsRequest(topic_names=list(dict.fromkeys(names)), timeout_ms=timeout_ms)
        wrong = [r for r in cluster.ask(request, call="deleteTopics", highest=5).responses if r.error_code]
        for result in wrong:
            print(f"ERROR: deleting topic {result.name}", file=sys.stderr)
            print(java_error(AnswerError(result.error_code, result.error_message)), file=sys.stderr)
        if wrong:
            raise ToolError("java.lang.RuntimeException: Encountered an error deleting one or more topics")
    print("Done.")
