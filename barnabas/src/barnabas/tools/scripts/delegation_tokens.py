"""kafka-delegation-tokens: create, renew, expire and describe delegation tokens.

Requests: CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken, DescribeDelegationToken. Differs from
Java's tool: there is --json for --create and --describe; --describe without owners shows the tokens that may be seen,
where Java's asks for those of no owner, and shows none.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from typing import Any

from barnabas.protocol.messages.create_delegation_token import CreatableRenewers, CreateDelegationTokenRequest
from barnabas.protocol.messages.describe_delegation_token import (
    DescribeDelegationTokenOwner,
    DescribeDelegationTokenRequest,
)
from barnabas.protocol.messages.expire_delegation_token import ExpireDelegationTokenRequest
from barnabas.protocol.messages.renew_delegation_token import RenewDelegationTokenRequest
from barnabas.tools import java_base64
from barnabas.tools.arguments import BOOTSTRAP, settings_of
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import ClientError, ConfigError, ToolError, UsageError, as_java, check
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.scripts.acls import parse_principal
from barnabas.tools.terminal import aligned

SUMMARY = "This tool helps to create, renew, expire, or describe delegation tokens."
OPTIONS = (
    BOOTSTRAP,
    Option("command-config", "REQUIRED: a property file with the client's configuration: how it logs in.", "file",
           completes="file"),
    Option("create", "Create a token."),
    Option("renew", "Renew a token."),
    Option("expire", "Let a token expire."),
    Option("describe", "Show tokens: of the owners, or all that may be seen."),
    Option("owner-principal", "Whose tokens: User:name.", "principal", optional=True),
    Option("renewer-principal", "Who may renew the token: User:name.", "principal", optional=True),
    Option("max-life-time-period", "Milliseconds that the token lives at most; -1: what the broker allows.", "ms",
           "long", optional=True),
    Option("renew-time-period", "Milliseconds until it expires then; -1: what the broker is set to.", "ms", "long",
           optional=True),
    Option("expiry-time-period", "Milliseconds until it expires; -1: now.", "ms", "long", optional=True),
    Option("hmac", "The token's HMAC.", "base64", optional=True),
    JSON,
)
EXAMPLE = """
kafka-delegation-tokens --bootstrap-server localhost:9092 --command-config admin.properties --create \\
  --max-life-time-period -1 --renewer-principal User:ann
