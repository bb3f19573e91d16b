"""Work out to which offsets a group is set: scopes, scenarios, files. For groups of consumers, share, streams.

Nothing here changes anything. Requests: DescribeTopicPartitions or Metadata, ListOffsets. A file holds lines of
`topic,partition,offset`, or `group,topic,partition,offset`; as in Java's tool, fields that are missing at the end of a
line are 0.
"""

from __future__ import annotations

import csv
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from barnabas.protocol.error_texts import text_of
from barnabas.protocol.errors import ErrorCode
from barnabas.tools.cluster import Cluster
from barnabas.tools.describing import describe_topics
from barnabas.tools.errors import AnswerError, ToolError, UsageError, check
from barnabas.tools.group_admin import failing
from barnabas.tools.java_time import parse_datetime, parse_duration
from barnabas.tools.leaders import TopicPartition
from barnabas.tools.offsets import EARLIEST, LATEST, list_offsets
from barnabas.tools.options import Parsed
from barnabas.tools.terminal import table

#: the options that say where to set the offsets
SCENARIOS: Final = (
    "to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "shift-by", "from-file"
)
Plan = dict[str, dict[TopicPartition, int]]
"""Groups, their partitions, and the offsets to set."""


def show(at: TopicPartition) -> str:
    """Write a partition as Java does."""
    return f"{at[0]}-{at[1]}"


# --- scopes -------------------------------------------------------------------------------------------------


def parse_scope(argument: str) -> list[TopicPartition]:
    """Read `topic:0,1,2`. Raises `UsageError`."""
    parts = argument.split(":")
    while parts and not parts[-1]:
        parts.pop()  # as Java's split does
    if len(parts) != 2:
        raise UsageError(f"Invalid topic arg '{argument}', expected topic name and partitions")
    numbers = parts[1].split(",")
    while numbers and not numbers[-1]:
        numbers.pop()
    for number in numbers:
        if not re.fullmatch(r"[+-]?[0-9]+", number) or not -(1 << 31) <= int(number) < 1 << 31:
            raise UsageError(f"Invalid partition '{number}' specified in topic arg '{argument}''")
    return [(parts[0], int(number)) for number in numbers]


def partitions_of(cluster: Cluster, arguments: Iterable[str]) -> list[TopicPartition]:
    """Return the partitions that `topic` and `topic:0,1` name. Raises `UsageError`, `AnswerError`."""
    arguments = list(arguments)
    found = [at for argument in arguments if ":" in argument for at in parse_scope(argument)]
    for topic in describe_topics(cluster, [argument for argument in arguments if ":" not in argument]):
        check(topic.error_code)
        found += [(topic.name or "", p.partition_index) for p in topic.partitions]
    return list(dict.fromkeys(found))


def check_partitions(cluster: Cluster, partitions: Iterable[TopicPartition]) -> None:
    """Raise `ToolError` where a partition does not exist or has no leader."""
    wanted = list(partitions)
    leaders: dict[TopicPartition, int] = {}
    with failing(2):
        for topic in describe_topics(cluster, sorted({name for name, _ in wanted})):
            check(topic.error_code)
            leaders |= {(topic.name or "", p.partition_index): p.leader_id for p in topic.partitions}
    for problem, those in (
        ("do not exist", [at for at in wanted if at not in leaders]),
        ("have no leader", [at for at in wanted if leaders.get(at, 0) < 0]),
    ):
        if those:
            raise ToolError(f'The partitions "{",".join(map(show, those))}" {problem}')


# --- look-ups -----------------------------------------------------------------------------------------------


def look_up(cluster: Cluster, partitions: Iterable[TopicPartition], position: int) -> dict[TopicPartition, int]:
    """Return an offset of each partition, -1 where there is none. Raises `AnswerError`, the first there is."""
    found = {}
    for at, result in list_offsets(cluster, dict.fromkeys(partitions, position)).items():
        if isinstance(result, AnswerError):
            if result.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and str(result) == text_of(result.code):
                raise AnswerError(
                    result.code,
                    f"Failed to fetch metadata for partition {show(at)} because metadata for topic `{at[0]}` could not "
                    "be found",
                )
            raise result
        found[at] = result.offset
    return found


