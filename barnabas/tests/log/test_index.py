"""The three indexes of a segment: entries, look-ups, what a damaged file is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.log.handles import FilePool
from barnabas.log.index import OffsetIndex, TimeIndex, TransactionIndex
from barnabas.log.producers import AbortedTransaction

BASE = 5_000_000_000


def offset_index(path: Path) -> OffsetIndex:
    return OffsetIndex(path / "i", BASE, FilePool())


def time_index(path: Path) -> TimeIndex:
    return TimeIndex(path / "t", BASE, FilePool())


def test_offsets_are_relative_to_the_base_and_big_endian(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    index.append(BASE + 7, 4200)
    assert (tmp_path / "i").read_bytes() == bytes.fromhex("0000000700001068")


def test_an_offset_leads_to_a_batch_at_or_in_front_of_it(tmp_path: Path) -> None:
    index = offset_index(tmp_path)
    for offset, position in ((10, 1000), (20, 2000), (30, 3000)):
        index.append(BASE + offset, position)
    asked = {0: 0, 9: 0, 10: 1000, 19: 1000, 20: 2000, 29: 2000, 30: 3000, 10**6: 3000}
    assert {offset: index.lookup(BASE + offset) for offset in asked} == asked
    again = offset_index(tmp_path)
    assert again.load(3001)
    assert {offset: again.lookup(BASE + offset) for offset in asked} == asked
    assert again.last == (BASE + 30, 3000)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        ("00000001 00000020 00000002 00000010", 100),  # positions fall
        ("00000002 00000010 00000001 00000020", 100),  # offsets fall
        ("00000001 00000040", 64),  # the position is behind the log's end
        ("ffffffff 00000010", 100),  # an offset in front of the base
    ],
)
def test_an_offset_index_that_cannot_be_right_is_refused(tmp_path: Path, data: str, size: int) -> None:
    (tmp_path / "i").write_bytes(bytes.fromhex(data))
    assert not offset_index(tmp_path).load(size)


def test_a_preallocated_tail_and_half_an_entry_are_cut(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(bytes.fromhex("00000001 00000020") + bytes(8 * 1000 + 3))
    index = offset_index(tmp_path)
    assert index.load(100)
    assert len(index) == 1
    index.append(BASE + 5, 50)
    assert (tmp_path / "i").read_bytes() == bytes.fromhex("00000001 00000020 00000005 00000032")


def test_times_rise_and_lead_to_offsets(tmp_path: Path) -> None:
    index = time_index(tmp_path)
    assert index.last == (-1, BASE)
    for timestamp, offset in ((100, 5), (100, 6), (90, 7), (200, 9)):
        index.append(timestamp, BASE + offset)
    assert (tmp_path / "t").read_bytes().hex(" ", 12) == "000000000000006400000005 00000000000000c800000009"
    again = time_index(tmp_path)
    assert again.load()
    for found in (index, again):
        # nothing up to offset 5 is later than 100: whoever wants 101 may begin there
        wanted = {0: 0, 100: 0, 101: 5, 200: 5, 201: 9}
        assert {timestamp: found.lookup(timestamp) - BASE for timestamp in wanted} == wanted


def test_a_time_index_that_cannot_be_right_is_refused(tmp_path: Path) -> None:
    for second in ("000000000000003200000006", "00000000000000c800000004"):  # the time falls, the offset falls
        (tmp_path / "t").write_bytes(bytes.fromhex("000000000000006400000005" + second))
        assert not time_index(tmp_path).load()


def test_zeros_in_a_time_index_are_no_entries(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(bytes(1200))
    index = time_index(tmp_path)
    assert index.load()
    assert (len(index), (tmp_path / "t").stat().st_size) == (0, 0)


@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_indexes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("index")
    for name in "it":
        (path / name).write_bytes(data)
    index, times = offset_index(path), time_index(path)
    if index.load(10_000):
        assert 0 <= index.lookup(BASE + 3) < 10_000
    if times.load():
        assert times.lookup(1000) >= BASE


def test_aborted_transactions_are_kept(tmp_path: Path) -> None:
    index = TransactionIndex(tmp_path / "x", FilePool())
    index.load()
    index.clear()
    assert not (tmp_path / "x").exists()  # only where there are any
    aborted = AbortedTransaction(7, 10, 20, 21)
    index.append(aborted)
    assert len((tmp_path / "x").read_bytes()) == 34
    again = TransactionIndex(tmp_path / "x", FilePool())
    again.load()
    assert again.entries == [aborted]
    again.clear()
    assert (tmp_path / "x").read_bytes() == b""
