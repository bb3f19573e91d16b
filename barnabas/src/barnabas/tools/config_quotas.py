"""Describe and change quotas of users, clients and addresses, and the SCRAM credentials of users.

A credential travels salted: PBKDF2 is done here, and the password never leaves this machine.
"""

from __future__ import annotations

import re
from typing import Any, Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    EntityData,
    EntryData,
    OpData,
)
from barnabas.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from barnabas.protocol.messages.describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from barnabas.protocol.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    UserName,
)
from barnabas.tools.cluster import Cluster
from barnabas.tools.config_resources import refuse_controllers
from barnabas.tools.errors import AnswerError, OptionError, check
from barnabas.tools.texts import java_double, java_order

_CLIENT_QUOTAS: Final = ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate")
_IP_QUOTAS: Final = ("connection_creation_rate",)
#: mechanism: its number, its hash, the least iterations
_MECHANISMS: Final = {"SCRAM-SHA-256": (1, "sha256", 4096), "SCRAM-SHA-512": (2, "sha512", 4096)}
_ITERATIONS: Final = 4096
_MOST_ITERATIONS: Final = 16384
_ENTITIES: Final = {"users": "user", "clients": "client-id", "ips": "ip"}
_SHOWN: Final = {"user": "user-principal", "client-id": "client-id", "ip": "ip"}
_EXACT, _DEFAULT, _ANY = 0, 1, 2


# --- describing ---------------------------------------------------------------------------------------------


def describe(cluster: Cluster, types: list[str], names: list[str], lines: list[str]) -> Any:
    """Describe quotas, and credentials where users alone are asked for: add lines, return the same for JSON."""
    quotas = []
    for entity, values in _quotas(cluster, types, names):
        shown = ", ".join(
            f"{text} '{entity[kind]}'" if entity[kind] is not None else f"the default {text}"
            for kind, text in _SHOWN.items() if kind in entity
        )
        rates = ", ".join(f"{key}={java_double(values[key])}" for key in java_order(values))
        lines.append(f"Quota configs for {shown} are {rates}")
        quotas.append({"entity": entity, "quotas": values})
    document: dict[str, Any] = {"quotas": quotas}
    if types == ["users"] and "" not in names:
        document["scramCredentials"] = _credentials(cluster, names, lines)
    return document


def _quotas(
    cluster: Cluster, types: list[str], names: list[str]
) -> list[tuple[dict[str, str | None], dict[str, float]]]:
    if len(names) > len(types):
        raise OptionError("More entity names specified than entity types")
    components = []
    for index, kind in enumerate(types):
        if index >= len(names):
            components.append(ComponentData(_ENTITIES[kind], _ANY, None))
        elif names[index]:
            components.append(ComponentData(_ENTITIES[kind], _EXACT, names[index]))
        else:
            components.append(ComponentData(_ENTITIES[kind], _DEFAULT, None))
    refuse_controllers(cluster)
    answer = cluster.ask(DescribeClientQuotasRequest(components, True), call="describeClientQuotas")
    check(answer.error_code, answer.error_message)
    found = [
        ({e.entity_type: e.entity_name for e in entry.entity}, {v.key: v.value for v in entry.values})
        for entry in answer.entries or []
    ]
    return sorted(found, key=lambda one: [(one[0].get(kind, "") or "") for kind in _SHOWN])


def _credentials(cluster: Cluster, users: list[str], lines: list[str]) -> list[dict[str, Any]]:
    asked = [UserName(user) for user in users] or None
    answer = cluster.ask(DescribeUserScramCredentialsRequest(asked), call="describeUserScramCredentials")
    check(answer.error_code, answer.error_message)
    numbers = {number: name for name, (number, _, _) in _MECHANISMS.items()}
    document = []
    for result in sorted(answer.results, key=lambda one: one.user):
        if result.error_code == ErrorCode.RESOURCE_NOT_FOUND:
            continue
        if result.error_code:
            error = AnswerError(result.error_code, result.error_message)
            lines.append(
                f"Error retrieving SCRAM credential configs for user-principal '{result.user}': {error.exception}: "
                f"{error}"
            )
            continue
        infos = {numbers.get(info.mechanism, "UNKNOWN"): info.iterations for info in result.credential_infos}
        shown = ", ".join(f"{name}=iterations={iterations}" for name, iterations in infos.items())
        lines.append(f"SCRAM credential configs for user-principal '{result.user}' are {shown}")
        document.append({"user": result.user, "iterations": infos})
    return document


# --- changing -----------------------------------------------------------------------------------------------


