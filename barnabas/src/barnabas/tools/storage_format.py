"""Format data directories as `kafka-storage format` does: everything is checked before anything is written.

A directory gets `meta.properties`, `bootstrap.checkpoint` with the features and the SCRAM users, and, for a dynamic
quorum (KIP-853), a snapshot of the metadata partition that names the voters. `meta.properties` is written last: a
directory without it is not formatted.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import re
import secrets
import time
from pathlib import Path
from typing import NamedTuple

from barnabas.log.directory import META_PROPERTIES, METADATA_FOLDER, random_uuid, uuid_text
from barnabas.log.files import replace_file
from barnabas.metadata.framing import frame
from barnabas.metadata.reading import KRAFT_VERSION, SNAPSHOT_FOOTER, SNAPSHOT_HEADER, VOTERS
from barnabas.metadata.snapshot import control_pairs
from barnabas.protocol.batch import CONTROL, build_batch
from barnabas.protocol.records import control
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message
from barnabas.tools import java_base64
from barnabas.tools import storage_features as features
from barnabas.tools.errors import ToolError
from barnabas.tools.java_numbers import integer
from barnabas.tools.scripts.storage import metadata_directory, read_meta
from barnabas.tools.texts import parse_uuid

_FIRST = f"{0:020d}-{0:010d}.checkpoint"


class _Voter(NamedTuple):
    node: int
    host: str
    port: int
    directory: bytes


def format_directories(parsed: argparse.Namespace, properties: dict[str, str], names: list[str]) -> int:
    """Format the directories of a node. Raises `ToolError` in Java's words."""
    node = _node_id(properties)
    voters = _quorum(parsed, properties, node)
    dynamic = voters is not None
    release, levels = _levels(parsed, dynamic)
    records = _records(levels, parsed.add_scram)
    formatted = _formatted(names, parsed.cluster_id, node)
    if formatted and not parsed.ignore_formatted:
        raise ToolError(
            f"Log directory {formatted[0]} is already formatted. Use --ignore-formatted to ignore this directory and "
            "format the others."
        )
    empty = [name for name in names if name not in formatted]
    if not empty:
        print("All of the log directories are already formatted.")
        return 0
    print(f"Bootstrap metadata: {_shown(records, levels[features.METADATA_VERSION])}")
    metadata_log = metadata_directory(properties)
    for name in empty:
        own = next((voter for voter in voters or [] if voter.node == node), None)
        is_metadata = name == metadata_log
        what = "data directory"
        if is_metadata:
            what = "dynamic metadata voter directory" if own else (
                "dynamic metadata directory" if voters else "metadata directory"
            )
        print(f"Formatting {what} {name} with metadata.version {release}.")
        directory = own.directory if own and is_metadata else random_uuid()
        try:
            _write(
                Path(name), parsed.cluster_id, node, directory, records, voters if is_metadata else None,
                _controller_listener(properties), levels[features.METADATA_VERSION],
            )
        except OSError as e:
            raise ToolError(f"Error while writing meta.properties file {name}: {e.strerror}") from e
    return 0


def _node_id(properties: dict[str, str]) -> int:
    text = properties.get("node.id", properties.get("broker.id"))
    if text is None:
        raise ToolError('Missing required configuration "node.id" which has no default value.')
    try:
        node = int(text)
    except ValueError:
        raise ToolError(f"Invalid value {text} for configuration node.id: Not a number of type INT") from None
    if node < 0:
        raise ToolError(f"Invalid value {node} for configuration node.id: Value must be at least 0")
    return node


def _controller_listener(properties: dict[str, str]) -> str:
    names = [name.strip() for name in properties.get("controller.listener.names", "").split(",") if name.strip()]
    if not names:
        raise ToolError("You must specify the name of the initial controller listener.")
    return names[0]


# --- the quorum ---------------------------------------------------------------------------------------------


