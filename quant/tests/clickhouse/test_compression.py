"""Both kinds of compression: round trips, chDB's own files as witness, and bytes that are none of it."""

from __future__ import annotations

import random
import zlib

import pytest

from barnabas_quant.clickhouse import compression
from barnabas_quant.clickhouse.compression import PIECE, BlockDecoder, BlockEncoder, accepted, decoder, encoder
from barnabas_quant.clickhouse.errors import ClickHouseError

ENCODINGS = ("zstd", "br", "lz4", "gzip", "deflate")
DATA = b"".join(b"%d," % n for n in range(300_000)) + bytes(3 * PIECE)


def packed(encoding: str) -> bytes:
    stream = encoder(encoding)
    return stream.feed(DATA[:1000]) + stream.feed(b"") + stream.feed(DATA[1000:]) + stream.finish()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("step", [7919, 1 << 30])
def test_encoding_there_and_back(encoding: str, step: int) -> None:
    data, stream = packed(encoding), decoder(encoding)
    pieces = [piece for at in range(0, len(data), step) for piece in stream.feed(data[at : at + step])]
    stream.finish()
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= 4 * PIECE


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_cut_and_spoilt_streams_are_errors(encoding: str) -> None:
    cut = decoder(encoding)
    list(cut.feed(packed(encoding)[:-9]))
    with pytest.raises(ClickHouseError, match="CANNOT_DECOMPRESS"):
        cut.finish()
    with pytest.raises(ClickHouseError, match="CANNOT_DECOMPRESS"):
        list(decoder(encoding).feed(b"no such stream" * 10))


def test_members_behind_one_another_are_one_stream() -> None:
    stream = decoder("gzip")
    assert b"".join(stream.feed(packed("gzip") * 2)) == DATA * 2


def test_a_bomb_comes_in_pieces() -> None:
    packer = zlib.compressobj(9)
    bomb = packer.compress(bytes(64 * PIECE)) + packer.flush()
    pieces = decoder("deflate").feed(bomb)
    assert len(next(pieces)) <= PIECE


def test_accepted() -> None:
    assert accepted("gzip, deflate;q=0.5") == "gzip"
    assert accepted("br;q=0, lz4") == "lz4"
    assert accepted("identity") is None


@pytest.mark.parametrize("step", [1, 1 << 30])
def test_blocks_there_and_back(step: int) -> None:
    data = BlockEncoder().feed(DATA[: 3000 if step == 1 else None])
    stream = BlockDecoder()
    pieces = [piece for at in range(0, len(data), step) for piece in stream.feed(data[at : at + step])]
    stream.finish()
    assert b"".join(pieces) == DATA[: 3000 if step == 1 else None]


def test_every_spoilt_byte_of_a_block_is_seen() -> None:
    block = BlockEncoder().feed(b"some data, some data, some data")
    for at in range(len(block)):
        stream = BlockDecoder()
        with pytest.raises(ClickHouseError):
            list(stream.feed(block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]))
            stream.finish()


def test_blocks_of_random_bytes_with_right_checksums() -> None:
    chance = random.Random(5)
    for _ in range(300):
        body = compression._BLOCK.pack(
            chance.choice([2, 0x82, 0x90, 0x91, 0]), 40, chance.choice([0, 31, 1 << 20, 1 << 31])
        )
        body += chance.randbytes(31)
        stream = BlockDecoder()
        try:
            assert b"".join(stream.feed(compression.checksum(body) + body)) in {b"", body[9:]}
        except ClickHouseError as error:
            assert error.code in {89, 271}
