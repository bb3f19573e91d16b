"""Compressed bodies, both kinds: HTTP's content encodings, and ClickHouse's own blocks (`compress=1`, `decompress=1`).

A block is: 16 bytes CityHash128 (of version 1.0.2) of all that follows; one byte, the method; the size of the rest
with these nine bytes, and the size when unpacked, each four bytes, little end first; the packed bytes. A stream is
unpacked in pieces of about PIECE bytes, so that a small body cannot take all memory; whoever reads counts them.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import brotli  # type: ignore[import-untyped]
import lz4.block  # type: ignore[import-untyped]
import lz4.frame  # type: ignore[import-untyped]
from clickhouse_cityhash.cityhash import CityHash128  # type: ignore[import-untyped]

from barnabas_quant.clickhouse.errors import ClickHouseError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE: Final = 1 << 20
LARGEST_BLOCK: Final = 128 << 20
_BLOCK: Final = struct.Struct("<BII")
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90


class Decoder(Protocol):
    """Unpack a stream."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what can be unpacked now. Raises ClickHouseError."""

    def finish(self) -> None:
        """Raise ClickHouseError where the stream is cut off."""


class Encoder(Protocol):
    """Pack a stream."""

    def feed(self, data: bytes) -> bytes:
        """Pack some bytes; what comes out may come later."""

    def finish(self) -> bytes:
        """Give what is left."""


class _Zlib:
    # The interface of the other libraries' decompressors.
    def __init__(self, window: int) -> None:
        self._stream = zlib.decompressobj(window)

    def decompress(self, data: bytes, limit: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, limit)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data


class _Brotli:
    unused_data = b""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._more = False

    def decompress(self, data: bytes, limit: int) -> bytes:
        unpacked: bytes = self._stream.process(data, output_buffer_limit=limit)
        self._more = bool(unpacked)
        return unpacked

    @property
    def eof(self) -> bool:
        return bool(self._stream.is_finished())

    @property
    def needs_input(self) -> bool:
        return not self._more and bool(self._stream.can_accept_more_data())


class EncodingDecoder:
    """Unpack one of HTTP's content encodings; several members behind one another are one stream."""

    def __init__(self, encoding: str, make: Callable[[], Any]) -> None:
        self._encoding = encoding
        self._make = make
        self._stream = make()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what can be unpacked now. Raises ClickHouseError."""
        try:
            while data or (self._begun and not self._stream.eof):
                if self._stream.eof:
                    self._stream = self._make()
                self._begun = True
                unpacked = self._stream.decompress(data, PIECE)
                if unpacked:
                    yield unpacked
                data = self._stream.unused_data if self._stream.eof else b""
                if not self._stream.eof and self._stream.needs_input:
                    return
        except (zlib.error, brotli.error, zstd.ZstdError, RuntimeError, EOFError, ValueError) as error:
            raise _cannot(f"the body is no {self._encoding} stream: {error}") from error

    def finish(self) -> None:
        """Raise ClickHouseError where the stream is cut off."""
        if self._begun and not self._stream.eof:
            raise _cannot(f"the {self._encoding} stream of the body is cut off")


class BlockDecoder:
    """Unpack ClickHouse's blocks."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what can be unpacked now. Raises ClickHouseError."""
        self._waiting += data
        while len(self._waiting) >= 16 + _BLOCK.size:
            method, packed, unpacked = _BLOCK.unpack_from(self._waiting, 16)
            if not _BLOCK.size <= packed <= LARGEST_BLOCK or unpacked > LARGEST_BLOCK:
                raise _cannot(f"sizes of a compressed block: {packed} packed, {unpacked} unpacked")
            end = 16 + packed
            if len(self._waiting) < end:
                return
            block = bytes(self._waiting[16:end])
            if bytes(self._waiting[:16]) != checksum(block):
                raise ClickHouseError(40, "CHECKSUM_DOESNT_MATCH", "Checksum doesn't match: corrupted data")
            del self._waiting[:end]
            yield _unpack(method, block[_BLOCK.size :], unpacked)

    def finish(self) -> None:
        """Raise ClickHouseError where the stream is cut off."""
        if self._waiting:
            raise _cannot(f"a compressed block is cut off after {len(self._waiting)} bytes")


