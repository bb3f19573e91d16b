"""Read the metadata of a directory as it lies there: Kafka's newest complete snapshot, then the log behind it.

Nothing is written. A tail that a crash tore is told (`torn`) and left where it is; damage with good batches behind it
is an error, for cutting there would lose topics that were acknowledged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from barnabas.log.files import read_text
from barnabas.metadata.framing import MetadataError, unframe
from barnabas.metadata.image import MetadataImage
from barnabas.protocol.batch import HEADER_SIZE, BatchHeader, batches, crc_matches, read_header, read_records
from barnabas.protocol.codec import decode
from barnabas.protocol.errors import KafkaError, SchemaError
from barnabas.protocol.records import control
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Buffer, Message

LEADER_CHANGE: Final = 2
SNAPSHOT_HEADER: Final = 3
SNAPSHOT_FOOTER: Final = 4
KRAFT_VERSION: Final = 5
VOTERS: Final = 6

QUORUM_STATE: Final = "quorum-state"
SNAPSHOT_SUFFIX: Final = ".checkpoint"


class Metadata:
    """Hold what was read: the image, the quorum, and how far the log goes.

    `epoch` is the highest that anything names. `snapshot_end` is the offset behind the snapshot, 0 without one; `size`
    counts the bytes of log behind it. `in_transaction`: the log ends inside a metadata transaction (KIP-868), whose
    records are not in the image.
    """

    def __init__(self) -> None:
        self.image = MetadataImage()
        self.kraft_version = 0
        self.voters: control.VotersRecord | None = None
        self.epoch = 0
        self.snapshot_end = 0
        self.end = 0
        self.size = 0
        self.torn = 0
        self._held: list[Message] | None = None

    @property
    def in_transaction(self) -> bool:
        """Tell whether a metadata transaction was begun and not ended."""
        return self._held is not None

    @property
    def voter_ids(self) -> list[int]:
        """Return the ids of the quorum's voters; empty where the log does not name them (kraft.version 0)."""
        return [voter.voter_id for voter in self.voters.voters] if self.voters else []

    def replay(self, record: Message) -> None:
        """Replay a record, holding back those of a metadata transaction until it ends."""
        match record:
            case r.BeginTransactionRecord():
                self._held = []
            case r.EndTransactionRecord():
                held, self._held = self._held or [], None
                for earlier in held:
                    self.image.replay(earlier)
            case r.AbortTransactionRecord():
                self._held = None
            case _ if self._held is not None:
                self._held.append(record)
            case _:
                self.image.replay(record)

    def replay_batch(self, header: BatchHeader, data: bytes, start: int = 0) -> None:
        """Replay the records of a batch from an offset on; raises `MetadataError`."""
        try:
            for record in read_records(header, data):
                if record.offset < start:
                    continue
                if header.is_control:
                    self._replay_control(record.key or b"", record.value or b"")
                elif record.value is not None:
                    self.replay(unframe(record.value))
        except (KafkaError, SchemaError) as e:
            raise MetadataError(f"the metadata batch at offset {header.base_offset} cannot be read: {e}") from e

    def _replay_control(self, key: bytes, value: bytes) -> None:
        kind = int.from_bytes(key[2:4], "big")
        if kind == KRAFT_VERSION:
            self.kraft_version = decode(control.KRaftVersionRecord, 0, value).k_raft_version
        elif kind == VOTERS:
            self.voters = decode(control.VotersRecord, 0, value)


def read(folder: Path) -> Metadata:
    """Read the metadata folder of a data directory, which may be absent. Raises `MetadataError`, `OSError`."""
    found = Metadata()
    if not folder.exists():
        return found
    snapshot = newest_snapshot(folder)
    if snapshot is not None:
        found.snapshot_end, found.epoch, path = snapshot
        found.end = found.snapshot_end
        data = path.read_bytes()
        for header, at in batches(data):
            if not crc_matches(header, data, at):
                raise MetadataError(f"the metadata snapshot {path} is corrupt: a CRC does not match")
            found.replay_batch(header, data[at : at + header.size])
    _read_log(folder, found)
    found.epoch = max(found.epoch, _quorum_epoch(folder))
    return found


