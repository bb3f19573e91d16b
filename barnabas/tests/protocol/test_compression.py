"""Test compression: what others wrote is read, what is damaged is refused, and bombs take no memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from random import Random

import cramjam
import pytest
from aiokafka import codec as aio
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.protocol import compression
from barnabas.protocol.compression import CODECS, GZIP, LZ4, MAX_INFLATED, NONE, SNAPPY, ZSTD, compress, decompress
from barnabas.protocol.errors import ErrorCode, KafkaError

PACKED = {"gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
EXAMPLES = settings(max_examples=50, deadline=None, database=None)
TEXT = b"".join(b"record %d of a topic, " % i for i in range(20_000))


@pytest.mark.parametrize("name", [*PACKED, "none"])
@EXAMPLES
@given(data=st.binary(max_size=2000))
def test_what_is_packed_is_unpacked(name: str, data: bytes) -> None:
    assert decompress(CODECS[name], compress(CODECS[name], data)) == data


@pytest.mark.parametrize("name", PACKED)
def test_aiokafka_reads_what_we_pack_and_packs_what_we_read(name: str) -> None:
    pack, unpack = getattr(aio, f"{name}_encode"), getattr(aio, f"{name}_decode")
    for data in (b"x", TEXT, Random(1).randbytes(100_000)):
        assert bytes(unpack(compress(PACKED[name], data))) == data
        assert decompress(PACKED[name], bytes(pack(data))) == data


@pytest.mark.parametrize(("name", "levels"), [("gzip", (1, 6, 9)), ("lz4", (1, 9, 17)), ("zstd", (1, 3, 19, -5))])
def test_levels(name: str, levels: tuple[int, ...]) -> None:
    for level in levels:
        assert decompress(PACKED[name], compress(PACKED[name], TEXT, level)) == TEXT


def test_snappy_travels_raw_and_in_blocks() -> None:
    framed = compress(SNAPPY, TEXT)
    assert framed.startswith(b"\x82SNAPPY\x00")
    raw = bytes(cramjam.snappy.compress_raw(TEXT))
    assert decompress(SNAPPY, framed) == decompress(SNAPPY, raw) == TEXT


def test_gzip_of_several_members() -> None:
    """Java's reader takes members that follow each other for one stream; clients that flush write them."""
    assert decompress(GZIP, gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"


def test_lz4_blocks_do_not_depend_on_each_other() -> None:
    frame = compress(LZ4, b"some bytes" * 100)
    assert frame[4] & 0x20  # the flag; Kafka's Java clients refuse a frame without it


def test_lz4_of_linked_and_independent_blocks() -> None:
    for linked in (True, False):
        packed = bytes(cramjam.lz4.compress(TEXT) if linked else aio.lz4_encode(TEXT))
        assert decompress(LZ4, packed) == TEXT


@pytest.mark.parametrize("name", PACKED)
def test_a_cut_stream_is_refused(name: str) -> None:
    packed = compress(PACKED[name], TEXT)
    for cut in (0, 1, 5, 12, 17, 30, len(packed) // 2, len(packed) - 1):
        with pytest.raises(KafkaError) as e:
            decompress(PACKED[name], packed[:cut])
        assert e.value.code == ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("name", PACKED)
@EXAMPLES
@given(data=st.binary(max_size=100))
def test_garbage_is_refused_or_read(name: str, data: bytes) -> None:
    for garbage in (data, compress(PACKED[name], b"a")[:8] + data):
        try:
            assert len(decompress(PACKED[name], garbage)) <= MAX_INFLATED
        except KafkaError as e:
            assert e.code in (ErrorCode.CORRUPT_MESSAGE, ErrorCode.MESSAGE_TOO_LARGE)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_an_unknown_codec(codec: int) -> None:
    for call in (decompress, compress):
        with pytest.raises(KafkaError) as e:
            call(codec, b"")
        assert e.value.code == ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert decompress(NONE, b"as it is") == b"as it is"


def bomb(name: str, size: int) -> bytes:
    """Return a few bytes that inflate to `size` zeros."""
    if name == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        block = bytes(1 << 20)
        return b"".join([packer.compress(block) for _ in range(size >> 20)] + [packer.flush()])
    if name == "snappy":
        return compress(SNAPPY, bytes(1 << 15))[:16] + compress(SNAPPY, bytes(1 << 15))[16:] * (size >> 15)
    block = bytes(size)
    return bytes(cramjam.lz4.compress(block) if name == "lz4" else cramjam.zstd.compress(block))


@pytest.mark.parametrize("name", PACKED)
def test_a_bomb_is_refused_within_bounded_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 4 << 20
    data = bomb(name, 64 << 20)
    assert len(data) < 4 << 20
    monkeypatch.setattr(compression, "MAX_INFLATED", limit)
    tracemalloc.start()
    try:
        with pytest.raises(KafkaError) as e:
            decompress(PACKED[name], data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert e.value.code == ErrorCode.MESSAGE_TOO_LARGE
    assert peak < 4 * limit
    assert len(decompress(PACKED[name], bomb(name, limit))) == limit


def test_a_snappy_block_that_claims_to_be_huge() -> None:
    with pytest.raises(KafkaError) as e:
        decompress(SNAPPY, b"\xff\xff\xff\xff\x0f\x00a")
    assert e.value.code == ErrorCode.MESSAGE_TOO_LARGE


def test_a_zstd_frame_that_claims_to_be_huge() -> None:
    frame = b"\x28\xb5\x2f\xfd\xe0" + (1 << 60).to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(KafkaError):
        decompress(ZSTD, frame)
