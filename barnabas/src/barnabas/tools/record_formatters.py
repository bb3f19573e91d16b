"""Write records as Kafka's console consumers print them: their formatters, and the deserializers those use.

A formatter appends a record's bytes to a list; a `FormatError` leaves what was appended before it, as Java does. Where
only values are printed a whole batch is joined at once. Bytes go out as they came, unless a deserializer is named.

What differs from Java: ByteArrayDeserializer prints the bytes, where Java prints an address; deserializers and
formatters that are not Kafka's own cannot be loaded (an unknown deserializer is ignored, in Java too).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from barnabas.protocol.errors import BarnabasError
from barnabas.tools.console import is_true
from barnabas.tools.record_headers import Headers, headers_of


class FormatError(BarnabasError):
    """A record cannot be shown; the text names Java's exception."""


class Record(Protocol):
    """Be a record, with the methods of confluent-kafka's Message."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...


HeadersOf = Callable[[Record], Headers]


class Formatter:
    """Print nothing: Kafka's NoOpMessageFormatter, and the base of the others."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        pass

    @property
    def plain(self) -> bool:
        """Tell whether `values` does for whole batches what `write` does for one record."""
        return True

    def values(self, records: Sequence[Record]) -> bytes:
        """Return what records are printed as, where that is their values alone."""
        return b""

    def write(self, record: Record, out: list[bytes]) -> None:
        """Append what a record is printed as. Raises `FormatError`."""


class DefaultFormatter(Formatter):
    """Print what was asked for, in columns: Kafka's DefaultMessageFormatter and LoggingMessageFormatter."""

    def __init__(self, properties: Mapping[str, str], headers: HeadersOf = headers_of) -> None:
        def flag(name: str, default: str = "false") -> bool:
            return is_true(properties.get(f"print.{name}", default))

        def text(key: str, default: str) -> bytes:
            return properties.get(key, default).encode()

        shown: list[tuple[bool, Callable[[Record, list[bytes]], None]]] = [
            (flag("timestamp"), self._timestamp),
            (flag("partition"), lambda r, out: out.append(b"Partition:%d" % (r.partition() or 0))),
            (flag("offset"), lambda r, out: out.append(b"Offset:%d" % (r.offset() or 0))),
            (flag("delivery"), self._delivery),
            (flag("epoch"), self._epoch),
            (flag("headers"), self._headers),
            (flag("key"), lambda r, out: out.append(self._shown(r.key(), self._key))),
            (flag("value", "true"), lambda r, out: out.append(self._shown(r.value(), self._value))),
        ]
        self._columns = [column for wanted, column in shown if wanted]
        self._separator = text("key.separator", "\t")
        self._end = text("line.separator", "\n")
        self._between = text("headers.separator", ",")
        self._null = text("null.literal", "null")
        self._key = deserializer(properties.get("key.deserializer"))
        self._value = deserializer(properties.get("value.deserializer"))
        self._header = deserializer(properties.get("headers.deserializer"))
        self._headers_of = headers
        self._only_values = len(self._columns) == 1 and flag("value", "true") and self._value is None

    @property
    def plain(self) -> bool:
        """Tell whether nothing but values is printed."""
        return self._only_values or not self._columns

    def values(self, records: Sequence[Record]) -> bytes:
        """Join the values of records."""
        if not self._columns or not records:
            return b""
        found = [record.value() for record in records]
        if None in found:
            found = [self._null if value is None else value for value in found]
        return self._end.join(found) + self._end

    def write(self, record: Record, out: list[bytes]) -> None:
        """Append the columns of a record."""
        for number, column in enumerate(self._columns):
            if number:
                out.append(self._separator)
            column(record, out)
        if self._columns:
            out.append(self._end)

    def _shown(self, value: Any, how: Deserializer | None) -> bytes:
        if value is None:
            value = self._null  # Java deserializes these bytes too
        if isinstance(value, str):
            value = value.encode()
        return value if how is None else how(value)

    def _timestamp(self, record: Record, out: list[bytes]) -> None:
        kind, time = record.timestamp()
        name = {1: b"CreateTime", 2: b"LogAppendTime"}.get(kind)
        out.append(b"NO_TIMESTAMP" if name is None else b"%b:%d" % (name, time))

    def _delivery(self, record: Record, out: list[bytes]) -> None:
        count = getattr(record, "deliveries", None)
        out.append(b"Delivery:" + (b"NOT_PRESENT" if count is None else b"%d" % count))

    def _epoch(self, record: Record, out: list[bytes]) -> None:
        out.append(b"Epoch:NOT_PRESENT")  # Java's tools do not hand it to their formatters

    def _headers(self, record: Record, out: list[bytes]) -> None:
        headers = self._headers_of(record)
        if not headers:
            out.append(b"NO_HEADERS")
            return
        for number, (key, value) in enumerate(headers):
            out.append((self._between if number else b"") + key.encode() + b":")
            out.append(self._shown(value, self._header))


# --- deserializers ------------------------------------------------------------------------------------------

