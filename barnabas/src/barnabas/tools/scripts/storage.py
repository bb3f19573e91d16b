"""Format and inspect data directories: `kafka-storage`. It sends no requests.

What it formats, Apache Kafka and Barnabas both start on; what Kafka's tool has formatted too. Differences: nothing of a
configuration is checked but what formatting needs, and of several directories the first error ends it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from barnabas.tools.commands import Commands
from barnabas.tools.errors import ToolError
from barnabas.tools.settings import load_properties
from barnabas.tools.storage_features import (
    DEPENDENCIES,
    FEATURES,
    LATEST,
    METADATA_VERSION,
    default_level,
    metadata_version,
    version_name,
)

SUMMARY = "The Kafka storage tool."
EXAMPLE = """
kafka-storage format --standalone -t $(kafka-storage random-uuid) -c config/server.properties
"""


def parser(parser: Commands) -> None:
    """Add the commands."""
    commands = parser.add_subparsers(dest="command", required=True)
    info = commands.add_parser("info", help="show the log directories of this node")
    form = commands.add_parser("format", help="format the log directories of this node")
    mapping = commands.add_parser("version-mapping", help="show the features that belong to a metadata version")
    needs = commands.add_parser("feature-dependencies", help="show what a level of a feature needs")
    commands.add_parser("random-uuid", help="print a random UUID")
    for command in (info, form):
        command.add_argument("--config", "-c", required=True, help="the server's property file")
    form.add_argument("--cluster-id", "-t", required=True, help="the cluster's id")
    form.add_argument(
        "--add-scram", "-S", action="append", default=[],
        help="a user for SCRAM: 'SCRAM-SHA-256=[name=alice,password=secret]', with iterations=, salt=\"...\" and "
        'saltedpassword="..." as one likes',
    )
    form.add_argument("--ignore-formatted", "-g", action="store_true", help="pass over what is formatted already")
    form.add_argument("--feature", "-f", action="append", default=[], help="a feature's level, such as group.version=1")
    for command in (form, mapping):
        command.add_argument(
            "--release-version", "-r", help=f"the release: 3.3-IV3 at least, {LATEST} where nothing is said"
        )
    quorum = form.add_mutually_exclusive_group()
    quorum.add_argument("--standalone", "-s", action="store_true", help="a dynamic quorum of this node alone")
    quorum.add_argument(
        "--no-initial-controllers", "-N", action="store_true", help="a dynamic quorum that this node joins later"
    )
    quorum.add_argument(
        "--initial-controllers", "-I", help="a dynamic quorum: id@host:port:directory-id, separated by commas"
    )
    needs.add_argument(
        "--feature", "-f", action="append", required=True, help="a level, such as metadata.version=25"
    )


def run(parsed: argparse.Namespace) -> int:
    """Do what was asked."""
    if parsed.command == "random-uuid":
        from barnabas.log.directory import random_uuid, uuid_text

        print(uuid_text(random_uuid()))
        return 0
    if parsed.command == "version-mapping":
        return _mapping(parsed.release_version or LATEST)
    if parsed.command == "feature-dependencies":
        for text in parsed.feature:
            _dependencies(text)
        return 0
    properties = _properties(parsed.config)
    if parsed.command == "info":
        return _info(directories(properties))
    from barnabas.tools.storage_format import format_directories

    return format_directories(parsed, properties, directories(properties))


def _properties(path: str) -> dict[str, str]:
    if not Path(path).exists():
        raise ToolError(path)
    properties = load_properties(path)
    if not properties.get("process.roles"):
        raise ToolError('Missing required configuration "process.roles" which has no default value.')
    return properties


def directories(properties: dict[str, str]) -> list[str]:
    """Return the directories of a node, that of the metadata log included, sorted."""
    return sorted({*_log_directories(properties), *filter(None, [metadata_directory(properties)])})


def metadata_directory(properties: dict[str, str]) -> str:
    """Return the directory of the metadata log: metadata.log.dir, else the first one; nothing where there is none."""
    return properties.get("metadata.log.dir", "").strip() or next(iter(_log_directories(properties)), "")


def _log_directories(properties: dict[str, str]) -> list[str]:
    text = properties.get("log.dirs") or properties.get("log.dir") or "/tmp/kafka-logs"
    return [name.strip() for name in text.split(",") if name.strip()]


def read_meta(path: Path) -> dict[str, str]:
    """Read meta.properties. Raises `ToolError`, `OSError`."""
    return load_properties(str(path))


def _mapping(release: str) -> int:
    level = metadata_version(release)[1]
    print(f"metadata.version={level} ({release})")
    for feature in FEATURES:
        print(f"{feature}={default_level(feature, level)}")
    return 0


def _dependencies(text: str) -> None:
    feature, equals, number = text.partition("=")
    if not equals or "=" in number:
        raise ToolError(
            f"Invalid feature format: {text}. Expected format: 'feature=version' (e.g. 'group.version=1')"
        )
    try:
        level = int(number)
    except ValueError:
        raise ToolError(f"Invalid version format: {number} for feature {feature}") from None
    shown = f"{feature}={level}"
    if feature == METADATA_VERSION:
        name = version_name(level)
        if name is None:
            raise ToolError(f"Unknown metadata.version {level}")
        shown += f" ({name})"
    elif feature not in FEATURES:
        raise ToolError(f"Unknown feature: {feature}")
    elif not 0 <= level <= len(FEATURES[feature]):
        raise ToolError(f"Feature level {level} is not supported for feature {feature}")
    needed = DEPENDENCIES.get((feature, level), {})
    if not needed:
        print(f"{shown} has no dependencies.")
        return
    print(f"{shown} requires:")
    for other, least in needed.items():
        print(f"    {other}={least}" + (f" ({version_name(least)})" if other == METADATA_VERSION else ""))


def _info(names: list[str]) -> int:
    problems: list[str] = []
    found: list[str] = []
    first: dict[str, str] = {}
    for name in names:
        path = Path(name)
        if not path.is_dir():
            problems.append(f"{path} is not a directory" if path.exists() else f"{path} does not exist")
            continue
        found.append(str(path))
        if not (path / "meta.properties").exists():
            problems.append(f"{path} is not formatted.")
            continue
        meta = read_meta(path / "meta.properties")
        first = first or meta
        for key, what in (("cluster.id", "cluster"), ("node.id", "node")):
            if first.get(key) != meta.get(key):
                problems.append(f"Mismatched {what} IDs between storage directories.")
                break
    if found:
        _show("Found log director" + ("y:" if len(found) == 1 else "ies:"), found)
    if first:
        print(f"Found metadata: {{{', '.join(f'{key}={value}' for key, value in sorted(first.items()))}}}\n")
    if problems:
        _show("Found problem" + (":" if len(problems) == 1 else "s:"), problems)
    return 1 if problems else 0


def _show(title: str, lines: list[Any]) -> None:
    print(title)
    for line in lines:
        print(f"  {line}")
    print()
