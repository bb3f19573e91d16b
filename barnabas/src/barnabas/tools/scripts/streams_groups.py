"""kafka-streams-groups: list, describe and delete streams groups (KIP-1071), reset and delete their offsets.

Requests: ListGroups, StreamsGroupDescribe, OffsetFetch, OffsetCommit, OffsetDelete, DeleteGroups, DeleteTopics,
ListOffsets, DescribeTopicPartitions or Metadata. As with Java's tool, what fails after the options were read is said on
standard output; the status is then 1. Differs from it: groups, members and partitions come in alphabetical order, there
is --json, and --delete-all-internal-topics is no error where a group has none.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import partial
from typing import Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delete_topics import DeleteTopicsRequest
from barnabas.tools import streams_group_tables as tables
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, OptionError, ToolError, UsageError
from barnabas.tools.group_admin import (
    STREAMS,
    Committed,
    commit_offsets,
    committed_offsets,
    delete_groups,
    failing,
    java_error,
    list_groups,
    wrapped,
)
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.offset_deletion import delete_of_partitions, delete_of_topics, print_results, results_as_json
from barnabas.tools.offsets import EARLIEST, LATEST
from barnabas.tools.options import Parsed
from barnabas.tools.reset_offsets import (
    SCENARIOS,
    Plan,
    check_partitions,
    look_up,
    partitions_of,
    plan_as_json,
    planned,
    read_plan,
    write_plan,
)
from barnabas.tools.scripts.consumer_groups import print_deleted, print_json, settings_with_timeout
from barnabas.tools.streams_group_admin import StreamsGroup, describe_streams_group
from barnabas.tools.streams_group_options import ACTIONS, OPTIONS, check_options
from barnabas.tools.streams_group_tables import Progress
from barnabas.tools.terminal import table

__all__ = ["EXAMPLE", "OPTIONS", "SUMMARY", "run"]
SUMMARY = "This tool helps to list, or describe streams groups."
EXAMPLE = """
kafka-streams-groups --bootstrap-server localhost:9092 --describe --group word-count
kafka-streams-groups --bootstrap-server localhost:9092 --group word-count --all-input-topics \\
    --reset-offsets --to-earliest --execute --delete-all-internal-topics
"""

_STATES: Final = ("Empty", "NotReady", "Stable", "Assigning", "Reconciling", "Dead")
#: how the names of topics end that a streams application makes for itself
_INTERNAL: Final = re.compile(
    r".*(-changelog|-repartition|-subscription-registration-topic|-subscription-response-topic"
    r"|.-KTABLE-FK-JOIN-SUBSCRIPTION-(REGISTRATION|RESPONSE)-[0-9]+-topic)"
)


def run(options: Parsed) -> int:
    """Do what was asked. Errors are printed as Kafka's tool prints them: on standard output."""
    check_options(options)
    try:
        settings = settings_with_timeout(options)
        for name in ("to-offset", "from-file", "to-datetime"):
            options.values(name)
        for name in ("by-duration", "shift-by"):
            options.value(name)
        with Cluster(settings) as cluster:
            _DO[next(name for name in ACTIONS if options.has(name))](cluster, options)
    except OptionError as e:
        raise UsageError(str(e)) from e
    except ConfigError as e:
        print(f"Caused by: {e.exception}: {e}", file=sys.stderr)
        raise _failed("Failed to create new KafkaAdminClient") from e
    except (ToolError, ClientError) as e:
        raise _failed(str(e)) from e
    return 0


def _failed(message: str) -> ToolError:
    return ToolError(f"\nError: Executing streams group command failed due to {message}", on_stdout=True)


def _complain(options: Parsed, message: str) -> None:
    """Say what went wrong on the way; not into a document."""
    print(f"\nError: {message}", file=sys.stderr if options.has("json") else sys.stdout)


# --- asking -------------------------------------------------------------------------------------------------


