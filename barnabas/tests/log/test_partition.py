"""One partition: append, read, roll, drop; configurations that change while it is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas.log.checkpoints import read_epochs
from barnabas.log.partition import PartitionLog
from barnabas.protocol.batch import batches, read_header
from barnabas.protocol.errors import ErrorCode, KafkaError

from .making import NOW, append, batch, everything, files, offsets_of, open_log, read, topic_config

DAY = 86_400_000


def bases(log: PartitionLog) -> list[int]:
    return [segment.base_offset for segment in log.segments]


# --- append and read --------------------------------------------------------------------------------------------------


def test_offsets_rise_without_holes(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    assert [append(log, [b"x"] * n)[:2] for n in (1, 3, 2)] == [(0, 0), (1, 3), (4, 5)]
    assert (log.log_end_offset, log.high_watermark) == (6, 6)
    assert [offset for offset, _ in everything(log)] == [0, 1, 2, 3, 4, 5]


def test_a_batch_is_kept_as_it_came_but_for_offset_and_epoch(tmp_path: Path) -> None:
    log = open_log(tmp_path, epoch=7)
    append(log)
    sent = bytes(batch([b"a", b"b"], [NOW, NOW + 5], codec=4))
    append(log, [b"a", b"b"], [NOW, NOW + 5], codec=4)
    stored = read(log, 1)
    assert stored[:8] == (1).to_bytes(8, "big")
    assert stored[12:16] == (7).to_bytes(4, "big")
    assert (stored[8:12], stored[16:]) == (sent[8:12], sent[16:])


def test_a_read_from_the_middle_returns_the_whole_batch(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for _ in range(3):
        append(log, [b"x"] * 10)
    assert [offsets_of(read(log, offset)) for offset in (0, 9, 10, 15, 29)] == [
        [0, 10, 20], [0, 10, 20], [10, 20], [10, 20], [20]
    ]


def test_reads_find_every_offset_of_a_large_log(tmp_path: Path) -> None:
    log = open_log(tmp_path, index_interval_bytes=500, internal_segment_bytes=20_000)
    for i in range(200):
        append(log, [b"x" * (i * 7 % 300)] * (i % 5 + 1))
    assert len(log.segments) > 2
    assert len(log.segments[0].offsets) > 10
    for offset in range(log.log_end_offset):
        header = read_header(read(log, offset, 1))
        assert header.base_offset <= offset <= header.last_offset


def test_size_limits(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    sizes = [len(batch([b"x" * 100]))] * 4
    for _ in sizes:
        append(log, [b"x" * 100])
    one = sizes[0]
    assert read(log, 0, 1)[: one + 5] == read(log, 0, one)  # the first comes whole
    assert len(read(log, 0, 1)) == one
    assert read(log, 0, one - 1, at_least_one=False) == b""  # a part of it would help nobody
    assert len(read(log, 0, 2 * one + 9, at_least_one=False)) == 2 * one + 9  # a part of a later one may come
    assert len(read(log, 0, 0)) == one


def test_the_first_batch_comes_whole_after_a_read_to_the_end(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log)
    read(log, 0)
    append(log, [b"x" * 1000])
    assert len(read(log, 1, 10)) > 1000
    assert read(log, 1, 10, at_least_one=False) == b""


def test_the_ends_of_the_log(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    assert read(log, 0) == b""
    append(log, [b"x"] * 5)
    assert read(log, 5) == b""
    for offset in (6, -1):
        with pytest.raises(KafkaError) as refused:
            read(log, offset)
        assert refused.value.code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_reader_at_the_end_goes_on_behind_a_roll(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, [b"a"])
    read(log, 0)  # what follows is remembered to stand behind these bytes
    log.roll(NOW)
    append(log, [b"b"])
    assert offsets_of(read(log, 1)) == [1]


def test_a_read_stops_at_a_limit_in_the_log(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for _ in range(3):
        append(log, [b"x"] * 2)
    assert offsets_of(log.read(0, 10_000, limit=4, at_least_one=True)) == [0, 2]
    assert log.read(4, 10_000, limit=4, at_least_one=True) == b""
    assert log.read(5, 10_000, limit=4, at_least_one=True) == b""


def test_waiting_readers_are_called(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    seen: list[int] = []
    log.subscribe("reader", lambda: seen.append(log.log_end_offset))
    append(log, [b"x"] * 3)
    log.unsubscribe("reader")
    append(log)
    assert seen == [3]


# --- roll -------------------------------------------------------------------------------------------------------------


def test_a_segment_is_closed_before_it_exceeds_its_size(tmp_path: Path) -> None:
    size = len(batch([b"x" * 100]))
    log = open_log(tmp_path, internal_segment_bytes=3 * size)
    for _ in range(7):
        append(log, [b"x" * 100])
    assert bases(log) == [0, 3, 6]
    assert files(tmp_path) == [
        f"{base:020d}{suffix}"
        for base in (0, 3, 6)
        for suffix in (".index", ".log", ".snapshot", ".timeindex")
        if base < 6 or suffix in (".log", ".snapshot")
        if base > 0 or suffix != ".snapshot"
    ] + ["leader-epoch-checkpoint"]


@pytest.mark.parametrize(("first", "second", "rolls"), [
    (NOW, NOW + 1000, False), (NOW, NOW + 1001, True), (-1, -1, False), (NOW, NOW - 5000, False),
])
def test_a_segment_is_closed_when_it_is_old_enough(tmp_path: Path, first: int, second: int, rolls: bool) -> None:
    log = open_log(tmp_path, segment_ms=1000)
    append(log, timestamps=first)
    append(log, timestamps=second)
    assert (len(log.segments) == 2) is rolls


def test_without_timestamps_the_age_of_the_segment_counts(tmp_path: Path) -> None:
    log = open_log(tmp_path, segment_ms=1000)
    append(log, timestamps=-1)
    append(log, timestamps=-1, now=NOW + 1000)
    assert bases(log) == [0]
    append(log, timestamps=-1, now=NOW + 1001)
    assert bases(log) == [0, 2]


def test_the_age_counts_on_after_a_restart(tmp_path: Path) -> None:
    log = open_log(tmp_path, segment_ms=1000)
    append(log, timestamps=NOW)
    log.close(clean=True)
    log = open_log(tmp_path, segment_ms=1000)
    append(log, timestamps=NOW + 1001)
    assert bases(log) == [0, 1]


def test_jitter_closes_segments_earlier_and_not_all_at_once(tmp_path: Path) -> None:
    ages = set()
    for number in range(20):
        log = open_log(tmp_path / str(number), segment_ms=1000, segment_jitter_ms=600)
        append(log, timestamps=NOW)
        age = next(age for age in range(1002) if _rolls_at(log, age))
        assert 400 <= age <= 1001
        ages.add(age)
    assert len(ages) > 5


def _rolls_at(log: PartitionLog, age: int) -> bool:
    append(log, timestamps=NOW + age)
    return len(log.segments) > 1


def test_a_segment_is_closed_when_an_index_is_full(tmp_path: Path) -> None:
    log = open_log(tmp_path, index_interval_bytes=0, segment_index_bytes=80)  # 10 offsets, 6 times
    for i in range(30):
        append(log, timestamps=NOW + i)
    assert len(log.segments) > 2
    for segment in log.segments[:-1]:
        assert (len(segment.offsets), len(segment.times)) <= (10, 7)
    same = open_log(tmp_path / "same", index_interval_bytes=0, segment_index_bytes=80)
    for _ in range(30):
        append(same, timestamps=NOW)  # the index of times does not grow
    assert bases(same) == [0, 11, 22]


def test_a_segment_is_closed_when_offsets_are_too_far_from_its_base(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log)
    log.log_end_offset = 2**31 - 1
    append(log)
    assert bases(log) == [0]
    append(log)
    assert bases(log) == [0, 2**31]
    assert [header.base_offset for header, _ in batches(read(log, 2**31))] == [2**31]


def test_an_empty_segment_is_not_closed(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.roll(NOW)
    append(log)
    log.roll(NOW)
    log.roll(NOW)
    assert bases(log) == [0, 1]


# --- retention --------------------------------------------------------------------------------------------------------


def three_days(folder: Path, **overrides: object) -> PartitionLog:
    """Make a log of three segments: two days old, one day old, of now."""
    log = open_log(folder, **overrides)
    for age in (2, 1, 0):
        append(log, [b"x" * 100], NOW - age * DAY)
        if age:
            log.roll(NOW)
    return log


def test_retention_by_time(tmp_path: Path) -> None:
    log = three_days(tmp_path, retention_ms=DAY)
    assert log.apply_retention(NOW) == 1
    assert (log.log_start_offset, bases(log)) == (1, [1, 2])
    assert log.next_expiry(NOW) == NOW + 1
    assert log.apply_retention(NOW) == 0
    assert log.apply_retention(NOW + 1) == 1
    assert not (tmp_path / f"{0:020d}.log").exists()


def test_a_topic_can_become_empty(tmp_path: Path) -> None:
    log = three_days(tmp_path, retention_ms=DAY)
    assert log.apply_retention(NOW + DAY + 1) == 3
    assert (log.log_start_offset, log.log_end_offset, bases(log)) == (3, 3, [3])
    assert log.apply_retention(NOW + 9 * DAY) == 0
    assert log.next_expiry(NOW) == NOW + DAY + 1
    log.close(clean=True)
    log = open_log(tmp_path)
    assert append(log).base_offset == 3


def test_offsets_go_on_after_an_empty_log_was_killed(tmp_path: Path) -> None:
    log = three_days(tmp_path, retention_ms=DAY)
    log.apply_retention(NOW + DAY + 1)
    log.close(clean=False)
    assert append(open_log(tmp_path, clean=False)).base_offset == 3


def test_retention_by_size(tmp_path: Path) -> None:
    log = three_days(tmp_path, retention_ms=-1)
    size = log.segments[0].size
    log.config = topic_config(retention_ms=-1, retention_bytes=2 * size + 1)
    assert log.apply_retention(NOW) == 0
    log.config = topic_config(retention_ms=-1, retention_bytes=2 * size)
    assert log.apply_retention(NOW) == 1
    log.config = topic_config(retention_ms=-1, retention_bytes=0)
    assert log.apply_retention(NOW) == 1  # the active segment stays
    assert bases(log) == [2]


@pytest.mark.parametrize("policy", ["compact", ""])
def test_no_retention_without_the_policy(tmp_path: Path, policy: str) -> None:
    log = three_days(tmp_path)
    log.config = topic_config(cleanup_policy=policy, retention_ms=1, retention_bytes=1)
    assert log.apply_retention(NOW + 9 * DAY) == 0
    assert log.next_expiry(NOW) is None


def test_without_timestamps_a_segment_ages_from_its_beginning(tmp_path: Path) -> None:
    log = open_log(tmp_path, retention_ms=1000)
    append(log, timestamps=-1)
    assert log.apply_retention(NOW + 1000) == 0
    assert log.apply_retention(NOW + 1001) == 1


# --- deleted records --------------------------------------------------------------------------------------------------


def test_deleted_records_are_out_of_range(tmp_path: Path) -> None:
    log = open_log(tmp_path, internal_segment_bytes=300)
    for _ in range(6):
        append(log, [b"x" * 40] * 2)
    segments = bases(log)
    assert len(segments) == 6
    log.delete_records_before(7)
    assert (log.log_start_offset, bases(log)) == (7, [6, 8, 10])
    with pytest.raises(KafkaError):
        read(log, 6)
    assert offsets_of(read(log, 7)) == [6]
    log.delete_records_before(3)  # never backwards
    assert log.log_start_offset == 7
    for offset in (13, -2):
        with pytest.raises(KafkaError) as refused:
            log.delete_records_before(offset)
        assert refused.value.code == ErrorCode.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize("clean", [True, False])
def test_the_log_start_is_kept(tmp_path: Path, clean: bool) -> None:
    log = open_log(tmp_path)
    append(log, [b"x"] * 10)
    log.delete_records_before(10)
    log.close(clean=clean)
    log = open_log(tmp_path, clean=clean, log_start=10)
    assert (log.log_start_offset, log.log_end_offset) == (10, 10)
    assert append(log).base_offset == 10


def test_a_log_that_lost_more_than_was_deleted_goes_on_at_its_start(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, [b"x"] * 5)
    append(log, [b"x"] * 5)
    log.close(clean=False)
    path = tmp_path / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:-1])  # the second batch is torn
    log = open_log(tmp_path, clean=False, log_start=8)
    assert (log.log_start_offset, log.log_end_offset, bases(log)) == (8, 8, [8])
    log.close(clean=False)
    assert open_log(tmp_path, clean=False).log_end_offset == 8  # the name of the file says so


# --- epochs -----------------------------------------------------------------------------------------------------------


def test_each_epoch_knows_where_it_ended(tmp_path: Path) -> None:
    log = open_log(tmp_path, epoch=3)
    append(log, [b"x"] * 4)
    log.leader_epoch = 5
    append(log, [b"x"] * 2)
    assert read_epochs(tmp_path / "leader-epoch-checkpoint") == [(3, 0), (5, 4)]
    assert [log.end_of_epoch(epoch) for epoch in (2, 3, 4, 5, 6)] == [(2, 0), (3, 4), (3, 4), (5, 6), (-1, -1)]
    assert [log.epoch_at(offset) for offset in (0, 3, 4, 5)] == [3, 3, 5, 5]


def test_an_epoch_without_a_batch_begins_at_the_end(tmp_path: Path) -> None:
    log = open_log(tmp_path, epoch=3)
    append(log, [b"x"] * 4)
    log.close(clean=True)
    log = open_log(tmp_path, epoch=4)
    # a client that read up to 4 in epoch 3 must not be told that its epoch is unknown: it would start again elsewhere
    assert [log.end_of_epoch(epoch) for epoch in (3, 4, 5)] == [(3, 4), (4, 4), (-1, -1)]
    assert read_epochs(tmp_path / "leader-epoch-checkpoint") == [(3, 0)]


def test_epochs_of_deleted_records_go(tmp_path: Path) -> None:
    log = open_log(tmp_path, epoch=1)
    append(log, [b"x"] * 4)
    log.leader_epoch = 2
    append(log, [b"x"] * 4)
    log.delete_records_before(6)
    assert log.epochs == read_epochs(tmp_path / "leader-epoch-checkpoint") == [(2, 6)]


# --- configuration ----------------------------------------------------------------------------------------------------


def test_a_changed_configuration_counts_at_once(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, [b"x" * 1000], NOW)
    log.config = topic_config(max_message_bytes=500)
    with pytest.raises(KafkaError) as refused:
        append(log, [b"x" * 1000])
    assert refused.value.code == ErrorCode.MESSAGE_TOO_LARGE
    log.config = topic_config(segment_ms=10)
    append(log, timestamps=NOW + 11)
    assert bases(log) == [0, 1]
    log.config = topic_config(internal_segment_bytes=100)
    append(log, timestamps=NOW + 11)
    assert bases(log) == [0, 1, 2]
    log.config = topic_config(message_timestamp_type="LogAppendTime")
    assert append(log, now=NOW + 12).timestamp == NOW + 12