"""
_ROW = "%-15s %-30s %-15s %-15s %-25s %-15s %-15s %-15s"


def run(options: Parsed) -> int:
    """Do what was asked."""
    if sum(map(options.has, ("create", "renew", "expire", "describe"))) != 1:
        raise UsageError("Command must include exactly one action: --create, --renew, --expire or --describe")
    _check(options)
    path = options.value("command-config")
    if not os.path.exists(path):
        raise ToolError(path)
    settings = settings_of(options)
    action = next(action for name, action in _DO.items() if options.has(name))
    try:
        with Cluster(settings) as cluster:
            action(cluster, options)
    except ConfigError:
        raise
    except ClientError as e:
        sys.stdout.flush()
        print(as_java(e), file=sys.stderr)
        return 1
    return 0


def _check(options: Parsed) -> None:
    options.require("bootstrap-server", "command-config")
    for action, needs in (
        ("create", ("max-life-time-period",)), ("renew", ("hmac", "renew-time-period")),
        ("expire", ("hmac", "expiry-time-period")),
    ):
        if options.has(action):
            options.require(*needs)
    options.refuse("create", ("hmac", "renew-time-period", "expiry-time-period"))
    options.refuse("renew", ("renewer-principal", "max-life-time-period", "expiry-time-period", "owner-principal"))
    options.refuse("expire", ("renew", "max-life-time-period", "renew-time-period", "owner-principal"))
    options.refuse("describe", ("renew-time-period", "max-life-time-period", "hmac", "expiry-time-period"))


def _principals(options: Parsed, option: str) -> list[str]:
    return [parse_principal(text.strip()) for text in options.values(option)]


def _period(options: Parsed, option: str) -> int:
    number = options.value(option)
    if number is None:
        raise ToolError(f"Option {option} requires an argument")
    return int(number)


def _hmac(text: str) -> bytes:
    try:
        return java_base64.decode(text)
    except ValueError as e:
        raise ToolError(str(e)) from None


def _date(milliseconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M", time.localtime(milliseconds / 1000))


# --- what is done -------------------------------------------------------------------------------------------


def _create(cluster: Cluster, options: Parsed) -> None:
    renewers = _principals(options, "renewer-principal")
    life = _period(options, "max-life-time-period")
    if not options.has("json"):
        print(
            f"Calling create token operation with renewers :[{', '.join(renewers)}] , max-life-time-period :{life}",
            flush=True,
        )
    owners = _principals(options, "owner-principal")
    kind, name = owners[0].split(":", 1) if owners else (None, None)
    request = CreateDelegationTokenRequest(
        kind, name, [CreatableRenewers(*renewer.split(":", 1)) for renewer in renewers], life
    )
    token = cluster.ask(request, call="createDelegationToken")
    check(token.error_code)
    row = _row(token, token.issue_timestamp_ms, token.expiry_timestamp_ms, token.max_timestamp_ms, renewers)
    if options.has("json"):
        print(json.dumps(row, ensure_ascii=False, indent=2))
        return
    print(f"Created delegation token with tokenId : {token.token_id}")
    _print([row])


def _renew(cluster: Cluster, options: Parsed) -> None:
    text, period = options.value("hmac") or "", _period(options, "renew-time-period")
    print(f"Calling renew token operation with hmac :{text} , renew-time-period :{period}", flush=True)
    answer = cluster.ask(RenewDelegationTokenRequest(_hmac(text), period), call="renewDelegationToken")
    check(answer.error_code)
    print(f"Completed renew operation. New expiry date : {_date(answer.expiry_timestamp_ms)}", end="")


def _expire(cluster: Cluster, options: Parsed) -> None:
    text, period = options.value("hmac") or "", _period(options, "expiry-time-period")
    print(f"Calling expire token operation with hmac :{text} , expire-time-period :{period}", flush=True)
    answer = cluster.ask(ExpireDelegationTokenRequest(_hmac(text), period), call="expireDelegationToken")
    check(answer.error_code)
    print(f"Completed expire operation. New expiry date : {_date(answer.expiry_timestamp_ms)}", end="")


def _describe(cluster: Cluster, options: Parsed) -> None:
    owners = _principals(options, "owner-principal")
    if options.has("json"):
        pass
    elif owners:
        print(f"Calling describe token operation for owners: [{', '.join(owners)}]", flush=True)
    else:
        print("Calling describe token operation for current user.", flush=True)
    asked = [DescribeDelegationTokenOwner(*owner.split(":", 1)) for owner in owners] or None
    answer = cluster.ask(DescribeDelegationTokenRequest(asked), call="describeDelegationToken")
    check(answer.error_code)
    rows = [
        _row(
            token, token.issue_timestamp, token.expiry_timestamp, token.max_timestamp,
            [f"{renewer.principal_type}:{renewer.principal_name}" for renewer in token.renewers],
        )
        for token in answer.tokens
    ]
    if options.has("json"):
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    print(f"Total number of tokens : {len(rows)}", end="")
    _print(rows)


def _row(token: Any, issued: int, expires: int, most: int, renewers: list[str]) -> dict[str, Any]:
    owner = f"{token.principal_type}:{token.principal_name}"
    requester = f"{token.token_requester_principal_type}:{token.token_requester_principal_name}"
    return {
        "tokenId": token.token_id, "hmac": base64.b64encode(token.hmac).decode(), "owner": owner,
        "requester": requester if token.token_requester_principal_name else owner, "renewers": renewers,
        "issueTimestamp": issued, "expiryTimestamp": expires, "maxTimestamp": most,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    heads = ("TOKENID", "HMAC", "OWNER", "REQUESTER", "RENEWERS", "ISSUEDATE", "EXPIRYDATE", "MAXDATE")
    lines = [heads, *(
        (
            row["tokenId"], row["hmac"], row["owner"], row["requester"], f"[{', '.join(row['renewers'])}]",
            _date(row["issueTimestamp"]), _date(row["expiryTimestamp"]), _date(row["maxTimestamp"]),
        )
        for row in rows
    )]
    if sys.stdout.isatty():
        print("\n" + aligned(lines))
    else:
        print("\n".join("\n" + _ROW % line for line in lines))


_DO = {"create": _create, "renew": _renew, "expire": _expire, "describe": _describe}