def _read_log(folder: Path, found: Metadata) -> None:
    segments = sorted((int(path.stem), path) for path in folder.glob("*.log") if path.stem.isdecimal())
    if not segments:
        return
    if segments[0][0] > found.snapshot_end:
        raise MetadataError(
            f"the metadata log begins at offset {segments[0][0]}, and no complete snapshot reaches that far: "
            f"{folder} is not whole"
        )
    expected = segments[0][0]
    for base, path in segments:
        if base != expected:
            raise MetadataError(f"the metadata log has a gap: {path.name} follows offset {expected}")
        data = path.read_bytes()
        position = 0
        for header in _good_batches(data, expected):
            position += header.size
            expected = header.last_offset + 1
            found.epoch = max(found.epoch, header.leader_epoch)
            if expected > found.snapshot_end:
                found.size += header.size
                found.replay_batch(header, data[position - header.size : position], found.snapshot_end)
        if position < len(data):
            if path != segments[-1][1] or goes_on(data, position):
                raise MetadataError(
                    f"the metadata log is damaged: {path} at byte {position} holds no valid batch, "
                    "and there is more behind it"
                )
            found.torn = len(data) - position
    found.end = max(expected, found.end)


def _good_batches(data: bytes, expected: int) -> Iterator[BatchHeader]:
    """Yield the headers of the whole batches that follow each other from an offset on."""
    for header, at in batches(data):
        if header.magic != 2 or header.base_offset != expected or not crc_matches(header, data, at):
            return
        yield header
        expected = header.last_offset + 1


def goes_on(data: Buffer, position: int) -> bool:
    """Tell whether a good batch stands behind the bad one at a position: then this is damage, not a torn tail."""
    if position + HEADER_SIZE > len(data):
        return False
    following = position + read_header(data, position).size
    if not position < following <= len(data) - HEADER_SIZE:
        return False
    header = read_header(data, following)
    return header.magic == 2 and following + header.size <= len(data) and crc_matches(header, data, following)


def newest_snapshot(folder: Path) -> tuple[int, int, Path] | None:
    """Find the newest complete snapshot: its end offset, its epoch, its file."""
    for path in sorted(folder.glob(f"*{SNAPSHOT_SUFFIX}"), reverse=True):
        end, _, epoch = path.stem.partition("-")
        if end.isdecimal() and epoch.isdecimal() and _is_complete(path.read_bytes()):
            return int(end), int(epoch), path
    return None


def _is_complete(data: bytes) -> bool:
    """Tell whether a snapshot ends in its footer."""
    last = None
    for header, at in batches(data):
        last = header, data[at : at + header.size]
    if last is None or not last[0].is_control:
        return False
    try:
        kinds = [int.from_bytes((record.key or b"")[2:4], "big") for record in read_records(*last)]
    except KafkaError:
        return False
    return kinds[-1:] == [SNAPSHOT_FOOTER]


def read_records_file(path: Path) -> list[Message]:
    """Read the metadata records of a file in the form of a snapshot, such as `bootstrap.checkpoint`.

    An absent file has none. Raises `MetadataError`.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    found: list[Message] = []
    try:
        for header, at in batches(data):
            if not crc_matches(header, data, at):
                raise MetadataError(f"{path} is corrupt: a CRC does not match")
            if not header.is_control:
                pairs = read_records(header, data[at : at + header.size])
                found += [unframe(record.value) for record in pairs if record.value is not None]
    except KafkaError as e:
        raise MetadataError(f"{path} cannot be read: {e}") from e
    return found


def _quorum_epoch(folder: Path) -> int:
    """Return the epoch that `quorum-state` names; it may be ahead of the log. A malformed file counts for nothing."""
    try:
        epoch = json.loads(read_text(folder / QUORUM_STATE) or "{}").get("leaderEpoch", 0)
    except (ValueError, AttributeError):
        return 0
    return epoch if isinstance(epoch, int) else 0