def _groups(cluster: Cluster, options: Parsed) -> list[str]:
    """Return the groups that --all-groups or --group mean."""
    if not options.has("all-groups"):
        return list(options.values("group"))
    with failing(2):
        return [g.group_id for g in list_groups(cluster, types=(STREAMS,))]


def _committed(cluster: Cluster, name: str, *, repartition: bool) -> dict[TopicPartition, Committed]:
    """Return what a group has committed for its source topics, for those that it repartitions to as well if asked."""
    with failing(2):
        group = describe_streams_group(cluster, name)
        topics = {topic for part in group.subtopologies for topic in part.source_topics}
        if repartition:
            topics |= {topic.name for part in group.subtopologies for topic in part.repartition_source_topics}
        return {at: known for at, known in sorted(committed_offsets(cluster, name).items()) if at[0] in topics}


def _delete_topics(cluster: Cluster, names: Iterable[str]) -> dict[str, AnswerError | None]:
    """Delete topics; return for each what stood in the way."""
    timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
    request = DeleteTopicsRequest(topic_names=list(dict.fromkeys(names)), timeout_ms=timeout_ms)
    return {
        r.name or "": AnswerError(r.error_code, r.error_message) if r.error_code else None
        for r in cluster.ask(request, call="deleteTopics", highest=5).responses
    }


def _internal_topics(cluster: Cluster, options: Parsed, names: Iterable[str]) -> dict[str, list[str]]:
    """Return the changelog and repartition topics of those groups that have some."""
    try:
        groups = [describe_streams_group(cluster, name) for name in names]
    except ClientError as e:
        _complain(options, f"Retrieving internal topics failed due to {wrapped(e, 1)}")
        return {}
    found: dict[str, list[str]] = {}
    for group in groups:
        sources = {topic for part in group.subtopologies for topic in part.source_topics}
        topics = [
            topic.name for part in group.subtopologies
            for topic in (*part.repartition_source_topics, *part.state_changelog_topics) if topic.name not in sources
        ]
        for topic in topics:
            if topic.startswith(f"{group.name}-") and _INTERNAL.fullmatch(topic):
                found.setdefault(group.name, []).append(topic)
            else:
                _complain(
                    options,
                    f"The internal topic '{topic}' is not inferred as internal and thus will not be deleted with the "
                    f"group '{group.name}'."
                )
    return found


# --- list, describe -----------------------------------------------------------------------------------------


def _list(cluster: Cluster, options: Parsed) -> None:
    if not options.has("state"):
        with failing(2):
            names = [g.group_id for g in list_groups(cluster, types=(STREAMS,))]
        print_json(names) if options.has("json") else print("".join(f"{name}\n" for name in names), end="")
        return
    with failing(1):
        groups = list_groups(cluster, states=_chosen_states(options.value("state") or ""), types=(STREAMS,))
    if options.has("json"):
        print_json([{"group": g.group_id, "state": g.group_state} for g in groups])
        return
    width = max([15, *(len(g.group_id) for g in groups)])
    print(table(f"{{:<{width}}} {{}}", [("GROUP", "STATE"), *((g.group_id, g.group_state) for g in groups)]))


def _chosen_states(text: str) -> list[str]:
    """Read a list of states, in any case. Raises `UsageError`."""
    words = text.split(",") if text else []
    while words and not words[-1]:
        words.pop()
    names = {name.lower(): name for name in _STATES}
    if not all(word.strip().lower() in names for word in words):
        raise UsageError(f"Invalid state list '{text}'. Valid states are: {', '.join(_STATES)}")
    return list(dict.fromkeys(names[word.strip().lower()] for word in words))


