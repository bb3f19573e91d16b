"""Open scans, read one record, write one: what needs a cluster before or beside a scan. Blocking: in threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from barnabas.console.clusters import KafkaCluster
from barnabas.console.errors import BadRequest, NotFound, Refused, Unreachable
from barnabas.console.parts import Schemas
from barnabas.console.records import Formats, Reader, RecordLine, View
from barnabas.console.scanning import Query, Scan, Span
from barnabas.console.topics import bounds, partitions_of
from barnabas.protocol.errors import ErrorCode
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import AnswerError
from barnabas.tools.librdkafka import librdkafka_config
from barnabas.tools.offsets import FoundOffset, list_offsets

WHOLE: Final = 1 << 20
"""Bytes of each part of a record that is shown whole."""
_PATIENCE: Final = 10.0
_EOF: Final = -191
_NO_OFFSET: Final = -140
_DELIVERY_MS: Final = 10_000
_LARGEST: Final = 16 << 20
_PRODUCER: Final[dict[str, Any]] = {
    "acks": "all", "partitioner": "murmur2_random", "linger.ms": 0, "log_level": 2, "delivery.timeout.ms": _DELIVERY_MS,
    "message.max.bytes": _LARGEST, "queue.buffering.max.kbytes": 4 * _LARGEST >> 10, "reconnect.backoff.max.ms": 1000,
    "error_cb": lambda error: None,  # what became of the record is told by its delivery
}
_AWAY: Final = frozenset({-192, -195, -187, -185, 7})


class Start(msgspec.Struct, frozen=True):
    """Say where a scan begins: an offset, a time in milliseconds, or an offset of its own for each partition."""

    offset: int | None = None
    time: int | None = None
    at: Mapping[int, int] = {}
    partitions: tuple[int, ...] | None = None


def spans(client: Cluster, query: Query, start: Start) -> tuple[dict[int, Span], list[str]]:
    """Return what each partition has and where its scan begins, and what is wrong with others.

    Raises `NotFound`, `AnswerError` where none can be read.
    """
    topic = partitions_of(client, query.topic)
    known = sorted(p.partition_index for p in topic.partitions)
    wanted = known if start.partitions is None else list(start.partitions)
    missing = sorted(set(wanted).union(start.at) - set(known))
    if missing:
        raise NotFound(f"{query.topic} has no partition {missing[0]}: it has {len(known)}")
    begins, ends = bounds(client, [(query.topic, p) for p in wanted])
    times: Mapping[tuple[str, int], FoundOffset | AnswerError] = {}
    if query.seek == "time":
        times = list_offsets(client, {(query.topic, p): start.time or 0 for p in wanted})
    found: dict[int, Span] = {}
    problems: list[AnswerError] = []
    for p in wanted:
        begin, end, timed = begins[query.topic, p], ends[query.topic, p], times.get((query.topic, p))
        wrong = next((one for one in (begin, end, timed) if isinstance(one, AnswerError)), None)
        if wrong is not None:
            problems.append(AnswerError(wrong.code, f"partition {p}: {wrong}"))
            continue
        assert isinstance(begin, FoundOffset)
        assert isinstance(end, FoundOffset)
        at: int | None
        if query.seek == "newest" or query.seek == "live":
            at = start.at.get(p, end.offset) if query.seek == "newest" else end.offset
        elif query.seek == "time":
            at = timed.offset if isinstance(timed, FoundOffset) and timed.offset >= 0 else end.offset
        else:
            at = start.offset if query.seek == "offset" else None
        if query.seek != "live" and p in start.at:
            at = start.at[p]
        first = begin.offset if at is None else min(max(at, begin.offset), end.offset)
        found[p] = Span(begin.offset, end.offset, first)
    if problems and not found:
        raise problems[0]
    return found, [str(problem) for problem in problems]


class OpenScan:
    """Be a scan with its consumer. `run` and `close` belong to one thread; `stop` to any."""

    def __init__(
        self, cluster: KafkaCluster, query: Query, start: Start, schemas: Schemas | None, seconds: float
    ) -> None:
        found, problems = cluster.call(spans, query, start)
        self._scan: Scan | None = None
        self._reader = Reader(cluster.settings.records(), query.topic, self._trouble)
        self._scan = Scan(self._reader, query, found, schemas, seconds)
        for problem in problems:
            self._scan.trouble(problem)
        self._lines = self._scan.run()

    def _trouble(self, message: str) -> None:
        if self._scan is not None:
            self._scan.trouble(message)

    def pull(self) -> list[bytes] | None:
        """Return the next lines, None after the last."""
        return next(self._lines, None)

    @property
    def reason(self) -> str | None:
        """Return why it ended, None before."""
        return None if self._scan is None or self._scan.end is None else self._scan.end.reason

    def stop(self) -> None:
        """End it soon."""
        if self._scan is not None:
            self._scan.stop()

    def close(self) -> None:
        """Give the consumer back."""
        self._reader.close()


# --- one record ---------------------------------------------------------------------------------------------


def one(
    cluster: KafkaCluster, topic: str, partition: int, offset: int, formats: Formats, schemas: Schemas | None
) -> View:
    """Read one record. Raises `NotFound`, `Unreachable`, `AnswerError`."""
    found, _ = cluster.call(spans, Query(topic, "oldest"), Start(partitions=(partition,)))
    span = found[partition]
    if not span.begin <= offset < span.end:
        raise NotFound(f"{topic}-{partition} has the offsets {span.begin} to {span.end}, exclusive: not {offset}")
    problems: list[str] = []
    reader = Reader(cluster.settings.records(), topic, problems.append, reset="error")
    try:
        reader.assign({partition: offset})
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            for message in reader.consume(0.2):
                error = message.error()
                if error is None and message.offset() == offset:
                    return View(message, formats, schemas)
                if error is None or error.code() in (_EOF, _NO_OFFSET):
                    raise NotFound(f"{topic}-{partition} has no record at {offset}: it was compacted away, or is a "
                                   "mark of a transaction")
                problems.append(error.str())
    finally:
        reader.close()
    raise Unreachable(problems[-1] if problems else f"the leader of {topic}-{partition} does not answer")


def whole(view: View) -> RecordLine:
    """Return a record with its parts uncut, a mebibyte each at most."""
    return view.line(WHOLE)


# --- writing ------------------------------------------------------------------------------------------------


class Record(msgspec.Struct, frozen=True):
    """Hold a record to write. A partition of None is chosen as Java's producer does; a time of None is now."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    partition: int | None = None
    timestamp: int | None = None


