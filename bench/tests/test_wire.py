"""What the benchmark sends is what Kafka's definitions say."""

import struct

import pytest

from bench import wire


def test_checksum_of_the_standard() -> None:
    # RFC 3720, appendix B.4, and the usual check value of CRC-32C.
    assert wire.crc32c(b"123456789") == 0xE3069283
    assert wire.crc32c(bytes(32)) == 0x8A9136AA
    assert wire.crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, b"\x00"),
        (-1, b"\x01"),
        (1, b"\x02"),
        (63, b"\x7e"),
        (64, b"\x80\x01"),
        (-65, b"\x81\x01"),
        (300, b"\xd8\x04"),
    ],
)
def test_varint_is_zigzag(value: int, encoded: bytes) -> None:
    assert wire.varint(value) == encoded


def test_one_record_byte_for_byte() -> None:
    batch = wire.record_batch(1, 3, 0)
    record = bytes([18, 0, 0, 0, 1, 6]) + b"bar" + b"\0"
    checked = bytes(2) + bytes(4) + bytes(16) + b"\xff" * 14 + struct.pack(">i", 1) + record
    head = bytes(8) + struct.pack(">iib", 9 + len(checked), -1, 2)
    assert batch == head + struct.pack(">I", wire.crc32c(checked)) + checked


def test_batch_lengths_and_counts() -> None:
    batch = wire.record_batch(200, 100, 1_700_000_000_000)
    length, _, magic, crc, _, last = struct.unpack_from(">iibIhi", batch, 8)
    assert (length, magic, last) == (len(batch) - 12, 2, 199)
    assert crc == wire.crc32c(batch[21:])
    assert struct.unpack_from(">i", batch, 57) == (200,)


def test_produce_request_is_one_frame() -> None:
    frame = wire.produce_request("t", 3, b"batch", 7)
    length, api, version, correlation = struct.unpack_from(">ihhi", frame)
    assert (length, api, version, correlation) == (len(frame) - 4, 0, 7, 7)
    assert frame.endswith(b"\x00\x01t" + struct.pack(">iii", 1, 3, 5) + b"batch")


def test_produce_response() -> None:
    partition = struct.pack(">ihqqq", 3, 19, 40, -1, 0)
    frame = struct.pack(">iih", 7, 1, 1) + b"t" + struct.pack(">i", 1) + partition + bytes(4)
    assert wire.parse_produce_response(frame) == wire.Produced(7, 19, 40)


@pytest.mark.parametrize("frame", [b"", bytes(4), bytes(30), struct.pack(">iih", 7, 1, 500) + bytes(40)])
def test_a_response_that_is_none(frame: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.parse_produce_response(frame)