def _quorum(parsed: argparse.Namespace, properties: dict[str, str], node: int) -> list[_Voter] | None:
    """Return the voters of a dynamic quorum, none of one that is joined later; None for a static quorum."""
    static = bool(properties.get("controller.quorum.voters", "").strip())
    roles = {role.strip() for role in properties["process.roles"].split(",")}
    if static and (parsed.standalone or parsed.initial_controllers):
        raise ToolError(
            "You cannot specify controller.quorum.voters and format the node with --initial-controllers or "
            "--standalone. If you want to use dynamic quorum, please remove controller.quorum.voters and specify "
            "controller.quorum.bootstrap.servers instead."
        )
    if parsed.initial_controllers:
        return [_voter(text.strip()) for text in parsed.initial_controllers.split(",") if text.strip()]
    if parsed.standalone:
        if "controller" not in roles:
            raise ToolError(
                "You can only use --standalone on a controller." if "broker" in roles else "No controller role."
            )
        host, port = _controller_address(properties)
        return [_Voter(node, host, port, random_uuid())]
    if static:
        return None
    if parsed.no_initial_controllers:
        return []
    if "controller" in roles:
        raise ToolError(
            "Because controller.quorum.voters is not set on this controller, you must specify one of the following: "
            "--standalone, --initial-controllers, or --no-initial-controllers."
        )
    return None


def _controller_address(properties: dict[str, str]) -> tuple[str, int]:
    name = _controller_listener(properties)
    for text in properties.get("listeners", "").split(","):
        match = re.fullmatch(r"([^:]+)://\[?([^]]*?)\]?:(\d+)", text.strip())
        if match and match[1].upper() == name.upper():
            return match[2] or "localhost", int(match[3])
    raise ToolError("No controller listeners found.")


def _voter(text: str) -> _Voter:
    """Read `id@host:port:directory-id`. Raises `ToolError` in Java's words."""
    number, at, rest = text.partition("@")
    if not at:
        raise ToolError("No @ found in dynamic voter string.")
    if not number:
        raise ToolError("Invalid @ at beginning of dynamic voter string.")
    if not number.isdecimal():
        raise ToolError("Failed to parse node id in dynamic voter string.")
    if not rest:
        raise ToolError("No hostname found after node id.")
    if rest.startswith("["):
        host, found, rest = rest[1:].partition("]")
        if not found:
            raise ToolError("Hostname began with left bracket, but no right bracket was found.")
        if not rest.startswith(":"):
            raise ToolError("Port section must start with a colon.")
        rest = rest[1:]
    else:
        host, found, rest = rest.partition(":")
        if not found:
            raise ToolError("No colon following hostname could be found.")
    port, found, directory = rest.partition(":")
    if not found:
        raise ToolError("No colon following port could be found.")
    if not port.isdecimal():
        raise ToolError("Failed to parse port in dynamic voter string.")
    try:
        return _Voter(int(number), host, int(port), parse_uuid(directory))
    except ToolError:
        raise ToolError("Failed to parse directory ID in dynamic voter string.") from None


# --- features and users -------------------------------------------------------------------------------------


def _levels(parsed: argparse.Namespace, dynamic: bool) -> tuple[str, dict[str, int]]:
    """Return the release's name and the level of every feature. Raises `ToolError`."""
    asked: dict[str, int] = {}
    release = features.metadata_version(parsed.release_version, stable=True) if parsed.release_version else None
    for text in parsed.feature:
        name, equals, number = text.partition("=")
        if not equals:
            raise ToolError(f"Can't parse feature=level string {text}: equals sign not found.")
        try:
            asked[name.strip()] = int(number)
        except ValueError:
            raise ToolError(f"Can't parse feature=level string {text}: unable to parse {number} as a short.") from None
    if features.METADATA_VERSION in asked:
        if release is not None:
            raise ToolError("Use --release-version instead of --feature metadata.version=X to avoid ambiguity.")
        level = asked.pop(features.METADATA_VERSION)
        name_of = features.version_name(level)
        if name_of is None:
            raise ToolError(
                f"No MetadataVersion with feature level {level}. Valid feature levels are from 7 to 31."
            )
        if name_of == features.UNSTABLE:
            raise ToolError(f"metadata.version {name_of} is not yet stable.")
        release = name_of, level
    name, version = release or (features.LATEST, features.METADATA_VERSIONS[features.LATEST])
    levels = {features.METADATA_VERSION: version}
    for feature in asked:
        if feature not in features.FEATURES:
            raise ToolError(
                f"Unsupported feature: {feature}. Supported features are: {', '.join(sorted(features.FEATURES))}"
            )
    for feature in sorted(features.FEATURES):
        if feature == features.KRAFT_VERSION:
            levels[feature] = _kraft(asked.get(feature), dynamic)
        else:
            levels[feature] = asked.get(feature, features.default_level(feature, version))
    for feature, level in levels.items():
        if feature == features.METADATA_VERSION:
            continue
        if not 0 <= level <= len(features.FEATURES[feature]):
            raise ToolError(f"No feature:{feature} with feature level {level}")
        for other, least in features.DEPENDENCIES.get((feature, level), {}).items():
            if levels.get(other, 0) < least:
                raise ToolError(
                    f"{feature} could not be set to {level} because it depends on {other} level {least}"
                )
    return name, levels


