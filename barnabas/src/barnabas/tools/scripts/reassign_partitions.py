"""kafka-reassign-partitions: move replicas between brokers, and between the directories of a broker.

Requests: DescribeCluster, Metadata or DescribeTopicPartitions, List- and AlterPartitionReassignments, DescribeLogDirs,
AlterReplicaLogDirs, IncrementalAlterConfigs (throttles). `reassignment_plan.py` reads and proposes assignments,
`reassignments.py` asks the cluster. Differs from Java's tool: topics are sorted; a file that is no JSON is refused in
other words; --verify takes the partition behind a topic's last one for unknown, where Java's tool fails; --list and
--verify have --json.
"""

from __future__ import annotations

import json
import time
from typing import Final

from barnabas.tools.arguments import COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster, Unreachable
from barnabas.tools.describing import describe_topics, is_missing
from barnabas.tools.errors import AnswerError, ConfigError, OptionError, ToolError, UsageError, check
from barnabas.tools.json_files import read_text
from barnabas.tools.leaders import TopicPartition, name_of
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.reassignment_plan import (
    Assignment,
    Plan,
    Replica,
    format_assignment,
    parse_brokers,
    parse_executable,
    parse_plan,
    parse_topics,
    propose,
)
from barnabas.tools.reassignments import (
    alter_reassignments,
    brokers_of,
    can_take_replicas,
    clear_broker_throttles,
    clear_topic_throttles,
    directories_of,
    list_reassignments,
    move_directories,
    throttle_directories,
    throttle_replicas,
)
from barnabas.tools.terminal import Waiting
from barnabas.tools.texts import joined

SUMMARY = "This tool helps to move topic partitions between replicas."
OPTIONS = (
    Option("bootstrap-server", "The brokers to connect to.", "host:port", optional=True, completes="server"),
    Option(
        "bootstrap-controller", "Controllers to connect to, in the place of brokers; with --cancel and --list.",
        "host:port", optional=True, completes="server",
    ),
    COMMAND_CONFIG,
    Option("generate", "Propose an assignment of topics to brokers. Nothing is moved."),
    Option("execute", "Begin the moves of --reassignment-json-file."),
    Option("verify", "Say how far the moves are; once all are done, lift the throttles."),
    Option("cancel", "Cancel the moves of --reassignment-json-file, and lift the throttles."),
    Option("list", "Show the moves that are on their way."),
    Option(
        "reassignment-json-file",
        'The moves: {"partitions": [{"topic": "foo", "partition": 1, "replicas": [1, 2, 3], "log_dirs": ["any", '
        '"/data/a", "any"]}], "version": 1}. log_dirs may be left out; "any" leaves the choice to the broker.',
        "file", completes="file",
    ),
    Option(
        "topics-to-move-json-file", 'With --generate: the topics, {"topics": [{"topic": "foo"}], "version": 1}.',
        "file", completes="file",
    ),
    Option("broker-list", "With --generate: the ids of the brokers to use, commas between.", "ids"),
    Option("disable-rack-aware", "With --generate: do not look at racks."),
    Option("throttle", "With --execute: bytes a second that moves between brokers may take.", "rate", "long", -1),
    Option(
        "replica-alter-log-dirs-throttle",
        "With --execute: bytes a second that moves between directories of a broker may take.", "rate", "long", -1,
    ),
    Option(
        "timeout", "With --execute and --cancel: milliseconds in which moves between directories have to begin.", "ms",
        "long", 10000,
    ),
    Option("additional", "With --execute: although other moves are on their way; also to change their throttle."),
    Option(
        "disallow-replication-factor-change", "With --execute: refuse moves that change the number of replicas."
    ),
    Option("preserve-throttles", "With --verify and --cancel: leave the throttles as they are."),
    JSON,
)
EXAMPLE = """
kafka-reassign-partitions --bootstrap-server localhost:9092 --generate \\
    --topics-to-move-json-file topics.json --broker-list 1,2,3
kafka-reassign-partitions --bootstrap-server localhost:9092 --execute --reassignment-json-file moves.json
kafka-reassign-partitions --bootstrap-server localhost:9092 --verify --reassignment-json-file moves.json
"""

