"""kafka-configs: describe and change configurations of topics, brokers, users, clients, addresses, groups.

This module has the options and decides who is meant; `config_resources.py` does what is a configuration,
`config_quotas.py` quotas and SCRAM credentials. Requests: DescribeConfigs, IncrementalAlterConfigs,
ListConfigResources, ListGroups, Metadata, DescribeClientQuotas, AlterClientQuotas, DescribeUserScramCredentials,
AlterUserScramCredentials. Differs from Java's tool: entities are described in alphabetical order, there is --json, and
after "Error while executing config command" comes one line in the place of a stack trace.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from typing import Any, Final

from barnabas.protocol.errors import BarnabasError
from barnabas.tools.arguments import COMMAND_CONFIG, CONTROLLER, settings_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import OptionError, ToolError, UsageError, as_java
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.settings import load_properties
from barnabas.tools.texts import java_int, java_order

SUMMARY = (
    "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or "
    "group"
)
OPTIONS = (
    Option("bootstrap-server", "The Kafka broker to connect to.", "host:port", completes="server"),
    CONTROLLER,
    COMMAND_CONFIG,
    Option("alter", "Change the configuration of an entity."),
    Option("describe", "Show the configuration of entities."),
    Option("all", "With --describe: static and default values too."),
    Option(
        "entity-type", "topics, clients, users, brokers, broker-loggers, ips, client-metrics or groups.", "type",
        completes="topics clients users brokers broker-loggers ips client-metrics groups",
    ),
    Option("entity-name", "The entity: a topic, a client id, a user, a broker's id, an address, a group.", "name"),
    Option("entity-default", "In the place of --entity-name: what holds for all clients, users, brokers, addresses."),
    Option("add-config", "What to set: k1=v1,k2=[v1,v2]. Brackets hold values with commas.", "key=value,..."),
    Option("add-config-file", "A property file with what to set.", "file", completes="file"),
    Option("delete-config", "The keys to take back: k1,k2.", "key,..."),
    Option("topic", "A topic.", "topic", completes="topic"),
    Option("client", "A client id.", "client-id"),
    Option("client-defaults", "What holds for all clients."),
    Option("user", "A user, by the name of its principal.", "user"),
    Option("user-defaults", "What holds for all users."),
    Option("broker", "A broker, by its id.", "id"),
    Option("broker-defaults", "What holds for all brokers."),
    Option("broker-logger", "The loggers of a broker, by its id.", "id"),
    Option("ip", "An address.", "address"),
    Option("ip-defaults", "What holds for all addresses."),
    Option("group", "A group.", "group", completes="group"),
    Option("client-metrics", "A subscription to client metrics.", "name"),
    JSON,
)
EXAMPLE = """
kafka-configs --bootstrap-server localhost:9092 --alter --topic stock-realtime --add-config retention.ms=86400000
kafka-configs --bootstrap-server localhost:9092 --describe --topic stock-realtime
kafka-configs --bootstrap-server localhost:9092 --alter --user ann --add-config 'SCRAM-SHA-256=[password=secret]'
"""

TYPES: Final = ("topics", "clients", "users", "brokers", "ips", "client-metrics", "groups", "broker-loggers")
_FLAGS: Final = {
    "topic": "topics", "client": "clients", "user": "users", "broker": "brokers", "broker-logger": "broker-loggers",
    "ip": "ips", "client-metrics": "client-metrics", "group": "groups",
}
_DEFAULTS: Final = {
    "client-defaults": "clients", "user-defaults": "users", "broker-defaults": "brokers", "ip-defaults": "ips"
}
#: a comma or an equals sign that stands in no brackets
_OUTSIDE: Final = r"(?=[^\]]*(?:\[|$))"


def run(options: Parsed) -> int:
    """Do what was asked; report what the cluster refuses as Kafka's tool does."""
    types = _types(options)
    _check(options, types)
    names = _names(options)
    try:
        settings = settings_of(options, controller="bootstrap-controller")
        if options.has("alter") and len(types) != len(names):
            raise OptionError("An entity name must be specified for every entity type")
        with Cluster(settings) as cluster:
            if options.has("alter"):
                _alter(cluster, options, types, names)
            else:
                _describe(cluster, options, types, names)
    except OptionError:
        raise
    except BarnabasError as e:
        command = " ".join(options.arguments)
        print(f"Error while executing config command with args '{command}'\n{as_java(e)}", file=sys.stderr)
        return 1
    return 0


# --- who is meant -------------------------------------------------------------------------------------------


def _types(options: Parsed) -> list[str]:
    return [*options.values("entity-type"), *(t for f, t in {**_FLAGS, **_DEFAULTS}.items() if options.has(f))]


def _names(options: Parsed) -> list[str]:
    """Return the names of entities in the order of the command line; "" is the default."""
    given = iter(options.values("entity-name"))
    names = [next(given) if o == "entity-name" else "" for o in options.order if o in ("entity-name", "entity-default")]
    names += [options.value(flag) for flag in _FLAGS if options.has(flag)]
    return names + ["" for flag in _DEFAULTS if options.has(flag)]


