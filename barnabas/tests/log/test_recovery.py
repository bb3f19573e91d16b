"""Opening what a crash, a failing disk or a foreign hand left behind."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.log.checkpoints import read_epochs
from barnabas.log.partition import PartitionLog
from barnabas.protocol.batch import batches
from barnabas.protocol.errors import ErrorCode, KafkaError

from .making import NOW, append, everything, files, offsets_of, open_log, read

SIZES = {"internal_segment_bytes": 2000, "index_interval_bytes": 100}


def bytes_read() -> int:
    """Return how many bytes this process has read from files so far."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise AssertionError("the system does not count")


def fill(log: PartitionLog, count: int = 60, *, seed: int = 1) -> None:
    chance = random.Random(seed)
    for i in range(count):
        append(log, [b"%d" % i + b"x" * chance.randrange(200)] * chance.randrange(1, 4), NOW + i)


# --- the end of the log -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 30, 61, 62, 150])
def test_a_torn_tail_is_cut(tmp_path: Path, cut: int) -> None:
    log = open_log(tmp_path)
    for _ in range(3):
        append(log, [b"x" * 80])
    log.close(clean=False)
    path = tmp_path / f"{0:020d}.log"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    log = open_log(tmp_path, clean=False)
    kept = 3 - -(-cut // (len(whole) // 3))
    assert log.log_end_offset == kept
    assert path.stat().st_size == kept * len(whole) // 3
    assert append(log).base_offset == kept


@pytest.mark.parametrize("tail", [b"\x00" * 5000, b"\xff" * 5000, b"\x00" * 12 + b"\x7f" * 100, b"x"])
def test_rubbish_behind_the_end_is_cut(tmp_path: Path, tail: bytes) -> None:
    log = open_log(tmp_path)
    fill(log, 5)
    expected = everything(log)
    log.close(clean=False)
    path = tmp_path / f"{0:020d}.log"
    path.write_bytes(path.read_bytes() + tail)
    log = open_log(tmp_path, clean=False)
    assert everything(log) == expected
    append(log, [b"after"])
    assert everything(log)[-1] == (expected[-1][0] + 1, b"after")


def test_a_corrupt_batch_ends_the_log_and_drops_the_segments_behind_it(tmp_path: Path) -> None:
    log = open_log(tmp_path, **SIZES)
    fill(log)
    assert len(log.segments) > 3
    second = log.segments[1]
    log.close(clean=False)
    data = bytearray(second.path.read_bytes())
    first = next(batches(data))[0]
    data[first.size + 70] ^= 1
    second.path.write_bytes(data)
    log = open_log(tmp_path, clean=False, **SIZES)
    assert log.log_end_offset == first.last_offset + 1
    assert sorted(tmp_path.glob("*.log")) == [segment.path for segment in log.segments]


def test_what_lies_in_front_of_the_recovery_point_is_not_read_again(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for _ in range(4):
        append(log, [bytes(900_000)])
        append(log, [b"small"])
        log.roll(NOW)
    log.flush()
    append(log, [b"behind it"])
    log.close(clean=False)
    before = bytes_read()
    log = open_log(tmp_path, clean=False, recovery_point=8)
    assert bytes_read() - before < 200_000
    assert log.log_end_offset == 9


def test_an_offset_too_far_away_is_damage(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log)
    append(log)
    log.close(clean=False)
    path = tmp_path / f"{0:020d}.log"
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 8] = (1 << 40).to_bytes(8, "big")  # the CRC does not cover the offset
    path.write_bytes(data)
    assert open_log(tmp_path, clean=False).log_end_offset == 1


# --- clean starts -----------------------------------------------------------------------------------------------------


def test_after_a_clean_stop_no_segment_is_read(tmp_path: Path) -> None:
    log = open_log(tmp_path, internal_segment_bytes=3_000_000)
    for i in range(40):
        append(log, [bytes(200_000)], NOW + i, producer=(1, 0, i))
    size = log.size
    assert len(log.segments) > 2
    log.close(clean=True)
    before = bytes_read()
    log = open_log(tmp_path, internal_segment_bytes=3_000_000)
    assert bytes_read() - before < 100_000 < size
    assert log.log_end_offset == 40
    assert log.offset_for_timestamp(NOW + 17) == (17, NOW + 17, 0)


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_a_missing_index_is_made_anew_even_after_a_clean_stop(tmp_path: Path, suffix: str) -> None:
    log = open_log(tmp_path, **SIZES)
    fill(log)
    log.close(clean=True)
    paths = sorted(tmp_path.glob(f"*{suffix}"))
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    log = open_log(tmp_path, **SIZES)
    assert log.offset_for_timestamp(NOW + 30) is not None
    log.close(clean=True)
    assert [path.read_bytes() for path in paths] == contents


def test_a_full_disk_at_the_seal_costs_a_rebuild_and_no_answer(tmp_path: Path) -> None:
    log = open_log(tmp_path, **SIZES)
    fill(log, 6)
    blocked = tmp_path / f"{0:020d}.timeindex"
    blocked.unlink(missing_ok=True)
    log.segments[0].times.file.close()
    blocked.mkdir()  # whatever is written there fails
    log.roll(NOW)
    append(log)
    assert log.offset_for_timestamp(NOW + 5) is not None
    blocked.rmdir()
    log.close(clean=True)
    log = open_log(tmp_path, **SIZES)
    found = log.offset_for_timestamp(NOW + 5)
    assert found is not None
    assert found.timestamp == NOW + 5


# --- Kafka's leftovers ------------------------------------------------------------------------------------------------


def test_leftovers_of_a_clean_up(tmp_path: Path) -> None:
    log = open_log(tmp_path, **SIZES)
    fill(log)
    expected = everything(log)
    starts = [segment.base_offset for segment in log.segments]
    assert len(starts) > 3
    log.close(clean=True)
    # two segments were compacted into one (here nothing fell out), which is not yet in its place
    merged = b"".join((tmp_path / f"{base:020d}.log").read_bytes() for base in starts[:2])
    (tmp_path / f"{0:020d}.log.swap").write_bytes(merged)
    (tmp_path / f"{starts[2]:020d}.log.cleaned").write_bytes(b"half")
    (tmp_path / f"{starts[3]:020d}.log.deleted").write_bytes(b"old")
    log = open_log(tmp_path)
    assert [segment.base_offset for segment in log.segments] == [0, *starts[2:]]
    assert everything(log) == expected
    assert not [name for name in files(tmp_path) if name.endswith((".swap", ".cleaned", ".deleted"))]


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.log").write_bytes(b"mine")
    log = open_log(tmp_path)
    append(log)
    log.close(clean=True)
    assert open_log(tmp_path).log_end_offset == 1
    assert (tmp_path / "notes.log").read_bytes() == b"mine"


# --- epochs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [None, b"", b"0\n2\n1 0\n", b"\xff\xfe", b"0\n1\n1 -5\n", b"0\n2\n5 0\n3 9\n", b"0\n1\n1 1"]
)
@pytest.mark.parametrize("clean", [True, False])
def test_epochs_are_made_anew_from_the_batches(tmp_path: Path, content: bytes | None, clean: bool) -> None:
    log = open_log(tmp_path, epoch=1)
    append(log, [b"x"] * 4)
    log.leader_epoch = 3
    append(log)
    log.close(clean=clean)
    path = tmp_path / "leader-epoch-checkpoint"
    path.unlink() if content is None else path.write_bytes(content)
    log = open_log(tmp_path, clean=clean, epoch=3)
    assert log.epochs == read_epochs(path) == [(1, 0), (3, 4)]


