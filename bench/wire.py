"""Make the few Kafka messages that the benchmark sends by itself: ApiVersions, Produce, and the record batch in it.

Messages are made once, before the clock runs, so nothing here is in a measured path. Layouts follow the message
definitions of Apache Kafka (ApiVersionsRequest v0, ProduceRequest v7, both before flexible versions) and the record
batch v2 of its documentation, section "Message Format".
"""

import socket
import struct
from dataclasses import dataclass

API_VERSIONS, PRODUCE = 18, 0
PRODUCE_VERSION = 7  # the newest without tagged fields and with zstd; each of the systems serves it
CLIENT_ID = b"bench"


class WireError(RuntimeError):
    """A broker closed the connection, or answered something that is no answer to the request."""


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum of `data` (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(value: int) -> bytes:
    """Encode a signed integer of up to 32 bits as a zigzag varint, as record fields are."""
    zigzag = (value << 1) ^ (value >> 31)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


def record_batch(records: int, size: int, timestamp: int) -> bytes:
    """Build one uncompressed record batch v2 of `records` records with null keys and values of `size` bytes.

    `timestamp` is in milliseconds since 1970, the same for each record. The checksum does not cover the base offset
    and the leader epoch, which a broker sets, so one batch serves every partition.
    """
    value = (b"barnabas " * (size // 9 + 1))[:size]
    body = bytearray()
    for delta in range(records):
        record = b"\0" + varint(0) + varint(delta) + varint(-1) + varint(size) + value + varint(0)
        body += varint(len(record)) + record
    checked = struct.pack(">hiqqqhii", 0, records - 1, timestamp, timestamp, -1, -1, -1, records) + body
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, crc32c(checked)) + checked


def _request(api: int, version: int, correlation: int, body: bytes) -> bytes:
    header = struct.pack(">hhih", api, version, correlation, len(CLIENT_ID)) + CLIENT_ID
    return struct.pack(">i", len(header) + len(body)) + header + body


def api_versions_request(correlation: int) -> bytes:
    """Return an ApiVersions request v0, which every broker answers, before authentication too."""
    return _request(API_VERSIONS, 0, correlation, b"")


def produce_request(topic: str, partition: int, batch: bytes, correlation: int) -> bytes:
    """Return a Produce request of one batch for one partition: acks=1, time-out 30 s."""
    name = topic.encode()
    body = struct.pack(">hhiih", -1, 1, 30_000, 1, len(name)) + name + struct.pack(">iii", 1, partition, len(batch))
    return _request(PRODUCE, PRODUCE_VERSION, correlation, body + batch)


@dataclass(frozen=True, slots=True)
class Produced:
    """The answer to `produce_request`."""

    correlation: int
    error: int
    base_offset: int


def parse_produce_response(frame: bytes) -> Produced:
    """Decode a Produce response v7 of one topic and one partition. Raises WireError when it is none."""
    try:
        correlation, topics, name_length = struct.unpack_from(">iih", frame)
        partitions, _, error, base_offset = struct.unpack_from(">iihq", frame, 10 + name_length)
    except struct.error as cause:
        raise WireError(f"a Produce response of {len(frame)} bytes: {frame[:40]!r}") from cause
    if topics != 1 or partitions != 1:
        raise WireError(f"a Produce response of {topics} topics and {partitions} partitions")
    return Produced(correlation, error, base_offset)


def _read(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise WireError("the broker closed the connection")
        data += piece
    return bytes(data)


def read_frame(connection: socket.socket) -> bytes:
    """Read one response without its length prefix. Raises WireError when the connection ends before its end."""
    (length,) = struct.unpack(">i", _read(connection, 4))
    if not 4 <= length <= 1 << 24:
        raise WireError(f"a response of {length} bytes")
    return _read(connection, length)


def ask_api_versions(connection: socket.socket, correlation: int) -> int:
    """Ask for the API versions on a connection; return how many APIs were listed. Raises WireError."""
    connection.sendall(api_versions_request(correlation))
    frame = read_frame(connection)
    if len(frame) < 10:
        raise WireError(f"an ApiVersions response of {len(frame)} bytes")
    answered, error, apis = struct.unpack_from(">ihi", frame)
    if answered != correlation or error or apis <= 0:
        raise WireError(f"ApiVersions: correlation {answered} for {correlation}, error {error}, {apis} APIs")
    return int(apis)
