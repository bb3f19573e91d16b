"""Store metadata in `__cluster_metadata-0`, the log that a KRaft controller would write.

`commit` appends records as one batch, which a reader takes whole or not at all, makes it durable, and replays it
into the image. Each start begins a new epoch with this node as leader. What the directory holds at the start,
Kafka's own snapshots included, is replayed first; `prepare` raises before anything is written.

The form written is one that Apache Kafka takes over without any work at shutdown: kraft.version 1 with its voters in
the log, the broker registered but fenced, partitions without a leader but with this node in sync.
"""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from barnabas.log.directory import METADATA_FOLDER, PARTITION_METADATA, uuid_text
from barnabas.log.files import replace_file
from barnabas.log.partition import PartitionLog
from barnabas.log.recovery import open_partition
from barnabas.metadata.framing import MetadataError, frame, unframe
from barnabas.metadata.image import MetadataImage
from barnabas.protocol.batch import CONTROL, BatchHeader, batches, build_batch, crc_matches, read_records
from barnabas.protocol.codec import decode, encode
from barnabas.protocol.records import control
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig

logger = logging.getLogger(__name__)

METADATA_TOPIC: Final = "__cluster_metadata"
METADATA_TOPIC_ID: Final = bytes(15) + b"\x01"

_LEADER_CHANGE, _SNAPSHOT_HEADER, _SNAPSHOT_FOOTER, _KRAFT_VERSION, _VOTERS = 2, 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Voter:
    """Describe this node as the one voter: its id, its directory and where its controller listens."""

    node_id: int
    directory_id: bytes
    listener: str
    host: str
    port: int


