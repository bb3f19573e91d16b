"""Make metadata folders by hand, batch by batch, for tests that must say exactly what lies in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from barnabas.config.server import ServerConfig
from barnabas.config.topic import TopicConfig
from barnabas.metadata.framing import LATEST, frame
from barnabas.metadata.store import MetadataStore, Voter
from barnabas.protocol.batch import build_batch
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

NODE = 1
DIRECTORY_ID = bytes(range(16))
NOW = 1_700_000_000_000

CONFIG = ServerConfig.load({})[0]


def uuid(number: int) -> bytes:
    """Return an id that a number stands for."""
    return number.to_bytes(16, "big")


def features(level: int = LATEST) -> Message:
    """Return the record without which there is no metadata."""
    return r.FeatureLevelRecord("metadata.version", level)


def topic(name: str, number: int, partitions: int = 1, **fields: object) -> list[Message]:
    """Return the records of a topic as this node writes them, some fields of the partitions changed."""
    usual = {
        "topic_id": uuid(number), "replicas": [NODE], "isr": [NODE], "leader": -1, "leader_epoch": 0,
        "partition_epoch": 0, "directories": [DIRECTORY_ID], "last_known_elr": [NODE],
    }
    records = [r.PartitionRecord(partition_id=i, **{**usual, **fields}) for i in range(partitions)]  # type: ignore[arg-type]
    return [r.TopicRecord(name, uuid(number)), *records]


def batch(records: Sequence[Message], offset: int, *, epoch: int = 1, level: int = LATEST) -> bytes:
    """Return records as one batch of the metadata log."""
    pairs: list[tuple[bytes | None, bytes | None]] = [(None, frame(record, level)) for record in records]
    return bytes(build_batch(pairs, NOW, base_offset=offset, leader_epoch=epoch))


def write_log(data: Path, *groups: Sequence[Message], base: int = 0, epoch: int = 1) -> Path:
    """Write groups of records as the batches of a segment; return its file."""
    folder = data / "__cluster_metadata-0"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{base:020d}.log"
    offset, out = base, b""
    for records in groups:
        out += batch(records, offset, epoch=epoch)
        offset += len(records)
    path.write_bytes(out)
    return path


def store(data: Path, *, snapshot_bytes: int = 1 << 30) -> MetadataStore:
    """Return a store on a directory, not loaded."""
    voter = Voter(NODE, DIRECTORY_ID, "CONTROLLER", "127.0.0.1", 9093)
    return MetadataStore(data, voter, TopicConfig.of({}, CONFIG), snapshot_bytes=snapshot_bytes)


def opened(data: Path, *bootstrap: Message, snapshot_bytes: int = 1 << 30) -> MetadataStore:
    """Return a store that leads; close it."""
    found = store(data, snapshot_bytes=snapshot_bytes)
    found.load()
    found.open(NOW)
    found.lead(NOW, bootstrap)
    return found


def checksum(data: Path) -> dict[str, str]:
    """Return a digest of every file of a directory, the lock file left out, and mark every folder."""
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(data.rglob("*"))
        if path.name != ".lock"
    }