def _check(options: Parsed, types: list[str]) -> None:
    if options.has("alter") == options.has("describe"):
        raise UsageError("Command must include exactly one action: --describe, --alter")
    options.refuse("describe", ("alter", "add-config", "delete-config"))
    double = [t for i, t in enumerate(types) if t in types[:i]]
    if double:
        raise OptionError(f"Duplicate entity type(s) specified: {','.join(double)}")
    if not (options.has("bootstrap-server") or options.has("bootstrap-controller")):
        raise OptionError("Either --bootstrap-server or --bootstrap-controller must be specified.")
    for kind in types:
        if kind not in TYPES:
            raise OptionError(
                f"Invalid entity type {kind}, the entity type must be one of {', '.join(TYPES)} with a "
                "--bootstrap-server or --bootstrap-controller argument"
            )
    if not types:
        raise OptionError("At least one entity type must be specified")
    if len(types) > 1 and set(types) != {"users", "clients"}:
        raise OptionError("Only 'users' and 'clients' entity types may be specified together")
    if any(map(options.has, ("entity-name", "entity-type", "entity-default"))) and any(
        map(options.has, (*_FLAGS, *_DEFAULTS))
    ):
        raise OptionError("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
    names = _names(options)
    if options.has("bootstrap-server") and options.has("bootstrap-controller"):
        raise OptionError("Only one of --bootstrap-server or --bootstrap-controller can be specified")
    if any(names):
        _check_names(options, types)
    _check_action(options, types, names)


def _check_names(options: Parsed, types: list[str]) -> None:
    if "brokers" in types or "broker-loggers" in types:
        for text in [options.value(o) for o in ("entity-name", "broker", "broker-logger") if options.has(o)]:
            try:
                java_int(text)
            except ToolError:
                raise OptionError(
                    f"The entity name for {types[0]} must be a valid integer broker id, but it is: {text}"
                ) from None
    if "ips" in types:
        for text in [options.value(o) for o in ("entity-name", "ip") if options.has(o)]:
            try:
                socket.getaddrinfo(text, None)
            except (OSError, UnicodeError):
                raise OptionError(
                    f"The entity name for {types[0]} must be a valid IP or resolvable host, but it is: {text}"
                ) from None


def _check_action(options: Parsed, types: list[str], names: list[str]) -> None:
    has_defaults = not {"users", "clients", "brokers", "ips"}.isdisjoint(types)
    kinds = ",".join(types)
    if options.has("describe"):
        if options.has("entity-default") and not has_defaults:
            raise OptionError(f"--entity-default must not be specified with --describe of {kinds}")
        if "broker-loggers" in types and not any(names):
            raise OptionError(f"An entity name must be specified with --describe of {kinds}")
        return
    if has_defaults and not names:
        raise OptionError(
            "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips"
        )
    if not has_defaults and not any(names):
        raise OptionError(f"An entity name must be specified with --alter of {kinds}")
    if options.has("add-config") and options.has("add-config-file"):
        raise OptionError("Only one of --add-config or --add-config-file must be specified")
    if not any(map(options.has, ("add-config", "add-config-file", "delete-config"))):
        raise OptionError(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter"
        )


# --- what is meant ------------------------------------------------------------------------------------------


def parse_added(text: str) -> dict[str, str]:
    """Read `k1=v1,k2=[v1,v2]`. Raises `OptionError` in Kafka's words."""
    parts = re.split(f",{_OUTSIDE}", text)
    while len(parts) > 1 and not parts[-1]:  # Java's split drops empty ends
        parts.pop()
    if parts == [""] and text:
        parts = []
    found = {}
    for part in parts:
        pair = re.split(rf"\s*=\s*{_OUTSIDE}", part)
        if len(pair) != 2:
            raise OptionError(
                'requirement failed: Invalid entity config: all configs to be added must be in the format "key=val" '
                'or  "key=[val1,val2]" to group values which contain commas.'
            )
        found[pair[0].strip()] = re.sub(r"\[?\]?", "", pair[1]).strip()
    return found


def _added(options: Parsed) -> dict[str, str]:
    found: dict[str, str] = {}
    if options.has("add-config-file"):
        found |= load_properties(options.value("add-config-file"))
    if options.has("add-config"):
        found |= parse_added(options.value("add-config"))
    for key in found:
        if re.fullmatch(r"[$a-zA-Z0-9._-]*", key) is None:
            raise OptionError(f"Invalid character found for config key: {key}")
    return {key: found[key] for key in java_order(found, 16)}


def _deleted(options: Parsed) -> list[str]:
    return [
        key.strip()
        for text in options.values("delete-config")
        for key in ([part for part in text.split(",") if part] or [text])
    ]


def _alter(cluster: Cluster, options: Parsed, types: list[str], names: list[str]) -> None:
    added, deleted = _added(options), _deleted(options)
    kind, name = types[0], names[0]
    if kind in ("users", "clients", "ips"):
        from barnabas.tools import config_quotas

        config_quotas.alter(cluster, types, names, added, deleted)
    else:
        from barnabas.tools import config_resources

        config_resources.alter(cluster, kind, name, added, deleted)
    if name:
        print(f"Completed updating config for {kind[:-1]} {name}.")
    else:
        print(f"Completed updating default config for {kind} in the cluster.")


def _describe(cluster: Cluster, options: Parsed, types: list[str], names: list[str]) -> None:
    lines: list[str] = []
    document: Any
    try:
        if types[0] in ("users", "clients", "ips"):
            from barnabas.tools import config_quotas

            document = config_quotas.describe(cluster, types, names, lines)
        else:
            from barnabas.tools import config_resources

            name = names[0] if names else None
            document = config_resources.describe(cluster, types[0], name, lines, everything=options.has("all"))
    finally:
        # what came before an error is shown too
        if lines and not options.has("json"):
            print("\n".join(lines))
    if options.has("json"):
        print(json.dumps(document, ensure_ascii=False, indent=2))
