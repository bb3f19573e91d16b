"""Own a data directory: its lock, its identity, its partitions' folders, its checkpoints and the clean marker.

Layout and names are Kafka's (KRaft, metadata properties version 1), so that a real Kafka can take the directory
over. The clean marker is written last of all on a clean stop and removed first of all on a start.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from barnabas.log import checkpoints
from barnabas.log.files import StorageError, read_text, replace_file
from barnabas.log.locking import DirectoryLock
from barnabas.log.partition import PartitionLog
from barnabas.log.recovery import open_partition
from barnabas.protocol.errors import BarnabasError

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig

logger = logging.getLogger(__name__)

CLEAN_MARKER = ".kafka_cleanshutdown"
META_PROPERTIES = "meta.properties"
PARTITION_METADATA = "partition.metadata"
METADATA_FOLDER = "__cluster_metadata-0"
_DELETED = re.compile(r".+-\d+\.[0-9a-f]{32}-delete$")


class DirectoryError(BarnabasError):
    """A data directory cannot be used as it is; the message says why and what to do."""


def uuid_text(value: bytes) -> str:
    """Write a 16-byte id as Kafka does: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def parse_uuid(text: str) -> bytes:
    """Read an id written by `uuid_text`; raises `ValueError`."""
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(value) != 16:
        raise ValueError(f"{text!r} is not an id of 16 bytes")
    return value


def random_uuid() -> bytes:
    """Make an id whose text never begins with a dash, as Kafka's own."""
    while True:
        value = uuid.uuid4().bytes
        if not uuid_text(value).startswith("-"):
            return value


