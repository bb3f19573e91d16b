"""Test what the table of kafka-dump-log does not show: how much of a log is read for its time index."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from barnabas.protocol.batch import build_batch
from barnabas.tools.main import run


def _indexed(folder: Path, count: int, tail: bytes = b"") -> Path:
    """Write a log of batches that are all in its indexes; return the time index."""
    made = [bytes(build_batch([(None, b"v")], 1000 + n, base_offset=n)) for n in range(count)]
    log = folder / f"{0:020d}.log"
    log.write_bytes(b"".join(made) + tail)
    log.with_suffix(".index").write_bytes(b"".join(struct.pack(">ii", n, n * len(made[0])) for n in range(1, count)))
    times = log.with_suffix(".timeindex")
    times.write_bytes(b"".join(struct.pack(">qi", 1000 + n, n) for n in range(count)))
    return times


def test_a_long_time_index_takes_as_long_as_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    times = _indexed(tmp_path, 3000)
    begun = time.process_time()
    assert run("kafka-dump-log", ["--files", str(times)]) == 0
    assert time.process_time() - begun < 2
    out, err = capfd.readouterr()
    assert out.splitlines()[1:] == [f"timestamp: {1000 + n} offset: {n}" for n in range(3000)]
    assert err == ""


def test_damage_behind_the_batches_of_a_time_index_is_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    times = _indexed(tmp_path, 3, bytes(100))
    assert run("kafka-dump-log", ["--files", str(times)]) == 1
    out, err = capfd.readouterr()
    assert out == f"Dumping {times}\n"
    assert "Found record size 0 smaller than minimum record overhead (14) in file" in err
