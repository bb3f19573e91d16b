"""`barnabas-quant users add | list | remove | password`: the users, by way of the gateway, as the operator.

The gateway is the one of the platform that runs in the data folder (or `--gateway URL`), the operator's token the one
that it keeps there (or `--token-file FILE`).
"""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

import msgspec

from barnabas_quant.endpoints import running_platform
from barnabas_quant.errors import QuantError, SettingsError
from barnabas_quant.gateway.operator_token import read_token, token_file
from barnabas_quant.settings import Settings

if TYPE_CHECKING:
    import httpx

_PATIENCE = 30.0  # seconds


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the commands and their options."""
    actions = command.add_subparsers(dest="action", required=True, metavar="action")

    def action(name: str, text: str, *, named: bool = True, password: bool = False) -> argparse.ArgumentParser:
        one = actions.add_parser(name, help=text)
        one.add_argument("--config", type=Path, metavar="FILE", help="default barnabas-quant.toml if it is there")
        one.add_argument("--data", type=Path, metavar="DIR", help="default ./data")
        one.add_argument("--gateway", metavar="URL", help="default: the one of the platform that runs in --data")
        one.add_argument("--token-file", type=Path, metavar="FILE", help="default: DATA/run/gateway.token")
        if named:
            one.add_argument("name")
        if password:
            one.add_argument("--password-file", type=Path, metavar="FILE", help="its first line; default: asked for")
        return one

    one = action("add", "make a user", password=True)
    one.add_argument("--owner", action="store_true", help="who may do everything, and acts for the account main")
    action("list", "show the users", named=False)
    action("remove", "remove a user; its sessions and keys end")
    action("password", "give a user another password; its sessions end", password=True)


def run(options: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Do what the options say; give the exit code. Raises QuantError in the gateway's words."""
    import httpx  # a fifth of a second, which every other command would take longer to start

    url = options.gateway or _running_gateway(settings)
    path = options.token_file or token_file(settings)
    if path is None:
        raise SettingsError(f"no operator's token: there is no folder {settings.data}; give --token-file FILE")
    headers = {"Authorization": f"Bearer {read_token(path)}"}
    with httpx.Client(base_url=url, headers=headers, timeout=_PATIENCE, trust_env=False) as client:
        if options.action == "list":
            _show(_ask(client, "GET", "users"), out)
            return 0
        user = f"users/{quote(options.name, safe='')}"
        if options.action == "remove":
            _ask(client, "DELETE", user)
            print(f"{options.name} is removed", file=out)
            return 0
        password = _password(options)
        if options.action == "add":
            role = "owner" if options.owner else "user"
            _ask(client, "POST", "users", {"user": options.name, "password": password, "role": role})
            print(f"{options.name} may sign in, as {'an owner' if options.owner else 'a user'}", file=out)
        else:
            _ask(client, "PUT", f"{user}/password", {"new": password})
            print(f"{options.name} has another password", file=out)
    return 0


def _running_gateway(settings: Settings) -> str:
    running = running_platform(settings.data)
    if running is None:
        raise QuantError(
            f"no platform runs in {settings.data}: start it with `barnabas-quant up`, or name a gateway: --gateway URL"
        )
    if running.gateway is None:
        raise QuantError(f"the platform of {settings.data} runs without a gateway; name one: --gateway URL")
    return running.gateway


def _ask(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
    import httpx

    from barnabas_quant.gateway.answers import Failure

    try:
        response = client.request(method, f"/api/v1/{path}", json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise QuantError(f"no gateway answers at {client.base_url}: {error or type(error).__name__}") from error
    if response.is_success:
        return response.content
    try:
        reason = msgspec.json.decode(response.content, type=Failure).message
    except ValueError:
        reason = response.reason_phrase
    raise QuantError(f"the gateway says {response.status_code}: {reason}")


def _password(options: argparse.Namespace) -> str:
    if options.password_file is not None:
        try:
            text: str = options.password_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"cannot read {options.password_file}: {error}") from error
        return text.partition("\n")[0].removesuffix("\r")
    try:
        password = getpass.getpass(f"password of {options.name}: ", stream=sys.stderr)
        again = getpass.getpass("once more: ", stream=sys.stderr)
    except EOFError as error:
        raise SettingsError("no password; where nobody can be asked, give --password-file FILE") from error
    if password != again:
        raise SettingsError("these are two different passwords")
    return password


def _show(answer: bytes, out: TextIO) -> None:
    from barnabas_quant.gateway.users import Users

    try:
        users = msgspec.json.decode(answer, type=Users).users
    except ValueError as error:
        raise QuantError(f"what answers there is no gateway of this version: {error}") from error
    for user in users:
        made = datetime.fromtimestamp(user.created / 1e6, UTC)
        print(f"{user.user:<32} {user.role:<6} since {made:%Y-%m-%d %H:%M} UTC  keys: {user.keys}", file=out)
    if not users:
        print("no users yet: barnabas-quant users add NAME", file=out)
