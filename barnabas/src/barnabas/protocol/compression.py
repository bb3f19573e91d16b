"""Compress and decompress the record section of batches: gzip, snappy, lz4, zstd.

Decompression is bounded: a batch that inflates beyond `MAX_INFLATED` bytes is refused before the memory is taken.
Snappy travels in two forms: raw, as librdkafka writes it, and in the framing of the xerial library, as Java does.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import Final

from barnabas.protocol.errors import ErrorCode, KafkaError

NONE: Final = 0
GZIP: Final = 1
SNAPPY: Final = 2
LZ4: Final = 3
ZSTD: Final = 4

CODECS: Final = {"uncompressed": NONE, "none": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}

MAX_INFLATED: Final = 256 * 1024 * 1024

_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER: Final = 16
_XERIAL_BLOCK: Final = 32 * 1024


def decompress(codec: int, data: bytes) -> bytes:
    """Inflate a record section; raises `KafkaError` (CORRUPT_MESSAGE) where it is malformed or too large."""
    if codec == NONE:
        return data
    if codec not in (GZIP, SNAPPY, LZ4, ZSTD):
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"Unknown compression type {codec}")
    try:
        return _INFLATE[codec](data)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as e:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"The compressed records cannot be read: {e}") from e


def compress(codec: int, data: bytes, level: int | None = None) -> bytes:
    """Deflate a record section; `level` None means the codec's default."""
    if codec == NONE:
        return data
    if codec == GZIP:
        packer = zlib.compressobj(-1 if level is None else level, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()
    import cramjam

    if codec == SNAPPY:
        out = bytearray(_XERIAL_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01")
        for i in range(0, len(data), _XERIAL_BLOCK):
            block = bytes(cramjam.snappy.compress_raw(data[i : i + _XERIAL_BLOCK]))
            out += len(block).to_bytes(4, "big") + block
        return bytes(out)
    if codec == LZ4:
        # Kafka's Java clients refuse blocks that depend on each other, which is what lz4.compress makes
        frame = cramjam.lz4.Compressor(4 if level is None else level, content_checksum=False, block_linked=False)
        frame.compress(data)
        return bytes(frame.finish())
    if codec == ZSTD:
        return bytes(cramjam.zstd.compress(data, 3 if level is None else level))
    raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"Unknown compression type {codec}")


def _too_large() -> KafkaError:
    return KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"The records inflate beyond {MAX_INFLATED} bytes")


def _gunzip(data: bytes) -> bytes:
    """Inflate a stream of one or more members, as Java reads it."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        out = stream.read(MAX_INFLATED + 1)
    if len(out) > MAX_INFLATED:
        raise _too_large()
    if not data:
        raise ValueError("an empty gzip stream")
    return out


def _unsnappy(data: bytes) -> bytes:
    if not data.startswith(_XERIAL_MAGIC):
        return _unsnappy_block(data, 0)
    if len(data) < _XERIAL_HEADER:
        raise ValueError("the header of the snappy blocks is cut")
    out = bytearray()
    at = _XERIAL_HEADER
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + size > len(data):
            raise ValueError("a snappy block is cut")
        out += _unsnappy_block(data[at + 4 : at + 4 + size], len(out))
        at += 4 + size
    return bytes(out)


def _unsnappy_block(data: bytes, so_far: int) -> bytes:
    import cramjam

    if not data:
        raise ValueError("an empty snappy block")
    # the preamble states the inflated size: look before memory is taken
    try:
        if so_far + cramjam.snappy.decompress_raw_len(data) > MAX_INFLATED:
            raise _too_large()
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as e:
        raise ValueError(str(e)) from e


def _unlz4(data: bytes) -> bytes:
    import cramjam

    return _stream(cramjam.lz4.decompress_into, data)


def _unzstd(data: bytes) -> bytes:
    import cramjam

    return _stream(cramjam.zstd.decompress_into, data)


def _stream(decompress_into: Callable[[bytes, bytearray], int], data: bytes) -> bytes:
    """Inflate into a buffer that grows fourfold until the data fits, and no further than the bound."""
    import cramjam

    size = min(MAX_INFLATED, max(65536, len(data) * 8))
    while True:
        room = bytearray(size)
        try:
            return bytes(memoryview(room)[: decompress_into(data, room)])
        except cramjam.DecompressionError as e:
            if "whole buffer" not in str(e):
                raise ValueError(str(e)) from e
            if size >= MAX_INFLATED:
                raise _too_large() from e
            size = min(MAX_INFLATED, size * 4)


_INFLATE = {GZIP: _gunzip, SNAPPY: _unsnappy, LZ4: _unlz4, ZSTD: _unzstd}