_ACTIONS: Final = ("generate", "execute", "verify", "cancel", "list")
_REQUIRED: Final = {
    "verify": ("reassignment-json-file",), "generate": ("topics-to-move-json-file", "broker-list"),
    "execute": ("reassignment-json-file",), "cancel": ("reassignment-json-file",), "list": (),
}
_PERMITTED: Final = {
    "verify": ("preserve-throttles",),
    "generate": ("disable-rack-aware",),
    "execute": (
        "additional", "throttle", "replica-alter-log-dirs-throttle", "timeout", "disallow-replication-factor-change",
    ),
    "cancel": ("preserve-throttles", "timeout"),
    "list": (),
}
_BUSY: Final = (
    "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a "
    "new partition assignment in addition to the existing one. The --additional flag can also be used to change the "
    "throttle by resubmitting the current reassignment."
)
_REMEMBER: Final = (
    "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed."
)
_ERRORS: Final = "org.apache.kafka.common.errors."


class _Told(ToolError):
    """Say something that is not an error of the tool: it is printed as it is."""


def run(options: Parsed) -> int:
    """Do what was asked. Errors are printed as Kafka's tool prints them: on standard output."""
    action = _check(options)
    try:
        settings = settings_of(options, controller="bootstrap-controller")
        with Cluster(settings) as cluster:
            _DO[action](cluster, options)
    except _Told as e:
        raise ToolError(str(e), on_stdout=True) from e
    except ConfigError as e:
        raise ToolError(
            f"Error: Failed to create new KafkaAdminClient\nCaused by: {e.exception}: {e}", on_stdout=True
        ) from e
    except AnswerError as e:
        raise ToolError(f"Error: {_ERRORS}{e.exception}: {e}", on_stdout=True) from e
    except Unreachable as e:
        raise ToolError(f"Error: {_ERRORS}TimeoutException: {e}", on_stdout=True) from e
    except (ToolError, OptionError) as e:
        raise ToolError(f"Error: {e}", on_stdout=True) from e
    return 0


def _check(options: Parsed) -> str:
    actions = [name for name in _ACTIONS if options.has(name)]
    if len(actions) != 1:
        raise UsageError(f"Command must include exactly one action: {', '.join(f'--{name}' for name in _ACTIONS)}")
    action = actions[0]
    servers = [name for name in ("bootstrap-server", "bootstrap-controller") if options.has(name)]
    if len(servers) == 2:
        raise UsageError("Please don't specify both --bootstrap-server and --bootstrap-controller")
    if not servers:
        raise UsageError("Please specify either --bootstrap-server or --bootstrap-controller")
    options.require(*_REQUIRED[action])
    fitting = {action, "bootstrap-server", "command-config", "json", *_REQUIRED[action], *_PERMITTED[action]}
    if action in ("cancel", "list"):
        fitting.add("bootstrap-controller")
    for name in dict.fromkeys(options.order):
        if name not in fitting:
            raise UsageError(f'Option "[{name}]" can\'t be used with action "[{action}]"')
    return action


# --- generate -----------------------------------------------------------------------------------------------


def _generate(cluster: Cluster, options: Parsed) -> None:
    text = read_text(options.value("topics-to-move-json-file"))
    wanted = parse_brokers(options.value("broker-list"))
    current = _current(cluster, parse_topics(text))
    aware = not options.has("disable-rack-aware")
    racks = {
        broker: rack if aware else None for broker, rack in brokers_of(cluster).items()
        if broker in wanted and can_take_replicas(cluster, broker)
    }
    if len({rack is None for rack in racks.values()}) == 2:
        raise ToolError(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica "
            "assignment without rack information."
        )
    proposed = propose(current, racks)
    shown = format_assignment(current, _directories(cluster, current))
    print(f"Current partition replica assignment\n{shown}\n")
    print(f"Proposed partition reassignment configuration\n{format_assignment(proposed)}")


def _current(cluster: Cluster, topics: list[str]) -> Assignment:
    found: Assignment = {}
    for topic in describe_topics(cluster, topics):
        name = topic.name or ""
        check(topic.error_code, f"Topic {name} not found." if is_missing(topic.error_code) else None)
        found.update({(name, p.partition_index): list(p.replica_nodes) for p in topic.partitions})
    return found


