"""kafka-acls: list, add and remove access control lists.

Requests: DescribeAcls, CreateAcls, DeleteAcls. Differs from Java's tool: resources and entries come in alphabetical
order (Java takes the order of a hash set), and there is --json for --list.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final

from barnabas.protocol.errors import BarnabasError
from barnabas.protocol.messages.create_acls import AclCreation, CreateAclsRequest
from barnabas.protocol.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from barnabas.protocol.messages.describe_acls import DescribeAclsRequest
from barnabas.tools.acl_names import CONSTANTS, OPERATIONS, PATTERNS, PERMISSIONS, TYPES
from barnabas.tools.arguments import CONTROLLER, settings_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import ClientError, ConfigError, OptionError, ToolError, UsageError, as_java, check
from barnabas.tools.options import JSON, Option, Parsed

SUMMARY = "This tool helps to manage acls on kafka."
OPTIONS = (
    Option("bootstrap-server", "The Kafka broker to connect to.", "host:port", completes="server"),
    CONTROLLER,
    Option("command-config", "A property file with the client's configuration.", "file", optional=True,
           completes="file"),
    Option("add", "Add entries."),
    Option("remove", "Remove entries."),
    Option("list", "List entries: of the resources that are named, or all."),
    Option("topic", "A topic; * stands for all.", "topic", completes="topic"),
    Option("cluster", "The cluster."),
    Option("group", "A group; * stands for all.", "group", completes="group"),
    Option("transactional-id", "A transactional id; * stands for all.", "transactional-id"),
    Option("delegation-token", "A delegation token; * stands for all.", "delegation-token"),
    Option("user-principal", "A user, for CreateTokens and DescribeTokens.", "user-principal"),
    Option("idempotent", "With --producer: allow it to be idempotent."),
    Option("resource-pattern-type", "literal or prefixed; for --list and --remove any or match too.", "type",
           default="LITERAL", completes="literal prefixed any match"),
    Option("operation", "What is allowed or denied.", "operation", default="All",
           completes="All Read Write Create Delete Alter Describe ClusterAction DescribeConfigs AlterConfigs "
                     "IdempotentWrite CreateTokens DescribeTokens TwoPhaseCommit"),
    Option("allow-principal", "Who is allowed: User:name; User:* is everybody.", "principal"),
    Option("deny-principal", "Who is denied. What denies goes before what allows.", "principal"),
    Option("principal", "With --list: whose entries.", "principal", optional=True),
    Option("allow-host", "From where the allowed may come. Everywhere without it.", "host"),
    Option("deny-host", "From where the denied are denied. Everywhere without it.", "host"),
    Option("producer", "All that a producer needs: WRITE, DESCRIBE and CREATE on the topic."),
    Option("consumer", "All that a consumer needs: READ and DESCRIBE on the topic, READ on the group."),
    Option("force", "Do not ask before entries are removed."),
    JSON,
)
EXAMPLE = """
kafka-acls --bootstrap-server localhost:9092 --add --allow-principal User:ann --producer --topic stock-realtime
kafka-acls --bootstrap-server localhost:9092 --list --topic stock-realtime
"""
USAGE_AFTER_ERRORS = True

_READ, _WRITE, _CREATE, _DESCRIBE, _IDEMPOTENT_WRITE = 3, 4, 5, 8, 12
_ANY, _DENY, _ALLOW = 1, 2, 3
_TOPIC, _GROUP, _CLUSTER, _TRANSACTIONAL_ID, _DELEGATION_TOKEN, _USER = range(2, 8)
_LITERAL, _PREFIXED = 3, 4
_SUPPORTED: Final = {
    _TOPIC: (3, 4, 5, 8, 6, 7, 10, 11), _GROUP: (3, 8, 6, 10, 11), _CLUSTER: (5, 9, 10, 11, 12, 7, 8),
    _TRANSACTIONAL_ID: (8, 4, 15), _DELEGATION_TOKEN: (8,), _USER: (13, 14),
}
_RESOURCES: Final = {
    "topic": _TOPIC, "group": _GROUP, "transactional-id": _TRANSACTIONAL_ID, "delegation-token": _DELEGATION_TOKEN,
    "user-principal": _USER,
}

Resource = tuple[int, str, int]
"""Type, name, pattern type."""
Entry = tuple[str, str, int, int]
"""Principal, host, operation, permission."""


def run(options: Parsed) -> int:
    """Do what was asked. Errors are printed as Kafka's tool prints them: on standard output."""
    _check(options)
    path = options.value("command-config")
    if path and not os.path.exists(path):
        raise ToolError(f"Error while executing ACL command: {path}", on_stdout=True)
    try:
        with Cluster(settings_of(options, controller="bootstrap-controller")) as cluster:
            if options.has("add"):
                _add(cluster, options)
            elif options.has("remove"):
                _remove(cluster, options)
            else:
                _list(cluster, options)
    except UsageError:
        raise
    except ConfigError as e:
        raise ToolError(
            f"Error while executing ACL command: Failed to create new KafkaAdminClient\n{as_java(e)}", on_stdout=True
        ) from e
    except BarnabasError as e:
        # what a future failed with is shown with its class, anything else by its message alone
        shown = as_java(e) if isinstance(e, ClientError) else e
        raise ToolError(f"Error while executing ACL command: {shown}", on_stdout=True) from e
    return 0


