"""kafka-metadata-quorum: describe the metadata quorum, add and remove its voters.

Requests: DescribeQuorum, DescribeCluster, AddRaftVoter, RemoveRaftVoter. Differs from Java's tool: --json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from barnabas.protocol.messages.add_raft_voter import AddRaftVoterRequest, Listener
from barnabas.protocol.messages.describe_cluster import DescribeClusterRequest
from barnabas.protocol.messages.describe_quorum import (
    DescribeQuorumResponsePartitionData,
    ReplicaState,
)
from barnabas.protocol.messages.remove_raft_voter import RemoveRaftVoterRequest
from barnabas.tools.cluster import Cluster, Unreachable
from barnabas.tools.errors import AnswerError, ToolError, check
from barnabas.tools.quorum import describe_quorum
from barnabas.tools.settings import Settings, load_properties
from barnabas.tools.texts import parse_uuid, table, uuid_text

SUMMARY = "Describe the metadata quorum, add and remove its voters."
EXAMPLE = """
kafka-metadata-quorum --bootstrap-server localhost:9092 describe --status
kafka-metadata-quorum --bootstrap-server localhost:9092 describe --replication --human-readable
"""
_COLUMNS = ("NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status")
_IS_IT = "Is this a valid controller configuration file?"


def parser(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--bootstrap-server", help="brokers to connect to, host:port with commas between")
    where.add_argument("--bootstrap-controller", help="controllers to connect to, in the place of brokers")
    parser.add_argument(
        "--command-config", help="a property file with the client's configuration; for add-controller, the controller's"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    describe = commands.add_parser("describe", help="show the quorum")
    describe.add_argument("--status", action="store_true", help="a summary")
    describe.add_argument("--replication", action="store_true", help="how far each replica is")
    describe.add_argument("--human-readable", action="store_true", help="with --replication: times as ages")
    describe.add_argument("--json", action="store_true", help="print JSON; not in Apache Kafka's tool")
    add = commands.add_parser("add-controller", help="make a controller, given by its configuration, a voter")
    add.add_argument("--dry-run", action="store_true", help="only say what would be done")
    remove = commands.add_parser("remove-controller", help="take a controller out of the voters")
    remove.add_argument("-i", "--controller-id", type=int, required=True, help="its id")
    remove.add_argument("-d", "--controller-directory-id", required=True, help="the id of its metadata directory")
    remove.add_argument("--dry-run", action="store_true", help="only say what would be done")


def run(chosen: argparse.Namespace) -> int:
    """Do what was asked."""
    path = chosen.command_config
    if path and not Path(path).exists():
        raise ToolError(f"Properties file {path} does not exists!")
    properties = load_properties(path) if path else {}
    settings = Settings(properties, chosen.bootstrap_server, controllers=chosen.bootstrap_controller)
    with Cluster(settings) as cluster:
        try:
            if chosen.command == "describe":
                _describe(cluster, chosen)
            elif chosen.command == "add-controller":
                if not path:
                    raise ToolError(
                        "You must supply the configuration file of the controller you are adding when using "
                        "add-controller."
                    )
                _add(cluster, properties, dry_run=chosen.dry_run)
            else:
                _remove(cluster, chosen)
        except AnswerError as e:
            raise ToolError(f"org.apache.kafka.common.errors.{e.exception}: {e}") from e
        except Unreachable as e:
            raise ToolError(f"org.apache.kafka.common.errors.TimeoutException: {e}") from e
    return 0


# --- describe -----------------------------------------------------------------------------------------------


def _describe(cluster: Cluster, chosen: argparse.Namespace) -> None:
    if chosen.status and chosen.replication:
        raise ToolError("Only one of --status or --replication should be specified with describe sub-command")
    if chosen.replication:
        if cluster.settings.to_controllers:
            _cluster_id(cluster)  # refuses the address of a broker
        _, quorum = describe_quorum(cluster)
        _show_replication(quorum, human_readable=chosen.human_readable, as_json=chosen.json)
    elif chosen.status:
        if chosen.human_readable:
            raise ToolError("The option --human-readable is only supported along with --replication")
        _show_status(cluster, as_json=chosen.json)
    else:
        raise ToolError("One of --status or --replication must be specified with describe sub-command")


def _cluster_id(cluster: Cluster) -> str:
    kind = 2 if cluster.settings.to_controllers else 1
    about = cluster.ask(DescribeClusterRequest(endpoint_type=kind), call="describeCluster")
    check(about.error_code, about.error_message)
    cluster_id: str = about.cluster_id
    return cluster_id


def _leader(quorum: DescribeQuorumResponsePartitionData) -> ReplicaState:
    for voter in quorum.current_voters:
        if voter.replica_id == quorum.leader_id:
            return voter
    raise ToolError("No value present")


def _show_replication(
    quorum: DescribeQuorumResponsePartitionData, *, human_readable: bool, as_json: bool
) -> None:
    leader = _leader(quorum)
    replicas = [("Leader", leader)]
    replicas += [("Follower", v) for v in quorum.current_voters if v is not leader]
    replicas += [("Observer", o) for o in quorum.observers]
    if as_json:
        print(json.dumps([
            {
                "nodeId": r.replica_id, "directoryId": uuid_text(r.replica_directory_id),
                "logEndOffset": r.log_end_offset, "lag": leader.log_end_offset - r.log_end_offset,
                "lastFetchTimestamp": r.last_fetch_timestamp, "lastCaughtUpTimestamp": r.last_caught_up_timestamp,
                "status": status,
            }
            for status, r in replicas
        ]))
        return

    def when(timestamp: int, what: str) -> str:
        if timestamp < 0 or not human_readable:
            return str(timestamp)
        now = int(time.time() * 1000)
        if not 0 < timestamp <= now:
            raise ToolError(
                "Error while computing relative time, possible drift in system clock.\n"
                f"Current timestamp is {now}, {what} timestamp is {timestamp}"
            )
        return f"{now - timestamp} ms ago"

    print(table(_COLUMNS, [
        (
            r.replica_id, uuid_text(r.replica_directory_id), r.log_end_offset,
            leader.log_end_offset - r.log_end_offset, when(r.last_fetch_timestamp, "last fetch"),
            when(r.last_caught_up_timestamp, "last caught up"), status,
        )
        for status, r in replicas
    ]))


def _show_status(cluster: Cluster, *, as_json: bool) -> None:
    cluster_id = _cluster_id(cluster)
    answer, quorum = describe_quorum(cluster)
    leader = _leader(quorum)
    last = min(quorum.current_voters, key=lambda voter: voter.log_end_offset)
    lag_ms = -1
    if last is leader:
        lag_ms = 0
    elif leader.last_caught_up_timestamp >= 0 and last.last_caught_up_timestamp >= 0:
        lag_ms = leader.last_caught_up_timestamp - last.last_caught_up_timestamp
    endpoints = {
        node.node_id: [f"{li.name}://{_host(li.host)}:{li.port}" for li in node.listeners] for node in answer.nodes
    }
    found: dict[str, Any] = {
        "ClusterId": cluster_id, "LeaderId": quorum.leader_id, "LeaderEpoch": quorum.leader_epoch,
        "HighWatermark": quorum.high_watermark, "MaxFollowerLag": leader.log_end_offset - last.log_end_offset,
        "MaxFollowerLagTimeMs": lag_ms,
    }
    replicas = {"CurrentVoters": quorum.current_voters, "CurrentObservers": quorum.observers}
    for name, those in replicas.items():
        found[name] = [_node(replica, endpoints) for replica in those]
    if as_json:
        print(json.dumps({key[0].lower() + key[1:]: value for key, value in found.items()}))
        return
    for key, value in found.items():
        text = f"[{', '.join(json.dumps(one) for one in value)}]" if isinstance(value, list) else value
        print(f"{key + ':':<23} {text}")


def _node(replica: ReplicaState, endpoints: dict[int, list[str]]) -> dict[str, Any]:
    node: dict[str, Any] = {"id": replica.replica_id}
    if any(replica.replica_directory_id):
        node["directoryId"] = uuid_text(replica.replica_directory_id)
    if endpoints.get(replica.replica_id):
        node["endpoints"] = endpoints[replica.replica_id]
    return node


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# --- add, remove --------------------------------------------------------------------------------------------


def _add(cluster: Cluster, properties: dict[str, str], *, dry_run: bool) -> None:
    controller = controller_id(properties)
    directory = directory_id(metadata_directory(properties))
    listeners = controller_listeners(properties)
    if not dry_run:
        timeout_ms = cluster.settings.integer("request.timeout.ms", 30_000)
        request = AddRaftVoterRequest(None, timeout_ms, controller, directory, listeners)
        answer = cluster.ask(request, call="addRaftVoter")
        check(answer.error_code, answer.error_message)
    shown = ", ".join(f"{li.name}://{_host(li.host)}:{li.port}" for li in listeners)
    begin = "DRY RUN of adding" if dry_run else "Added"
    print(f"{begin} controller {controller} with directory id {uuid_text(directory)} and endpoints: {shown}")


def controller_id(properties: dict[str, str]) -> int:
    """Return the id in a controller's configuration. Raises `ToolError`."""
    if "node.id" not in properties:
        raise ToolError(f"node.id not found in configuration file. {_IS_IT}")
    try:
        found = int(properties["node.id"])
    except ValueError:
        raise ToolError(f'For input string: "{properties["node.id"]}"') from None
    if found < 0:
        raise ToolError(f"node.id was negative in configuration file. {_IS_IT}")
    if "controller" not in properties.get("process.roles", ""):
        raise ToolError(f"process.roles did not contain 'controller' in configuration file. {_IS_IT}")
    return found


