"""List and change access control lists, quotas and SCRAM users. Functions block: they run in threads.

A broker that has them not, or has no authorizer, raises `NotSupported`, which the page shows as a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from barnabas.console.commands import Commands
from barnabas.console.errors import BadRequest, NotFound
from barnabas.protocol.errors import BarnabasError, ErrorCode
from barnabas.protocol.messages.create_acls import AclCreation, CreateAclsRequest
from barnabas.protocol.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from barnabas.protocol.messages.describe_acls import DescribeAclsRequest
from barnabas.protocol.messages.describe_client_quotas import DescribeClientQuotasRequest
from barnabas.protocol.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest
from barnabas.tools import acl_names, config_quotas
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import AnswerError, check

_ANY: Final = 1
_MECHANISMS: Final = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
_ENTITIES: Final = {"user": "users", "client-id": "clients", "ip": "ips"}
_OPTIONS: Final = {
    "TOPIC": "--topic", "GROUP": "--group", "TRANSACTIONAL_ID": "--transactional-id",
    "DELEGATION_TOKEN": "--delegation-token", "USER": "--user-principal",
}


class NotSupported(BarnabasError):
    """The cluster has no such thing; the text says what it said."""


class Acl(msgspec.Struct, frozen=True, rename="camel"):
    """Hold one entry: who may, or may not, do what with which resource, from where."""

    resource_type: str
    resource_name: str
    pattern_type: str
    principal: str
    host: str
    operation: str
    permission: str


class Quota(msgspec.Struct, frozen=True, rename="camel"):
    """Hold the quotas of an entity: user, client-id, ip; a name of None is the default."""

    entity: list[dict[str, str | None]]
    values: dict[str, float]


def _checked(code: int, message: str | None) -> None:
    if code in (ErrorCode.SECURITY_DISABLED, ErrorCode.UNSUPPORTED_VERSION):
        raise NotSupported(message or str(AnswerError(code)))
    check(code, message)


def _ask(cluster: Cluster, request: Any, call: str) -> Any:
    """Ask for what not every cluster has. Raises `NotSupported`, `ClientError`."""
    try:
        answer = cluster.ask(request, call=call)
    except AnswerError as e:
        if e.code == ErrorCode.UNSUPPORTED_VERSION:
            raise NotSupported(str(e)) from None
        raise
    if hasattr(answer, "error_code"):
        _checked(answer.error_code, answer.error_message)
    return answer


# --- access control lists -----------------------------------------------------------------------------------


def list_acls(cluster: Cluster) -> list[Acl]:
    """Return all entries. Raises `NotSupported`, `ClientError`."""
    answer = _ask(cluster, DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY), "describeAcls")
    return sorted(
        (
            Acl(
                _name(acl_names.TYPES, r.resource_type), r.resource_name, _name(acl_names.PATTERNS, r.pattern_type),
                a.principal, a.host, _name(acl_names.CONSTANTS, a.operation),
                _name(acl_names.PERMISSIONS, a.permission_type),
            )
            for r in answer.resources for a in r.acls
        ),
        key=msgspec.structs.astuple,
    )


def create_acl(cluster: Cluster, acl: Acl) -> None:
    """Add an entry. Raises `BadRequest`, `NotSupported`, `ClientError`."""
    kind, pattern, operation, permission = _numbers(acl)
    creation = AclCreation(kind, acl.resource_name, pattern, acl.principal, acl.host, operation, permission)
    for result in _ask(cluster, CreateAclsRequest([creation]), "createAcls").results:
        _checked(result.error_code, result.error_message)


def delete_acl(cluster: Cluster, acl: Acl) -> None:
    """Remove an entry. Raises `BadRequest`, `NotSupported`, `ClientError`."""
    kind, pattern, operation, permission = _numbers(acl)
    wanted = DeleteAclsFilter(kind, acl.resource_name, pattern, acl.principal, acl.host, operation, permission)
    for result in _ask(cluster, DeleteAclsRequest([wanted]), "deleteAcls").filter_results:
        _checked(result.error_code, result.error_message)
        if not result.matching_acls:
            raise NotFound("there is no such entry")
        for match in result.matching_acls:
            check(match.error_code, match.error_message)


def acl_command(commands: Commands, acl: Acl, action: str) -> str:
    """Return what adds (`--add`) or removes (`--remove`) an entry."""
    _, _, operation, _ = _numbers(acl)
    verb = "allow" if acl.permission.upper() == "ALLOW" else "deny"
    kind = acl.resource_type.upper()
    resource = ["--cluster"] if kind == "CLUSTER" else [_OPTIONS[kind], acl.resource_name]
    pattern = [] if acl.pattern_type.upper() == "LITERAL" else ["--resource-pattern-type", acl.pattern_type.lower()]
    force = ["--force"] if action == "--remove" else []
    return commands.line(
        "kafka-acls", action, f"--{verb}-principal", acl.principal, f"--{verb}-host", acl.host, "--operation",
        acl_names.OPERATIONS[operation], *resource, *pattern, *force,
    )


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else "UNKNOWN"


def _numbers(acl: Acl) -> tuple[int, int, int, int]:
    found = []
    for word, names, what, least in (
        (acl.resource_type, acl_names.TYPES, "resourceType", 2),
        (acl.pattern_type, acl_names.PATTERNS, "patternType", 3),
        (acl.operation, acl_names.CONSTANTS, "operation", 2),
        (acl.permission, acl_names.PERMISSIONS, "permission", 2),
    ):
        if word.upper() not in names[least:]:
            raise BadRequest(f"{what}: expected one of {', '.join(names[least:])}, not {word[:40]!r}")
        found.append(names.index(word.upper()))
    if ":" not in acl.principal:
        raise BadRequest(f"principal: expected User:NAME, not {acl.principal[:40]!r}")
    return found[0], found[1], found[2], found[3]


# --- quotas -------------------------------------------------------------------------------------------------


def list_quotas(cluster: Cluster) -> list[Quota]:
    """Return all quotas. Raises `NotSupported`, `ClientError`."""
    answer = _ask(cluster, DescribeClientQuotasRequest([], False), "describeClientQuotas")
    return [
        Quota(
            [{"type": e.entity_type, "name": e.entity_name} for e in entry.entity],
            {v.key: v.value for v in entry.values},
        )
        for entry in answer.entries or []
    ]


def entities(entity: Sequence[Mapping[str, str | None]]) -> tuple[list[str], list[str]]:
    """Return types and names of an entity as kafka-configs has them, "" for the default. Raises `BadRequest`."""
    types, names = [], []
    for one in entity:
        kind = _ENTITIES.get(str(one.get("type")))
        if kind is None or kind in types:
            raise BadRequest(f"entity: expected {', '.join(_ENTITIES)}, each once, not {one.get('type')!r}")
        types.append(kind)
        names.append(one.get("name") or "")
    if not types:
        raise BadRequest("entity: which one?")
    return types, names


def alter_quotas(
    cluster: Cluster, types: list[str], names: list[str], added: dict[str, str], deleted: list[str]
) -> None:
    """Set and delete quotas. Raises `NotSupported`, `ClientError`, `OptionError`."""
    _supported(config_quotas.alter, cluster, types, names, added, deleted)


def quota_command(
    commands: Commands, types: list[str], names: list[str], added: Mapping[str, str], deleted: Sequence[str]
) -> str:
    """Return what sets and deletes quotas."""
    words = ["--alter"]
    for kind, name in zip(types, names, strict=True):
        words += ["--entity-type", kind, *(["--entity-name", name] if name else ["--entity-default"])]
    if added:
        words += ["--add-config", ",".join(f"{key}={value}" for key, value in added.items())]
    if deleted:
        words += ["--delete-config", ",".join(deleted)]
    return commands.line("kafka-configs", *words)


# --- users --------------------------------------------------------------------------------------------------


def list_users(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the users with SCRAM credentials. Raises `NotSupported`, `ClientError`."""
    answer = _ask(cluster, DescribeUserScramCredentialsRequest(None), "describeUserScramCredentials")
    return [
        {
            "name": result.user,
            "mechanisms": [
                {"name": _MECHANISMS.get(info.mechanism, "UNKNOWN"), "iterations": info.iterations}
                for info in result.credential_infos
            ],
        }
        for result in sorted(answer.results, key=lambda r: r.user) if not result.error_code
    ]