def _check(options: Parsed) -> None:
    if options.has("bootstrap-server") and options.has("bootstrap-controller"):
        raise UsageError("Only one of --bootstrap-server or --bootstrap-controller must be specified")
    if not options.has("bootstrap-server") and not options.has("bootstrap-controller"):
        raise UsageError("One of --bootstrap-server or --bootstrap-controller must be specified")
    if sum(map(options.has, ("add", "remove", "list"))) != 1:
        raise UsageError("Command must include exactly one action: --list, --add, --remove. ")
    options.refuse("list", ("producer", "consumer", "allow-host", "allow-principal", "deny-host", "deny-principal"))
    for role in ("producer", "consumer"):
        options.refuse(role, ("operation", "deny-principal", "deny-host"))
    if options.has("principal") and not options.has("list"):
        raise UsageError("The --principal option is only available if --list is set")
    if options.has("producer") and not options.has("topic"):
        raise UsageError("With --producer you must specify a --topic")
    if options.has("idempotent") and not options.has("producer"):
        raise UsageError("The --idempotent option is only available if --producer is set")
    more = not options.has("producer") and (options.has("cluster") or options.has("transactional-id"))
    if options.has("consumer") and (not options.has("topic") or not options.has("group") or more):
        raise UsageError(
            "With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option "
            "should be specified."
        )


# --- what is meant ------------------------------------------------------------------------------------------


def _pattern(options: Parsed) -> int:
    text = options.value("resource-pattern-type")
    if text.upper() not in PATTERNS[1:]:
        raise OptionError(f"Cannot parse argument '{text}' of option resource-pattern-type")
    return PATTERNS.index(text.upper())


def _resources(options: Parsed, *, needed: bool) -> list[Resource]:
    pattern = _pattern(options)
    found: list[Resource] = []
    for option, kind in _RESOURCES.items():
        for name in options.values(option):
            found.append((kind, name if kind == _TRANSACTIONAL_ID else name.strip(), pattern))
        if option == "topic" and pattern == _LITERAL and (options.has("cluster") or options.has("idempotent")):
            found.append((_CLUSTER, "kafka-cluster", _LITERAL))
    if needed and not found:
        raise UsageError(
            "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or "
            "--delegation-token <Delegation Token ID>"
        )
    return list(dict.fromkeys(found))


def parse_principal(text: str) -> str:
    """Check a principal: type, colon, name. Raises `ToolError` in Kafka's words."""
    if ":" not in text:
        raise ToolError(f"expected a string in format principalType:principalName but got {text}")
    return text


def _operation(text: str) -> int:
    names = [name.upper() for name in OPERATIONS]
    return names.index(text.upper()) if text.upper() in names else 0


def _entries(options: Parsed, operations: list[int]) -> list[Entry]:
    found = []
    for verb, permission in (("allow", _ALLOW), ("deny", _DENY)):
        principals = [parse_principal(text.strip()) for text in options.values(f"{verb}-principal")]
        hosts = [text.strip() for text in options.values(f"{verb}-host")] or ["*"]
        found += [(p, host, operation, permission) for p in principals for operation in operations for host in hosts]
    return sorted(dict.fromkeys(found), key=lambda e: (e[0], e[1], CONSTANTS[e[2]]))


def _wanted(options: Parsed) -> dict[Resource, list[Entry]]:
    """Return the entries of each resource that a command line means."""
    wanted: dict[Resource, list[Entry]] = {}
    resources = None
    if not options.has("producer") and not options.has("consumer"):
        entries = _entries(options, [_operation(text.strip()) for text in options.values("operation")])
        wanted = dict.fromkeys(_resources(options, needed=True), entries)
    else:
        resources = _resources(options, needed=True)
    for role, needs in (
        ("producer", {_TOPIC: [_WRITE, _DESCRIBE, _CREATE], _TRANSACTIONAL_ID: [_WRITE, _DESCRIBE]}),
        ("consumer", {_TOPIC: [_READ, _DESCRIBE], _GROUP: [_READ]}),
    ):
        if not options.has(role):
            continue
        for resource in resources or []:
            if resource[0] in needs:
                more = [e for e in _entries(options, needs[resource[0]]) if e not in wanted.get(resource, [])]
                wanted[resource] = wanted.get(resource, []) + more
        if role == "producer" and options.has("idempotent"):
            wanted[_CLUSTER, "kafka-cluster", _LITERAL] = _entries(options, [_IDEMPOTENT_WRITE])
    for (kind, _, _), entries in wanted.items():
        valid = {*_SUPPORTED.get(kind, ()), 2}
        if any(entry[2] not in valid for entry in entries):
            raise UsageError(
                f"ResourceType {TYPES[kind]} only supports operations "
                f"[{', '.join(sorted(CONSTANTS[number] for number in valid))}]"
            )
    return wanted