class MetadataStore:
    """Hold the metadata log, and the image that follows from it."""

    def __init__(self, path: Path, voter: Voter, config: TopicConfig) -> None:
        self.image = MetadataImage()
        self.voter = voter
        self.epoch = 0
        self.kraft_version = 0
        self.voters: list[int] = []
        self._folder = path / METADATA_FOLDER
        self._config = config
        self._log: PartitionLog | None = None
        self._open_transaction: list[Message] | None = None

    @property
    def log(self) -> PartitionLog:
        """Return the metadata log, open from `open` on."""
        assert self._log is not None
        return self._log

    # --- start ----------------------------------------------------------------------------------------------

    def open(self, now: int) -> bool:
        """Open the log and replay it; return whether it holds anything. Raises `MetadataError`; `now` in ms."""
        fresh = not self._folder.exists()
        if fresh:
            self._folder.mkdir()
            replace_file(
                self._folder / PARTITION_METADATA, f"version: 0\ntopic_id: {uuid_text(METADATA_TOPIC_ID)}", sync=False
            )
        snapshot = self._newest_snapshot()
        start = snapshot[0] if snapshot else 0
        log = open_partition(
            METADATA_TOPIC, 0, self._folder, self._config, leader_epoch=0, now=now, clean=False,
            log_start_offset=start if snapshot and not any(self._folder.glob("*.log")) else None,
        )
        self._log = log
        if snapshot:
            self.epoch = snapshot[1]
            self._replay_batches(snapshot[2].read_bytes(), snapshot=True)
        for segment in log.segments:
            for found in segment.scan():
                if found.header.base_offset >= start:
                    self._replay_batch(found.header, segment.batch(found))
        self._open_transaction = None  # one that was never ended is dropped
        if log.epochs:
            self.epoch = max(self.epoch, log.epochs[-1][0])
        return bool(self.image.features)

    def _newest_snapshot(self) -> tuple[int, int, Path] | None:
        """Find the newest complete snapshot: its end offset, its epoch, its file."""
        for path in sorted(self._folder.glob("*.checkpoint"), reverse=True):
            end, _, epoch = path.stem.partition("-")
            if end.isdigit() and epoch.isdigit() and _is_complete(path.read_bytes()):
                return int(end), int(epoch), path
        return None

    def _replay_batches(self, data: bytes, *, snapshot: bool) -> None:
        for header, at in batches(data):
            if not crc_matches(header, data, at):
                raise MetadataError("a metadata snapshot is corrupt: a CRC does not match")
            self._replay_batch(header, data[at : at + header.size])

    def _replay_batch(self, header: BatchHeader, data: bytes) -> None:
        for record in read_records(header, data):
            if header.is_control:
                self._replay_control(record.key or b"", record.value or b"")
            elif record.value is not None:
                self._replay(unframe(record.value))

    def _replay_control(self, key: bytes, value: bytes) -> None:
        kind = int.from_bytes(key[2:4], "big")
        if kind == _KRAFT_VERSION:
            self.kraft_version = decode(control.KRaftVersionRecord, 0, value).k_raft_version
        elif kind == _VOTERS:
            self.voters = [v.voter_id for v in decode(control.VotersRecord, 0, value).voters]

    def _replay(self, record: Message) -> None:
        """Replay a record, holding back those of a metadata transaction until it ends (KIP-868)."""
        match record:
            case r.BeginTransactionRecord():
                self._open_transaction = []
            case r.EndTransactionRecord():
                pending, self._open_transaction = self._open_transaction or [], None
                for held in pending:
                    self.image.replay(held)
            case r.AbortTransactionRecord():
                self._open_transaction = None
            case _ if self._open_transaction is not None:
                self._open_transaction.append(record)
            case _:
                self.image.replay(record)

    def lead(self, now: int, bootstrap: Sequence[Message] = ()) -> None:
        """Begin a new epoch with this node as leader, and write `bootstrap` where the log was empty."""
        first = not self.image.features
        self.epoch += 1
        self.log.leader_epoch = self.epoch
        me = control.Voter(self.voter.node_id, self.voter.directory_id)
        records: list[tuple[int, Message, int]] = [
            (
                _LEADER_CHANGE,
                control.LeaderChangeMessage(leader_id=self.voter.node_id, voters=[me], granting_voters=[me]),
                0,
            )
        ]
        if first:
            records.append((_KRAFT_VERSION, control.KRaftVersionRecord(k_raft_version=1), 0))
            records.append((_VOTERS, self._voters_record(), 0))
            self.kraft_version, self.voters = 1, [self.voter.node_id]
        pairs = [(struct.pack(">hh", 0, kind), bytes(encode(message, v))) for kind, message, v in records]
        self._append(build_batch(pairs, now, attributes=CONTROL), now)
        self._write_quorum_state()
        if first:
            self.commit(bootstrap, now)

    def _voters_record(self) -> control.VotersRecord:
        v = self.voter
        endpoint = control.Endpoint(v.listener, v.host, v.port)
        return control.VotersRecord(
            voters=[
                control.VotersRecordVoter(v.node_id, v.directory_id, [endpoint], control.KRaftVersionFeature(0, 1))
            ]
        )

    def _write_quorum_state(self) -> None:
        state = {
            "leaderId": self.voter.node_id, "leaderEpoch": self.epoch, "votedId": -1,
            "votedDirectoryId": uuid_text(bytes(16)), "data_version": 1,
        }
        if self.kraft_version == 0:
            state = {
                "clusterId": "", "leaderId": self.voter.node_id, "leaderEpoch": self.epoch, "votedId": -1,
                "appliedOffset": 0, "currentVoters": [{"voterId": self.voter.node_id}], "data_version": 0,
            }
        replace_file(self._folder / "quorum-state", json.dumps(state, separators=(",", ":")))

    # --- change ---------------------------------------------------------------------------------------------

    def commit(self, records: Sequence[Message], now: int) -> None:
        """Write records as one atomic batch, durably, then replay them. Raises `KafkaError`, having changed nothing."""
        if not records:
            return
        level = self.image.metadata_version
        for record in records:
            if isinstance(record, r.FeatureLevelRecord) and record.name == "metadata.version":
                level = record.feature_level
        self._append(build_batch([(None, frame(record, level)) for record in records], now), now)
        for record in records:
            self.image.replay(record)

    def _append(self, batch: bytearray, now: int) -> None:
        self.log.append(memoryview(batch), now, client=False)
        self.log.flush()

    def close(self, *, clean: bool) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close(clean=clean)
            self._log = None


def _is_complete(data: bytes) -> bool:
    """Tell whether a snapshot ends in its footer."""
    last = None
    for header, at in batches(data):
        last = header, data[at : at + header.size]
    if last is None or not last[0].is_control:
        return False
    kinds = [int.from_bytes((record.key or b"")[2:4], "big") for record in read_records(*last)]
    return kinds[-1:] == [_SNAPSHOT_FOOTER]