def _kraft(asked: int | None, dynamic: bool) -> int:
    if asked is None:
        return int(dynamic)
    if asked == 0 and dynamic:
        raise ToolError(
            "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, "
            "--initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try removing "
            "the --feature flag for kraft.version."
        )
    if asked and not dynamic:
        raise ToolError(
            f"Cannot set kraft.version to {asked} unless controller.quorum.voters is empty and one of the flags "
            "--standalone, --initial-controllers, or --no-initial-controllers is used. For dynamic controllers "
            "support, try using one of --standalone, --initial-controllers, or --no-initial-controllers and removing "
            "controller.quorum.voters."
        )
    return asked


def _records(levels: dict[str, int], users: list[str]) -> list[Message]:
    found: list[Message] = [r.FeatureLevelRecord(features.METADATA_VERSION, levels[features.METADATA_VERSION])]
    found += [
        r.FeatureLevelRecord(name, level) for name, level in sorted(levels.items())
        if level and name not in (features.METADATA_VERSION, features.KRAFT_VERSION)
    ]
    return found + [_user(text) for text in users]


_MECHANISMS = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}


def _user(text: str) -> r.UserScramCredentialRecord:
    """Read `SCRAM-SHA-256=[name=alice,password=secret]`. Raises `ToolError`."""
    mechanism, equals, rest = text.strip().partition("=")
    if not equals:
        raise ToolError(f"Failed to find equals sign in SCRAM argument '{mechanism}'")
    if mechanism not in _MECHANISMS:
        raise ToolError(f"The add-scram mechanism {mechanism} is not supported.")
    if not (rest.startswith("[") and rest.endswith("]")):
        raise ToolError(f"Expected configuration string to {'end' if rest.startswith('[') else 'start'} with "
                        f"{']' if rest.startswith('[') else '['}")
    given = _components(rest[1:-1])
    name, password, salted_text = (given.pop(key, None) for key in ("name", "password", "saltedpassword"))
    if name is None:
        raise ToolError("You must supply 'name' to add-scram")
    salt = _base64(given.pop("salt"), "salt") if "salt" in given else None
    iterations_text = given.pop("iterations", "4096")
    try:
        iterations = integer(iterations_text)
    except ValueError:
        raise ToolError(f"Failed to parse iterations count: {iterations_text}") from None
    if password is None and salted_text is None:
        raise ToolError("You must supply one of 'password' or 'saltedpassword' to add-scram")
    if password is None and salt is None:
        raise ToolError("You must supply 'salt' with 'saltedpassword' to add-scram")
    salted = b"" if salted_text is None or password is not None else _base64(salted_text, "saltedPassword")
    if given:
        raise ToolError(f"Unknown SCRAM configurations: {', '.join(sorted(given))}")
    number, digest = _MECHANISMS[mechanism]
    named = mechanism.replace("-", "_")
    if iterations < 4096:
        raise ToolError(f"The 'iterations' value must be >= 4096 for add-scram using {named}")
    if iterations > 16384:
        raise ToolError(f"The 'iterations' value must be <= 16384 for add-scram using {named}")
    salt = secrets.token_bytes(32) if salt is None else salt
    if password is not None:
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    client = hmac.new(salted, b"Client Key", digest).digest()
    server = hmac.new(salted, b"Server Key", digest).digest()
    return r.UserScramCredentialRecord(name, number, salt, hashlib.new(digest, client).digest(), server, iterations)


