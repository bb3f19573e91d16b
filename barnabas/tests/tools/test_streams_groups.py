"""Test what the tables of kafka-streams-groups cannot show: several members, spare tasks, JSON, foreign topics."""

from __future__ import annotations

import pytest

from barnabas.protocol.messages import streams_group_describe as wire
from barnabas.tools import streams_group_tables as tables
from barnabas.tools.completion import complete
from barnabas.tools.options import parse
from barnabas.tools.scripts import streams_groups
from barnabas.tools.streams_group_admin import StreamsGroup
from barnabas.tools.streams_group_options import OPTIONS
from barnabas.tools.streams_group_tables import Progress


def _member(name: str, **tasks: list[wire.TaskIds]) -> wire.Member:
    return wire.Member(
        member_id=name, member_epoch=5, client_id=f"client-{name}", client_host="/127.0.0.1", process_id=f"p-{name}",
        assignment=wire.Assignment(**tasks), target_assignment=wire.Assignment(active_tasks=tasks["active_tasks"]),
    )


def _group(state: str = "Stable") -> StreamsGroup:
    topology = wire.Topology(epoch=2, subtopologies=[
        wire.Subtopology(
            subtopology_id="0", source_topics=["g-in", "g-in-repartition"],
            repartition_source_topics=[wire.TopicInfo(name="g-words-repartition")],
            state_changelog_topics=[
                wire.TopicInfo(name="g-counts-changelog"), wire.TopicInfo(name="g-in-repartition"),
                wire.TopicInfo(name="other-changelog"),
            ],
        ),
    ])
    members = [
        _member("b", active_tasks=[wire.TaskIds("0", [1])], warmup_tasks=[wire.TaskIds("0", [0])]),
        _member("a", active_tasks=[wire.TaskIds("0", [0]), wire.TaskIds("1", [2, 3])],
                standby_tasks=[wire.TaskIds("0", [1])]),
    ]
    answer = wire.DescribedGroup(
        group_id="g", group_state=state, group_epoch=6, assignment_epoch=5, topology=topology,
        members=members if state == "Stable" else [],
    )
    return StreamsGroup(answer, ("localhost", 9092, 1))


def test_members_come_by_name_with_all_kinds_of_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_members(_group(), verbose=True)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.startswith("GROUP           TARGET-ASSIGNMENT-EPOCH   TOPOLOGY-EPOCH MEMBER ")
    assert first.split(maxsplit=8)[:8] == ["g", "5", "2", "a", "streams", "5", "p-a", "client-a"]
    assert first.endswith(" ACTIVE: 0:[0]; 1:[2,3]; STANDBY: 0:[1]; TARGET-ACTIVE: 0:[0]; 1:[2,3]; ")
    assert second.endswith(" ACTIVE: 0:[1]; WARMUP: 0:[0]; TARGET-ACTIVE: 0:[1]; ")


def test_a_group_without_members_has_a_state_alone(capsys: pytest.CaptureFixture[str]) -> None:
    group = _group("Empty")
    tables.print_members(group, verbose=False)
    tables.print_offsets(group, [], verbose=False)
    assert capsys.readouterr().out == ""
    tables.print_state(group, verbose=False)
    assert capsys.readouterr().out.splitlines() == [
        "", "Error: Streams group 'g' has no active members.",
        "GROUP           COORDINATOR (ID)          STATE                     #MEMBERS",
        "g               localhost:9092 (1)        Empty                     0",
    ]


def test_tables_as_documents() -> None:
    group = _group()
    assert tables.state_as_json(group) == {
        "group": "g", "coordinator": {"host": "localhost", "port": 9092, "id": 1}, "state": "Stable", "groupEpoch": 6,
        "targetAssignmentEpoch": 5, "members": 2,
    }
    assert tables.members_as_json(group)["members"][0]["tasks"] == {
        "active": [{"subtopology": "0", "partitions": [0]}, {"subtopology": "1", "partitions": [2, 3]}],
        "standby": [{"subtopology": "0", "partitions": [1]}], "warmup": [],
    }
    assert tables.offsets_as_json(group, [Progress("g-in", 0, None, None, 7, 7)])["partitions"] == [{
        "topic": "g-in", "partition": 0, "currentOffset": None, "leaderEpoch": None, "logEndOffset": 7, "lag": 7,
    }]


def test_only_what_the_group_made_for_itself_is_internal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streams_groups, "describe_streams_group", lambda cluster, name: _group())
    cluster: object = None
    found = streams_groups._internal_topics(cluster, parse(OPTIONS, []), ["g"])  # type: ignore[arg-type]
    assert found == {"g": ["g-words-repartition", "g-counts-changelog"]}
    assert capsys.readouterr().out.strip() == (
        "Error: The internal topic 'other-changelog' is not inferred as internal and thus will not be deleted with the "
        "group 'g'."
    )


def test_a_shell_completes_it() -> None:
    assert complete("kafka-streams-groups --all-") == ["--all-groups", "--all-input-topics"]
    assert complete("kafka-streams-groups --list --state stable,not") == ["stable,notready"]
