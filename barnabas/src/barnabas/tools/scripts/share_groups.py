"""kafka-share-groups: list, describe and delete share groups (KIP-932), reset and delete their offsets.

Requests: ListGroups, ShareGroupDescribe, DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets,
DeleteGroups, ListOffsets, DescribeTopicPartitions or Metadata. As with Java's tool, what fails after the options were
read is said on standard output and the status is 0. Differs from it: groups and partitions come in alphabetical order,
and there is --json.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequestTopic,
)
from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG
from barnabas.tools.cluster import Cluster
from barnabas.tools.consumer_group_options import check_available, check_describe
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, OptionError, ToolError, UsageError, check
from barnabas.tools.group_admin import (
    SHARE,
    Group,
    coordinator_of,
    delete_groups,
    failing,
    java_error,
    list_groups,
)
from barnabas.tools.group_tables import members_as_json, state_as_json
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.reset_offsets import check_partitions, partitions_of, plan_as_json, planned, print_plan
from barnabas.tools.scripts.consumer_groups import print_deleted, print_json, settings_with_timeout
from barnabas.tools.share_group_admin import alter_start_offsets, describe_share_group, start_offsets
from barnabas.tools.share_group_tables import print_members, print_offsets, print_state
from barnabas.tools.terminal import table

SUMMARY = "This tool helps to list, describe, reset and delete share groups."
OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("list", "List the share groups."),
    Option("describe", "Show where share groups begin to read, their members, or their state."),
    Option("delete", "Delete share groups that have no members."),
    Option("reset-offsets", "Set where a share group without members begins to read."),
    Option("delete-offsets", "Delete what a share group remembers of topics."),
    Option("group", "The share group; may be given several times.", "group", completes="group"),
    Option("all-groups", "All share groups."),
    Option(
        "topic", "A topic, or some of its partitions, topic:0,1,2; may be given several times.", "topic",
        completes="topic",
    ),
    Option("all-topics", "With --reset-offsets: all topics that the group reads."),
    Option("members", "With --describe: the members."),
    Option("offsets", "With --describe: the partitions with their offsets, which is the default."),
    Option(
        "state", "With --describe: the state. With --list: show states, or only groups in these.", "states",
        optional=True, completes="empty stable dead",
    ),
    Option("verbose", "With --describe: more columns."),
    Option("dry-run", "With --reset-offsets: show the offsets, change nothing."),
    Option("execute", "With --reset-offsets: set the offsets."),
    Option("to-earliest", "Reset to the first offset that there is."),
    Option("to-latest", "Reset to the end."),
    Option("to-datetime", "Reset to the first record at or after a time: YYYY-MM-DDThh:mm:ss.sss.", "datetime"),
    Option("timeout", "How many milliseconds a request may take with all its retries.", "ms", "long", 30000),
    JSON,
)
EXAMPLE = """
kafka-share-groups --bootstrap-server localhost:9092 --describe --group workers
"""

_ACTIONS: Final = ("list", "describe", "delete", "reset-offsets", "delete-offsets")
_SCENARIOS: Final = ("to-datetime", "to-earliest", "to-latest")
_STATES: Final = {"empty": "Empty", "stable": "Stable", "dead": "Dead"}
_FAILED: Final = 0


class _Stop(ToolError):
    """End the tool with the message on standard error and status 1."""


def run(options: Parsed) -> int:
    """Do what was asked. Errors are printed as Kafka's tool prints them: on standard output."""
    _check(options)
    try:
        settings = settings_with_timeout(options)
        with Cluster(settings) as cluster:
            _DO[next(name for name in _ACTIONS if options.has(name))](cluster, options)
    except (UsageError, _Stop):
        raise
    except ConfigError as e:
        print(f"Caused by: {e.exception}: {e}", file=sys.stderr)
        return _failed("Failed to create new KafkaAdminClient")
    except (ToolError, ClientError, OptionError) as e:
        return _failed(str(e))
    return 0


def _failed(message: str) -> int:
    print(f"\nError: Executing share group command failed due to {message}")
    return _FAILED


