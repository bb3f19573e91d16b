"""Compare what replicas sent: the tool itself runs until it is stopped."""

from __future__ import annotations

import pytest

from barnabas.protocol.batch import build_batch
from barnabas.protocol.messages.fetch import PartitionData
from barnabas.tools.scripts.replica_verification import Differ, compare

T = ("t", 0)


def _data(*batches: bytearray, high_watermark: int) -> PartitionData:
    return PartitionData(high_watermark=high_watermark, records=b"".join(batches))


def _batch(offset: int, *values: bytes) -> bytearray:
    return build_batch([(None, value) for value in values], 1000, base_offset=offset)


def test_equal_replicas_are_compared_up_to_the_high_watermark() -> None:
    said: list[str] = []
    batches = _batch(0, b"a", b"b"), _batch(2, b"c"), _batch(3, b"d")
    found = {broker: _data(*batches, high_watermark=3) for broker in (1, 2, 3)}
    assert compare(T, 0, found, lambda text, _: said.append(text)) == 3
    assert not said


def test_a_replica_that_lags_holds_the_comparison_back() -> None:
    found = {1: _data(_batch(0, b"a"), _batch(1, b"b"), high_watermark=2), 2: _data(_batch(0, b"a"), high_watermark=2)}
    assert compare(T, 0, found, print) == 1
    assert compare(T, 7, {1: PartitionData(high_watermark=-1), 2: found[2]}, print) == 7


def test_another_checksum_is_told() -> None:
    said: list[str] = []
    found = {1: _data(_batch(0, b"a"), high_watermark=1), 2: _data(_batch(0, b"x"), high_watermark=1)}
    assert compare(T, 0, found, lambda text, _: said.append(text)) == 1
    assert len(said) == 1
    assert said[0].startswith("partition t-0 has unmatched checksum at offset 0; replica 1's checksum ")


def test_another_offset_ends_it() -> None:
    said: list[str] = []
    found = {1: _data(_batch(0, b"a"), high_watermark=2), 2: _data(_batch(0, b"a", b"b"), high_watermark=2)}
    with pytest.raises(Differ):
        compare(T, 0, found, lambda text, _: said.append(text))
    assert said == ["partition t-0: replica 1's offset 0 doesn't match replica 2's offset 1"]


def test_a_batch_that_was_cut_is_not_there() -> None:
    whole = _batch(0, b"a")
    found = {1: _data(whole, high_watermark=1), 2: _data(whole[:-1], high_watermark=1)}
    assert compare(T, 0, found, print) == 0