def _describe(cluster: Cluster, options: Parsed) -> None:
    verbose = options.has("verbose")
    documents: list[object] = []
    for name in _groups(cluster, options):
        with failing(1):
            group = describe_streams_group(cluster, name)
        if options.has("members"):
            document, show = tables.members_as_json(group), partial(tables.print_members, group)
        elif options.has("state"):
            document, show = tables.state_as_json(group), partial(tables.print_state, group)
        else:
            rows = _progress(cluster, group)
            document, show = tables.offsets_as_json(group, rows), partial(tables.print_offsets, group, rows)
        if options.has("json"):
            documents.append(document)
        else:
            show(verbose=verbose)
    if options.has("json"):
        print_json(documents)


def _progress(cluster: Cluster, group: StreamsGroup) -> list[Progress]:
    """Return a row for each partition that an active task reads."""
    topics = {
        part.subtopology_id: [*part.source_topics, *(topic.name for topic in part.repartition_source_topics)]
        for part in group.subtopologies
    }
    partitions: set[TopicPartition] = set()
    for member in group.members:
        for task in member.assignment.active_tasks if member.assignment else ():
            if task.subtopology_id not in topics:
                raise UsageError(f"Subtopology {task.subtopology_id} not found in group description!")
            partitions |= {(topic, index) for topic in topics[task.subtopology_id] for index in task.partitions}
    with failing(1):
        starts, ends = look_up(cluster, sorted(partitions), EARLIEST), look_up(cluster, sorted(partitions), LATEST)
    committed = _committed(cluster, group.name, repartition=True)
    rows = []
    for at in sorted(partitions):
        known = committed.get(at)
        epoch = known.leader_epoch if known and known.leader_epoch >= 0 else None
        lag = ends[at] - (known.offset if known else starts[at])
        rows.append(Progress(*at, known.offset if known else None, epoch, ends[at], lag))
    return rows


# --- reset --------------------------------------------------------------------------------------------------


def _reset(cluster: Cluster, options: Parsed) -> None:
    names = list(dict.fromkeys(_groups(cluster, options)))
    states: dict[str, str | None] = {}
    for name in names:
        try:
            states[name] = describe_streams_group(cluster, name).state
        except AnswerError as e:
            if e.code != ErrorCode.GROUP_ID_NOT_FOUND:
                with failing(2):
                    raise
            states[name] = None
        except ClientError:
            with failing(2):
                raise
    plan: Plan = {}
    for name, state in states.items():
        plan[name] = {}
        if state in ("Empty", "Dead", None):
            plan[name] = _reset_one(cluster, options, name)
            if state and options.has("execute"):
                _delete_internal_topics(cluster, options, name)
        else:
            _complain(
                options,
                f"Assignments can only be reset if the group '{name}' is inactive, but the current state is {state}."
            )
    if options.has("export"):
        print(write_plan(plan, with_group=len(options.values("group")) != 1))
    elif options.has("json"):
        print_json(plan_as_json(plan))
    else:
        _print_plan(plan)


def _print_plan(plan: Plan) -> None:
    line = "\n{:<30} {:<30} {:<10} {:<15}"
    rows: list[tuple[object, ...]] = [("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")] if plan else []
    for group, offsets in plan.items():
        rows += [(group, *at, offset) for at, offset in sorted(offsets.items())]
    print(table(line, rows))


def _reset_one(cluster: Cluster, options: Parsed, name: str) -> dict[TopicPartition, int]:
    partitions: list[TopicPartition] = []
    if options.has("all-input-topics"):
        partitions = list(_committed(cluster, name, repartition=False))
    elif options.has("input-topic"):
        partitions = partitions_of(cluster, options.values("input-topic"))
        check_partitions(cluster, partitions)
        with failing(2):
            known = committed_offsets(cluster, name)
        if not all(at in known for at in partitions):
            _complain(options, f"One or more topics are not part of the group '{name}'.")
            partitions = []
    elif not options.has("from-file"):
        raise UsageError("One of the reset scopes should be defined: --all-topics, --topic.")
    paths = options.values("from-file")
    plan = read_plan(paths[0], options.values("group")) if paths else None
    current = None
    if options.has("shift-by") or options.has("to-current"):
        current = {at: known.offset for at, known in _committed(cluster, name, repartition=True).items()}
    offsets = planned(cluster, options, name, partitions, current, plan)
    if offsets is None:
        raise UsageError(
            "Option '[reset-offsets]' requires one of the following scenarios: "
            f"[{', '.join(f'[{scenario}]' for scenario in SCENARIOS)}]"
        )
    if options.has("execute") and offsets:
        commit_offsets(cluster, name, offsets)
    return offsets