Deserializer = Callable[[bytes], bytes]
_SERIALIZATION: Final = "org.apache.kafka.common.errors.SerializationException"


def deserializer(name: str | None) -> Deserializer | None:
    """Return the function that makes text of bytes; None where the bytes are shown as they are."""
    package, _, simple = (name or "").rpartition(".")
    return _DESERIALIZERS.get(simple) if package == "org.apache.kafka.common.serialization" else None


def _number(code: str, name: str, show: Callable[[Any], str] = str) -> Deserializer:
    size = struct.calcsize(code)

    def read(data: bytes) -> bytes:
        if len(data) != size:
            raise FormatError(f"{_SERIALIZATION}: Size of data received by {name}Deserializer is not {size}")
        return show(struct.unpack(code, data)[0]).encode()

    return read


def _boolean(data: bytes) -> bytes:
    if len(data) != 1:
        raise FormatError(f"{_SERIALIZATION}: Size of data received by BooleanDeserializer is not 1")
    if data[0] > 1:
        raise FormatError(f"{_SERIALIZATION}: Unexpected byte received by BooleanDeserializer: {data[0]}")
    return b"true" if data[0] else b"false"


def _uuid(data: bytes) -> bytes:
    import re

    text = data.decode("utf-8", "replace")
    # Java takes short groups too, and fills them up
    if not re.fullmatch(r"[0-9a-fA-F]{1,8}(-[0-9a-fA-F]{1,4}){3}-[0-9a-fA-F]{1,12}", text):
        raise FormatError(f"{_SERIALIZATION}: Error parsing data into UUID")
    widths = (8, 4, 4, 4, 12)
    return "-".join(p.zfill(w) for p, w in zip(text.lower().split("-"), widths, strict=True)).encode()


def _bytes(data: bytes) -> bytes:
    def shown(byte: int) -> str:
        return chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02X}"

    return "".join(map(shown, data)).encode()


def _void(data: bytes) -> bytes:
    raise FormatError("java.lang.IllegalArgumentException: Data should be null for a VoidDeserializer.")


def _string(data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode()


def java_double(number: float) -> str:
    """Write a double as Java does."""
    return _java_decimal(repr(number))


def java_float(number: float) -> str:
    """Write a float, which has 32 bits, as Java does."""
    if number != number or number in (float("inf"), float("-inf")):
        return _java_decimal(repr(number))
    packed = struct.pack(">f", number)
    for digits in range(9):
        text = f"{number:.{digits}e}"
        if struct.pack(">f", float(text)) == packed:
            break
    return _java_decimal(text)


def _java_decimal(text: str) -> str:
    from decimal import Decimal

    special = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    if text in special:
        return special[text]
    minus, digits, exponent = Decimal(text).normalize().as_tuple()
    assert isinstance(exponent, int)
    figures = "".join(map(str, digits))
    sign = "-" if minus else ""
    if figures == "0":
        return f"{sign}0.0"
    power = len(figures) - 1 + exponent
    if not -3 <= power < 7:
        return f"{sign}{figures[0]}.{figures[1:] or '0'}E{power}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{figures}"
    figures = figures.ljust(power + 1, "0")
    return f"{sign}{figures[: power + 1]}.{figures[power + 1 :] or '0'}"


_DESERIALIZERS: Final[dict[str, Deserializer]] = {
    "StringDeserializer": _string,
    "IntegerDeserializer": _number(">i", "Integer"),
    "LongDeserializer": _number(">q", "Long"),
    "ShortDeserializer": _number(">h", "Short"),
    "FloatDeserializer": _number(">f", "Float", java_float),
    "DoubleDeserializer": _number(">d", "Double", java_double),
    "BooleanDeserializer": _boolean,
    "UUIDDeserializer": _uuid,
    "BytesDeserializer": _bytes,
    "ByteBufferDeserializer": lambda data: b"java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]" % (len(data), len(data)),
    "VoidDeserializer": _void,
}

# --- by name ------------------------------------------------------------------------------------------------

_PACKAGE: Final = "org.apache.kafka.tools.consumer."
_INTERNAL: Final = {
    "OffsetsMessageFormatter": "offsets",
    "GroupMetadataMessageFormatter": "groups",
    "TransactionLogMessageFormatter": "transactions",
    "ShareGroupMessageFormatter": "share groups",
    "group.share.ShareGroupStateMessageFormatter": "share state",
}


def formatter(name: str, properties: Mapping[str, str], headers: HeadersOf = headers_of) -> Formatter | None:
    """Return a formatter by the name of its Java class, None where there is none; `headers` reads those of a record."""
    short = name.removeprefix(_PACKAGE) if name.startswith(_PACKAGE) else ""
    if short in ("DefaultMessageFormatter", "LoggingMessageFormatter"):
        return DefaultFormatter(properties, headers)
    if short == "NoOpMessageFormatter":
        return Formatter(properties)
    if short in _INTERNAL:
        from barnabas.tools.coordinator_formatters import CoordinatorFormatter

        return CoordinatorFormatter(_INTERNAL[short])
    return None