def write(cluster: KafkaCluster, topic: str, record: Record) -> dict[str, Any]:
    """Write a record and return where it stands. Raises `BadRequest`, `NotFound`, `Unreachable`, `Refused`.

    The producer lives for this record alone: one that is kept goes on asking for its topics, and a broker that creates
    topics by itself then makes those again that were deleted since.
    """
    from confluent_kafka import KafkaException, Producer

    if record.timestamp == 0:
        raise BadRequest("timestamp: librdkafka, which writes here, takes 0 for now, so 1 is the earliest; null is now")
    described = cluster.call(partitions_of, topic)
    if record.partition is not None and not 0 <= record.partition < len(described.partitions):
        raise NotFound(f"{topic} has no partition {record.partition}")
    done: list[tuple[Any, Any]] = []
    more: dict[str, Any] = {}
    if record.partition is not None:
        more["partition"] = record.partition
    if record.timestamp is not None:
        more["timestamp"] = record.timestamp
    if record.headers:
        more["headers"] = record.headers
    producer = Producer(librdkafka_config(cluster.settings.records(), **_PRODUCER))
    told: Callable[[Any, Any], None] = lambda error, message: done.append((error, message))  # noqa: E731
    try:
        producer.produce(topic, record.value, record.key, on_delivery=told, **more)
    except (KafkaException, BufferError, ValueError, TypeError) as e:
        raise BadRequest(f"this record cannot be written: {e}") from None
    deadline = time.monotonic() + _DELIVERY_MS / 1000 + 5
    while not done and time.monotonic() < deadline:
        producer.poll(0.1)
    if not done:
        producer.purge()
        raise Unreachable("the cluster did not say what became of the record: it may or may not be there")
    error, message = done[0]
    if error is not None:
        if error.code() in _AWAY:
            raise Unreachable(f"{error.str()}: the record may or may not be there")
        raise Refused(error.str(), _name(error))
    return {
        "partition": message.partition(), "offset": str(message.offset()), "timestamp": str(message.timestamp()[1])
    }


def _name(error: Any) -> str:
    try:
        return ErrorCode(error.code()).name
    except ValueError:
        return str(error.name())