def _delete_internal_topics(cluster: Cluster, options: Parsed, name: str) -> None:
    if options.has("delete-all-internal-topics"):
        topics = _internal_topics(cluster, options, [name]).get(name, [])
    else:
        topics = options.values("delete-internal-topic")
    failed = next((error for error in _delete_topics(cluster, topics).values() if error), None) if topics else None
    if failed is None:
        return
    if failed.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        why = "failed because the topics do not exist."
    else:
        why = f"failed due to {wrapped(failed, 1)}"
    _complain(options, f"Deleting internal topics for group '{name}' {why}")


# --- delete -------------------------------------------------------------------------------------------------


def _delete(cluster: Cluster, options: Parsed) -> None:
    names = list(dict.fromkeys(_groups(cluster, options)))
    with failing(2):
        states = {g.group_id: g.group_state for g in list_groups(cluster, types=(STREAMS,))}
    results: dict[str, ClientError | str | None] = {}
    for name in names:
        if name not in states:
            results[name] = (
                f"java.lang.IllegalArgumentException: Group '{name}' does not exist or is not a streams group."
            )
        elif states[name] == "Dead":
            results[name] = f"java.lang.IllegalStateException: Streams group '{name}' group state is DEAD."
        elif states[name] != "Empty":
            results[name] = (
                f"org.apache.kafka.common.errors.GroupNotEmptyException: Streams group '{name}' is not EMPTY."
            )
    wanted = [name for name in names if name not in results]
    internal: dict[str, list[str]] = {}
    if wanted and options.has("delete-all-internal-topics"):
        internal = _internal_topics(cluster, options, wanted)
    results |= delete_groups(cluster, wanted, "deleteStreamsGroups")
    deleted = [name for name, error in results.items() if error is None]
    topics = {name: _delete_topics(cluster, internal[name]) for name in deleted if name in internal}
    if options.has("json"):
        print_json([
            {"group": name, "error": error and str(error), "internalTopics": [
                {"topic": topic, "error": wrong and str(wrong)} for topic, wrong in topics.get(name, {}).items()
            ]}
            for name, error in results.items()
        ])
        return
    for topic, wrong in (pair for those in topics.values() for pair in those.items()):
        if wrong:
            print(f"Failed to delete internal topic: {topic}")
    if not results:  # Java's tool quotes what is not there
        print("Deletion of requested streams groups ('') was successful.")
        return
    print_deleted(results, "streams groups", ".")
    if not internal or not deleted:
        return
    failed = {name: next(filter(None, those.values())) for name, those in topics.items() if any(those.values())}
    if not failed:
        shown = "', '".join(topics)
        print(f"Deletion of associated internal topics of the streams groups ('{shown}') was successful.")
        return
    print("Deletion of some associated internal topics failed:")
    for name, error in failed.items():
        print(f"* Internal topics of the streams group '{name}' could not be deleted due to: {java_error(error)}")


def _delete_offsets(cluster: Cluster, options: Parsed) -> None:
    group: str = options.value("group")
    if options.has("all-input-topics"):
        partitions = _committed(cluster, group, repartition=False)
        code, results = delete_of_partitions(cluster, group, partitions)
    else:
        code, results = delete_of_topics(cluster, group, options.values("input-topic"))
    print_json(results_as_json(results)) if options.has("json") else print_results(group, code, results)


_DO: Final = {
    "list": _list, "describe": _describe, "delete": _delete, "reset-offsets": _reset, "delete-offsets": _delete_offsets
}
