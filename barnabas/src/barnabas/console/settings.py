"""Hold what the console is told on its command line, checked once."""

from __future__ import annotations

import argparse
import ipaddress
import re
from pathlib import Path
from typing import Final

import msgspec

from barnabas.tools.errors import ToolError
from barnabas.tools.settings import Settings, load_properties

LISTEN: Final = "localhost:8080"
CLUSTER: Final = "local=localhost:9092"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
#: what a page that somebody sits in front of waits for, unless the property file says otherwise, in milliseconds
_PATIENCE: Final = {"default.api.timeout.ms": "5000", "request.timeout.ms": "10000", "client.id": "barnabas-console"}


class ClusterSettings(msgspec.Struct, frozen=True):
    """Say how one cluster is reached."""

    name: str
    """Its name in the page and in addresses."""
    bootstrap: str
    """HOST:PORT, several with commas."""
    properties: dict[str, str] = {}
    """What its property file says, under the keys of Java's clients."""
    config_file: str | None = None
    """That file, for the commands that the page shows."""

    def client(self) -> Settings:
        """Return settings for asking and changing. Raises `ConfigError`."""
        return Settings({**_PATIENCE, **self.properties}, self.bootstrap)

    def records(self) -> Settings:
        """Return settings for reading and writing records. Raises `ConfigError`."""
        return Settings({"client.id": _PATIENCE["client.id"], **self.properties}, self.bootstrap)


class ConsoleSettings(msgspec.Struct, frozen=True):
    """Say what the console shows, to whom, and what it allows."""

    clusters: tuple[ClusterSettings, ...]
    """The clusters, in the order in which the page has them."""
    host: str = "localhost"
    """The name or address that it listens on."""
    port: int = 8080
    """The port; 0 is any that is free."""
    read_only: bool = False
    """Whether everything that changes something is refused."""
    users: Path | None = None
    """A file of names and bcrypt hashes, as Apache's `htpasswd -B` writes it; None: nobody signs in."""
    user_header: str | None = None
    """The header in which a proxy in front names who signed in there; None: none does."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which the page may be asked for; where it listens on loopback, beside those of loopback."""
    schema_registry: str | None = None
    """Address of a registry that is compatible with Confluent's."""
    schemas: Path | None = None
    """Folder of schema files."""
    scans_at_once: int = 8
    """How many scans and exports may run at once; one holds a client, its threads and some 10 MB."""
    scan_seconds: float = 60.0
    """Seconds after which a scan that is not live ends, and says how far it came."""
    export_seconds: float = 600.0
    """Seconds after which an export is broken off."""
    stall_seconds: float = 60.0
    """Seconds for which a client may take nothing of a stream before it ends."""

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `barnabas console`."""
    parser.add_argument(
        "--cluster", metavar="NAME=HOST:PORT", action="append", default=[],
        help=f"a cluster to show; may be given several times (default: {CLUSTER})",
    )
    parser.add_argument(
        "--command-config", metavar="NAME=FILE", action="append", default=[],
        help="a property file of Kafka's Java clients for a cluster: TLS, SASL",
    )
    parser.add_argument("--listen", metavar="HOST:PORT", default=LISTEN, help=f"where to listen (default: {LISTEN})")
    parser.add_argument("--read-only", action="store_true", help="refuse everything that changes something")
    parser.add_argument(
        "--users", metavar="FILE", help="who may sign in: a file of names and hashes, made with `htpasswd -B`"
    )
    parser.add_argument(
        "--user-header", metavar="NAME", help="the header in which a proxy names who signed in; it must strip it itself"
    )
    parser.add_argument(
        "--allow-host", metavar="NAME", action="append", default=[],
        help="a name by which the page may be asked for; may be given several times",
    )
    parser.add_argument("--schema-registry", metavar="URL", help="a registry of schemas, compatible with Confluent's")
    parser.add_argument("--schemas", metavar="DIR", help="a folder of schemas: *.avsc, and *.desc of protoc")
    parser.add_argument("--end-with-stdin", action="store_true", help=argparse.SUPPRESS)


def read(parsed: argparse.Namespace) -> ConsoleSettings:
    """Make settings of the options. Raises `ToolError`, `ConfigError`."""
    files = dict(_pair("--command-config", text) for text in parsed.command_config)
    clusters: dict[str, ClusterSettings] = {}
    for text in parsed.cluster or [CLUSTER]:
        name, bootstrap = _pair("--cluster", text)
        if not _NAME.match(name):
            raise ToolError(f"--cluster {text}: a name has letters, digits, dots, dashes, 63 at most")
        if name in clusters:
            raise ToolError(f"--cluster {text}: there are two clusters of that name")
        file = files.pop(name, None)
        clusters[name] = ClusterSettings(name, bootstrap, load_properties(file) if file else {}, file)
        clusters[name].client()
    if files:
        raise ToolError(f"--command-config {next(iter(files))}=...: there is no --cluster of that name")
    host, port = address("--listen", parsed.listen)
    if parsed.users and parsed.user_header:
        raise ToolError("--users and --user-header exclude each other: either the console signs in, or the proxy does")
    return ConsoleSettings(
        clusters=tuple(clusters.values()), host=host, port=port, read_only=parsed.read_only,
        users=Path(parsed.users) if parsed.users else None, user_header=parsed.user_header,
        allowed_hosts=tuple(name.lower() for name in parsed.allow_host), schema_registry=parsed.schema_registry,
        schemas=Path(parsed.schemas) if parsed.schemas else None,
    )


def address(option: str, text: str) -> tuple[str, int]:
    """Read HOST:PORT. Raises `ToolError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ToolError(f"{option} {text}: expected HOST:PORT, such as {LISTEN}")
    return host.strip("[]"), int(port)


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ToolError(f"{option} {text}: expected NAME={'FILE' if 'config' in option else 'HOST:PORT'}")
    return name, value
