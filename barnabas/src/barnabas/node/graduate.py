"""Hand a directory over to Apache Kafka: check everything in it, and write the server.properties that goes with it.

`barnabas graduate [DIR] [--output FILE] [--deep]`. The directory's files are already Kafka's own; nothing in them is
changed. Without `--deep` the CRCs of each partition's newest segment are compared, with it those of all, and every
record is read.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from barnabas.config.broker import DEVIATING_DEFAULTS, SINGLE_REPLICA_KEYS, find
from barnabas.config.definitions import ConfigException
from barnabas.config.server import Listener, ServerConfig
from barnabas.config.topic import TopicConfig
from barnabas.log import checkpoints
from barnabas.log.directory import (
    CLEAN_MARKER,
    METADATA_FOLDER,
    PARTITION_FOLDER,
    Identity,
    read_identity,
)
from barnabas.log.files import replace_file
from barnabas.log.locking import DirectoryLock
from barnabas.metadata.framing import METADATA_VERSIONS, MetadataError
from barnabas.metadata.store import MetadataStore, Voter
from barnabas.node.inspection import Expected, inspect_partition
from barnabas.node.inventory import live_names
from barnabas.node.static import listener_settings, property_lines, recall
from barnabas.node.takeover import check_takeover
from barnabas.protocol.errors import BarnabasError

_SET_ASIDE: Final = ("-delete", "-stray", "-future")
#: what is written anew, or means nothing to Kafka
_LEFT_OUT: Final = frozenset(
    (
        "broker.id", "log.dir", "metadata.log.dir", "controller.quorum.voters", "controller.quorum.bootstrap.servers",
        "process.roles",
    )
)


@dataclass(slots=True)
class Handover:
    """Hold what Kafka will find. `problems` keep the directory from being handed over."""

    identity: Identity
    level: int = 0
    kraft_version: int = 1
    topics: dict[str, tuple[int, int]] = field(default_factory=dict)  # partitions, records
    size: int = 0
    groups: int = 0
    transactional_ids: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def command(parsed: argparse.Namespace) -> int:
    """Run the subcommand; return its exit status, 1 where the directory cannot be handed over."""
    path = Path(parsed.data)
    try:
        if not path.is_dir():
            raise BarnabasError(f"There is no data directory {path}")
        lock = DirectoryLock(path / ".lock")
        holder = lock.acquire()
        if holder is not None:
            raise BarnabasError(f"The data directory {path} is in use by {holder}. Stop it first.")
        try:
            return _graduate(path, Path(parsed.output) if parsed.output else path / "server.properties", parsed.deep)
        finally:
            lock.release()
    except (BarnabasError, ConfigException, OSError) as e:
        sys.stderr.write(f"barnabas: {e}\n")
        return 1


def _graduate(path: Path, output: Path, deep: bool) -> int:
    found = inspect(path, deep=deep)
    for note in found.notes:
        print(f"note: {note}")
    if found.problems:
        for problem in found.problems:
            sys.stderr.write(f"{problem}\n")
        sys.stderr.write(f"barnabas: {path} cannot be handed over to Apache Kafka ({len(found.problems)} problems)\n")
        return 1
    release = next((name for name, level in METADATA_VERSIONS.items() if level >= found.level), "4.3").split("-")[0]
    records = sum(count for _, count in found.topics.values())
    partitions = sum(count for count, _ in found.topics.values())
    settings = server_properties(path, found)
    title = "# For Apache Kafka to take over the data directory of Barnabas\n"
    replace_file(output, title + property_lines(settings))
    output.chmod(0o600)  # settings may hold passwords
    print(
        f"Apache Kafka {release} or later will find cluster {found.identity.cluster_id}, node "
        f"{found.identity.node_id}:\n"
        f"  {len(found.topics)} topics, {partitions} partitions, {records} offsets with records, {found.size} bytes\n"
        f"  {found.groups} groups, {found.transactional_ids} transactional ids"
    )
    for name, (count, held) in sorted(found.topics.items()):
        print(f"  {name}: {count} partitions, {held} records" if not name.startswith("__") else f"  {name}: {count}")
    print(f"The settings are in {output.resolve()}. In Kafka's folder, start it with\n"
          f"  bin/kafka-server-start.sh {output.resolve()}")  # fmt: skip
    return 0


# --- checking -------------------------------------------------------------------------------------------------


def inspect(path: Path, *, deep: bool = False) -> Handover:
    """Check a directory that nobody serves; raises `BarnabasError` where it is none, `OSError`."""
    identity = read_identity(path)
    if identity is None:
        raise BarnabasError(f"{path} is no data directory: it has no meta.properties")
    found = Handover(identity)
    config = _config(path, identity)
    voter = Voter(identity.node_id, identity.directory_id, "", "", 0)
    store = MetadataStore(path, voter, TopicConfig.of({}, config))
    try:
        store.load()
        check_takeover(store, path, identity.node_id, identity.directory_id)
    except MetadataError as e:
        found.problems.append(f"{METADATA_FOLDER}: {e}")
        return found
    if not store.image.features:
        found.problems.append(f"{METADATA_FOLDER} is empty: the directory was never served")
    found.level, found.kraft_version = store.image.metadata_version, store.kraft_version
    if store.torn:
        found.notes.append(f"{METADATA_FOLDER}: Kafka cuts a torn tail of {store.torn} bytes")
    clean = (path / CLEAN_MARKER).exists()
    if not clean:
        found.notes.append("the last stop was not clean: Kafka reads all logs when it starts")
    starts = _checkpoint_files(path, found)
    _folders(path, store, found)
    since = int(time.time() * 1000) - config.producer_id_expiration_ms
    for topic in store.image.topics.values():
        records = 0
        for p in topic.partitions:
            name = f"{topic.name}-{p.index}"
            expected = Expected(
                name, topic.id, p.leader_epoch, starts.get((topic.name, p.index), 0), clean, deep, since
            )
            report = inspect_partition(path / name, expected)
            records += report.end - report.start
            found.size += report.size
            found.problems += report.problems
            found.notes += report.notes
        found.topics[topic.name] = (len(topic.partitions), records)
    if not found.problems:
        found.groups = len(live_names(path, "__consumer_offsets"))
        found.transactional_ids = len(live_names(path, "__transaction_state"))
    return found


def _config(path: Path, identity: Identity) -> ServerConfig:
    settings = {**recall(path), "node.id": str(identity.node_id), "log.dirs": str(path)}
    return ServerConfig.load({key: value for key, value in settings.items() if key != "broker.id"})[0]


def _checkpoint_files(path: Path, found: Handover) -> dict[tuple[str, int], int]:
    """Check the text files of the directory, whose form stops Kafka's start; return the log starts."""
    starts: dict[tuple[str, int], int] = {}
    for name in (
        checkpoints.RECOVERY_POINT, checkpoints.REPLICATION, checkpoints.LOG_START, checkpoints.CLEANER,
    ):
        try:
            offsets = checkpoints.read_offsets(path / name)
        except (checkpoints.CheckpointError, UnicodeDecodeError) as e:
            found.problems.append(f"{name} is malformed, which stops Kafka's start: {e}")
            continue
        if name == checkpoints.LOG_START:
            starts = offsets
    for name in (CLEAN_MARKER, f"{METADATA_FOLDER}/quorum-state"):
        file = path / name
        try:
            if file.exists() and file.stat().st_size:
                json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            found.problems.append(f"{name} is malformed, which stops Kafka's start")
    return starts


