import gzip
from pathlib import Path

import pytest

from barnabas_quant.errors import QuantError
from barnabas_quant.feeds import Capture, Frame, Simulator
from barnabas_quant.feeds.recording import write_capture

NANOSECONDS = b'1723161254087891268 {"stream":"btcusdt@bookTicker","data":{}}'
SECONDS = b'1633998512.0633569: {"stream":"nknusdt@depth@100ms","data":{"s":"NKNUSDT"}}'
ANSWER = b'https://example.org/api/v3/depth?symbol=NKNUSDT&limit=1000 -> 1633998512.320639: {"lastUpdateId":1}'
CONNECTION = b"wss://example.org/stream?streams=nknusdt@depth <-> 1633998511.159679"


def read(path: Path) -> tuple[list[Frame], list[tuple[int, str]]]:
    wrong: list[tuple[int, str]] = []
    frames = list(Capture(path).frames(lambda number, reason: wrong.append((number, reason))))
    return frames, wrong


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def test_reads_every_line_format(tmp_path: Path) -> None:
    path = write(tmp_path / "c", CONNECTION, NANOSECONDS, SECONDS, ANSWER, b'1633998512: {"a":1}')
    frames, wrong = read(path)
    assert wrong == []
    assert [(f.sequence, f.received) for f in frames] == [
        ((2,), 1723161254087891268),
        ((3,), 1633998512063356900),
        ((4,), 1633998512320639000),
        ((5,), 1633998512000000000),
    ]
    assert [f.text[:16] for f in frames] == [b'{"stream":"btcus', b'{"stream":"nknus', b'{"lastUpdateId":', b'{"a":1}']
    assert frames[2].symbol == "NKNUSDT"


def test_a_nameless_snapshot_belongs_to_the_symbol_whose_depth_came_last(tmp_path: Path) -> None:
    path = write(tmp_path / "c", NANOSECONDS, SECONDS, b'1723161254206652067 {"lastUpdateId":1,"bids":[],"asks":[]}')
    frames, _ = read(path)
    assert [f.symbol for f in frames] == [None, None, "NKNUSDT"]


def test_malformed_lines_are_reported_and_reading_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / "c", NANOSECONDS, b"what is this", b"17231 {}", b"", b"\xff\x00", NANOSECONDS)
    frames, wrong = read(path)
    assert [f.sequence for f in frames] == [(1,), (6,)]
    assert [number for number, _ in wrong] == [2, 3, 5]
    assert "what is this" in wrong[0][1]


def test_a_line_without_end_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas_quant.feeds.capture.MAX_LINE", 100)
    path = write(tmp_path / "c", NANOSECONDS, b"x" * 1000, b"y" * 100, NANOSECONDS)
    frames, wrong = read(path)
    assert [f.sequence for f in frames] == [(1,), (4,)]
    assert [number for number, _ in wrong] == [2, 3]
    assert "longer than" in wrong[0][1]


def test_a_damaged_gzip_file_is_played_up_to_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "c.gz"
    count = write_capture(path, Simulator(5).minute(0, 60_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, wrong = read(path)
    assert 100 < len(frames) < count
    ((number, reason),) = wrong
    assert number == len(frames) + 1
    assert "damaged" in reason


def test_gzipped_or_plain_growing_or_moved_it_is_the_same_capture(tmp_path: Path) -> None:
    plain = write(tmp_path / "a", SECONDS, NANOSECONDS)
    packed = tmp_path / "b.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    grown = write(tmp_path / "c", SECONDS, NANOSECONDS, NANOSECONDS)
    other = write(tmp_path / "d", NANOSECONDS, SECONDS)
    assert Capture(plain).identity == Capture(packed).identity == Capture(grown).identity
    assert Capture(other).identity != Capture(plain).identity
    assert Capture(plain, "elsewhere").identity != Capture(plain).identity


def test_futures_are_recognised_by_their_depth(tmp_path: Path) -> None:
    futures = b'1626992741.08: {"stream":"sushiusdt@depth@100ms","data":{"s":"SUSHIUSDT","pu":600859598061}}'
    assert Capture(write(tmp_path / "a", CONNECTION, NANOSECONDS, futures)).exchange == "binance_usdm"
    assert Capture(write(tmp_path / "b", NANOSECONDS, SECONDS, futures)).exchange == "binance"
    assert Capture(write(tmp_path / "c", NANOSECONDS)).exchange == "binance"
    assert Capture(write(tmp_path / "d", futures), "binance").exchange == "binance"


def test_what_cannot_be_opened_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(QuantError, match="cannot read"):
        Capture(tmp_path / "missing")


def test_an_empty_file_is_an_empty_capture(tmp_path: Path) -> None:
    assert read(write(tmp_path / "empty")) == ([], [])
