"""Check that a directory is of a single node that is this one, before anything in it is changed.

A directory that Apache Kafka wrote as one combined node can be taken over; what belongs to a cluster, lies elsewhere or
is of a newer Kafka cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from barnabas.log.directory import PARTITION_FOLDER
from barnabas.metadata.framing import LATEST, MetadataError
from barnabas.metadata.image import TOPIC
from barnabas.metadata.image import Partition as PartitionState
from barnabas.metadata.store import MetadataStore
from barnabas.protocol.records import metadata as r

#: features that Kafka 4.3 knows, and the highest level of each
KNOWN_FEATURES: Final = {
    "metadata.version": LATEST, "kraft.version": 1, "group.version": 1, "transaction.version": 2,
    "eligible.leader.replicas.version": 1, "share.version": 1, "streams.version": 1,
}
#: the oldest metadata.version that Kafka 4 reads (3.3-IV3)
OLDEST_LEVEL: Final = 7

#: directory ids that name no directory: a partition from before there were any, and one not assigned yet
_NO_DIRECTORY: Final = (bytes(16), bytes(15) + b"\x01")


def check_takeover(store: MetadataStore, path: Path, node_id: int, directory_id: bytes) -> None:
    """Raise `MetadataError` with the reason where the directory at `path` cannot be taken over."""
    image = store.image
    _check_features(store)
    others = [voter for voter in store.voters if voter != node_id]
    if others:
        raise MetadataError(
            f"the metadata quorum has the voters {store.voters}: only a single node's directory can be taken over"
        )
    for broker in image.brokers.values():
        if broker.broker_id != node_id:
            raise MetadataError(f"the broker {broker.broker_id} is registered beside this node: unregister it first")
        if len(broker.log_dirs) > 1:
            raise MetadataError(f"the node has {len(broker.log_dirs)} log directories: move its partitions into one")
    for topic in image.topics.values():
        if image.config(TOPIC, topic.name).get("remote.storage.enable") == "true":
            raise MetadataError(f"topic {topic.name} keeps records in remote storage (remote.storage.enable)")
        for at, partition in enumerate(topic.partitions):
            if partition.index != at:
                raise MetadataError(f"{topic.name}-{at} is missing from the metadata")
            _check_partition(f"{topic.name}-{at}", partition, node_id, directory_id)
    if not image.topics and not image.features:
        _check_nothing_is_lost(path)


def _check_features(store: MetadataStore) -> None:
    levels = dict(store.image.features)
    for record in store.formatted:
        if isinstance(record, r.FeatureLevelRecord):
            levels[record.name] = record.feature_level
    for name, level in levels.items():
        if level > KNOWN_FEATURES.get(name, -1):
            raise MetadataError(f"the feature {name} has level {level}, which is of a newer Kafka than 4.3")
    if levels.get("metadata.version", LATEST) < OLDEST_LEVEL:
        raise MetadataError(
            f"metadata.version has level {levels['metadata.version']}, from before Kafka 3.3: upgrade it there first"
        )


def _check_partition(name: str, partition: PartitionState, node_id: int, directory_id: bytes) -> None:
    record = partition.record
    if record.removing_replicas or record.adding_replicas:
        raise MetadataError(f"{name} is being reassigned: let that finish first")
    if record.replicas != [node_id]:
        raise MetadataError(f"{name} has the replicas {record.replicas}, not this node alone")
    for other in record.directories:
        if other != directory_id and other not in _NO_DIRECTORY:
            raise MetadataError(f"{name} lies in another log directory than this one")


def _check_nothing_is_lost(path: Path) -> None:
    """Refuse partitions without metadata: as a new cluster they would all be set aside as strays."""
    lost = sorted(p.name for p in path.iterdir() if p.is_dir() and PARTITION_FOLDER.match(p.name))
    if [name for name in lost if name != "__cluster_metadata-0"]:
        raise MetadataError(
            f"{path} holds partitions ({', '.join(lost[:3])}, ...) but no metadata that names them: "
            "the metadata log is missing or empty"
        )
