"""Write the whole metadata as one file, `<end offset>-<epoch>.checkpoint`, so that older log can go.

A snapshot is batches like the log's, with offsets of its own from 0: a control batch (header, kraft.version, voters),
the records of the image, a control batch (footer). Kafka reads ours and we read Kafka's. Source: KIP-630, KIP-853.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from barnabas.log.files import replace_file
from barnabas.metadata.framing import frame
from barnabas.metadata.image import MetadataImage
from barnabas.metadata.reading import KRAFT_VERSION, SNAPSHOT_FOOTER, SNAPSHOT_HEADER, SNAPSHOT_SUFFIX, VOTERS
from barnabas.protocol.batch import CONTROL, build_batch
from barnabas.protocol.codec import encode
from barnabas.protocol.records import control
from barnabas.protocol.schema import Message

#: bytes of records in a batch; Kafka's own limit is 8 MiB
_BATCH_BYTES: Final = 512 * 1024


def control_pairs(records: list[tuple[int, Message]]) -> list[tuple[bytes | None, bytes | None]]:
    """Return control records of the metadata quorum, given with their types, as keys and values of version 0."""
    return [(struct.pack(">hh", 0, kind), bytes(encode(message, 0))) for kind, message in records]


def write_snapshot(
    folder: Path, end: int, epoch: int, image: MetadataImage, voters: control.VotersRecord | None, now: int
) -> Path:
    """Write the snapshot of everything below offset `end`; `now` in milliseconds. Raises `OSError`, `StorageError`.

    `voters` is None under kraft.version 0, where the configuration names them.
    """
    opening: list[tuple[int, Message]] = [
        (SNAPSHOT_HEADER, control.SnapshotHeaderRecord(last_contained_log_timestamp=now))
    ]
    if voters is not None:
        opening += [(KRAFT_VERSION, control.KRaftVersionRecord(k_raft_version=1)), (VOTERS, voters)]
    out = bytearray()
    offset = 0
    closing: list[tuple[int, Message]] = [(SNAPSHOT_FOOTER, control.SnapshotFooterRecord())]
    parts = [
        (control_pairs(opening), CONTROL),
        *((pairs, 0) for pairs in _data(image)),
        (control_pairs(closing), CONTROL),
    ]
    for pairs, attributes in parts:
        out += build_batch(pairs, now, base_offset=offset, leader_epoch=epoch, attributes=attributes)
        offset += len(pairs)
    path = folder / f"{end:020d}-{epoch:010d}{SNAPSHOT_SUFFIX}"
    replace_file(path, bytes(out))
    path.chmod(0o400)  # as Kafka's: a snapshot never changes
    return path


def _data(image: MetadataImage) -> Iterator[list[tuple[bytes | None, bytes | None]]]:
    """Frame the records of an image, in lists of a batch each."""
    pairs: list[tuple[bytes | None, bytes | None]] = []
    size = 0
    for record in image.records():
        value = frame(record, image.metadata_version)
        if size + len(value) > _BATCH_BYTES and pairs:
            yield pairs
            pairs, size = [], 0
        pairs.append((None, value))
        size += len(value)
    if pairs:
        yield pairs
