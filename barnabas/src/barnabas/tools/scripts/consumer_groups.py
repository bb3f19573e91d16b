"""kafka-consumer-groups: list, describe and delete groups of consumers, reset and delete their offsets.

Requests: ListGroups, ConsumerGroupDescribe or DescribeGroups, OffsetFetch, OffsetCommit, OffsetDelete, DeleteGroups,
ListOffsets, DescribeTopicPartitions or Metadata. As with Java's tool, what fails after the options were read is said on
standard output and the status is 0. Differs from it: groups and partitions come in alphabetical order where Java's come
in that of a hash table, and there is --json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from barnabas.protocol.errors import ErrorCode
from barnabas.tools.cluster import Cluster
from barnabas.tools.consumer_group_options import OPTIONS, check_options
from barnabas.tools.describing import describe_topics
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, OptionError, ToolError, UsageError, check
from barnabas.tools.group_admin import (
    CLASSIC,
    CONSUMER,
    Committed,
    Group,
    commit_offsets,
    committed_offsets,
    delete_groups,
    describe_consumer_group,
    failing,
    java_error,
    list_groups,
)
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.offset_deletion import delete_of_topics, print_results, results_as_json
from barnabas.tools.offsets import LATEST
from barnabas.tools.options import Parsed
from barnabas.tools.reset_offsets import (
    Plan,
    check_partitions,
    look_up,
    partitions_of,
    plan_as_json,
    planned,
    print_plan,
    read_plan,
    write_plan,
)
from barnabas.tools.settings import Settings
from barnabas.tools.terminal import table

__all__ = ["EXAMPLE", "OPTIONS", "SUMMARY", "run"]
SUMMARY = (
    "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset "
    "consumer group offsets."
)
EXAMPLE = """
kafka-consumer-groups --bootstrap-server localhost:9092 --describe --group analysis-service
kafka-consumer-groups --bootstrap-server localhost:9092 --group analysis-service --topic stock-realtime \\
    --reset-offsets --to-earliest --execute
"""

_ACTIONS: Final = ("list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex")
_STATES: Final = (
    "Reconciling", "Assigning", "Empty", "Dead", "Stable", "PreparingRebalance", "CompletingRebalance"
)
#: the status when something failed after the options were read: as in Java's tool
_FAILED: Final = 0

def run(options: Parsed) -> int:
    """Do what was asked. Errors are printed as Kafka's tool prints them: on standard output."""
    check_options(options)
    if sum(options.has(name) for name in _ACTIONS) != 1:
        raise UsageError(f"Command must include exactly one action: {', '.join(f'--{name}' for name in _ACTIONS)}")
    if options.has("validate-regex"):
        from barnabas.tools.re2 import problem_of

        expression = options.value("validate-regex")
        problem = problem_of(expression)
        print(f"The regular expression `{expression}` is {f'invalid: {problem}' if problem else 'valid'}.")
        return 0
    try:
        _act(options)
    except UsageError:
        raise
    except ConfigError as e:
        print(f"Caused by: {e.exception}: {e}", file=sys.stderr)
        return _failed("Failed to create new KafkaAdminClient")
    except (ToolError, ClientError, OptionError) as e:
        return _failed(str(e))
    return 0


def _failed(message: str) -> int:
    print(f"\nError: Executing consumer group command failed due to {message}")
    return _FAILED


def _act(options: Parsed) -> None:
    settings = settings_with_timeout(options)
    for name in ("by-duration", "shift-by", "timeout"):
        options.value(name)
    options.values("to-offset")
    with Cluster(settings) as cluster:
        _DO[next(name for name in _ACTIONS if options.has(name))](cluster, options)


def settings_with_timeout(options: Parsed) -> Settings:
    """Make a client's settings; --timeout bounds all retries. Raises `ToolError`, `ConfigError`."""
    from barnabas.tools.settings import load_properties

    path = options.value("command-config")
    try:
        properties = load_properties(path) if path else {}
    except ToolError as e:
        raise ToolError(f"java.nio.file.NoSuchFileException: {path}" if "No such file" in str(e) else str(e)) from e
    settings = Settings(properties, options.value("bootstrap-server"))
    settings.properties["default.api.timeout.ms"] = str(max(0, options.value("timeout")))
    return settings


