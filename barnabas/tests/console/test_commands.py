"""The command lines that the page shows: quoted for a shell, and meaning what is meant alone."""

from __future__ import annotations

import shlex

import pytest

from barnabas.console.commands import Commands, Reset, literal, moment
from barnabas.console.errors import BadRequest
from barnabas.tools.scripts.configs import parse_added
from barnabas.tools.texts import TopicFilter

COMMANDS = Commands("localhost:9092", "/etc/my client.properties")


def test_words_are_quoted() -> None:
    line = COMMANDS.create_topic("a.b", 3, None, {"cleanup.policy": "compact,delete", "x": "$(rm -rf /)"})
    assert shlex.split(line) == [
        "kafka-topics", "--bootstrap-server", "localhost:9092", "--command-config", "/etc/my client.properties",
        "--create", "--topic", "a.b", "--partitions", "3", "--config", "cleanup.policy=compact,delete", "--config",
        "x=$(rm -rf /)",
    ]


def test_a_name_means_that_topic_alone() -> None:
    assert TopicFilter(literal("a.b")).allows("a.b")
    assert not TopicFilter(literal("a.b")).allows("axb")
    assert shlex.split(COMMANDS.delete_topic("a.b"))[-1] == r"a\.b"


def test_values_of_configurations_survive_the_script() -> None:
    added = {"cleanup.policy": "compact,delete", "retention.ms": "-1", "x": "a=b"}
    words = shlex.split(COMMANDS.alter_configs("topics", "t", added, ["y", "z"]))
    assert parse_added(words[words.index("--add-config") + 1]) == added
    assert words[words.index("--delete-config") + 1] == "y,z"
    odd = COMMANDS.alter_configs("topics", "t", {"x": "[a] \\ b"}, [])
    assert odd.startswith("printf %s ")
    assert "--add-config-file /dev/stdin" in odd


@pytest.mark.parametrize(("to", "words"), [
    (Reset("earliest"), ["--to-earliest"]), (Reset("latest"), ["--to-latest"]), (Reset("current"), ["--to-current"]),
    (Reset("offset", "9007199254740993"), ["--to-offset", "9007199254740993"]),
    (Reset("shift", "-5"), ["--shift-by", "-5"]),
    (Reset("time", "1700000000123"), ["--to-datetime", "2023-11-14T22:13:20.123"]),
    (Reset("duration", "PT1H"), ["--by-duration", "PT1H"]),
])
def test_resets(to: Reset, words: list[str]) -> None:
    line = COMMANDS.reset_offsets("g h", [("t", [0, 2]), ("u", None)], to, "classic")
    assert line[5:] == [
        "--group", "g h", "--reset-offsets", *words, "--topic", "t:0,2", "--topic", "u", "--execute"
    ]


def test_other_kinds_of_groups_have_scripts_of_their_own() -> None:
    start = Reset("earliest")
    assert COMMANDS.reset_offsets("g", [("t", [1])], start, "share")[0] == "kafka-share-groups"
    streams = COMMANDS.reset_offsets("g", [("t", [1])], start, "streams")
    assert (streams[0], streams[-3:]) == ("kafka-streams-groups", ["--input-topic", "t:1", "--execute"])
    assert COMMANDS.delete_group("g", "consumer").startswith("kafka-consumer-groups ")
    assert COMMANDS.delete_group("g", "streams").startswith("kafka-streams-groups ")
    assert COMMANDS.delete_offsets("g", ["t"], "streams").endswith("--delete-offsets --group g --input-topic t")
    for kind in ("shift", "offset", "duration", "current"):
        with pytest.raises(BadRequest, match="earliest, latest, time"):
            COMMANDS.reset_offsets("g", [("t", None)], Reset(kind, "1"), "share")


@pytest.mark.parametrize("to", [
    Reset("offset"), Reset("offset", "1.5"), Reset("shift", "9" * 30), Reset("nowhere", "1"), Reset("duration", "1 h"),
    Reset("time", "9" * 18),
])
def test_goals_that_are_none(to: Reset) -> None:
    with pytest.raises(BadRequest):
        COMMANDS.reset_offsets("g", [("t", None)], to, "classic")


def test_moments() -> None:
    assert moment(0) == "1970-01-01T00:00:00.000"
    assert moment(-1) == "1969-12-31T23:59:59.999"
