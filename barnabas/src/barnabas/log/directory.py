"""Own a data directory: its lock, its identity, its partitions' folders, its checkpoints and the clean marker.

Layout and names are Kafka's (KRaft, metadata properties version 1), so that a real Kafka can take the directory
over. The clean marker is written last of all on a clean stop and removed by `begin`, the first change that a start
makes: until then a directory that is refused stays as it was.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from barnabas.config.properties import parse_properties
from barnabas.log import checkpoints
from barnabas.log.files import Reserve, StorageError, read_text, replace_file
from barnabas.log.handles import FilePool
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
#: the folder of a partition; its name gives topic and partition
PARTITION_FOLDER = re.compile(r"(.+)-(\d+)$")
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


class Identity(NamedTuple):
    """Hold what `meta.properties` says."""

    cluster_id: str
    node_id: int
    directory_id: bytes


def read_identity(path: Path) -> Identity | None:
    """Read whose a data directory is; None where it is new. Raises `DirectoryError`; changes nothing."""
    file = path / META_PROPERTIES
    text = read_text(file)
    if text is None:
        if (path / METADATA_FOLDER).exists() or any(PARTITION_FOLDER.match(p.name) for p in path.iterdir()):
            raise DirectoryError(f"{path} holds partitions but no {META_PROPERTIES}: it cannot be told whose they are")
        return None
    values = parse_properties(text)
    if values.get("version") != "1":
        raise DirectoryError(f"{file} has version {values.get('version')}; version 1 (KRaft) is supported")
    if not values.get("node.id", "").isdecimal():
        raise DirectoryError(f"{file} has no valid node.id")
    try:
        directory_id = parse_uuid(values.get("directory.id", ""))
    except ValueError as e:
        raise DirectoryError(f"{file} has no valid directory.id") from e
    return Identity(values.get("cluster.id", ""), int(values["node.id"]), directory_id)


def _partition_metadata(topic_id: bytes) -> str:
    return f"version: 0\ntopic_id: {uuid_text(topic_id)}"


def _marked_name(topic: str, partition: int | str, mark: str) -> str:
    """Name a folder that is out of use, as Kafka does: the topic's name is cut where the whole would be too long."""
    suffix = f"-{partition}.{uuid.uuid4().hex}-{mark}"
    return topic[: 255 - len(suffix)] + suffix