class DataDirectory:
    """Hold one data directory, locked for this process from `open` to `close`.

    Raises `DirectoryError` where another process holds it or its identity does not fit.
    """

    def __init__(self, path: Path, node_id: int, cluster_id: str | None = None) -> None:
        self.path = path
        self.node_id = node_id
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise DirectoryError(f"The data directory {path} cannot be made: {e}") from e
        self._lock = DirectoryLock(path / ".lock")
        holder = self._lock.acquire()
        if holder is not None:
            raise DirectoryError(
                f"The data directory {path} is in use by {holder}. Stop it, or choose another directory."
            )
        try:
            self.cluster_id, self.directory_id = self._identity(cluster_id)
        except BaseException:
            self._lock.release()
            raise
        self.logs: dict[tuple[str, int], PartitionLog] = {}
        self.was_clean = (path / CLEAN_MARKER).exists() or not self.partition_folders()
        (path / CLEAN_MARKER).unlink(missing_ok=True)
        self._recovery_points = self._read_checkpoint(checkpoints.RECOVERY_POINT)
        self._log_starts = self._read_checkpoint(checkpoints.LOG_START)

    def _identity(self, wanted_cluster: str | None) -> tuple[str, bytes]:
        path = self.path / META_PROPERTIES
        text = read_text(path)
        if text is None:
            cluster = wanted_cluster or uuid_text(random_uuid())
            directory = random_uuid()
            replace_file(
                path,
                f"version=1\ncluster.id={cluster}\nnode.id={self.node_id}\ndirectory.id={uuid_text(directory)}\n",
            )
            return cluster, directory
        values = dict(
            line.strip().split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")
        )
        if values.get("version") != "1":
            raise DirectoryError(f"{path} has version {values.get('version')}; version 1 (KRaft) is supported")
        if values.get("node.id") != str(self.node_id):
            raise DirectoryError(
                f"{path} belongs to node.id {values.get('node.id')}, this broker is configured with node.id "
                f"{self.node_id}. Configure node.id={values.get('node.id')}, or choose another directory."
            )
        cluster = values.get("cluster.id", "")
        if wanted_cluster is not None and wanted_cluster != cluster:
            raise DirectoryError(f"{path} belongs to cluster.id {cluster}, not to {wanted_cluster}")
        try:
            return cluster, parse_uuid(values.get("directory.id", ""))
        except ValueError as e:
            raise DirectoryError(f"{path} has no valid directory.id") from e

    def _read_checkpoint(self, name: str) -> dict[tuple[str, int], int]:
        try:
            return checkpoints.read_offsets(self.path / name)
        except checkpoints.CheckpointError as e:
            logger.warning("%s; it is ignored", e)
            (self.path / name).unlink()
            return {}

    # --- partitions -----------------------------------------------------------------------------------------

    def partition_folders(self) -> list[Path]:
        """Return the folders that hold partitions, the metadata log's left out."""
        return [
            path for path in self.path.iterdir()
            if path.is_dir() and path.name != METADATA_FOLDER and "-" in path.name
        ]

    def remove_leftovers(self) -> None:
        """Remove what a deletion began and a stop cut off."""
        for path in self.partition_folders():
            if _DELETED.match(path.name):
                shutil.rmtree(path, ignore_errors=True)

    def open_log(
        self, topic: str, topic_id: bytes, partition: int, config: TopicConfig, leader_epoch: int, now: int
    ) -> PartitionLog:
        """Open the log of a partition, making its folder where there is none; raises `DirectoryError`."""
        folder = self.path / f"{topic}-{partition}"
        fresh = not folder.exists()
        metadata = folder / PARTITION_METADATA
        content = f"version: 0\ntopic_id: {uuid_text(topic_id)}"
        try:
            if fresh:
                folder.mkdir()
                replace_file(metadata, content, sync=False)
            else:
                known = read_text(metadata)
                if known is None:
                    replace_file(metadata, content, sync=False)
                elif f"topic_id: {uuid_text(topic_id)}" not in known:
                    raise DirectoryError(f"{folder} belongs to another topic of that name: see {metadata}")
            key = (topic, partition)
            log = open_partition(
                topic, partition, folder, config, leader_epoch=leader_epoch, now=now,
                clean=self.was_clean or fresh, recovery_point=self._recovery_points.get(key, 0),
                log_start_offset=self._log_starts.get(key),
            )
        except OSError as e:
            raise StorageError(f"{folder}: {e}") from e
        self.logs[key] = log
        return log

    def delete_log(self, topic: str, partition: int) -> None:
        """Drop a partition: its folder is renamed at once and removed in the background."""
        log = self.logs.pop((topic, partition), None)
        if log is None:
            return
        log.close(clean=False)
        self._recovery_points.pop((topic, partition), None)
        self._log_starts.pop((topic, partition), None)
        doomed = self.path / f"{topic}-{partition}.{uuid.uuid4().hex}-delete"
        log.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def stray(self, folder: Path) -> None:
        """Set aside a folder that the metadata does not know, as Kafka does; nothing in it is lost."""
        target = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}-stray")
        logger.warning("%s belongs to no topic of the metadata; it is kept as %s", folder.name, target.name)
        folder.rename(target)

    # --- checkpoints and the end ----------------------------------------------------------------------------

    def write_checkpoints(self) -> None:
        """Write recovery points, log starts and high watermarks; a failing disk is logged and tolerated."""
        logs = self.logs
        try:
            checkpoints.write_offsets(
                self.path / checkpoints.RECOVERY_POINT, {k: log.recovery_point for k, log in logs.items()}
            )
            checkpoints.write_offsets(
                self.path / checkpoints.LOG_START,
                {
                    k: log.log_start_offset
                    for k, log in logs.items()
                    if log.log_start_offset > log.segments[0].base_offset
                },
            )
            checkpoints.write_offsets(
                self.path / checkpoints.REPLICATION, {k: log.high_watermark for k, log in logs.items()}
            )
        except (OSError, StorageError) as e:
            logger.warning("Checkpoints were not written: %s", e)

    def for_each(self, act: Callable[[PartitionLog], None]) -> None:
        """Call something with each open log."""
        for log in tuple(self.logs.values()):
            act(log)

    def close(self, *, clean: bool, broker_epoch: int = -1) -> None:
        """Close all logs and let go of the lock. After a clean close the next start reads no segment."""
        try:
            if clean:
                self.for_each(lambda log: log.close(clean=True))
                self.write_checkpoints()
                marker = json.dumps({"version": 0, "brokerEpoch": broker_epoch}, separators=(",", ":"))
                replace_file(self.path / CLEAN_MARKER, marker)
            else:
                self.for_each(lambda log: log.close(clean=False))
        except (OSError, StorageError) as e:
            logger.error("The data directory could not be closed cleanly, the next start recovers it: %s", e)
        finally:
            self.logs.clear()
            self._lock.release()

