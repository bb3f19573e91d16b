"""kafka-client-metrics: describe and change the subscriptions to what clients measure about themselves (KIP-714).

Requests: IncrementalAlterConfigs, DescribeConfigs, ListConfigResources. Differs from Java's tool: subscriptions come in
alphabetical order, and there is --json.
"""

from __future__ import annotations

import json
import os
import re

from barnabas.protocol.errors import BarnabasError
from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG, settings_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.config_resources import DELETE, SET, change, entries_of, resources
from barnabas.tools.describing import CLIENT_METRICS
from barnabas.tools.errors import ConfigError, OptionError, ToolError, UsageError, as_java
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.texts import uuid_text

SUMMARY = "This tool helps to manipulate and describe client metrics configurations."
OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("alter", "Change a subscription, or make one."),
    Option("delete", "Delete a subscription."),
    Option("describe", "Show subscriptions."),
    Option("list", "List the names of subscriptions."),
    Option("name", "The name of the subscription.", "name"),
    Option("generate-name", "With --alter: make a name."),
    Option("interval", "Milliseconds between two pushes; empty for the default.", "ms"),
    Option("match", "Which clients: client_id, client_instance_id, client_software_name, client_software_version, "
           "client_source_address, client_source_port, each with a regular expression.", "key=value,..."),
    Option("metrics", "The beginnings of the metrics' names.", "prefix,..."),
    JSON,
)
EXAMPLE = """
kafka-client-metrics --bootstrap-server localhost:9092 --alter --name all --metrics org.apache.kafka. --interval 10000
"""
USAGE_AFTER_ERRORS = True

_ACTIONS = ("alter", "delete", "describe", "list")
_VALUES = ("generate-name", "interval", "match", "metrics")


def run(options: Parsed) -> int:
    """Do what was asked. Errors are printed as Kafka's tool prints them: on standard output."""
    _check(options)
    path = options.value("command-config")
    if path and not os.path.exists(path):
        raise ToolError(path)
    try:
        with Cluster(settings_of(options)) as cluster:
            if options.has("alter"):
                _alter(cluster, options)
            elif options.has("delete"):
                _delete(cluster, options.value("name"))
            elif options.has("describe"):
                _describe(cluster, options)
            else:
                names = resources(cluster, CLIENT_METRICS)
                print(json.dumps(names) if options.has("json") else "\n".join(names))
    except ConfigError as e:
        raise ToolError(
            f"Error while executing client metrics command : Failed to create new KafkaAdminClient\n{as_java(e)}",
            on_stdout=True,
        ) from e
    except BarnabasError as e:
        raise ToolError(f"Error while executing client metrics command : {e}", on_stdout=True) from e
    return 0


def _check(options: Parsed) -> None:
    if sum(map(options.has, _ACTIONS)) != 1:
        raise UsageError("Command must include exactly one action: --alter, --delete, --describe or --list.")
    if not options.has("bootstrap-server"):
        raise OptionError("--bootstrap-server must be specified.")
    options.refuse("delete", _VALUES)
    options.refuse("describe", _VALUES)
    options.refuse("list", ("name", *_VALUES))
    if options.has("alter") and options.has("name") == options.has("generate-name"):
        raise OptionError("One of --name or --generate-name must be specified with --alter.")
    if options.has("delete") and not options.has("name"):
        raise OptionError("A client metrics resource name must be specified with --delete.")
    interval = options.value("interval")
    if interval and (re.fullmatch(r"[+-]?[0-9]+", interval) is None or not -(1 << 31) <= int(interval) < 1 << 31):
        raise OptionError("Invalid interval value. Enter an integer, or leave empty to reset.")


def _alter(cluster: Cluster, options: Parsed) -> None:
    name = uuid_text(os.urandom(16)) if options.has("generate-name") else options.value("name")
    wanted = {}
    if options.has("interval"):
        text = options.value("interval")
        wanted["interval.ms"] = str(int(text)) if text else ""
    for option in ("metrics", "match"):
        if options.has(option):
            parts = [part for text in options.values(option) for part in ([p for p in text.split(",") if p] or [text])]
            wanted[option] = ",".join(parts)
    change(cluster, "client-metrics", name, [(k, SET if value else DELETE, value) for k, value in wanted.items()])
    print(f"Altered client metrics config for {name}.")


def _delete(cluster: Cluster, name: str) -> None:
    entries = entries_of(cluster, "client-metrics", name, everything=True)
    change(cluster, "client-metrics", name, [(entry.name, DELETE, entry.value) for entry in entries])
    print(f"Deleted client metrics config for {name}.")


def _describe(cluster: Cluster, options: Parsed) -> None:
    known = resources(cluster, CLIENT_METRICS)
    document = {}
    if options.has("name") and options.value("name") not in known:
        if not options.has("json"):
            name = options.value("name")
            print(f"The client metric resource {name} doesn't exist and doesn't have dynamic config.")
            return
        known = []
    for name in [options.value("name")] if options.has("name") and known else known:
        entries = entries_of(cluster, "client-metrics", name, everything=True)
        document[name] = {entry.name: entry.value for entry in entries}
        if not options.has("json"):
            print(f"Client metrics configs for {name} are:")
            for entry in entries:
                print(f"  {entry.name}={entry.value}")
    if options.has("json"):
        print(json.dumps(document, ensure_ascii=False, indent=2))