class DataDirectory:
    """Hold one data directory, locked for this process until `close`; nothing in it changes before `begin`.

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
        try:
            holder = self._lock.acquire()
        except OSError as e:
            raise DirectoryError(f"The data directory {path} cannot be locked: {e}") from e
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
        self.files = FilePool()
        self.reserve = Reserve(path / ".reserve")
        self._written: dict[str, dict[tuple[str, int], int]] = {}
        self.was_clean = (path / CLEAN_MARKER).exists() or not self.partition_folders()
        self._begun = False
        self._recovery_points: dict[tuple[str, int], int] = {}
        self._log_starts: dict[tuple[str, int], int] = {}

    def begin(self) -> None:
        """Take the directory into use, once everything in it was found fit: drop the clean marker, read checkpoints."""
        try:
            self._log_starts = checkpoints.read_offsets(self.path / checkpoints.LOG_START)
        except checkpoints.CheckpointError as e:
            raise DirectoryError(
                f"{e}. It says which records were deleted: repair it, or remove it to get them all back."
            ) from e
        self._recovery_points = self._read_checkpoint(checkpoints.RECOVERY_POINT)
        self.reserve.release_if_full()
        self._begun = True
        (self.path / CLEAN_MARKER).unlink(missing_ok=True)

    def _identity(self, wanted_cluster: str | None) -> tuple[str, bytes]:
        path = self.path / META_PROPERTIES
        identity = read_identity(self.path)
        if identity is None:
            cluster = wanted_cluster or uuid_text(random_uuid())
            directory = random_uuid()
            replace_file(
                path,
                f"version=1\ncluster.id={cluster}\nnode.id={self.node_id}\ndirectory.id={uuid_text(directory)}\n",
            )
            return cluster, directory
        if identity.node_id != self.node_id:
            raise DirectoryError(
                f"{path} belongs to node.id {identity.node_id}, this broker is configured with node.id "
                f"{self.node_id}. Configure node.id={identity.node_id}, or choose another directory."
            )
        if wanted_cluster is not None and wanted_cluster != identity.cluster_id:
            raise DirectoryError(f"{path} belongs to cluster.id {identity.cluster_id}, not to {wanted_cluster}")
        return identity.cluster_id, identity.directory_id

    def _read_checkpoint(self, name: str) -> dict[tuple[str, int], int]:
        """Read a checkpoint that can be done without: then more is read again."""
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

    def make_folder(self, topic: str, topic_id: bytes, partition: int) -> Path | None:
        """Make a partition's folder; None where there is one. Raises `StorageError`, having changed nothing."""
        folder = self.path / f"{topic}-{partition}"
        try:
            folder.mkdir()
        except FileExistsError:
            return None
        except OSError as e:
            raise StorageError(f"{folder}: {e}") from e
        try:
            replace_file(folder / PARTITION_METADATA, _partition_metadata(topic_id), sync=False)
        except StorageError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def open_log(
        self, topic: str, topic_id: bytes, partition: int, config: TopicConfig, leader_epoch: int, now: int
    ) -> PartitionLog:
        """Open the log of a partition, making its folder where there is none.

        Raises `DirectoryError` where the folder is another topic's, `StorageError` where the disk fails.
        """
        folder = self.path / f"{topic}-{partition}"
        metadata = folder / PARTITION_METADATA
        try:
            fresh = self.make_folder(topic, topic_id, partition) is not None
            if not fresh:
                known = read_text(metadata)
                if known is None:
                    replace_file(metadata, _partition_metadata(topic_id), sync=False)
                elif f"topic_id: {uuid_text(topic_id)}" not in known:
                    raise DirectoryError(f"{folder} belongs to another topic of that name: see {metadata}")
            key = (topic, partition)
            log = open_partition(
                topic, partition, folder, config, leader_epoch=leader_epoch, now=now,
                clean=self.was_clean or fresh, recovery_point=self._recovery_points.get(key, 0),
                log_start_offset=self._log_starts.get(key), pool=self.files,
            )
        except OSError as e:
            raise StorageError(f"{folder}: {e}") from e
        self.logs[key] = log
        return log

    def delete_log(self, topic: str, partition: int) -> None:
        """Drop a partition: its folder is renamed, so that a crash leaves no half of it, and removed."""
        log = self.logs.pop((topic, partition), None)
        if log is None:
            return
        log.close(clean=False)
        self._recovery_points.pop((topic, partition), None)
        self._log_starts.pop((topic, partition), None)
        doomed = self.path / _marked_name(topic, partition, "delete")
        try:
            log.folder.rename(doomed)
        except OSError as e:  # the metadata do not know it any more: the next start sets it aside
            logger.warning("%s was not deleted: %s", log.folder, e)
        shutil.rmtree(doomed, ignore_errors=True)
        log.wake()  # who waits for records is told that there will be none

    def stray(self, folder: Path) -> None:
        """Set aside a folder that the metadata does not know, as Kafka does; nothing in it is lost."""
        topic, _, partition = folder.name.rpartition("-")
        target = folder.with_name(_marked_name(topic, partition, "stray"))
        logger.warning("%s belongs to no topic of the metadata; it is kept as %s", folder.name, target.name)
        folder.rename(target)

    # --- checkpoints and the end ----------------------------------------------------------------------------

    def write_checkpoints(self) -> bool:
        """Write recovery points, log starts and high watermarks where they changed; False where the disk fails."""
        logs = self.logs
        now = {
            checkpoints.RECOVERY_POINT: {k: log.recovery_point for k, log in logs.items()},
            checkpoints.LOG_START: {
                k: log.log_start_offset
                for k, log in logs.items()
                if log.log_start_offset > log.segments[0].base_offset
            },
            checkpoints.REPLICATION: {k: log.high_watermark for k, log in logs.items()},
        }
        try:
            for name, offsets in now.items():
                if self._written.get(name) != offsets:
                    checkpoints.write_offsets(self.path / name, offsets)
                    self._written[name] = offsets
        except StorageError as e:
            logger.warning("Checkpoints were not written: %s", e)
            return False
        return True

    def close(self, *, clean: bool, broker_epoch: int = -1) -> None:
        """Close all logs and let go of the lock. After a clean close the next start reads no segment."""
        clean = clean and self._begun
        if clean:
            self.reserve.release_if_full()
        try:
            failed = False
            for log in self.logs.values():
                try:
                    log.close(clean=clean)
                except StorageError as e:
                    logger.error("%s-%d was not closed cleanly: %s", log.topic, log.partition, e)
                    failed = True
            if clean and not failed and self.write_checkpoints():
                marker = json.dumps({"version": 0, "brokerEpoch": broker_epoch}, separators=(",", ":"))
                replace_file(self.path / CLEAN_MARKER, marker)
        except StorageError as e:
            logger.error("The clean marker was not written, the next start recovers all logs: %s", e)
        finally:
            self.logs.clear()
            self._lock.release()
