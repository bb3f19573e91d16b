"""Read records with confluent-kafka, and make of each what the page shows and what filters ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from barnabas.console.filters import MISSING
from barnabas.console.parts import Decoded, Part, Schemas, decode
from barnabas.tools.librdkafka import librdkafka_config
from barnabas.tools.record_headers import NamesAreNoText, headers_of
from barnabas.tools.settings import Settings

_HEADERS: Final = 256 * 1024
#: what librdkafka fetches ahead, in KiB, and what a consume call is to bring at most, in bytes
_AHEAD: Final = 4096
_AT_ONCE: Final = 1 << 20
_MOST: Final = 500
_CONSUMER: Final[dict[str, Any]] = {
    "group.id": "barnabas-console",  # it must have one; nothing joins or commits
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": False,
    "queued.max.messages.kbytes": _AHEAD,
    "fetch.max.bytes": 4 << 20,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 20,
    "fetch.error.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1000,
    "log_level": 2,
}
_TIMESTAMPS: Final[dict[int, Literal["none", "create", "append"]]] = {0: "none", 1: "create", 2: "append"}


class Formats(msgspec.Struct, frozen=True):
    """Say how keys and values are to be decoded."""

    key: str = "auto"
    value: str = "auto"


class HeaderLine(msgspec.Struct, frozen=True):
    """Show a header."""

    name: str
    value: Part


class RecordLine(msgspec.Struct, frozen=True, rename="camel", tag="record", tag_field="t"):
    """Show a record."""

    partition: int
    offset: str
    timestamp: str
    timestamp_type: Literal["none", "create", "append"]
    key: Part
    value: Part
    headers: list[HeaderLine]
    size: str


class View:
    """Look at a record; what is not asked for is not decoded."""

    def __init__(self, message: Any, formats: Formats, schemas: Schemas | None) -> None:
        self._message, self._formats, self._schemas = message, formats, schemas
        self.partition: int = message.partition()
        self.offset: int = message.offset()
        kind, self.timestamp = message.timestamp()
        self.timestamp_type = _TIMESTAMPS.get(kind, "none")
        self.raw_key: bytes | None = message.key()
        self.raw_value: bytes | None = message.value()
        self._key: Decoded | None = None
        self._value: Decoded | None = None
        self._headers: list[tuple[str, Decoded]] | None = None
        self.failed: str | None = None
        """Why a filter could not see all of it."""

    @property
    def order(self) -> tuple[int, int, int]:
        """Return what records are sorted by: time, partition, offset."""
        return self.timestamp, self.partition, self.offset

    @property
    def key(self) -> Decoded:
        """Return the key."""
        if self._key is None:
            self._key = decode(self.raw_key, self._formats.key, f"{self._message.topic()}-key", self._schemas)
        return self._key

    @property
    def value(self) -> Decoded:
        """Return the value."""
        if self._value is None:
            self._value = decode(self.raw_value, self._formats.value, f"{self._message.topic()}-value", self._schemas)
        return self._value

    @property
    def headers(self) -> list[tuple[str, Decoded]]:
        """Return the headers."""
        if self._headers is None:
            try:
                raw = headers_of(self._message)
            except NamesAreNoText as e:
                said = Decoded("bytes", b"", error=str(e))
                self._headers = [("", said)]
            else:
                self._headers = [(name, decode(value, "auto", "", None)) for name, value in raw]
        return self._headers

    @property
    def size(self) -> int:
        """Return the bytes of key, value and headers."""
        return self.body + sum(len(name.encode("utf-8", "replace")) + len(value.raw) for name, value in self.headers)

    @property
    def body(self) -> int:
        """Return the bytes of key and value."""
        return len(self.raw_key or b"") + len(self.raw_value or b"")

    def lookup(self, root: str) -> Any:
        """Give a filter what stands at the root of a path."""
        if root in ("partition", "offset", "timestamp", "size"):
            return getattr(self, root)
        if root == "headers":
            return {name: value.shown() for name, value in self.headers}
        part = self.key if root == "key" else self.value
        try:
            return part.data()
        except ValueError as e:
            self.failed = f"{self.partition}:{self.offset}: {root}: {e}"
            return MISSING

    def holds(self, text: str) -> bool:
        """Tell whether a text, in small letters, occurs in what is shown."""
        if text in self.value.shown().lower() or text in self.key.shown().lower():
            return True
        return any(text in name.lower() or text in value.shown().lower() for name, value in self.headers)

    def line(self, most: int) -> RecordLine:
        """Return what is shown: of each part `most` bytes at most, of all headers 256 KiB."""
        left = _HEADERS
        headers = []
        for name, value in self.headers:
            part = value.part(min(most, left))
            left = max(0, left - len(part.text) - len(name))
            headers.append(HeaderLine(name if left else name[:100], part))
        return RecordLine(
            self.partition, str(self.offset), str(self.timestamp), self.timestamp_type, self.key.part(most),
            self.value.part(most), headers, str(self.size),
        )


class Reader:
    """Be a consumer of some partitions of one topic. Belongs to one thread."""

    def __init__(
        self, settings: Settings, topic: str, on_error: Callable[[str], None], *, reset: str = "earliest"
    ) -> None:
        from confluent_kafka import Consumer

        config = librdkafka_config(
            settings, **_CONSUMER, auto_offset_reset=reset, error_cb=lambda error: on_error(str(error))
        )
        self._consumer = Consumer(config)
        self._topic = topic
        self._paused: set[int] = set()
        self._average = float(_AT_ONCE // 50)

    def assign(self, positions: Mapping[int, int]) -> None:
        """Read partitions from these offsets on, and no others."""
        from confluent_kafka import TopicPartition

        if self._paused:  # what was paused would stay so with a new assignment
            self._consumer.resume([TopicPartition(self._topic, p) for p in self._paused])
            self._paused.clear()
        self._consumer.assign([TopicPartition(self._topic, p, offset) for p, offset in positions.items()])

    def pause(self, partitions: Iterable[int]) -> None:
        """Fetch no more of some partitions."""
        from confluent_kafka import KafkaException, TopicPartition

        wanted = list(partitions)
        with contextlib.suppress(KafkaException):  # it only saves the network what is not needed
            self._consumer.pause([TopicPartition(self._topic, p) for p in wanted])
            self._paused.update(wanted)

    def consume(self, seconds: float) -> list[Any]:
        """Return what has come, a mebibyte or so at most; nothing after so many seconds."""
        most = max(1, min(_MOST, int(_AT_ONCE / max(1.0, self._average))))
        found: list[Any] = self._consumer.consume(most, seconds)
        for message in found:
            if message.error() is None:
                self._average += (len(message) - self._average) / 20
        return found

    def close(self) -> None:
        """Give the client's threads and connections back."""
        self._consumer.close()