def _directories(cluster: Cluster, assignment: Assignment) -> dict[Replica, str]:
    replicas = [Replica(broker, *partition) for partition, brokers in assignment.items() for broker in brokers]
    return {replica: current for replica, (current, _) in directories_of(cluster, replicas).items() if current}


# --- execute ------------------------------------------------------------------------------------------------


def _execute(cluster: Cluster, options: Parsed) -> None:
    text = read_text(options.value("reassignment-json-file"))
    rate, directory_rate = options.value("throttle"), options.value("replica-alter-log-dirs-throttle")
    timeout_ms = options.value("timeout")
    proposed, directories = parse_executable(text)
    moving = list_reassignments(cluster)
    if moving and not options.has("additional"):
        raise _Told(_BUSY)
    unknown = {broker for replicas in proposed.values() for broker in replicas}.difference(brokers_of(cluster))
    if unknown:
        raise ToolError(f"Unknown broker id {min(unknown)}")
    everywhere = _current(cluster, list(dict.fromkeys(topic for topic, _ in proposed)))
    missing = [name_of(partition) for partition in sorted(proposed) if partition not in everywhere]
    if missing:
        raise ToolError(f"{_ERRORS}UnknownTopicOrPartitionException: Unable to find partition: {', '.join(missing)}")
    current = {partition: everywhere[partition] for partition in proposed}
    shown = format_assignment(current, _directories(cluster, current))
    print(
        f"Current partition replica assignment\n\n{shown}\n\n"
        "Save this to use as the --reassignment-json-file option during rollback"
    )
    if rate >= 0 or directory_rate >= 0:
        print(_REMEMBER)
    if rate >= 0:
        throttle_replicas(cluster, moving, proposed, current, rate)
        print(f"The inter-broker throttle limit was set to {rate} B/s")
    if directory_rate >= 0:
        throttle_directories(cluster, sorted({replica.broker for replica in directories}), directory_rate)
        print(f"The replica-alter-dir throttle limit was set to {directory_rate} B/s")
    refused = alter_reassignments(
        cluster, proposed, keep_factor=options.has("disallow-replication-factor-change")
    )
    if refused:
        lines = "\n".join(f"{name_of(partition)}: {refused[partition]}" for partition in sorted(refused))
        raise _Told(f"Error reassigning partition(s):\n{lines}")
    print(
        f"Successfully started partition reassignment{_s(proposed)} for {joined(map(name_of, sorted(proposed)))}"
    )
    if directories:
        _move(cluster, directories, timeout_ms)


def _move(cluster: Cluster, directories: dict[Replica, str], timeout_ms: int) -> None:
    """Begin moves between directories; a replica that is still on its way to the broker has to arrive first."""
    pending = dict(directories)
    deadline = time.monotonic() + timeout_ms / 1000
    waiting = Waiting("Waiting for replicas to arrive at their brokers")
    while True:
        for replica in sorted(move_directories(cluster, pending)):
            waiting.over()
            print(
                f"Successfully started moving log directory to {pending.pop(replica)} for replica "
                f"{replica.topic}-{replica.partition} with broker {replica.broker} "
            )
        if not pending:
            waiting.over()
            return
        if time.monotonic() >= deadline:
            waiting.over()
            raise _Told(
                f"Timed out before log directory move{_s(pending)} could be started for: {joined(sorted(pending))}"
            )
        waiting.tick(f"{len(pending)} left")
        time.sleep(0.1)


def _s(items: object) -> str:
    return "" if len(items) == 1 else "s"  # type: ignore[arg-type]


# --- verify, cancel, list -----------------------------------------------------------------------------------


