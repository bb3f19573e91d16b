"""Declare the options of kafka-streams-groups, and check how they go together."""

from __future__ import annotations

from typing import Final

from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG
from barnabas.tools.consumer_group_options import check_available, check_describe
from barnabas.tools.errors import UsageError
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.reset_offsets import SCENARIOS

OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("list", "List the streams groups."),
    Option("describe", "Show how far streams groups have read, their members, or their state."),
    Option("delete", "Delete streams groups that have no members."),
    Option("reset-offsets", "Set the offsets of streams groups that have no members."),
    Option("delete-offsets", "Delete the offsets that a streams group has committed for its input topics."),
    Option("group", "The streams group; may be given several times.", "group", completes="group"),
    Option("all-groups", "All streams groups."),
    Option(
        "input-topic", "An input topic, or some of its partitions, topic:0,1,2; may be given several times.", "topic",
        completes="topic",
    ),
    Option("all-input-topics", "All source topics of the group's topology for which it has committed offsets."),
    Option("members", "With --describe: the members and their tasks."),
    Option("offsets", "With --describe: the partitions with their lag, which is the default."),
    Option(
        "state", "With --describe: the state. With --list: show states, or only groups in these.", "states",
        optional=True, completes="empty notready stable assigning reconciling dead",
    ),
    Option("verbose", "With --describe: more columns."),
    Option("dry-run", "With --reset-offsets: show the offsets, change nothing."),
    Option("execute", "With --reset-offsets: set the offsets."),
    Option("export", "With --reset-offsets: print the offsets as a file for --from-file."),
    Option("to-offset", "Reset to this offset.", "offset", "long"),
    Option("to-earliest", "Reset to the first offset that there is."),
    Option("to-latest", "Reset to the end."),
    Option("to-current", "Reset to what is committed, or else to the end."),
    Option("shift-by", "Move what is committed by so many records, forwards or backwards.", "count", "long"),
    Option("to-datetime", "Reset to the first record at or after a time: YYYY-MM-DDThh:mm:ss.sss.", "datetime"),
    Option("by-duration", "Reset to the first record that is younger than a duration: PnDTnHnMnS.", "duration"),
    Option("from-file", "Reset to the offsets in a file, as --export writes it.", "file", completes="file"),
    Option(
        "delete-internal-topic", "With --reset-offsets --execute: delete this topic, too; may be given several times.",
        "topic", completes="topic",
    ),
    Option(
        "delete-all-internal-topics",
        "With --delete, or --reset-offsets --execute: delete the group's changelog and repartition topics, too.",
    ),
    Option("timeout", "How many milliseconds a request may take with all its retries.", "ms", "long", 30000),
    JSON,
)
ACTIONS: Final = ("list", "describe", "delete", "reset-offsets", "delete-offsets")
_SCOPE: Final = "takes one of these options: [all-groups], [group]"


def check_options(options: Parsed) -> None:
    """Raise `UsageError`, `OptionError` for options that do not fit together, in the order of Java's tool."""
    check_available(options, {
        "members": ("describe",), "offsets": ("describe",), "state": ("describe", "list"), "verbose": ("describe",),
    })
    options.require("bootstrap-server")
    scope = options.has("group") or options.has("all-groups")
    if options.has("describe") and not scope:
        raise UsageError(f"Option [describe] {_SCOPE}")
    check_describe(options)
    if options.has("delete"):
        if not scope:
            raise UsageError(f"Option [delete] {_SCOPE}")
        if options.has("input-topic") or options.has("all-input-topics"):
            raise UsageError(
                "Kafka Streams does not support topic-specific offset deletion from a streams group."
            )
    if options.has("delete-offsets"):
        _check_delete_offsets(options)
    if options.has("reset-offsets"):
        _check_reset(options, scope=scope)
    _check_internal_topics(options)
    if (options.has("dry-run") or options.has("execute")) and not options.has("reset-offsets"):
        raise UsageError("Only Option [reset-offsets] accepts [execute] or [dry-run]")
    options.refuse("list", ("members", "offsets"))
    options.refuse("group", ("all-groups", "list"))
    options.refuse("input-topic", ("list", "describe", "delete"))
    if sum(options.has(name) for name in ACTIONS) != 1:
        raise UsageError(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, or "
            "--delete-offsets."
        )


def _check_delete_offsets(options: Parsed) -> None:
    if not options.has("group") or not (options.has("input-topic") or options.has("all-input-topics")):
        raise UsageError(
            "Option [delete-offsets] takes the [group] and one of these options: [all-input-topics], [input-topic]"
        )
    groups = options.values("group")
    if len(groups) > 1:
        raise UsageError(
            f"Option [delete-offsets] supports only one [group] at a time, but found: [{', '.join(groups)}]"
        )


def _check_reset(options: Parsed, *, scope: bool) -> None:
    if options.has("dry-run") and options.has("execute"):
        raise UsageError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
    if not options.has("dry-run") and not options.has("execute"):
        raise UsageError("Option [reset-offsets] takes the option: [execute] or [dry-run]")
    if not scope:
        raise UsageError(f"Option [reset-offsets] {_SCOPE}")
    for name in SCENARIOS:
        options.refuse(name, (other for other in SCENARIOS if other != name))


def _check_internal_topics(options: Parsed) -> None:
    reset, execute = options.has("reset-offsets"), options.has("execute")
    if options.has("delete-all-internal-topics"):
        if not reset and not options.has("delete"):
            raise UsageError(
                "Option [delete-all-internal-topics] takes one of these options: [delete], [reset-offsets]"
            )
        if reset and not execute:
            raise UsageError("Option [delete-all-internal-topics] takes [execute] when [reset-offsets] is used.")
    elif options.has("delete-internal-topic") and not (reset and execute):
        raise UsageError("Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.")