def _at_time(cluster: Cluster, partitions: list[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
    found = look_up(cluster, partitions, timestamp)
    late = [at for at in partitions if found[at] < 0]
    for topic, index in late:
        print(f"\nWarn: Partition {index} from topic {topic} is empty. Falling back to latest known offset.")
    return found | look_up(cluster, late, LATEST)


def within(cluster: Cluster, wanted: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Move offsets that lie outside their logs to the nearer end, with a warning for each."""
    starts, ends = look_up(cluster, wanted, EARLIEST), look_up(cluster, wanted, LATEST)
    found = {}
    for at, offset in wanted.items():
        bound = min(max(offset, starts[at]), ends[at])
        if bound != offset:
            side = "higher than latest" if offset > bound else "lower than earliest"
            now = time.time()
            at_time = f"{time.strftime('%F %T', time.localtime(now))},{int(now * 1000) % 1000:03}"
            print(  # Java's tool logs it
                f"[{at_time}] WARN New offset ({offset}) is {side} offset for topic partition {show(at)}. Value "
                f"will be set to {bound}. (org.apache.kafka.tools.OffsetsUtils)",
                file=sys.stderr,
            )
        found[at] = bound
    return found


# --- scenarios ----------------------------------------------------------------------------------------------


def planned(
    cluster: Cluster, options: Parsed, group: str, partitions: list[TopicPartition],
    current: Mapping[TopicPartition, int] | None, plan: Plan | None,
) -> dict[TopicPartition, int] | None:
    """Return the offsets that the options ask for. `current`: the committed ones. `plan`: what the file says.

    None where no scenario was given. Raises `ToolError`, `UsageError`.
    """
    with failing(2):
        if options.has("to-offset"):
            return within(cluster, dict.fromkeys(partitions, options.values("to-offset")[0]))
        if options.has("to-earliest"):
            return look_up(cluster, partitions, EARLIEST)
        if options.has("to-latest"):
            return look_up(cluster, partitions, LATEST)
        if options.has("shift-by"):
            return within(cluster, _shifted(partitions, current or {}, options.value("shift-by")))
        if options.has("to-datetime"):
            return _at_time(cluster, partitions, parse_datetime(options.values("to-datetime")[0]))
        if options.has("by-duration"):
            now = time.time() * 1000
            return _at_time(cluster, partitions, int(now - parse_duration(options.value("by-duration"))))
        if plan is not None:
            if group not in plan:
                print(f"\nError: No reset plan for group {group} found")
                return {}
            return within(cluster, plan[group])
        if options.has("to-current"):
            known = {at: (current or {})[at] for at in partitions if at in (current or {})}
            return known | look_up(cluster, [at for at in partitions if at not in known], LATEST)
    return None


def _shifted(
    partitions: Iterable[TopicPartition], current: Mapping[TopicPartition, int], by: int
) -> dict[TopicPartition, int]:
    found = {}
    for at in partitions:
        if at not in current:
            raise UsageError(
                f"Cannot shift offset for partition {show(at)} since there is no current committed offset"
            )
        found[at] = current[at] + by
    return found


# --- files --------------------------------------------------------------------------------------------------


def read_plan(path: str, groups: list[str]) -> Plan:
    """Read a file of offsets. Raises `ToolError` in Java's words."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ToolError(f"java.io.IOException: Unable to read file {path}") from None
    lines = text.split("\n")
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    plan: Plan = {}
    if len(groups) == 1 and _fits(lines[0]):
        rows = [[groups[0], *_record(line, 3)] for line in lines]
    else:
        rows = [_record(line, 4) for line in lines]
    for group, topic, partition, offset in rows:
        plan.setdefault(str(group), {})[str(topic), int(partition)] = int(offset)
    return plan


def _fits(line: str) -> bool:
    try:
        _record(line, 3)
    except ToolError:
        return False
    return True


def _record(line: str, width: int) -> list[str | int]:
    """Read one line as Jackson does: the last two fields are numbers."""
    fields = next(csv.reader([line.rstrip("\r")], skipinitialspace=True), [])
    if not fields:
        raise ToolError(
            "com.fasterxml.jackson.databind.exc.MismatchedInputException: No content to map due to end-of-input\n"
            " at [Source: (StringReader); line: UNKNOWN, column: UNKNOWN]"
        )
    found: list[str | int] = []
    column = 1
    for number, field in enumerate(fields):
        if number >= width:
            raise ToolError(
                f"com.fasterxml.jackson.dataformat.csv.CsvReadException: Too many entries: expected at most {width} "
                f'(value #{number} ({len(field)} chars) "{field}")\n at [Source: (StringReader); line: 1, column: '
                f"{column}]"
            )
        found.append(_number(field.strip(), column, number - width + 2, width) if number >= width - 2 else field)
        column += len(field) + 1
    return found + [0] * (width - len(found)) if len(found) > width - 3 else [*found, "", 0, 0][:width]


def _number(text: str, column: int, which: int, width: int) -> int:
    kind, name, bits = (("int", "partition", 31), ("long", "offset", 63))[which]
    if not text:
        return 0
    if re.fullmatch(r"[+-]?[0-9]+", text) and -(1 << bits) <= int(text) < 1 << bits:
        return int(text)
    record = "CsvRecordNoGroup" if width == 3 else "CsvRecordWithGroup"
    raise ToolError(
        f"com.fasterxml.jackson.databind.exc.InvalidFormatException: Cannot deserialize value of type `{kind}` from "
        f'String "{text}": not a valid `{kind}` value\n at [Source: (StringReader); line: 1, column: {column}] '
        f'(through reference chain: org.apache.kafka.tools.consumer.group.CsvUtils${record}["{name}"])'
    )


def write_plan(plan: Plan, *, with_group: bool) -> str:
    """Write offsets as a file that --from-file reads."""
    return "".join(
        ",".join([*([_quoted(group)] if with_group else []), topic, str(index), str(offset)]) + "\n"
        for group, offsets in plan.items()
        for (topic, index), offset in offsets.items()
    )


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\s]', text) else text


def print_plan(plan: Plan) -> None:
    """Print the table of new offsets."""
    group_width = max([15, *map(len, plan)])
    topic_width = max([15, *(len(topic) for offsets in plan.values() for topic, _ in offsets)])
    line = f"\n{{:<{group_width}}} {{:<{topic_width}}} {{:<10}} {{}}"
    rows: list[tuple[object, ...]] = [("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")] if plan else []
    for group, offsets in plan.items():
        rows += [(group, topic, index, offset) for (topic, index), offset in sorted(offsets.items())]
    print(table(line, rows))


def plan_as_json(plan: Plan) -> list[dict[str, object]]:
    """Return the table of new offsets as rows."""
    return [
        {"group": group, "topic": topic, "partition": index, "newOffset": offset}
        for group, offsets in plan.items()
        for (topic, index), offset in sorted(offsets.items())
    ]
