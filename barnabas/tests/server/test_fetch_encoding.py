"""Test the hand-made encoding of Fetch answers: byte for byte that of the compiled codec."""

from __future__ import annotations

from itertools import groupby
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.handlers.fetch import Result, encode_fetch
from barnabas.handlers.fetch_sessions import FetchPartition
from barnabas.log.producers import AbortedTransaction as Aborted
from barnabas.protocol.codec import encode
from barnabas.protocol.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchResponse,
    PartitionData,
)


def results(chance: Random, by_id: bool) -> list[Result]:
    """Return what the partitions of some topics answer, neighbours of one topic together."""
    made = []
    for number in range(chance.choice((0, 1, 2, 130))):
        topic: str | bytes = chance.randbytes(16) if by_id else chance.choice(("t", "Ä" * 70, "")) + str(number)
        for index in range(chance.choice((1, 2, 5))):
            error = chance.choice((0, 0, 3, -1, 100))
            aborted = [
                Aborted(chance.getrandbits(63), chance.getrandbits(63), chance.getrandbits(63), chance.getrandbits(63))
                for _ in range(chance.choice((0, 0, 1, 200)))
            ]
            made.append(
                Result(
                    FetchPartition(topic, index, 0, 0, -1, -1), error,
                    chance.getrandbits(63), chance.choice((-1, 5)), chance.choice((-1, 0, 1 << 62)),
                    chance.randbytes(chance.choice((0, 1, 127, 128, 2047, 2048, 20000))),
                    chance.choice((None, aborted)), chance.choice((None, None, (3, 1 << 40), (-1, -1))),
                )
            )
    return made


def compiled(made: list[Result], session_id: int, version: int) -> bytes:
    topics = []
    for topic, members in groupby(made, key=lambda r: r.asked.topic):
        partitions = [
            PartitionData(
                r.asked.index, r.error, r.high_watermark, r.last_stable, r.log_start,
                None if r.diverging is None else EpochEndOffset(*r.diverging),
                aborted_transactions=None if r.aborted is None else [
                    AbortedTransaction(a.producer_id, a.first_offset) for a in r.aborted
                ],
                records=r.records,
            )
            for r in members
        ]
        named = {"topic_id": topic} if isinstance(topic, bytes) else {"topic": topic}
        topics.append(FetchableTopicResponse(partitions=partitions, **named))
    return bytes(encode(FetchResponse(session_id=session_id, responses=topics), version))


@pytest.mark.parametrize("version", range(4, 19))
@settings(max_examples=15, deadline=None, database=None)
@given(seed=st.integers(0, 1 << 32))
def test_the_bytes_are_those_of_the_compiled_codec(version: int, seed: int) -> None:
    chance = Random(seed)
    made = results(chance, by_id=version >= 13)
    session_id = chance.choice((0, 1, (1 << 31) - 1))
    pieces = encode_fetch(made, session_id, version)
    assert b"".join(bytes(piece) for piece in pieces) == compiled(made, session_id, version)
