"""Make logs and batches for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from barnabas.config.server import ServerConfig
from barnabas.config.topic import TopicConfig
from barnabas.log.partition import Appended, PartitionLog
from barnabas.log.recovery import open_partition
from barnabas.protocol import compression
from barnabas.protocol.batch import BatchHeader, assemble, batches, read_records, write_varint

#: when everything in these tests happens, in milliseconds
NOW = 1_700_000_000_000
SERVER = ServerConfig.load({}, host_name="localhost")[0]



def topic_config(**overrides: Any) -> TopicConfig:
    """Return a topic's configuration: `retention_ms=5` sets retention.ms."""
    return TopicConfig.of({key.replace("_", "."): str(value) for key, value in overrides.items()}, SERVER)


def open_log(
    folder: Path, *, clean: bool = True, recovery_point: int = 0, epoch: int = 0, log_start: int | None = None,
    now: int = NOW, **overrides: Any,
) -> PartitionLog:
    """Open the log of partition t-0 in a folder, which is made where it is missing."""
    folder.mkdir(exist_ok=True)
    return open_partition(
        "t", 0, folder, topic_config(**overrides), leader_epoch=epoch, now=now, clean=clean,
        recovery_point=recovery_point, log_start_offset=log_start,
    )


def batch(
    values: Sequence[bytes | None] = (b"v",), timestamps: Sequence[int] | int = NOW, *, keys: bool = True,
    codec: int = 0, producer: tuple[int, int, int] | None = None, attributes: int = 0,
) -> memoryview:
    """Make a batch; `producer` is id, epoch and first sequence; one timestamp stands for all records."""
    if isinstance(timestamps, int):
        timestamps = [timestamps] * len(values)
    section = bytearray()
    for delta, (value, timestamp) in enumerate(zip(values, timestamps, strict=True)):
        record = bytearray(b"\x00")
        write_varint(record, timestamp - timestamps[0])
        write_varint(record, delta)
        for part in (b"k%d" % delta if keys else None, value):
            write_varint(record, -1 if part is None else len(part))
            record += part or b""
        write_varint(record, 0)
        write_varint(section, len(record))
        section += record
    identity, epoch, sequence = producer or (-1, -1, -1)
    header = BatchHeader(
        0, 0, -1, 2, 0, attributes | codec, len(values) - 1, timestamps[0], max(timestamps), identity, epoch,
        sequence, len(values),
    )
    return memoryview(assemble(header, compression.compress(codec, bytes(section))))


def append(log: PartitionLog, values: Sequence[bytes | None] = (b"v",), *args: Any, **kwargs: Any) -> Appended:
    """Append a batch made by `batch`; `now` is the broker's time."""
    now = kwargs.pop("now", NOW)
    return log.append(batch(values, *args, **kwargs), now)


def read(log: PartitionLog, offset: int = 0, max_bytes: int = 1 << 24, *, at_least_one: bool = True) -> bytes:
    """Read what a consumer would get."""
    return log.read(offset, max_bytes, limit=log.high_watermark, at_least_one=at_least_one)


def everything(log: PartitionLog) -> list[tuple[int, bytes | None]]:
    """Read a log from its start to its end as a consumer does: (offset, value) pairs."""
    found: list[tuple[int, bytes | None]] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        data = read(log, offset, 4096)
        assert data, f"nothing comes from offset {offset}, the log ends at {log.log_end_offset}"
        for header, at in batches(data):
            records = read_records(header, data[at : at + header.size])
            found += [(record.offset, record.value) for record in records if record.offset >= offset]
            offset = header.last_offset + 1
    return found


def offsets_of(data: bytes) -> list[int]:
    """Return the base offsets of the whole batches in what was read."""
    return [header.base_offset for header, _ in batches(data)]


def files(folder: Path) -> list[str]:
    """Return the names of the files in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())
