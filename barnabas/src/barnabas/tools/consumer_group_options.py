"""Declare the options of kafka-consumer-groups, and check how they go together."""

from __future__ import annotations

import sys
from typing import Final

from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG
from barnabas.tools.errors import OptionError, UsageError
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.reset_offsets import SCENARIOS

OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("list", "List the groups of consumers."),
    Option("describe", "Show how far groups have read, their members, or their state."),
    Option("delete", "Delete groups that have no members."),
    Option("reset-offsets", "Set the offsets of groups that have no members. Plans only, unless --execute is given."),
    Option("delete-offsets", "Delete the offsets that a group has committed for topics."),
    Option("validate-regex", "Check a regular expression that is to be subscribed to (RE2).", "regex"),
    Option("group", "The group; may be given several times.", "group", completes="group"),
    Option("all-groups", "All groups of consumers."),
    Option(
        "topic", "A topic, or some of its partitions, topic:0,1,2; may be given several times.", "topic",
        completes="topic",
    ),
    Option("all-topics", "With --reset-offsets: all topics for which the group has committed offsets."),
    Option("members", "With --describe: the members."),
    Option("offsets", "With --describe: partitions with their offsets and lag, which is the default."),
    Option(
        "state", "With --describe: the state. With --list: show states, or only groups in these.", "states",
        optional=True, completes="stable empty preparingrebalance completingrebalance assigning reconciling dead",
    ),
    Option(
        "type", "With --list: show types, or only groups of these.", "types", optional=True,
        completes="classic consumer",
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
    Option("timeout", "How many milliseconds a request may take with all its retries.", "ms", "long", 5000),
    JSON,
)
_WARNING: Final = (
    "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will require "
    "either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if you are "
    "scripting this command and want to keep the current default behavior without prompting."
)


def check_options(options: Parsed) -> None:
    """Raise `UsageError`, `OptionError` for options that do not fit together, in the order of Java's tool."""
    check_available(options, {
        "members": ("describe",), "verbose": ("describe",), "offsets": ("describe",), "state": ("describe", "list"),
        "type": ("list",),
    })
    if not options.has("validate-regex"):
        options.require("bootstrap-server")
    scope = options.has("group") or options.has("all-groups")
    check_describe(options)
    if options.has("delete"):
        if not scope:
            raise UsageError("Option [delete] takes one of these options: [group], [all-groups]")
        if options.has("topic"):
            raise UsageError(
                "The consumer does not support topic-specific offset deletion from a consumer group."
            )
    if options.has("delete-offsets") and not (options.has("group") and options.has("topic")):
        raise UsageError("Option [delete-offsets] takes the following options: [group], [topic]")
    if options.has("reset-offsets"):
        if options.has("dry-run") and options.has("execute"):
            raise UsageError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
        if not options.has("dry-run") and not options.has("execute"):
            print(_WARNING, file=sys.stderr)
        if not scope:
            raise UsageError("Option [reset-offsets] takes one of these options: [group], [all-groups]")
        for name in SCENARIOS:
            options.refuse(name, (other for other in (
                "to-current", "to-earliest", "to-offset", "shift-by", "from-file", "to-datetime", "by-duration",
                "to-latest",
            ) if other != name))
    options.refuse("group", ("all-groups", "list"))
    options.refuse("topic", ("list", "describe"))


def check_available(options: Parsed, only_with: dict[str, tuple[str, ...]]) -> None:
    """Raise `OptionError`, in joptsimple's words, for options that need another one."""
    wrong = [name for name, those in only_with.items() if options.has(name) and not any(map(options.has, those))]
    if wrong:
        raise OptionError(f"Option(s) [{', '.join(wrong)}] are unavailable given other options on the command line")


def check_describe(options: Parsed) -> None:
    """Raise `UsageError` where --describe has no group, or is to show several things at once."""
    if not options.has("describe"):
        return
    if not (options.has("group") or options.has("all-groups")):
        raise UsageError("Option [describe] takes one of these options: [group], [all-groups]")
    if sum(options.has(name) for name in ("members", "offsets", "state")) > 1:
        raise UsageError("Option [describe] takes at most one of these options: [members], [offsets], [state]")
    if options.has("state") and options.value("state") is not None:
        raise UsageError("Option [describe] does not take a value for [state]")