def _check(options: Parsed) -> None:
    check_available(options, {
        "members": ("describe",), "offsets": ("describe",), "state": ("describe", "list"), "verbose": ("describe",),
    })
    options.require("bootstrap-server")
    scope = options.has("group") or options.has("all-groups")
    check_describe(options)
    if options.has("delete"):
        if not scope:
            raise UsageError("Option [delete] takes the options [group] or [all-groups]")
        if options.has("group") and options.has("all-groups"):
            raise UsageError("Option [delete] takes either [group] or [all-groups], not both.")
        if options.has("topic"):
            raise UsageError("Option [delete] does not take the option: [topic]")
    if options.has("delete-offsets") and not (options.has("group") and options.has("topic")):
        raise UsageError("Option [delete-offsets] takes the following options: [group], [topic]")
    if options.has("reset-offsets"):
        _check_reset(options)
    options.refuse("group", ("all-groups", "list"))
    options.refuse("topic", ("list", "describe"))
    if sum(options.has(name) for name in _ACTIONS) != 1:
        raise UsageError(f"Command must include exactly one action: {', '.join(f'--{name}' for name in _ACTIONS)}.")


def _check_reset(options: Parsed) -> None:
    if options.has("dry-run") and options.has("execute"):
        raise UsageError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
    if not options.has("dry-run") and not options.has("execute"):
        raise UsageError("Option [reset-offsets] takes the option: [execute] or [dry-run]")
    if not options.has("group"):
        raise UsageError("Option [reset-offsets] takes the option: [group]")
    if not options.has("topic") and not options.has("all-topics"):
        raise UsageError("Option [reset-offsets] takes one of these options: [all-topics], [topic]")
    if not any(map(options.has, _SCENARIOS)):
        raise UsageError(
            "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], [to-latest]"
        )
    for name in _SCENARIOS:
        options.refuse(name, (other for other in _SCENARIOS if other != name))


# --- asking -------------------------------------------------------------------------------------------------


def _all(cluster: Cluster, depth: int, states: tuple[str, ...] = ()) -> list[Any]:
    with failing(depth):
        try:
            return list(list_groups(cluster, states=states, types=(SHARE,)))
        except ToolError as e:
            if depth:
                raise
            raise ToolError(str(e).rpartition("KafkaException: ")[2]) from e


def _chosen(cluster: Cluster, options: Parsed) -> list[str]:
    if options.has("all-groups"):
        return [g.group_id for g in _all(cluster, 0)]
    return list(dict.fromkeys(options.values("group")))


# --- list, describe -----------------------------------------------------------------------------------------


def _list(cluster: Cluster, options: Parsed) -> None:
    if not options.has("state"):
        names = [g.group_id for g in _all(cluster, 0)]
        print_json(names) if options.has("json") else print("".join(f"{name}\n" for name in names), end="")
        return
    text = options.value("state") or ""
    words = [word.strip().lower() for word in text.split(",")] if text else []
    if not set(words) <= set(_STATES):
        raise UsageError(f"Invalid state list '{text}'. Valid states are: {', '.join(_STATES.values())}")
    groups = _all(cluster, 1, tuple(dict.fromkeys(_STATES[word] for word in words)))
    if options.has("json"):
        print_json([{"group": g.group_id, "state": g.group_state} for g in groups])
        return
    width = max([15, *(len(g.group_id) for g in groups)])
    print(table(f"{{:<{width}}} {{}}", [("GROUP", "STATE"), *((g.group_id, g.group_state) for g in groups)]))


def _describe(cluster: Cluster, options: Parsed) -> None:
    names, verbose = sorted(_chosen(cluster, options)), options.has("verbose")
    with failing(1):
        groups = [describe_share_group(cluster, name) for name in names]
    if options.has("members"):
        documents = [members_as_json(group) for group in groups]
        show = print_members
    elif options.has("state"):
        documents = [state_as_json(group) for group in groups]
        show = print_state
    else:
        offsets = {group.name: start_offsets(cluster, group.name) for group in groups}
        documents = [
            {"group": name, "offsets": [
                {"topic": o.topic, "partition": o.partition, "leaderEpoch": o.leader_epoch, "startOffset": o.start,
                 "lag": o.lag} for o in those
            ]} for name, those in offsets.items()
        ]

        def show(group: Group, *, verbose: bool) -> None:
            print_offsets(group.name, offsets[group.name], verbose=verbose)

    if options.has("json"):
        print_json(documents)
        return
    for group in groups:
        show(group, verbose=verbose)


