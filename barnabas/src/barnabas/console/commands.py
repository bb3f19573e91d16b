"""Write the command lines that do what the page is about to do: words of Kafka's scripts, quoted for a shell.

Where the console acts by the options of a script (offset resets), it parses these very words, so that both do the same.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from barnabas.console.errors import BadRequest

_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = re.compile(r"[^\[\]\r\n\\]*\S|\S")
_SHARE_GOALS: Final = ("earliest", "latest", "time")
_DURATION: Final = re.compile(r"[-+]?P[0-9DTHMS.,+-]+", re.IGNORECASE)


class Reset(msgspec.Struct, frozen=True):
    """Say where offsets are set to."""

    kind: str
    value: str | None = None


class Commands(msgspec.Struct, frozen=True):
    """Write commands for one cluster."""

    bootstrap: str
    config_file: str | None = None

    def words(self, script: str, *words: str) -> list[str]:
        """Return a command as words."""
        config = ["--command-config", self.config_file] if self.config_file else []
        return [script, "--bootstrap-server", self.bootstrap, *config, *words]

    def line(self, script: str, *words: str) -> str:
        """Return a command as one line."""
        return shlex.join(self.words(script, *words))

    # --- topics ---------------------------------------------------------------------------------------------

    def create_topic(
        self, name: str, partitions: int | None, replication: int | None, configs: Mapping[str, str]
    ) -> str:
        """Return what creates a topic."""
        words = ["--create", "--topic", name]
        if partitions is not None:
            words += ["--partitions", str(partitions)]
        if replication is not None:
            words += ["--replication-factor", str(replication)]
        for key, value in configs.items():
            words += ["--config", f"{key}={value}"]
        return self.line("kafka-topics", *words)

    def delete_topic(self, name: str) -> str:
        """Return what deletes a topic."""
        return self.line("kafka-topics", "--delete", "--topic", literal(name))

    def add_partitions(self, name: str, count: int) -> str:
        """Return what gives a topic more partitions."""
        return self.line("kafka-topics", "--alter", "--topic", literal(name), "--partitions", str(count))

    def alter_configs(self, kind: str, name: str, added: Mapping[str, str], deleted: Sequence[str]) -> str:
        """Return what sets and deletes configurations; values that --add-config cannot carry come through a pipe."""
        words = ["--alter", "--entity-type", kind]
        words += ["--entity-name", name] if name else ["--entity-default"]
        before = ""
        if added and all(_PLAIN.fullmatch(value) and value == value.strip() for value in added.values()):
            words += ["--add-config", ",".join(f"{key}={_grouped(value)}" for key, value in added.items())]
        elif added:
            lines = "".join(f"{key}={_property(value)}\n" for key, value in added.items())
            before = f"printf %s {shlex.quote(lines)} | "
            words += ["--add-config-file", "/dev/stdin"]
        if deleted:
            words += ["--delete-config", ",".join(deleted)]
        return before + self.line("kafka-configs", *words)

    def delete_records(self, topic: str, before: Mapping[int, int]) -> str:
        """Return what deletes the records before an offset of each partition."""
        document = {
            "partitions": [{"topic": topic, "partition": p, "offset": before[p]} for p in sorted(before)], "version": 1
        }
        text = shlex.quote(json.dumps(document))
        return f"printf %s {text} | " + self.line("kafka-delete-records", "--offset-json-file", "/dev/stdin")

    # --- groups ---------------------------------------------------------------------------------------------

    def reset_offsets(
        self, group: str, topics: Iterable[tuple[str, Sequence[int] | None]], to: Reset, kind: str
    ) -> list[str]:
        """Return the words of what sets offsets of a group. Raises `BadRequest` for a goal that is none."""
        if kind == "share" and to.kind not in _SHARE_GOALS:
            raise BadRequest(f"{group} is a share group: its goals are {', '.join(_SHARE_GOALS)}")
        words = ["--group", group, "--reset-offsets", *_goal(to)]
        for topic, partitions in topics:
            words += [
                _topic_option(kind), topic if partitions is None else f"{topic}:{','.join(map(str, partitions))}"
            ]
        return self.words(_group_script(kind), *words, "--execute")

    def delete_group(self, group: str, kind: str) -> str:
        """Return what deletes a group."""
        return self.line(_group_script(kind), "--delete", "--group", group)

    def delete_offsets(self, group: str, topics: Iterable[str], kind: str) -> str:
        """Return what deletes the offsets that a group committed for topics."""
        words = [word for topic in topics for word in (_topic_option(kind), topic)]
        return self.line(_group_script(kind), "--delete-offsets", "--group", group, *words)


def _group_script(kind: str) -> str:
    return f"kafka-{kind}-groups" if kind in ("share", "streams") else "kafka-consumer-groups"


def _topic_option(kind: str) -> str:
    return "--input-topic" if kind == "streams" else "--topic"


def literal(topic: str) -> str:
    """Write a topic's name as the regular expression that means it alone: kafka-topics takes one."""
    return topic.replace(".", r"\.")


def _grouped(value: str) -> str:
    return f"[{value}]" if re.search("[,=]", value) else value


def _property(value: str) -> str:
    """Write a value as a property file has it."""
    text = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"\\{text}" if text[:1] in (" ", "\t") else text


def _goal(to: Reset) -> list[str]:
    value = to.value or ""
    if to.kind in ("earliest", "latest", "current"):
        return [f"--to-{to.kind}"]
    if to.kind == "duration":
        if not _DURATION.fullmatch(value):
            raise BadRequest(f"a duration is written as PT1H30M or P2D, not {value[:40]!r}")
        return ["--by-duration", value]
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", value) or not -(1 << 63) <= int(value) < 1 << 63:
        raise BadRequest(f"{to.kind}: expected a whole number, not {value[:40]!r}")
    number = int(value)
    if to.kind == "offset":
        return ["--to-offset", str(number)]
    if to.kind == "shift":
        return ["--shift-by", str(number)]
    if to.kind == "time":
        return ["--to-datetime", moment(number)]
    raise BadRequest(f"{to.kind[:40]!r}: expected earliest, latest, current, offset, shift, time or duration")


def moment(milliseconds: int) -> str:
    """Write a time as Kafka's tools read it, in UTC. Raises `BadRequest` beyond the years that it can name."""
    try:
        at = _UNIX + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise BadRequest(f"{milliseconds} ms since 1970 is no time of this calendar") from None
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}"