def _shown(resource: Resource) -> str:
    kind, name, pattern = resource
    return f"ResourcePattern(resourceType={TYPES[kind]}, name={name}, patternType={PATTERNS[pattern]})"


def _lines(entries: list[Entry]) -> str:
    return "\n".join(
        f"\t(principal={principal}, host={host}, operation={CONSTANTS[operation]}, "
        f"permissionType={PERMISSIONS[permission]})"
        for principal, host, operation, permission in entries
    )


# --- what is done -------------------------------------------------------------------------------------------


def _add(cluster: Cluster, options: Parsed) -> None:
    pattern = _pattern(options)
    if pattern not in (_LITERAL, _PREFIXED):
        raise UsageError(f"A '--resource-pattern-type' value of '{PATTERNS[pattern]}' is not valid when adding acls.")
    wanted = _wanted(options)
    if not all(wanted.values()):
        raise UsageError("You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.")
    for resource, all_entries in wanted.items():
        known = _described(cluster, resource).get(resource, set())
        entries = [entry for entry in all_entries if entry not in known]
        for entry in all_entries:
            if entry in known:
                print(f"Acl (pattern={_shown(resource)}, entry={_lines([entry]).strip()}) already exists.")
        if not entries:
            continue
        print(f"Adding ACLs for resource `{_shown(resource)}`: \n {_lines(entries)}\n")
        creations = [
            AclCreation(*resource, principal, host, operation, permission)
            for principal, host, operation, permission in entries
        ]
        for result in cluster.ask(CreateAclsRequest(creations), call="createAcls").results:
            check(result.error_code, result.error_message)


def _remove(cluster: Cluster, options: Parsed) -> None:
    for (kind, name, pattern), entries in _wanted(options).items():
        shown = _shown((kind, name, pattern))
        if not entries:
            question = f"Are you sure you want to delete all ACLs for resource filter `{shown}`? (y/n)"
        else:
            question = (
                f"Are you sure you want to remove ACLs: \n {_lines(entries)}\n from resource filter `{shown}`? (y/n)"
            )
        if not options.has("force") and not _confirmed(question):
            continue
        filters = [
            DeleteAclsFilter(kind, name, pattern, *entry) for entry in entries
        ] or [DeleteAclsFilter(kind, name, pattern, None, None, _ANY, _ANY)]
        for result in cluster.ask(DeleteAclsRequest(filters), call="deleteAcls").filter_results:
            check(result.error_code, result.error_message)
            for match in result.matching_acls:
                check(match.error_code, match.error_message)


def _confirmed(question: str) -> bool:
    print(question, flush=True)
    if not sys.stdin.isatty():
        raise ToolError(
            'Cannot invoke "java.io.Console.readLine()" because the return value of "java.lang.System.console()" is '
            "null"
        )
    return sys.stdin.readline().strip().lower() == "y"


def _described(cluster: Cluster, what: tuple[int, str | None, int]) -> dict[Resource, set[Entry]]:
    answer = cluster.ask(DescribeAclsRequest(*what, None, None, _ANY, _ANY), call="describeAcls")
    check(answer.error_code, answer.error_message)
    return {
        (resource.resource_type, resource.resource_name, resource.pattern_type): {
            (acl.principal, acl.host, acl.operation, acl.permission_type) for acl in resource.acls
        }
        for resource in answer.resources
    }


def _list(cluster: Cluster, options: Parsed) -> None:
    filters: list[tuple[int, str | None, int]] = [*_resources(options, needed=False)] or [(_ANY, None, _ANY)]
    principals = list(dict.fromkeys(parse_principal(text.strip()) for text in options.values("principal")))
    found: dict[Resource, set[Entry]] = {}
    for kind, name, pattern in filters:
        for resource, entries in _described(cluster, (kind, name, pattern)).items():
            found.setdefault(resource, set()).update(entries)
    if options.has("json"):
        print(json.dumps(_document(found, principals), ensure_ascii=False, indent=2))
        return
    if not principals:
        _print(found)
    for principal in principals:
        print(f"ACLs for principal `{principal}`")
        own = {resource: {e for e in entries if e[0] == principal} for resource, entries in found.items()}
        _print({resource: entries for resource, entries in own.items() if entries})


def _print(found: dict[Resource, set[Entry]]) -> None:
    for resource in sorted(found):
        entries = sorted(found[resource], key=lambda e: (e[0], e[1], CONSTANTS[e[2]], e[3]))
        print(f"Current ACLs for resource `{_shown(resource)}`:\n{_lines(entries)}\n")


def _document(found: dict[Resource, set[Entry]], principals: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "resourceType": TYPES[kind], "name": name, "patternType": PATTERNS[pattern], "principal": principal,
            "host": host, "operation": CONSTANTS[operation], "permissionType": PERMISSIONS[permission],
        }
        for (kind, name, pattern), entries in sorted(found.items())
        for principal, host, operation, permission in sorted(entries)
        if not principals or principal in principals
    ]