# --- reset, delete ------------------------------------------------------------------------------------------


def _reset(cluster: Cluster, options: Parsed) -> None:
    name: str = options.value("group")
    try:
        group = describe_share_group(cluster, name)
        if group.state not in ("Empty", "Dead"):
            raise _Stop(f"Share group '{name}' is not empty.")
    except AnswerError as e:
        if e.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise _Stop(str(e)) from e
    if options.has("topic"):
        partitions = partitions_of(cluster, options.values("topic"))
    else:
        partitions = [(o.topic, o.partition) for o in start_offsets(cluster, name)]
    check_partitions(cluster, partitions)
    offsets = planned(cluster, options, name, partitions, None, None) or {}
    if options.has("execute"):
        alter_start_offsets(cluster, name, offsets)
    print_json(plan_as_json({name: offsets})) if options.has("json") else print_plan({name: offsets})


def _delete(cluster: Cluster, options: Parsed) -> None:
    states = {g.group_id: g.group_state for g in _all(cluster, 0)}
    names = list(states) if options.has("all-groups") else list(dict.fromkeys(options.values("group")))
    wrong: dict[str, str] = {}
    for name in names:
        if name not in states:
            wrong[name] = f"java.lang.IllegalArgumentException: Group '{name}' is not a share group."
        elif states[name] == "Dead":
            wrong[name] = f"java.lang.IllegalStateException: Share group '{name}' group state is DEAD."
        elif states[name] != "Empty":
            wrong[name] = (
                f"org.apache.kafka.common.errors.GroupNotEmptyException: Share group '{name}' is not EMPTY."
            )
    results: dict[str, ClientError | str | None] = {**wrong}
    results |= delete_groups(cluster, [name for name in names if name not in wrong], "deleteShareGroups")
    if options.has("json"):
        print_json([{"group": name, "error": error and str(error)} for name, error in results.items()])
    else:
        print_deleted(results, "share groups")


def _delete_offsets(cluster: Cluster, options: Parsed) -> None:
    name: str = options.value("group")
    topics = sorted(set(options.values("topic")))
    request = DeleteShareGroupOffsetsRequest(name, [DeleteShareGroupOffsetsRequestTopic(topic) for topic in topics])
    results: dict[str, AnswerError | None] = {}
    try:
        coordinator_of(cluster, name, "deleteShareGroupOffsets")
        answer = cluster.ask_coordinator(name, request, lambda answer: int(answer.error_code))
        check(answer.error_code, answer.error_message)
        for r in answer.responses:
            results[r.topic_name] = AnswerError(r.error_code, r.error_message) if r.error_code else None
        top = next((error for error in results.values() if error), None)
    except AnswerError as e:
        top = e
        results = dict.fromkeys(topics, e)
    if options.has("json"):
        print_json([{"topic": topic, "error": error and str(error)} for topic, error in sorted(results.items())])
        return
    if top is not None and top.code in _GROUP_ERRORS:
        print(f"\nError: {top}")
    elif top is not None and top.code not in _TOPIC_ERRORS:
        print(f"\nError: Encounter some unknown error: {java_error(top)}")
    line = f"\n{{:<{max([15, *map(len, results)])}}} {{}}"
    rows = [(topic, f"Error: {error}" if error else "Successful") for topic, error in sorted(results.items())]
    print(table(line, [("TOPIC", "STATUS"), *rows]) if results else "")


_GROUP_ERRORS: Final = (
    ErrorCode.INVALID_GROUP_ID, ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ErrorCode.NON_EMPTY_GROUP,
)
_TOPIC_ERRORS: Final = (ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
_DO: Final = {
    "list": _list, "describe": _describe, "delete": _delete, "reset-offsets": _reset, "delete-offsets": _delete_offsets
}