def test_epochs_behind_the_cut_go(tmp_path: Path) -> None:
    log = open_log(tmp_path, epoch=1)
    append(log)
    log.leader_epoch = 2
    append(log)
    log.close(clean=False)
    path = tmp_path / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:-1])
    assert open_log(tmp_path, clean=False, epoch=3).epochs == [(1, 0)]


# --- anything ---------------------------------------------------------------------------------------------------------


class Sent(NamedTuple):
    """Remember one batch that was appended."""

    offset: int
    values: list[bytes]
    timestamp: int
    producer: tuple[int, int, int] | None


def write(log: PartitionLog, chance: random.Random, count: int) -> list[Sent]:
    sequences = dict.fromkeys(range(3), 0)
    sent = []
    for _ in range(count):
        values = [chance.randbytes(chance.choice((0, 5, 90, 500))) for _ in range(chance.randrange(1, 4))]
        producer = None
        if chance.random() < 0.7:
            who = chance.randrange(3)
            producer = (who, 0, sequences[who])
            sequences[who] += len(values)
        timestamp = NOW + chance.randrange(1000)
        offset = append(log, values, timestamp, producer=producer, codec=chance.choice((0, 0, 4))).base_offset
        sent.append(Sent(offset, values, timestamp, producer))
        if chance.random() < 0.05:
            log.leader_epoch += 1
    return sent


