"""kafka-groups: list groups of every type.

Requests: ListGroups to every broker. Differs from Java's tool: groups come in alphabetical order, and there is --json.
"""

from __future__ import annotations

import json
import sys
from typing import Final

from barnabas.tools.arguments import BOOTSTRAP, COMMAND_CONFIG
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import ClientError, ConfigError, OptionError, ToolError, UsageError
from barnabas.tools.group_admin import list_groups
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.settings import Settings, load_properties
from barnabas.tools.terminal import aligned

SUMMARY = "This tool helps to list groups of all types."
OPTIONS = (
    BOOTSTRAP,
    COMMAND_CONFIG,
    Option("list", "List the groups."),
    Option("group-type", "Only groups of this type.", "type", completes="classic consumer share streams"),
    Option("protocol", "Only groups of this protocol, consumer or connect for example.", "protocol"),
    Option("consumer", "Only groups of consumers, those without members and of either protocol included."),
    Option("share", "Only share groups."),
    Option("streams", "Only streams groups."),
    JSON,
)
EXAMPLE = """
kafka-groups --bootstrap-server localhost:9092 --list
kafka-groups --bootstrap-server localhost:9092 --list --consumer
"""
WORKS_WITHOUT_ARGUMENTS = True
USAGE_AFTER_ERRORS = True

_TYPES: Final = ("Classic", "Consumer", "Share", "Streams")
_FILTERS: Final = ("consumer", "group-type", "protocol", "share", "streams")


def run(options: Parsed) -> int:
    """List the groups. What the cluster answers badly is printed on standard output, as Kafka's tool does."""
    if not options.has("bootstrap-server"):
        raise UsageError("Missing required option(s) [bootstrap-server]")
    if not options.has("list"):
        raise UsageError("Command must include exactly one action: --list.")
    wanted = options.value("group-type")
    kind = "" if wanted is None else next((t for t in _TYPES if t.lower() == wanted.strip().lower()), None)
    if kind is None:
        raise OptionError("--group-type must be a valid group type.")
    for name in ("consumer", "share", "streams"):
        options.refuse(name, (other for other in _FILTERS if other != name))
    path = options.value("command-config")
    try:
        properties = load_properties(path) if path else {}
    except ToolError as e:
        raise ToolError(path if "No such file" in str(e) else str(e)) from e
    try:
        with Cluster(Settings(properties, options.value("bootstrap-server"))) as cluster:
            groups = list_groups(cluster)
            options.value("protocol")
    except ConfigError as e:
        print(f"Caused by: {e.exception}: {e}", file=sys.stderr)
        raise ToolError(
            "Error while executing groups command : Failed to create new KafkaAdminClient", on_stdout=True
        ) from e
    except ToolError as e:
        text = str(e).removeprefix("java.util.concurrent.ExecutionException: org.apache.kafka.common.KafkaException: ")
        raise ToolError(f"Error while executing groups command : {text}", on_stdout=True) from e
    except (ClientError, OptionError) as e:
        raise ToolError(f"Error while executing groups command : {e}", on_stdout=True) from e
    rows = [
        (g.group_id, g.group_type.capitalize(), g.protocol_type) for g in groups
        if _passes(options, kind, g.group_type.capitalize(), g.protocol_type)
    ]
    if options.has("json"):
        documents = [{"group": name, "type": of_type, "protocol": protocol} for name, of_type, protocol in rows]
        print(json.dumps(documents, ensure_ascii=False, indent=2))
        return 0
    heads = ("GROUP", "TYPE", "PROTOCOL")
    if sys.stdout.isatty():
        print(aligned([heads, *rows]))
        return 0
    width = max([20, *(len(cell) for row in rows for cell in row)])
    print(" ".join(f"{cell:<{width}}" for cell in heads))
    for row in rows:
        print("".join(f"{cell:<{width}} " for cell in row))
    return 0


def _passes(options: Parsed, wanted: str, kind: str, protocol: str) -> bool:
    if wanted:
        return kind == wanted and (not options.has("protocol") or protocol == options.value("protocol"))
    if options.has("protocol"):
        return bool(protocol == options.value("protocol"))
    if options.has("consumer"):
        return protocol in ("consumer", "") or kind == "Consumer"
    if options.has("share"):
        return kind == "Share"
    return kind == "Streams" if options.has("streams") else True