class BlockEncoder:
    """Pack into ClickHouse's blocks, with LZ4."""

    def feed(self, data: bytes) -> bytes:
        """Pack some bytes at once."""
        return b"".join(_pack(data[at : at + PIECE]) for at in range(0, len(data), PIECE))

    def finish(self) -> bytes:
        """Give nothing: no block waits."""
        return b""


class _Lz4Encoder:
    def __init__(self) -> None:
        self._stream = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        return self._begin() + bytes(self._stream.compress(data))

    def finish(self) -> bytes:
        return self._begin() + bytes(self._stream.flush())

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return bytes(self._stream.begin())


class _StreamEncoder:
    def __init__(self, feed: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> None:
        self.feed = feed
        self.finish = finish


def _zlib_encoder(window: int) -> Encoder:
    stream = zlib.compressobj(3, wbits=window)
    return _StreamEncoder(stream.compress, stream.flush)


def _zstd_encoder() -> Encoder:
    stream = zstd.ZstdCompressor(1)
    return _StreamEncoder(stream.compress, stream.flush)


def _brotli_encoder() -> Encoder:
    stream = brotli.Compressor(quality=3)
    return _StreamEncoder(stream.process, stream.finish)


# In the order in which an answer prefers them.
_ENCODERS: Final[dict[str, Callable[[], Encoder]]] = {
    "zstd": _zstd_encoder,
    "br": _brotli_encoder,
    "lz4": _Lz4Encoder,
    "gzip": lambda: _zlib_encoder(31),
    "deflate": lambda: _zlib_encoder(15),
}
_DECODERS: Final[dict[str, Callable[[], Any]]] = {
    "zstd": zstd.ZstdDecompressor,
    "br": _Brotli,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
}


def encoder(encoding: str) -> Encoder:
    """Give a packer for one of the encodings that `accepted` gives."""
    return _ENCODERS[encoding]()


def decoder(encoding: str) -> EncodingDecoder:
    """Give an unpacker for a Content-Encoding. Raises ClickHouseError for one that is not known."""
    make = _DECODERS.get(encoding.strip().lower())
    if make is None:
        raise ClickHouseError(48, "NOT_IMPLEMENTED", f"Unknown compression method {encoding[:100]!r} of the body")
    return EncodingDecoder(encoding, make)


def accepted(header: str) -> str | None:
    """Choose the best encoding that an Accept-Encoding names; None where it names none."""
    parts = (part.partition(";") for part in header.split(","))
    named = {name.strip().lower() for name, _, weight in parts if weight.strip() != "q=0"}
    return next((encoding for encoding in _ENCODERS if encoding in named), None)


def checksum(block: bytes) -> bytes:
    """Give the 16 bytes that stand before a block."""
    value = CityHash128(block)
    return struct.pack("<QQ", value >> 64, value & (1 << 64) - 1)


def _pack(data: bytes) -> bytes:
    packed: bytes = lz4.block.compress(data, store_size=False)
    block = _BLOCK.pack(_LZ4, _BLOCK.size + len(packed), len(data)) + packed
    return checksum(block) + block


def _unpack(method: int, packed: bytes, size: int) -> bytes:
    try:
        if method == _LZ4:
            data = lz4.block.decompress(packed, uncompressed_size=size) if size else b""
        elif method == _ZSTD:
            data = zstd.ZstdDecompressor().decompress(packed, size + 1)
        elif method == _NONE:
            data = packed
        else:
            raise ClickHouseError(89, "UNKNOWN_CODEC", f"Unknown codec family code: {method}")
    except (lz4.block.LZ4BlockError, zstd.ZstdError, ValueError, MemoryError) as error:
        raise _cannot(f"a compressed block does not unpack: {error}") from error
    if len(data) != size:
        raise _cannot(f"a compressed block holds {len(data)} bytes and says {size}")
    return bytes(data)


def _cannot(text: str) -> ClickHouseError:
    return ClickHouseError(271, "CANNOT_DECOMPRESS", text)
