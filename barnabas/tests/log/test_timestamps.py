"""Look-ups by time: the first record at or after a moment, whatever stands around it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from barnabas.log.partition import PartitionLog

from .making import NOW, append, open_log


def found(log: PartitionLog, timestamp: int) -> tuple[int, int] | None:
    answer = log.offset_for_timestamp(timestamp)
    return None if answer is None else (answer.offset, answer.timestamp)


@pytest.mark.parametrize("codec", range(5))
def test_the_record_is_found_not_its_batch(tmp_path: Path, codec: int) -> None:
    log = open_log(tmp_path, epoch=4)
    append(log, [b"a", b"b", b"c"], [100, 200, 300], codec=codec)
    append(log, [b"d", b"e"], [400, 500], codec=codec)
    asked = {0: (0, 100), 100: (0, 100), 101: (1, 200), 250: (2, 300), 301: (3, 400), 500: (4, 500), 501: None}
    assert {timestamp: found(log, timestamp) for timestamp in asked} == asked
    answer = log.offset_for_timestamp(450)
    assert answer is not None
    assert answer.leader_epoch == 4


def test_times_may_fall(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, [b"a", b"b", b"c"], [500, 100, 400])
    append(log, [b"d"], [300])
    append(log, [b"e"], [600])
    assert [found(log, t) for t in (0, 450, 501)] == [(0, 500), (0, 500), (4, 600)]


def test_equal_times_give_the_first(tmp_path: Path) -> None:
    log = open_log(tmp_path, index_interval_bytes=0)
    for _ in range(50):
        append(log, [b"a"] * 3, 100)
    assert found(log, 100) == (0, 100)
    append(log, [b"b"], 101)
    assert found(log, 101) == (150, 101)


def test_records_without_a_time_are_never_found(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, timestamps=-1)
    append(log, timestamps=5)
    append(log, timestamps=-1)
    assert [found(log, t) for t in (0, 5, 6)] == [(1, 5), (1, 5), None]


def test_negative_times_are_stored_and_not_in_the_way(tmp_path: Path) -> None:
    log = open_log(tmp_path, index_interval_bytes=0)
    for timestamp in (-5000, -70, 0, 10):
        append(log, timestamps=timestamp)
    log.close(clean=True)
    log = open_log(tmp_path, index_interval_bytes=0)
    assert [found(log, t) for t in (0, 1, 11)] == [(2, 0), (3, 10), None]
    assert log.offset_of_max_timestamp() == (3, 10, 0)


def test_deleted_records_are_not_found(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, [b"a", b"b", b"c"], [100, 200, 300])
    append(log, [b"d"], [150])
    log.delete_records_before(3)
    assert found(log, 100) == (3, 150)
    assert found(log, 151) is None


def test_a_time_in_the_broker_s_hands(tmp_path: Path) -> None:
    log = open_log(tmp_path, message_timestamp_type="LogAppendTime")
    append(log, [b"a", b"b"], [5, 9], now=NOW)
    append(log, [b"c", b"d"], [5, 9], now=NOW + 10)
    assert [found(log, t) for t in (5, NOW, NOW + 1, NOW + 11)] == [(0, NOW), (0, NOW), (2, NOW + 10), None]


def test_the_latest_record(tmp_path: Path) -> None:
    log = open_log(tmp_path, internal_segment_bytes=200)
    assert log.offset_of_max_timestamp() is None
    for timestamps in ([100, 700, 700], [200, 300], [700], [650, 10]):
        append(log, [b"x"] * len(timestamps), timestamps)
    assert len(log.segments) > 1
    assert log.offset_of_max_timestamp() == (1, 700, 0)


@settings(max_examples=int(os.environ.get("BARNABAS_EXAMPLES", "60")), deadline=None)
@example(times=[[0], [0], [1], [0]], segment=400, interval=0, clean=True, restart=True)  # an entry of zeros is one
@given(
    times=st.lists(st.lists(st.integers(-3, 60), min_size=1, max_size=4), min_size=1, max_size=40),
    segment=st.sampled_from([150, 400, 100_000]), interval=st.sampled_from([0, 200, 4096]), clean=st.booleans(),
    restart=st.booleans(),
)
def test_every_look_up_is_that_of_a_plain_search(
    tmp_path_factory: pytest.TempPathFactory, times: Sequence[Sequence[int]], segment: int, interval: int,
    clean: bool, restart: bool,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    sizes = {"internal_segment_bytes": segment, "index_interval_bytes": interval}
    log = open_log(folder, **sizes)
    for batch_times in times:
        append(log, [b"x"] * len(batch_times), batch_times)
    if restart:
        log.close(clean=clean)
        log = open_log(folder, clean=clean, **sizes)
    flat = [t for batch_times in times for t in batch_times]
    for wanted in range(62):
        expected = next(((offset, t) for offset, t in enumerate(flat) if t >= wanted), None)
        assert found(log, wanted) == expected
    log.close(clean=False)