def _verify(cluster: Cluster, options: Parsed) -> None:
    plan = parse_plan(read_text(options.value("reassignment-json-file")))
    moving = list_reassignments(cluster)
    resting = list(dict.fromkeys(topic for (topic, index), _ in plan.partitions if (topic, index) not in moving))
    current: Assignment = {}
    for topic in describe_topics(cluster, resting):
        if not is_missing(topic.error_code):
            check(topic.error_code)
            current.update({(topic.name or "", p.partition_index): list(p.replica_nodes) for p in topic.partitions})
    rows = []
    lines = ["Status of partition reassignment:"]
    for partition, target in sorted(dict(plan.partitions).items()):
        replicas = moving[partition].replicas if partition in moving else current.get(partition, [])
        rows.append({
            "topic": partition[0], "partition": partition[1], "replicas": replicas, "target": target,
            "done": partition not in moving,
        })
        if partition in moving:
            lines.append(f"Reassignment of partition {name_of(partition)} is still in progress.")
        elif replicas == target:
            lines.append(f"Reassignment of partition {name_of(partition)} is completed.")
        else:
            lines.append(
                f"There is no active reassignment of partition {name_of(partition)}, but replica set is "
                f"{joined(replicas)} rather than {joined(target)}."
            )
    places = directories_of(cluster, plan.directories)
    lines.append("\n".join(_place(r, plan.directories[r], *places[r]) for r in sorted(plan.directories)))
    as_json = options.has("json")
    print(json.dumps(rows, ensure_ascii=False) if as_json else "\n".join(lines))
    busy = moving or any(future is not None for _, future in places.values())
    if not busy and not options.has("preserve-throttles"):
        _clear_throttles(cluster, plan, silent=as_json)


def _place(replica: Replica, target: str, current: str | None, future: str | None) -> str:
    partition = f"Partition {replica.topic}-{replica.partition}"
    if current is None:
        return (
            f"{partition} is not found in any live log dir on broker {replica.broker}. There is likely an offline log "
            "directory on the broker."
        )
    if future is None:
        if current == target:
            return f"Reassignment of replica {replica} completed successfully."
        return f"{partition} on broker {replica.broker} is not being moved from log dir {current} to {target}."
    if future == target:
        return f"Reassignment of replica {replica} is still in progress."
    return f"{partition} on broker {replica.broker} is being moved to log dir {future} instead of {target}."


def _clear_throttles(cluster: Cluster, plan: Plan, *, silent: bool = False) -> None:
    brokers = sorted({*brokers_of(cluster), *(broker for _, replicas in plan.partitions for broker in replicas)})
    topics = sorted({topic for (topic, _), _ in plan.partitions})
    if not silent:
        print(f"Clearing broker-level throttles on broker{_s(brokers)} {joined(brokers)}")
    clear_broker_throttles(cluster, brokers)
    if not silent:
        print(f"Clearing topic-level throttles on topic{_s(topics)} {joined(topics)}")
    clear_topic_throttles(cluster, topics)


def _cancel(cluster: Cluster, options: Parsed) -> None:
    timeout_ms = options.value("timeout")
    plan = parse_plan(read_text(options.value("reassignment-json-file")))
    active: list[TopicPartition] = sorted(list_reassignments(cluster, [partition for partition, _ in plan.partitions]))
    if active:
        refused = alter_reassignments(cluster, dict.fromkeys(active))
        if refused:
            lines = "\n".join(f"{name_of(partition)}: {refused[partition]}" for partition in sorted(refused))
            raise _Told(f"Error cancelling partition reassignment{_s(refused)} for:\n{lines}")
        print(f"Successfully cancelled partition reassignment{_s(active)} for: {joined(map(name_of, active))}")
    else:
        print("None of the specified partition reassignments are active.")
    places = directories_of(cluster, plan.directories)
    back = {replica: current for replica, (current, future) in places.items() if current and future}
    if back:
        _move(cluster, back, timeout_ms)
    else:
        print("None of the specified partition moves are active.", end="")  # as Java's tool: the next line follows
    if not options.has("preserve-throttles"):
        _clear_throttles(cluster, plan)


def _list(cluster: Cluster, options: Parsed) -> None:
    moving = sorted(list_reassignments(cluster).items())
    if options.has("json"):
        print(json.dumps(
            [{"topic": topic, "partition": index, **move._asdict()} for (topic, index), move in moving],
            ensure_ascii=False,
        ))
        return
    lines = [
        f"{name_of(partition)}: replicas: {joined(move.replicas)}."
        + (f" adding: {joined(move.adding)}." if move.adding else "")
        + (f" removing: {joined(move.removing)}." if move.removing else "")
        for partition, move in moving
    ]
    print("\n".join(["Current partition reassignments:", *lines]) if lines else "No partition reassignments found.")


_DO: Final = {"generate": _generate, "execute": _execute, "verify": _verify, "cancel": _cancel, "list": _list}