def damage_log(folder: Path, recovery_point: int, chance: random.Random) -> int:
    """Damage the log behind the recovery point; return the offset of the first batch that may be lost."""
    places = []  # of each batch behind the recovery point
    for path in sorted(folder.glob("*.log")):
        data = path.read_bytes()
        places += [(path, at, h) for h, at in batches(data) if h.base_offset >= recovery_point]
    if not places:
        return 1 << 62
    path, at, header = chance.choice(places)
    data = bytearray(path.read_bytes())
    kind = chance.choice(("cut", "flip", "zeros", "rubbish"))
    place = at + chance.randrange(header.size)
    damaged = bytearray(data)
    if kind == "cut":
        del damaged[place:]
    elif kind == "flip":
        place = at + chance.choice((*range(8, 12), *range(16, header.size)))  # the CRC covers neither offset nor epoch
        damaged[place] ^= 1 << chance.randrange(8)
    elif kind == "zeros":
        damaged[place:] = bytes(len(data) - place)
    else:
        damaged[at:] = chance.randbytes(chance.randrange(1, 500))
    path.write_bytes(damaged)
    return next(  # zeros may have been there before
        (h.base_offset for p, a, h in places if p == path and data[a : a + h.size] != damaged[a : a + h.size]), 1 << 62
    )


def damage_indexes(folder: Path, chance: random.Random) -> None:
    for path in folder.iterdir():
        if path.suffix in (".index", ".timeindex", ".snapshot") or path.name == "leader-epoch-checkpoint":
            kind = chance.choice(("keep", "keep", "remove", "cut", "rubbish"))
            data = path.read_bytes()
            if kind == "remove":
                path.unlink()
            elif kind == "cut" and data:
                path.write_bytes(data[: chance.randrange(len(data))])
            elif kind == "rubbish":
                path.write_bytes(chance.randbytes(chance.choice((3, 24, 400))))


def check(log: PartitionLog, sent: list[Sent]) -> None:
    """Compare a log with what is known to be in it."""
    assert everything(log) == [(s.offset + i, value) for s in sent for i, value in enumerate(s.values)]
    for s in sent:
        for offset in (s.offset, s.offset + len(s.values) - 1):
            assert offsets_of(read(log, offset, 1)) == [s.offset]
    for wanted in range(NOW - 1, NOW + 1001, 40):
        expected = next((s for s in sent if s.timestamp >= wanted), None)
        found = log.offset_for_timestamp(wanted)
        assert (found and found[:2]) == (expected and (expected.offset, expected.timestamp))
    for who in range(3):
        known = [s for s in sent if s.producer is not None and s.producer[0] == who]
        for s in known[-5:][::-1]:  # a retry of each is recognised
            again = append(log, s.values, s.timestamp, producer=s.producer)
            assert (again.base_offset, again.duplicate) == (s.offset, True)
        if known:
            last = known[-1]
            assert last.producer is not None
            following = last.producer[2] + len(last.values)
            with pytest.raises(KafkaError) as refused:
                append(log, producer=(who, 0, following + 1))
            assert refused.value.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


@settings(max_examples=int(os.environ.get("BARNABAS_EXAMPLES", "150")), deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), flush=st.integers(0, 60), damage=st.booleans(),
       indexes=st.booleans(), segment=st.sampled_from([2000, 5000, 1_000_000]))
def test_everything_in_front_of_the_damage_is_served(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, flush: int, damage: bool, indexes: bool,
    segment: int,
) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("log")
    sizes = {"internal_segment_bytes": segment, "index_interval_bytes": chance.choice((0, 100, 4096))}
    log = open_log(folder, **sizes)
    log.on_roll = lambda _: None  # nothing is synced but where the test says so
    sent = write(log, chance, min(flush, count))
    log.flush()
    recovery_point = log.recovery_point
    expected_epoch = log.leader_epoch
    rest = max(count - flush, 0)
    sequences = {s.producer[0]: s.producer[2] + len(s.values) for s in sent if s.producer}
    for _ in range(rest):
        who = chance.randrange(3)
        values = [chance.randbytes(chance.choice((0, 90, 500)))] * chance.randrange(1, 4)
        producer = (who, 0, sequences.get(who, 0))
        sequences[who] = producer[2] + len(values)
        timestamp = NOW + chance.randrange(1000)
        sent.append(Sent(append(log, values, timestamp, producer=producer).base_offset, values, timestamp, producer))
    log.close(clean=False)
    lost_from = damage_log(folder, recovery_point, chance) if damage else 1 << 62
    if indexes:
        damage_indexes(folder, chance)

    log = open_log(folder, clean=False, recovery_point=recovery_point, epoch=expected_epoch + 1, **sizes)
    sent = [s for s in sent if s.offset < lost_from]
    check(log, sent)
    # and life goes on: what is written now follows without a hole and outlives a clean stop
    following = sent[-1].offset + len(sent[-1].values) if sent else 0
    assert append(log, [b"after"], NOW + 2000).base_offset == following
    sent.append(Sent(following, [b"after"], NOW + 2000, None))
    log.close(clean=True)
    log = open_log(folder, epoch=expected_epoch + 1, **sizes)
    check(log, sent)
    assert log.epoch_at(following) == expected_epoch + 1
    log.close(clean=True)
