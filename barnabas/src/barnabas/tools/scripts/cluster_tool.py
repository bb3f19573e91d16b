"""kafka-cluster: show the cluster's id and its endpoints, unregister a broker.

Requests: DescribeCluster, UnregisterBroker. Differs from Java's tool: there is --json for list-endpoints.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_cluster import DescribeClusterRequest
from barnabas.protocol.messages.unregister_broker import UnregisterBrokerRequest
from barnabas.tools.cluster import CONTROLLERS, Cluster
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, ToolError, as_java, check
from barnabas.tools.settings import Settings, load_properties
from barnabas.tools.terminal import table

SUMMARY = "The Kafka cluster tool."
EXAMPLE = """
kafka-cluster cluster-id --bootstrap-server localhost:9092
kafka-cluster list-endpoints --bootstrap-server localhost:9092
"""
_BROKERS = 1


def parser(parser: ArgumentParser) -> None:
    """Add arguments and commands."""
    commands = parser.add_subparsers(dest="command", required=True)
    identify = commands.add_parser("cluster-id", help="show the id of the cluster")
    unregister = commands.add_parser("unregister", help="unregister a broker")
    endpoints = commands.add_parser("list-endpoints", help="list the addresses of brokers or controllers")
    for command in (identify, unregister, endpoints):
        where = command.add_mutually_exclusive_group(required=True)
        where.add_argument("--bootstrap-server", "-b", help="brokers to connect to, host:port with commas between")
        where.add_argument("--bootstrap-controller", "-C", help="controllers to connect to, in the place of brokers")
        command.add_argument("--config", help="the old name of --command-config")
        command.add_argument("--command-config", "-c", help="a property file with the client's configuration")
    unregister.add_argument("--id", "-i", type=int, required=True, help="the broker")
    endpoints.add_argument("--include-fenced-brokers", action="store_true", help="brokers that are fenced too")
    endpoints.add_argument("--json", action="store_true", help="print JSON; not in Apache Kafka's tool")


def run(chosen: Namespace) -> int:
    """Do what was asked."""
    if chosen.config and chosen.command_config:
        raise ToolError("--config and --command-config cannot be specified together.")
    if chosen.config:
        print(
            "Option --config has been deprecated and will be removed in a future version. Use --command-config instead."
        )
    path = chosen.command_config or chosen.config
    if path and not os.path.exists(path):
        raise ToolError(path)
    settings = Settings(
        load_properties(path) if path else {}, chosen.bootstrap_server, controllers=chosen.bootstrap_controller
    )
    if chosen.command == "list-endpoints" and chosen.include_fenced_brokers and settings.to_controllers:
        raise ToolError("The option --include-fenced-brokers is only supported with --bootstrap-server option")
    try:
        with Cluster(settings) as cluster:
            {"cluster-id": _identify, "unregister": _unregister, "list-endpoints": _list}[chosen.command](
                cluster, chosen
            )
    except ConfigError:
        raise
    except ClientError as e:
        print(as_java(e), file=sys.stderr)
        return 1
    return 0


def _identify(cluster: Cluster, chosen: Namespace) -> None:
    kind = CONTROLLERS if cluster.settings.to_controllers else _BROKERS
    answer = cluster.ask(DescribeClusterRequest(endpoint_type=kind), call="listNodes")
    check(answer.error_code, answer.error_message)
    if answer.cluster_id:
        print(f"Cluster ID: {answer.cluster_id}")
    else:
        print("No cluster ID found. The Kafka version is probably too old.")


def _unregister(cluster: Cluster, chosen: Namespace) -> None:
    try:
        answer = cluster.ask(UnregisterBrokerRequest(chosen.id), call="unregisterBroker")
        check(answer.error_code, answer.error_message)
    except AnswerError as e:
        if e.code != ErrorCode.UNSUPPORTED_VERSION:
            raise
        print("The target cluster does not support the broker unregistration API.")
        return
    print(f"Broker {chosen.id} is no longer registered.")


def _list(cluster: Cluster, chosen: Namespace) -> None:
    controllers = cluster.settings.to_controllers
    kind = CONTROLLERS if controllers else _BROKERS
    request = DescribeClusterRequest(endpoint_type=kind, include_fenced_brokers=chosen.include_fenced_brokers)
    try:
        answer = cluster.ask(request, call="listNodes")
        check(answer.error_code, answer.error_message)
    except AnswerError as e:
        if e.code != ErrorCode.UNSUPPORTED_VERSION:
            raise
        print(e)
        return
    nodes = sorted(answer.brokers, key=lambda node: node.broker_id)
    if chosen.json:
        print(json.dumps([
            {
                "id": n.broker_id, "host": n.host, "port": n.port, "rack": n.rack,
                **({} if controllers else {"fenced": n.is_fenced}), "type": "controller" if controllers else "broker",
            }
            for n in nodes
        ], ensure_ascii=False, indent=2))
        return
    hosts = max((len(node.host) for node in nodes), default=10)
    racks = max((len(node.rack) for node in nodes if node.rack), default=10)

    line = f"{{!s:<10}} {{:<{hosts}}} {{!s:<10}} {{:<{racks}}} " + ("" if controllers else "{:<10} ") + "{:<15}"
    rows: list[tuple[object, ...]] = [("ID", "HOST", "PORT", "RACK", *([] if controllers else ["STATE"]),
                                       "ENDPOINT_TYPE")]
    for n in nodes:
        state = [] if controllers else ["fenced" if n.is_fenced else "unfenced"]
        kind_of = "controller" if controllers else "broker"
        rows.append((n.broker_id, n.host, n.port, n.rack or "null", *state, kind_of))
    print(table(line, rows))