def _folders(path: Path, store: MetadataStore, found: Handover) -> None:
    known = {f"{topic.name}-{p.index}" for topic in store.image.topics.values() for p in topic.partitions}
    for folder in sorted(p for p in path.iterdir() if p.is_dir()):
        name = folder.name
        if name in known or name == METADATA_FOLDER or name.endswith(_SET_ASIDE):
            continue
        if PARTITION_FOLDER.match(name):
            found.notes.append(f"{name} belongs to no topic: Kafka sets it aside as a stray")
        else:
            found.problems.append(f"{name} is no folder of a partition: any other folder stops Kafka's start")


# --- server.properties ----------------------------------------------------------------------------------------


def server_properties(path: Path, found: Handover) -> dict[str, str]:
    """Return the settings with which Kafka takes the directory over: what the metadata does not hold."""
    config = _config(path, found.identity)
    listeners = config.listeners
    controller = next((x for x in listeners if x.is_controller), None)
    if controller is None:
        controller = _controller(listeners)
        listeners = (*listeners, controller)
    address = f"{controller.advertised_host}:{controller.port}"
    quorum = (
        {"controller.quorum.bootstrap.servers": address}
        if found.kraft_version
        else {"controller.quorum.voters": f"{found.identity.node_id}@{address}"}
    )
    settings = {
        "process.roles": "broker,controller", "node.id": str(found.identity.node_id), "log.dirs": str(path.resolve()),
        **listener_settings(listeners), **quorum, **dict.fromkeys(sorted(SINGLE_REPLICA_KEYS), "1"),
    }
    # where our default differs from Kafka's, say what was in effect
    for key in DEVIATING_DEFAULTS:
        value = config.get(key)
        if key not in settings and value is not None:
            settings[key] = ",".join(value) if isinstance(value, list) else str(value)
    static = config.static
    if "inter.broker.listener.name" not in static and "security.inter.broker.protocol" not in static:
        settings["inter.broker.listener.name"] = next(x.name for x in listeners if not x.is_controller)
    for key, text in static.items():
        if key not in settings and key not in _LEFT_OUT and find(key) is not None:
            settings[key] = text
    return settings


def _controller(listeners: tuple[Listener, ...]) -> Listener:
    """Choose a listener for the controller, on this machine alone and on a port that is free."""
    taken = {x.port for x in listeners}
    port = max(taken) + 1
    while port in taken or not _is_free(port):
        port = port + 1 if port < 65535 else 1024
    names = {x.name for x in listeners}
    name = next(n for n in ("CONTROLLER", "BARNABAS_CONTROLLER") if n not in names)
    return Listener(name, "127.0.0.1", port, "PLAINTEXT", "127.0.0.1", port, is_controller=True)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
