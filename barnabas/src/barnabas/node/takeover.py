"""Check that a directory's metadata is of a single node that is this one, before anything is written.

A directory that Apache Kafka wrote as one combined node can be taken over; what belongs to a cluster cannot.
"""

from __future__ import annotations

from typing import Final

from barnabas.metadata.framing import LATEST, MetadataError
from barnabas.metadata.image import MetadataImage
from barnabas.metadata.store import MetadataStore

#: features that Kafka 4.3 knows, and the highest level of each
KNOWN_FEATURES: Final = {
    "metadata.version": LATEST, "kraft.version": 1, "group.version": 1, "transaction.version": 2,
    "eligible.leader.replicas.version": 1, "share.version": 1, "streams.version": 1,
}


def check_takeover(image: MetadataImage, store: MetadataStore, node_id: int) -> None:
    """Raise `MetadataError` with the reason where the metadata cannot be taken over."""
    others = [voter for voter in store.voters if voter != node_id]
    if others:
        raise MetadataError(
            f"the metadata quorum has the voters {store.voters}: only a single node's directory can be taken over"
        )
    for name, level in image.features.items():
        if level > KNOWN_FEATURES.get(name, -1):
            raise MetadataError(f"the feature {name} has level {level}, which is of a newer Kafka than 4.3")
    brokers = [broker for broker in image.brokers if broker != node_id]
    if brokers:
        raise MetadataError(f"the brokers {brokers} are registered beside this node: unregister them first")
    for topic in image.topics.values():
        for partition in topic.partitions:
            record = partition.record
            if record.removing_replicas or record.adding_replicas:
                raise MetadataError(f"{topic.name}-{partition.index} is being reassigned: let that finish first")
            if record.replicas and record.replicas != [node_id]:
                raise MetadataError(
                    f"{topic.name}-{partition.index} has the replicas {record.replicas}, not this node alone"
                )