def set_password(cluster: Cluster, name: str, mechanism: str, password: str, iterations: int) -> None:
    """Give a user a password. Raises `NotSupported`, `ClientError`, `OptionError`."""
    value = f"iterations={iterations},password={password}"
    _supported(config_quotas.alter, cluster, ["users"], [name], {mechanism: value}, [])


def delete_user(cluster: Cluster, name: str, mechanism: str) -> None:
    """Take a user's password away. Raises `NotSupported`, `ClientError`, `OptionError`."""
    _supported(config_quotas.alter, cluster, ["users"], [name], {}, [mechanism])


def user_command(commands: Commands, name: str, mechanism: str, iterations: int | None) -> str:
    """Return what gives a password, which it leaves to be filled in; without iterations, what takes it away."""
    change = ["--delete-config", mechanism]
    if iterations is not None:
        change = ["--add-config", f"{mechanism}=[iterations={iterations},password=PASSWORD]"]
    return commands.line("kafka-configs", "--alter", "--entity-type", "users", "--entity-name", name, *change)


def check_mechanism(mechanism: str) -> None:
    """Raise `BadRequest` for what is no mechanism."""
    if mechanism not in _MECHANISMS.values():
        raise BadRequest(f"mechanism: expected {' or '.join(_MECHANISMS.values())}, not {mechanism[:40]!r}")


def _supported(change: Any, *arguments: Any) -> None:
    try:
        change(*arguments)
    except AnswerError as e:
        if e.code in (ErrorCode.UNSUPPORTED_VERSION, ErrorCode.SECURITY_DISABLED):
            raise NotSupported(str(e)) from None
        raise
