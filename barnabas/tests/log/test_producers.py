"""Producers: retries are recognised, gaps refused; snapshots, restarts, transactions."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from barnabas.log.partition import Appended, PartitionLog
from barnabas.protocol.batch import CONTROL, TRANSACTIONAL, build_batch
from barnabas.protocol.errors import ErrorCode, KafkaError

from .making import NOW, append, batch, files, open_log

LARGEST = 2**31 - 1
DAY = 86_400_000


def send(
    log: PartitionLog, sequence: int, count: int = 1, *, epoch: int = 0, producer: int = 1, size: int = 1
) -> Appended:
    return append(log, [b"x" * size] * count, producer=(producer, epoch, sequence))


def refusal(log: PartitionLog, sequence: int, count: int = 1, *, epoch: int = 0) -> ErrorCode:
    end = log.log_end_offset
    with pytest.raises(KafkaError) as refused:
        send(log, sequence, count, epoch=epoch)
    assert log.log_end_offset == end
    return ErrorCode(refused.value.code)


def end_transaction(log: PartitionLog, producer: int, *, commit: bool, epoch: int = 0) -> Appended:
    key, value = struct.pack(">hh", 0, int(commit)), struct.pack(">hi", 0, 3)
    marker = build_batch(
        [(key, value)], NOW, attributes=CONTROL | TRANSACTIONAL, producer_id=producer, producer_epoch=epoch
    )
    return log.append(memoryview(marker), NOW, client=False)


def transactional(log: PartitionLog, producer: int, sequence: int, count: int = 1) -> Appended:
    return append(log, [b"t"] * count, producer=(producer, 0, sequence), attributes=TRANSACTIONAL)


# --- sequences --------------------------------------------------------------------------------------------------------


def test_a_retry_of_any_of_the_last_five_gets_the_first_answer(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    first = [send(log, sequence, 2) for sequence in range(0, 12, 2)]
    for sequence, answer in zip(range(2, 12, 2), first[1:], strict=True):
        again = send(log, sequence, 2)
        assert (again.base_offset, again.last_offset, again.duplicate) == (answer.base_offset, answer.last_offset, True)
    assert refusal(log, 0, 2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER  # the sixth is forgotten
    assert log.log_end_offset == 12


def test_a_gap_and_a_different_batch_at_a_known_place_are_refused(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    send(log, 0, 2)
    for sequence, count in ((3, 1), (1, 2), (0, 1), (0, 3)):
        assert refusal(log, sequence, count) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(log, 2).base_offset == 2


def test_an_unknown_producer_may_begin_anywhere(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    assert send(log, 77).base_offset == 0
    assert refusal(log, 79) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


@pytest.mark.parametrize("restart", [False, True])
def test_sequences_wrap(tmp_path: Path, restart: bool) -> None:
    log = open_log(tmp_path)
    send(log, LARGEST - 4, 3)  # up to the largest but one
    answer = send(log, LARGEST - 1, 4)  # the largest two, 0 and 1
    if restart:
        log.close(clean=True)
        log = open_log(tmp_path)
    assert send(log, LARGEST - 1, 4)[:2] == answer[:2]
    assert refusal(log, 3) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(log, 2).base_offset == 7


def test_epochs(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    send(log, 0)
    assert refusal(log, 1, epoch=1) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER  # a new epoch begins at 0
    send(log, 0, epoch=1)
    assert refusal(log, 1, epoch=0) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert send(log, 1, epoch=1).base_offset == 2


def test_the_answer_to_a_retry_has_the_first_time(tmp_path: Path) -> None:
    log = open_log(tmp_path, message_timestamp_type="LogAppendTime")
    append(log, producer=(1, 0, 0), now=NOW)
    assert append(log, producer=(1, 0, 0), now=NOW + 99).timestamp == NOW


def test_idle_producers_are_forgotten_but_not_in_a_transaction(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    send(log, 0)
    transactional(log, 2, 0)
    log.producers.expire(NOW)
    assert sorted(log.producers.producers) == [1, 2]
    log.producers.expire(NOW + 1)
    assert sorted(log.producers.producers) == [2]
    assert send(log, 40).base_offset == 2


# --- snapshots and restarts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", ["clean", "killed", "killed without a snapshot", "clean, the snapshot is lost"])
@pytest.mark.parametrize("size", [1, 300_000])
def test_five_batches_are_known_after_a_restart(tmp_path: Path, stop: str, size: int) -> None:
    sizes = {"internal_segment_bytes": 700_000, "max_message_bytes": 2_000_000}
    log = open_log(tmp_path, **sizes)
    first = [send(log, sequence, size=size) for sequence in range(7)]
    log.roll(NOW) if size == 1 else None  # at 300 KB two fit a segment
    assert len(log.segments) > 1
    send(log, 0, producer=2)
    log.close(clean=stop.startswith("clean"))
    if "without" in stop or "lost" in stop:
        for path in tmp_path.glob("*.snapshot"):
            path.write_bytes(path.read_bytes()[:-1]) if "lost" in stop else path.unlink()
    log = open_log(tmp_path, clean=stop.startswith("clean"), **sizes)
    assert refusal(log, 8) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    for sequence in range(6, 1, -1):
        assert send(log, sequence, size=size)[:2] == first[sequence][:2]
    assert send(log, 7, size=size).base_offset == 8


def test_history_is_looked_for_once(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for sequence in range(3):
        send(log, sequence)
    log.close(clean=True)
    log = open_log(tmp_path)
    assert refusal(log, 9) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    (tmp_path / f"{0:020d}.log").write_bytes(b"")  # whoever reads now finds nothing
    log.close(clean=False)
    assert send(log, 0).duplicate


def test_snapshots_stand_at_segment_bases_and_at_the_end(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for sequence in range(4):
        send(log, sequence)
        if sequence < 3:
            log.roll(NOW)
    log.close(clean=True)
    assert [name for name in files(tmp_path) if name.endswith(".snapshot")] == [
        f"{offset:020d}.snapshot" for offset in (1, 2, 3, 4)
    ]
    log = open_log(tmp_path)
    send(log, 4)
    log.delete_records_before(2)
    log.close(clean=True)
    assert [name for name in files(tmp_path) if name.endswith(".snapshot")] == [
        f"{offset:020d}.snapshot" for offset in (2, 3, 5)
    ]


def test_a_snapshot_is_kafka_s(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    send(log, 5, 3, epoch=2, producer=77)
    log.close(clean=True)
    data = (tmp_path / f"{3:020d}.snapshot").read_bytes()
    assert struct.unpack_from(">h", data) == (1,)
    assert struct.unpack_from(">iqhiqiqiq", data, 6) == (1, 77, 2, 7, 2, 2, NOW, -1, -1)
    assert len(data) == 10 + 46


def test_without_producers_there_is_no_snapshot(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log)
    log.close(clean=True)
    assert not list(tmp_path.glob("*.snapshot"))


# --- transactions -----------------------------------------------------------------------------------------------------


def test_the_last_stable_offset_is_the_first_open_transaction(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log)
    transactional(log, 1, 0, 2)
    transactional(log, 2, 0)
    assert (log.last_stable_offset, log.high_watermark) == (1, 4)
    end_transaction(log, 1, commit=True)
    assert log.last_stable_offset == 3
    end_transaction(log, 2, commit=False)
    assert log.last_stable_offset == log.log_end_offset == 6
    assert log.aborted_transactions(0, 6) == [(2, 3, 5, 6)]
    assert log.aborted_transactions(6, 9) == []


LOST = ["nothing", ".index", ".timeindex", ".snapshot", ".snapshot .index", ".txnindex .index"]


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("stops", [1, 3])
def test_aborted_transactions_outlive_a_restart(tmp_path: Path, clean: bool, lost: str, stops: int) -> None:
    log = open_log(tmp_path)
    transactional(log, 1, 0, 2)
    transactional(log, 2, 0, 1)
    end_transaction(log, 1, commit=False)
    log.roll(NOW)
    end_transaction(log, 2, commit=False)
    transactional(log, 3, 0)
    append(log, [b"x"] * 3)
    expected = log.aborted_transactions(0, 99)
    assert len(expected) == 2
    for _ in range(stops):
        log.close(clean=clean)
        for suffix in lost.split():
            for path in tmp_path.glob(f"*{suffix}"):
                path.unlink()
        log = open_log(tmp_path, clean=clean)
        if lost == ".snapshot" and clean:
            return  # after a clean stop no snapshot at all means that there was no producer, as in Kafka
        assert log.aborted_transactions(0, 99) == expected
        assert log.last_stable_offset == 5
    end_transaction(log, 3, commit=True)
    assert log.last_stable_offset == log.log_end_offset


def test_an_aborted_transaction_counts_where_the_disk_did_not_take_its_entry(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    transactional(log, 1, 0)
    (tmp_path / f"{0:020d}.txnindex").mkdir()  # nothing can be written there
    end_transaction(log, 1, commit=False)
    assert log.aborted_transactions(0, 9) == [(1, 0, 1, 2)]
    (tmp_path / f"{0:020d}.txnindex").rmdir()
    log.close(clean=True)
    assert open_log(tmp_path).aborted_transactions(0, 9) == [(1, 0, 1, 2)]


def test_a_marker_that_repeats_changes_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    transactional(log, 1, 0)
    end_transaction(log, 1, commit=False)
    end_transaction(log, 1, commit=False)
    assert log.aborted_transactions(0, 9) == [(1, 0, 1, 2)]
    assert log.append(batch(producer=(1, 0, 1), attributes=TRANSACTIONAL), NOW).base_offset == 3
