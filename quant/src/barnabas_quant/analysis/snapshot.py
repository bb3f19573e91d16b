"""State as bytes: a kind, a version, a checksum, and compressed JSON behind them.

Layout: 4 bytes kind, 1 byte version, 4 bytes CRC-32 of the rest (big endian), zlib-compressed JSON. A reader takes its
own kind and version only; state of another version is made anew from the records, so nothing is migrated.
"""

from __future__ import annotations

import struct
import zlib
from typing import TypeVar

import msgspec

from barnabas_quant.errors import StateError

_HEAD = struct.Struct(">4sBI")

LARGEST = 64 * 2**20
"""Bytes of the largest JSON taken back."""

T = TypeVar("T")


def pack(kind: bytes, version: int, state: object) -> bytes:
    """Write state; `kind` is four bytes."""
    body = zlib.compress(msgspec.json.encode(state), 1)
    return _HEAD.pack(kind, version, zlib.crc32(body)) + body


def unpack(data: bytes, kind: bytes, version: int, type: type[T]) -> T:
    """Read state back. Raises StateError where it is damaged, or of another kind or version."""
    if len(data) < _HEAD.size:
        raise StateError(f"state of {len(data)} bytes is cut short")
    found, number, checksum = _HEAD.unpack_from(data)
    if (found, number) != (kind, version):
        raise StateError(f"state is {found!r} version {number}, not {kind!r} version {version}")
    body = data[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise StateError("state is damaged: its checksum differs")
    unzip = zlib.decompressobj()
    try:
        text = unzip.decompress(body, LARGEST)
        if unzip.unconsumed_tail or not unzip.eof:
            raise StateError(f"state is cut short or above {LARGEST} bytes")
        return msgspec.json.decode(text, type=type)
    except (zlib.error, msgspec.DecodeError) as error:
        raise StateError(f"state cannot be read: {error}") from error