def metadata_directory(properties: dict[str, str]) -> str:
    """Return the metadata directory in a controller's configuration. Raises `ToolError`."""
    if "metadata.log.dir" in properties:
        return properties["metadata.log.dir"]
    if "log.dirs" in properties:
        return properties["log.dirs"].strip().split(",")[0]
    raise ToolError(f"Neither metadata.log.dir nor log.dirs were found. {_IS_IT}")


def directory_id(directory: str) -> bytes:
    """Return the id in a directory's meta.properties. Raises `ToolError`."""
    path = Path(directory) / "meta.properties"
    if not path.exists():
        raise ToolError(f"Unable to read meta.properties from {directory}")
    found = load_properties(str(path)).get("directory.id")
    if found is None:
        raise ToolError(f"No directory id found in {directory}")
    return parse_uuid(found)


def controller_listeners(properties: dict[str, str]) -> list[Listener]:
    """Return the listeners under which a controller is found, as its configuration has them. Raises `ToolError`."""
    known: dict[str, Listener] = {}
    for key in ("listeners", "advertised.listeners"):
        for text in filter(None, (part.strip() for part in properties.get(key, "").split(","))):
            name, scheme, address = text.partition("://")
            host, colon, port = address.rpartition(":")
            if not scheme or not colon or not port.isdecimal():
                raise ToolError(f"Unable to parse {text} to a broker endpoint")
            known[name.upper()] = Listener(name.upper(), host.strip("[]") or "localhost", int(port))
    if "controller.listener.names" not in properties:
        raise ToolError(f"controller.listener.names was not found. {_IS_IT}")
    found = []
    for name in properties["controller.listener.names"].split(","):
        name = name.strip().upper()
        if name not in known:
            raise ToolError(f"Cannot find information about controller listener name: {name}")
        found.append(known[name])
    return found


def _remove(cluster: Cluster, chosen: argparse.Namespace) -> None:
    if chosen.controller_id < 0:
        raise ToolError(f"Invalid negative --controller-id: {chosen.controller_id}")
    try:
        directory = parse_uuid(chosen.controller_directory_id)
    except ToolError as e:
        raise ToolError(f"Failed to parse --controller-directory-id: {e}") from None
    if not chosen.dry_run:
        answer = cluster.ask(RemoveRaftVoterRequest(None, chosen.controller_id, directory), call="removeRaftVoter")
        check(answer.error_code, answer.error_message)
    begin = "DRY RUN of removing " if chosen.dry_run else "Removed "
    print(f"{begin} KRaft controller {chosen.controller_id} with directory id {uuid_text(directory)}")