def alter(cluster: Cluster, types: list[str], names: list[str], added: dict[str, str], deleted: list[str]) -> None:
    """Change quotas or credentials. Raises `OptionError` for keys that do not go together or are not there."""
    if types[0] == "ips":
        unknown = [key for key in (*added, *deleted) if key not in _IP_QUOTAS]
        if unknown:
            raise OptionError(
                "Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config "
                f"names: {','.join(dict.fromkeys(unknown))}"
            )
        _alter_quotas(cluster, types, names, added, deleted)
        return
    scram_added = {key: value for key, value in added.items() if key in _MECHANISMS}
    scram_deleted = [key for key in deleted if key in _MECHANISMS]
    has_quotas = any(key in _CLIENT_QUOTAS for key in (*added, *deleted))
    clients = "clients" in types
    allowed = _CLIENT_QUOTAS if clients else (*_CLIENT_QUOTAS, *_MECHANISMS)
    what = "Only quota configs" if clients else "Only quota and SCRAM credential configs"
    for keys, done, collection in ((list(added), "added", "Set"), (deleted, "deleted", "ArrayBuffer")):
        # Scala lists what it does not know at all before the credentials
        unknown = [key for key in keys if key not in allowed and key not in _MECHANISMS]
        unknown += [key for key in keys if key not in allowed and key in _MECHANISMS]
        if unknown:
            raise OptionError(
                f"{what} can be {done} for '{'clients' if clients else 'users'}' using --bootstrap-server. Unexpected "
                f"config names: {collection}({', '.join(unknown)})"
            )
    if scram_added or scram_deleted:
        if "" in names:
            raise OptionError(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using "
                "--bootstrap-server."
            )
        if has_quotas:
            raise OptionError(
                "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using "
                "--bootstrap-server."
            )
    if has_quotas:
        _alter_quotas(cluster, types, names, added, deleted)
    else:
        _alter_credentials(cluster, names[0], scram_added, scram_deleted)


def _alter_quotas(
    cluster: Cluster, types: list[str], names: list[str], added: dict[str, str], deleted: list[str]
) -> None:
    found = _quotas(cluster, types, names)
    known = found[0][1] if found else {}
    missing = [key for key in deleted if key not in known]
    if missing:
        raise OptionError(f"Invalid config(s): {','.join(missing)}")
    operations = []
    for key, value in added.items():
        if re.fullmatch(r"\s*[+-]?(NaN|Infinity|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fFdD]?)\s*", value) is None:
            raise OptionError(f"Cannot parse quota configuration value for {key}: {value}")
        operations.append(OpData(key, float(value.strip().rstrip("fFdD")), False))
    operations += [OpData(key, 0.0, True) for key in deleted]
    entity = [EntityData(_ENTITIES[kind], name or None) for kind, name in zip(types, names, strict=True)]
    answer = cluster.ask(AlterClientQuotasRequest([EntryData(entity, operations)]), call="alterClientQuotas")
    for entry in answer.entries:
        check(entry.error_code, entry.error_message)


def _alter_credentials(cluster: Cluster, user: str, added: dict[str, str], deleted: list[str]) -> None:
    import hashlib
    import secrets

    wanted = []
    for mechanism, text in added.items():
        _, _, least = _MECHANISMS[mechanism]
        match = re.fullmatch(r"(?:iterations=(-?[0-9]*),)?password=(.*)", text)
        if match is None:
            raise OptionError(f"Invalid credential property {mechanism.replace('-', '_')}={text}")
        iterations = _ITERATIONS if match[1] in (None, "-1") else _int(match[1])
        if iterations < least:
            raise OptionError(f"Iterations {iterations} is less than the minimum {least} required for {mechanism}")
        wanted.append((mechanism, iterations, match[2]))
    upserts = []
    for mechanism, iterations, password in wanted:
        number, digest, _ = _MECHANISMS[mechanism]
        if not password:
            raise AnswerError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Password must not be empty")
        salt = secrets.token_bytes(32)
        # a broker refuses more iterations than it allows, so there is no point in doing them
        rounds = min(iterations, _MOST_ITERATIONS)
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, rounds)
        upserts.append(ScramCredentialUpsertion(user, number, iterations, salt, salted))
    deletions = [ScramCredentialDeletion(user, _MECHANISMS[mechanism][0]) for mechanism in deleted]
    answer = cluster.ask(AlterUserScramCredentialsRequest(deletions, upserts), call="alterUserScramCredentials")
    for result in answer.results:
        check(result.error_code, result.error_message)


def _int(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 1 << 31
    if not -(1 << 31) <= number < 1 << 31:
        raise OptionError(f'For input string: "{text}"')
    return number
