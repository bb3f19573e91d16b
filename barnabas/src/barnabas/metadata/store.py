"""Store metadata in `__cluster_metadata-0`, the log that a KRaft controller would write.

`load` reads what the directory holds and changes nothing, so that it can still be refused. `open` opens the log for
writing and `lead` begins a new epoch with this node as leader. `commit` appends records as one batch, which a reader
takes whole or not at all, makes it durable, and replays it into the image. Once enough was appended a snapshot is
written and older log is dropped.

The form written is one that Apache Kafka takes over without any work at shutdown: kraft.version 1 with its voters in
the log, the broker registered but fenced, partitions without a leader but with this node in sync.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from barnabas.log.directory import METADATA_FOLDER, PARTITION_METADATA, uuid_text
from barnabas.log.files import StorageError, replace_file
from barnabas.log.partition import PartitionLog
from barnabas.log.recovery import open_partition
from barnabas.metadata import reading
from barnabas.metadata.framing import frame
from barnabas.metadata.image import MetadataImage
from barnabas.metadata.reading import Metadata
from barnabas.metadata.snapshot import control_pairs, write_snapshot
from barnabas.protocol.batch import CONTROL, build_batch
from barnabas.protocol.errors import ErrorCode, KafkaError
from barnabas.protocol.records import control
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig

logger = logging.getLogger(__name__)

METADATA_TOPIC: Final = "__cluster_metadata"
METADATA_TOPIC_ID: Final = bytes(15) + b"\x01"
BOOTSTRAP: Final = "bootstrap.checkpoint"

#: bytes of log between two snapshots (`metadata.log.max.record.bytes.between.snapshots`)
SNAPSHOT_BYTES: Final = 20 * 1024 * 1024


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

    def __init__(
        self, path: Path, voter: Voter, config: TopicConfig, *, snapshot_bytes: int = SNAPSHOT_BYTES
    ) -> None:
        self.voter = voter
        self._path = path
        self._folder = path / METADATA_FOLDER
        self._config = config
        self._snapshot_bytes = snapshot_bytes
        self._state = Metadata()
        self.formatted: list[Message] = []
        self._log: PartitionLog | None = None
        #: make room on a full disk; False where there is none to be made
        self.on_full: Callable[[], bool] = lambda: False

    @property
    def image(self) -> MetadataImage:
        """Return the metadata."""
        return self._state.image

    @property
    def epoch(self) -> int:
        """Return the epoch of the metadata quorum."""
        return self._state.epoch

    @property
    def kraft_version(self) -> int:
        """Return the finalized level of kraft.version."""
        return self._state.kraft_version

    @property
    def voters(self) -> list[int]:
        """Return the ids of the quorum's voters that the log names."""
        return self._state.voter_ids

    @property
    def torn(self) -> int:
        """Return how many bytes at the end of the log `load` found torn."""
        return self._state.torn

    @property
    def log(self) -> PartitionLog:
        """Return the metadata log, open from `open` on."""
        assert self._log is not None
        return self._log

    # --- start ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read what the directory holds, changing nothing; raises `MetadataError`.

        `formatted` is then what Kafka's tools chose for a cluster that has not begun: features, users.
        """
        self._state = reading.read(self._folder)
        if not self.image.features:
            self.formatted = reading.read_records_file(self._path / BOOTSTRAP)

    def open(self, now: int) -> None:
        """Open the log for writing, a torn tail cut away; `now` in milliseconds."""
        state = self._state
        if not self._folder.exists():
            self._folder.mkdir()
            replace_file(
                self._folder / PARTITION_METADATA, f"version: 0\ntopic_id: {uuid_text(METADATA_TOPIC_ID)}", sync=False
            )
        self._log = log = self._open_log(now)
        if log.log_end_offset < state.snapshot_end:
            # the snapshot became durable and the log in front of it did not: it says everything that the log did
            log.close(clean=False)
            for path in self._folder.iterdir():
                if path.suffix in (".log", ".index", ".timeindex", ".txnindex", ".snapshot"):
                    path.unlink()
            self._log = self._open_log(now)

    def _open_log(self, now: int) -> PartitionLog:
        start = None if any(self._folder.glob("*.log")) else self._state.snapshot_end
        return open_partition(
            METADATA_TOPIC, 0, self._folder, self._config, leader_epoch=0, now=now, clean=False, log_start_offset=start
        )

    def lead(self, now: int, bootstrap: Sequence[Message] = ()) -> None:
        """Begin a new epoch with this node as leader, and write `formatted` and `bootstrap` where all is empty."""
        state = self._state
        fresh = not state.image.features
        state.epoch += 1
        self.log.leader_epoch = state.epoch
        me = control.Voter(self.voter.node_id, self.voter.directory_id)
        change = control.LeaderChangeMessage(leader_id=self.voter.node_id, voters=[me], granting_voters=[me])
        records: list[tuple[int, Message]] = [(reading.LEADER_CHANGE, change)]
        if fresh and state.voters is None:
            state.kraft_version, state.voters = 1, self._voters_record()
            records += [
                (reading.KRAFT_VERSION, control.KRaftVersionRecord(k_raft_version=1)),
                (reading.VOTERS, state.voters),
            ]
        self._append(build_batch(control_pairs(records), now, attributes=CONTROL), now)
        self._write_quorum_state()
        if state.in_transaction:
            # records behind a transaction that nobody ended would belong to it
            self.commit([r.AbortTransactionRecord("The leader changed")], now)
        if fresh:
            self.commit([*_merge(self.formatted, bootstrap)], now)

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
        replace_file(self._folder / reading.QUORUM_STATE, json.dumps(state, separators=(",", ":")))

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
            self._state.replay(record)
        if self._state.size > self._snapshot_bytes:
            self._shorten(now)

    def _append(self, batch: bytearray, now: int) -> None:
        try:
            self.log.append(memoryview(batch), now, client=False)
        except KafkaError as e:
            if e.code != ErrorCode.KAFKA_STORAGE_ERROR or not self.on_full():
                raise
            self.log.append(memoryview(batch), now, client=False)
        self.log.flush()
        self._state.size += len(batch)

    def _shorten(self, now: int) -> None:
        """Write a snapshot, then drop the log in front of it; a failing disk is logged, and tried again later."""
        state, log = self._state, self.log
        end = log.log_end_offset
        state.size = 0
        try:
            voters = state.voters if state.kraft_version else None
            kept = write_snapshot(self._folder, end, state.epoch, state.image, voters, now)
            log.roll(now)
            log.delete_records_before(end)
            for path in self._folder.glob(f"*{reading.SNAPSHOT_SUFFIX}"):
                if path < kept:
                    path.chmod(0o600)  # Windows deletes no read-only file
                    path.unlink()
        except (StorageError, OSError) as e:
            logger.warning("The metadata log was not shortened: %s", e)
            return
        logger.info("metadata: wrote the snapshot %s", kept.name)

    def close(self, *, clean: bool) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close(clean=clean)
            self._log = None


def _merge(formatted: Sequence[Message], ours: Sequence[Message]) -> list[Message]:
    """Combine the records of `bootstrap.checkpoint` with ours: the features in the former win."""
    named = {record.name for record in formatted if isinstance(record, r.FeatureLevelRecord)}
    return [
        *formatted, *(record for record in ours if not (isinstance(record, r.FeatureLevelRecord) and named))
    ]