def print_json(document: object) -> None:
    """Print a document."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


# --- list ---------------------------------------------------------------------------------------------------


def _all_groups(cluster: Cluster, options: Parsed) -> list[str]:
    """Return the groups that --all-groups or --group mean."""
    if not options.has("all-groups"):
        return list(dict.fromkeys(options.values("group")))
    with failing(2):
        return [g.group_id for g in list_groups(cluster, types=(CLASSIC, CONSUMER), protocols=("", "consumer"))]


def _list(cluster: Cluster, options: Parsed) -> None:
    columns = [name for name in ("type", "state") if options.has(name)]
    if not columns:
        with failing(2):
            groups = list_groups(cluster, types=(CLASSIC, CONSUMER), protocols=("", "consumer"))
        names = [g.group_id for g in groups]
        print_json(names) if options.has("json") else print("".join(f"{name}\n" for name in names), end="")
        return
    types = _chosen(options.value("type") if options.has("type") else None, (CONSUMER, CLASSIC), "types")
    states = _chosen(options.value("state") if options.has("state") else None, _STATES, "state")
    with failing(1):
        groups = list_groups(cluster, states=states, types=types, protocols=("", "consumer"))
    rows = [
        {"group": g.group_id, "type": g.group_type.capitalize() or "Unknown", "state": g.group_state or "Unknown"}
        for g in groups
    ]
    if options.has("json"):
        print_json(rows)
        return
    line = f"{{:<{max([15, *(len(g.group_id) for g in groups)]) + 10}}}" + " {:<20}" * len(columns)
    head = ("GROUP", *map(str.upper, columns))
    print(table(line, [head, *((row["group"], *(row[name] for name in columns)) for row in rows)]))


def _chosen(text: str | None, known: Iterable[str], what: str) -> list[str]:
    """Read a list of states or types, in any case. Raises `UsageError`."""
    if not text:
        return []
    names = {name.lower(): name for name in known}
    words = text.split(",")
    while words and not words[-1]:
        words.pop()
    if not all(word.strip().lower() in names for word in words):
        raise UsageError(
            f"Invalid {what} list '{text}'. Valid {what if what == 'types' else 'states'} are: "
            f"{', '.join(names.values())}"
        )
    return list(dict.fromkeys(names[word.strip().lower()] for word in words))


# --- describe -----------------------------------------------------------------------------------------------


def _describe(cluster: Cluster, options: Parsed) -> None:
    from barnabas.tools import group_tables as tables

    names = sorted(_all_groups(cluster, options))
    verbose, as_json = options.has("verbose"), options.has("json")
    with failing(1):
        groups = [describe_consumer_group(cluster, name) for name in names]
    if options.has("members"):
        documents = [tables.members_as_json(group) for group in groups] if as_json else []
        for group in () if as_json else groups:
            tables.print_members(group, verbose=verbose)
    elif options.has("state"):
        documents = [tables.state_as_json(group) for group in groups] if as_json else []
        for group in () if as_json else groups:
            tables.print_state(group, verbose=verbose)
    else:
        with failing(2):
            rows = [_rows(cluster, group, committed_offsets(cluster, group.name)) for group in groups]
        documents = [tables.offsets_as_json(g, those) for g, those in zip(groups, rows, strict=True)] if as_json else []
        for group, those in () if as_json else zip(groups, rows, strict=True):
            tables.print_offsets(group, those, verbose=verbose)
    if as_json:
        print_json(documents)


def _rows(cluster: Cluster, group: Group, committed: dict[TopicPartition, Committed]) -> list[Any]:
    """Return a row for each partition: those of members first, members with many before those with few."""
    from barnabas.tools.group_tables import MISSING, Row

    owners: list[tuple[list[TopicPartition], tuple[str, str, str]]] = [
        (member.assignment, (member.member_id, member.host, member.client_id))
        for member in sorted(group.members, key=lambda member: -len(member.assignment)) if member.assignment
    ]
    assigned = {at for partitions, _ in owners for at in partitions}
    owners.append(([at for at in committed if at not in assigned], (MISSING, MISSING, MISSING)))
    everything = [at for partitions, _ in owners for at in partitions]
    led = set()
    for topic in describe_topics(cluster, sorted({name for name, _ in everything})):
        check(topic.error_code)
        led |= {(topic.name or "", p.partition_index) for p in topic.partitions if p.leader_id < 0}
    ends = look_up(cluster, [at for at in everything if at not in led], LATEST)
    rows = []
    for partitions, owner in owners:
        for at in sorted(partitions):
            known = committed.get(at)
            epoch = known.leader_epoch if known and known.leader_epoch >= 0 else None
            rows.append(Row(*at, known.offset if known else None, epoch, ends.get(at), *owner))
    return rows


# --- reset --------------------------------------------------------------------------------------------------


def _reset(cluster: Cluster, options: Parsed) -> None:
    names = _all_groups(cluster, options)
    states: dict[str, str] = {}
    for name in names:
        try:
            states[name] = describe_consumer_group(cluster, name).state
        except AnswerError as e:
            if e.code != ErrorCode.GROUP_ID_NOT_FOUND:
                with failing(2):
                    raise
            states[name] = "Dead"
        except ClientError:
            with failing(2):
                raise
    plan: Plan = {}
    for name, state in states.items():
        plan[name] = {}
        if state in ("Empty", "Dead"):
            plan[name] = _reset_one(cluster, options, name)
        else:
            print(
                f"\nError: Assignments can only be reset if the group '{name}' is inactive, but the current state is "
                f"{state}."
            )
    if options.has("export"):
        print(write_plan(plan, with_group=len(options.values("group")) != 1))
    elif options.has("json"):
        print_json(plan_as_json(plan))
    else:
        print_plan(plan)


def _reset_one(cluster: Cluster, options: Parsed, group: str) -> dict[TopicPartition, int]:
    def current() -> dict[TopicPartition, int]:
        with failing(2):
            return {at: known.offset for at, known in committed_offsets(cluster, group).items()}

    if options.has("all-topics"):
        partitions = list(current())
    elif options.has("topic"):
        partitions = partitions_of(cluster, options.values("topic"))
    elif options.has("from-file"):
        partitions = []
    else:
        raise UsageError("One of the reset scopes should be defined: --all-topics, --topic.")
    check_partitions(cluster, partitions)
    from_file = options.values("from-file")
    plan = read_plan(from_file[0], options.values("group")) if from_file else None
    known = current() if options.has("shift-by") or options.has("to-current") else None
    offsets = planned(cluster, options, group, partitions, known, plan)
    if offsets is None:
        raise UsageError(
            "Option '[reset-offsets]' requires one of the following scenarios: [[to-current], [to-earliest], "
            "[to-offset], [shift-by], [from-file], [to-datetime], [by-duration], [to-latest]]"
        )
    if options.has("execute") and offsets:
        commit_offsets(cluster, group, offsets)
    return offsets


# --- delete -------------------------------------------------------------------------------------------------


def _delete(cluster: Cluster, options: Parsed) -> None:
    results = delete_groups(cluster, _all_groups(cluster, options), "deleteConsumerGroups")
    if options.has("json"):
        print_json([{"group": name, "error": e and str(e)} for name, e in results.items()])
    else:
        print_deleted(results, "consumer groups")


def print_deleted(results: Mapping[str, ClientError | str | None], what: str, end: str = "") -> None:
    """Say which groups were deleted, and which were not; `end` closes the sentence that lists some."""
    deleted = ", ".join(f"'{name}'" for name, error in results.items() if error is None)
    failed = {name: error for name, error in results.items() if error is not None}
    if not failed:
        print(f"Deletion of requested {what} ({deleted}) was successful.")
        return
    print(f"\nError: Deletion of some {what} failed:")
    for name, error in failed.items():
        print(f"* Group '{name}' could not be deleted due to: {error if isinstance(error, str) else java_error(error)}")
    if deleted:
        print(f"\nThese {what} were deleted successfully: {deleted}{end}")


def _delete_offsets(cluster: Cluster, options: Parsed) -> None:
    group: str = options.value("group")
    code, results = delete_of_topics(cluster, group, options.values("topic"))
    print_json(results_as_json(results)) if options.has("json") else print_results(group, code, results)


_DO: Final = {
    "list": _list, "describe": _describe, "delete": _delete, "reset-offsets": _reset, "delete-offsets": _delete_offsets
}