def _components(text: str) -> dict[str, str]:
    """Split `name=alice,password="secret"`; a comma always separates, and quotes come off as a pair alone."""
    given = {}
    for part in text.rstrip(",").split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise ToolError(f"No equals sign found in SCRAM component: {part}")
        given[key] = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return given


def _base64(text: str, what: str) -> bytes:
    try:
        return java_base64.decode(text)
    except ValueError:
        raise ToolError(f"Failed to decode given {what}: {text}") from None


def _shown(records: list[Message], level: int) -> str:
    """Write the records as Java's toString does."""
    texts = []
    for record in records:
        if isinstance(record, r.FeatureLevelRecord):
            text = f"FeatureLevelRecord(name='{record.name}', featureLevel={record.feature_level})"
        else:
            assert isinstance(record, r.UserScramCredentialRecord)
            text = (
                f"UserScramCredentialRecord(name='{record.name}', mechanism={record.mechanism}, "
                f"salt={_signed(record.salt)}, storedKey={_signed(record.stored_key)}, "
                f"serverKey={_signed(record.server_key)}, iterations={record.iterations})"
            )
        texts.append(f"ApiMessageAndVersion({text} at version 0)")
    return f"BootstrapMetadata(records=[{', '.join(texts)}], metadataVersionLevel={level}, source=format command)"


def _signed(data: bytes) -> str:
    return str([byte - 256 if byte > 127 else byte for byte in data])


# --- the files ----------------------------------------------------------------------------------------------


def _formatted(names: list[str], cluster_id: str, node: int) -> list[str]:
    """Return the directories that are formatted already. Raises `ToolError` where they are of another cluster."""
    found = []
    for name in names:
        meta = Path(name) / META_PROPERTIES
        if not meta.exists():
            continue
        properties = read_meta(meta)
        for key, expected in (("cluster.id", cluster_id), ("node.id", str(node))):
            if properties.get(key, expected) != expected:
                raise ToolError(f"Invalid {key} in: {meta}. Expected {expected}, but read {properties[key]}")
        found.append(name)
    return found


def _write(
    path: Path, cluster_id: str, node: int, directory: bytes, records: list[Message], voters: list[_Voter] | None,
    listener: str, level: int,
) -> None:
    path.mkdir(parents=True, exist_ok=True)
    now = int(time.time() * 1000)
    header = control.SnapshotHeaderRecord()
    replace_file(
        path / "bootstrap.checkpoint",
        _snapshot(now, [(SNAPSHOT_HEADER, header)], [frame(record, level) for record in records]),
    )
    if voters:
        folder = path / METADATA_FOLDER
        folder.mkdir(exist_ok=True)
        opening: list[tuple[int, Message]] = [
            (SNAPSHOT_HEADER, control.SnapshotHeaderRecord(last_contained_log_timestamp=now)),
            (KRAFT_VERSION, control.KRaftVersionRecord(k_raft_version=1)),
            (VOTERS, control.VotersRecord(voters=[
                control.VotersRecordVoter(
                    v.node, v.directory, [control.Endpoint(listener, v.host, v.port)], control.KRaftVersionFeature(0, 1)
                )
                for v in voters
            ])),
        ]
        replace_file(folder / _FIRST, _snapshot(now, opening, []))
        os.chmod(folder / _FIRST, 0o400)
    replace_file(
        path / META_PROPERTIES,
        f"version=1\ncluster.id={cluster_id}\nnode.id={node}\ndirectory.id={uuid_text(directory)}\n",
    )


def _snapshot(now: int, opening: list[tuple[int, Message]], values: list[bytes]) -> bytes:
    out = bytearray(build_batch(control_pairs(opening), now, attributes=CONTROL))
    offset = len(opening)
    if values:
        out += build_batch([(None, value) for value in values], now, base_offset=offset)
        offset += len(values)
    closing: list[tuple[int, Message]] = [(SNAPSHOT_FOOTER, control.SnapshotFooterRecord())]
    return bytes(out + build_batch(control_pairs(closing), now, base_offset=offset, attributes=CONTROL))
