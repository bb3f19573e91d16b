"""Histories in files: what is made of them, in which order, and what is said about lines that are none."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from barnabas_quant.backtest.files import WINDOW, CaptureFile
from barnabas_quant.backtest.sources import Remarks, SourceError, Wanted, nothing_found, read
from barnabas_quant.errors import QuantError
from barnabas_quant.feeds import BinanceDecoder, Capture, Simulator
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.model.intervals import DAY, HOUR, MINUTE, SECOND
from barnabas_quant.model.money import ONE, units
from barnabas_quant.model.records import Tick, Trade
from barnabas_quant.trading.events import Bar, Depth, Print, Quote

from .common import ASHARE, SHARED, events_of, opened, write_bars

START = 1_700_000_040_000
DAILY = ",ts_code,trade_date,open,high,low,close,vol\n"


def test_daily_files_are_bars_rounded_to_the_tick(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(
        DAILY + "1,600000.SH,20230103,6.98123,7.005,6.97499,6.99,12.5\n2,600000.SH,20230104,7,7.1,6.9,7.05,3\n"
    )
    remarks = Remarks()
    first, second = events_of(opened(path, remarks=remarks), "sse:600000")
    end = 19360 * DAY + 7 * HOUR  # 15:00 in China
    assert first == Bar(
        "sse:600000", end, end - 5 * HOUR - 30 * MINUTE, "1d", units("6.98"), units("7.01"), units("6.97"),
        units("6.99"), 1250 * ONE,
    )  # fmt: skip
    assert isinstance(second, Bar) and second.time == end + DAY and second.close == units("7.05")
    assert remarks.lines() == ["1 x bar of sse:600000 read with prices on no tick, rounded"]


def test_minutes_and_trades_are_prints(tmp_path: Path) -> None:
    minutes = tmp_path / "SH600000_time.csv"
    minutes.write_text("datetime,price,vol\n202301030930,10900,3\n202301030931,10910,2\n202301030932,10890,1\n")
    prints = events_of(opened(minutes), "sse:600000", kinds=frozenset((Print,)))
    assert [(event.price, event.size) for event in prints if isinstance(event, Print)] == [
        (units("10.9"), 300 * ONE), (units("10.91"), 200 * ONE), (units("10.89"), 100 * ONE),
    ]  # fmt: skip
    trades = tmp_path / "SZ000001_trans.csv"
    trades.write_text("buyorsell,datetime,price,vol\n2,20230103092502,10820,5\n1,20230103093002,10790,1\n")
    first, _ = events_of(opened(trades), "szse:000001", kinds=frozenset((Print,)))
    assert isinstance(first, Print) and first.time == 19360 * DAY + HOUR + 25 * MINUTE + 2 * SECOND


def test_bars_are_made_of_prints_before_the_print_that_closes_them(tmp_path: Path) -> None:
    path = tmp_path / "SH600000_time.csv"
    lines = [f"20230103{9 + (30 + n) // 60:02d}{(30 + n) % 60:02d},{10900 + n * 10},1" for n in range(17)]
    path.write_text("datetime,price,vol\n" + "\n".join(lines) + "\n")
    found = events_of(opened(path), "sse:600000", interval="5m")
    bars = [event for event in found if isinstance(event, Bar)]
    assert [(bar.open, bar.close, bar.volume) for bar in bars] == [  # the one that it begins in is never told
        (units("10.95"), units("10.99"), 500 * ONE), (units("11"), units("11.04"), 500 * ONE),
    ]  # fmt: skip
    for place, event in enumerate(found):
        if isinstance(event, Bar):  # nothing from before its end comes after it, nothing from after its end before
            assert all(isinstance(other, Bar) or other.time < event.time for other in found[:place])
            assert all(other.time >= event.time for other in found[place:])


def test_only_what_is_wanted_is_made(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(DAILY + "".join(f"{n},600000.SH,2023010{n},7,7,7,7,1\n" for n in range(3, 9)))
    day = 19360 * DAY
    assert len(events_of(opened(path), "sse:600000", since=day + DAY, until=day + 3 * DAY)) == 2
    assert events_of(opened(path), "sse:600519") == []
    with pytest.raises(SourceError, match="holds daily bars"):
        events_of(opened(path), "sse:600000", kinds=frozenset((Print,)))
    with pytest.raises(SourceError, match="holds daily bars"):
        events_of(opened(path), "sse:600000", interval="5m")
    wanted = Wanted(instruments=("sse:600519",), kinds=frozenset((Bar,)))
    assert "sse:600000 1d bars: 6, 2023-01-03" in str(nothing_found([opened(path)], wanted))


def test_warm_up_is_the_last_bars_of_each_instrument(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    lines = [f"{n},{code},202301{n:02d},7,7,7,7,1\n" for n in range(3, 15) for code in ("600000.SH", "000001.SZ")]
    path.write_text(DAILY + "".join(lines))
    since = 19360 * DAY + 8 * DAY
    found = events_of(opened(path), "sse:600000", "szse:000001", since=since, warm_up=3)
    before = [event for event in found if event.time < since]
    assert len(before) == 6 and len(found) - 6 == 2 * 4
    assert [event.time for event in found] == sorted(event.time for event in found)
    assert min(event.time for event in before) == since - 3 * DAY + 7 * HOUR


def test_several_files_are_one_stream(tmp_path: Path) -> None:
    one = write_bars(tmp_path / "BTCUSDT.csv", 30, 1)
    two = write_bars(tmp_path / "ETHUSDT.csv", 30, 2)
    keys = ("binance:BTCUSDT", "binance:ETHUSDT")
    wanted = Wanted(instruments=keys, kinds=frozenset((Bar,)))
    found = list(read([opened(one, *keys), opened(two, *keys)], wanted))
    assert [event.instrument for event in found] == list(keys) * 30
    assert all(a.time <= b.time for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("header", "line", "time"),
    [
        ("time,open,high,low,close,volume", "2023-01-03,1,2,1,2,5", 19360 * DAY + 7 * HOUR),
        ("Date,Open,High,Low,Close,Vol", "20230103,1,2,1,2,5", 19360 * DAY + 7 * HOUR),
        ("close,low,high,open,x,datetime", "2,1,2,1,?,2023-01-03 00:00:00", 19360 * DAY + 7 * HOUR),
        ('"time","open","high","low","close"', '"2023-01-02T16:00:00Z","1","2","1","2"', 19360 * DAY + 7 * HOUR),
        ("timestamp,open,high,low,close", f"{19360 * 86400 - 8 * 3600},1,2,1,2", 19360 * DAY + 7 * HOUR),
        ("open_time,open,high,low,close", f"{(19360 * 86400 - 8 * 3600) * 1000},1,2,1,2", 19360 * DAY + 7 * HOUR),
    ],
)
def test_bars_in_anybodys_csv(tmp_path: Path, header: str, line: str, time: int) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(f"\ufeff{header}\n{line}\n")
    (bar,) = events_of(opened(path, "sse:600000", interval="1d"), "sse:600000")
    assert isinstance(bar, Bar)
    assert (bar.time, bar.open, bar.high, bar.low, bar.close) == (time, ONE, 2 * ONE, ONE, 2 * ONE)


def test_whose_bars_a_csv_holds(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.csv", 3)
    keys = ("binance:BTCUSDT", "binance:ETHUSDT")
    with pytest.raises(SourceError, match="whose bars"):
        opened(path, *keys)
    from barnabas_quant.backtest.files import open_file

    named = open_file(f"ETHUSDT={path}", keys, Remarks(), None)
    assert {event.instrument for event in events_of(named, *keys)} == {"binance:ETHUSDT"}
    column = tmp_path / "c.csv"
    column.write_text(
        "symbol,time,open,high,low,close\nBTCUSDT,2023-01-01,1,1,1,1\nbinance:ETHUSDT,2023-01-01,1,1,1,1\n"
        "BTCUSDT,2023-01-02,1,1,1,1\n"
    )
    assert [event.instrument for event in events_of(opened(column), *keys)] == [keys[0], keys[1], keys[0]]


def test_lines_that_are_none_are_told_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    good = "2023-01-0{},10,11,9,10,5\n"
    bad = [
        "2023-01-03,10,11,9\n", "2023-13-03,10,11,9,10,5\n", "2023-01-03,-10,11,9,10,5\n", "2023-01-03,10,9,11,10,5\n",
        "2023-01-03,0,0,0,0,5\n", "2023-01-03,1e3,11,9,10,5\n", "2023-01-03,nan,11,9,10,5\n", "\xff\x00,,,,,\n",
        "2023-01-03," + "1" * 9000 + ",11,9,10,5\n", "99999999999999999999,10,11,9,10,5\n",
    ]  # fmt: skip
    text = "time,open,high,low,close,volume\n" + good.format(1) + good.format(2) + "".join(bad) + good.format(4)
    path.write_bytes(text.encode("latin-1"))
    remarks = Remarks()
    assert len(events_of(opened(path, "binance:BTCUSDT", remarks=remarks), "binance:BTCUSDT")) == 3
    (line,) = remarks.lines()
    assert line.startswith(f"{len(bad)} x unreadable line of BTCUSDT.csv (first: line 4: 4 columns")


def test_files_that_are_no_history(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(QuantError, match="not a header"):
        opened(path)
    path.write_text("time,open,high,low,close\n2023-01-02,1,1,1,1\n2023-01-01,1,1,1,1\n")
    with pytest.raises(SourceError, match="sort the file"):
        events_of(opened(path, "binance:BTCUSDT"), "binance:BTCUSDT")
    path.write_text(DAILY + "1,600000.SH,20230104,7,7,7,7,1\n2,600000.SH,20230103,7,7,7,7,1\n")
    with pytest.raises(SourceError, match="sort the file"):
        events_of(opened(path), "sse:600000")
    with pytest.raises(QuantError, match="cannot read"):
        opened(tmp_path / "none.csv")


def test_a_capture_gives_every_quote_and_trade_in_order(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    write_capture(path, Simulator(3).minute(0, START))
    check_capture(path, "binance:BTCUSDT")


def test_a_recorded_capture_gives_every_quote_and_trade_in_order() -> None:
    path = SHARED / "binance" / "BINANCE.ws.1.0.gz"
    if not path.exists():
        pytest.skip("no recorded data in ../shared/data/binance")
    check_capture(path, "binance:NKNUSDT")


def check_capture(path: Path, key: str) -> None:
    capture = Capture(path)
    decoder = BinanceDecoder(capture.exchange)
    expected: list[tuple[int, int, int]] = []
    for frame in capture.frames(lambda line, reason: None):
        for record in decoder.records(frame):
            if f"{record.exchange}:{record.symbol}" != key:
                continue
            if isinstance(record, Trade):
                expected.append((record.trade_time, units(record.price), 0))
            elif isinstance(record, Tick) and record.kind == "quote":
                time = record.receive_time if record.event_time is None else record.event_time
                expected.append((time, units(record.bid or "0"), units(record.ask or "0")))
    found = events_of(CaptureFile(path, Remarks()), key, kinds=frozenset((Quote, Print)))
    assert expected
    assert sorted(expected) == sorted(
        (event.time, event.price, 0) if isinstance(event, Print) else (event.time, event.bid, event.ask)
        for event in found
        if isinstance(event, Print | Quote)
    )
    assert all(a.time <= b.time for a, b in pairwise(found))
    books = events_of(CaptureFile(path, Remarks()), key, kinds=frozenset((Depth,)))
    assert books and all(type(event) is Depth for event in books)


def test_a_late_frame_of_a_capture_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"

    def line(received: int, traded: int, number: int) -> str:
        return (
            f'{received * 1000} {{"stream":"btcusdt@trade","data":{{"e":"trade","E":{traded // 1000},"s":"BTCUSDT",'
            f'"t":{number},"p":"{number}","q":"1","T":{traded // 1000},"m":false}}}}\n'
        )

    base = START * 1000
    path.write_text(
        line(base, base, 1) + line(base + 10_000, base + 2000, 3) + line(base + 11_000, base + 1000, 2)
        + line(base + 3 * WINDOW, base + 3 * WINDOW, 4) + line(base + 3 * WINDOW + 1000, base + 1500, 5)
    )  # fmt: skip
    found = events_of(CaptureFile(path, Remarks()), "binance:BTCUSDT", kinds=frozenset((Print,)))
    assert [event.price // ONE for event in found if isinstance(event, Print)] == [1, 2, 3, 5, 4]


def test_ten_years_of_every_daily_file_are_read_whole() -> None:
    files = sorted(ASHARE.glob("*.S[HZ].csv"))
    if not files:
        pytest.skip("no recorded data in ../shared/data/ashare")
    for path in files:
        code, market = path.name.split(".")[:2]
        key = f"{'sse' if market == 'SH' else 'szse'}:{code}"
        remarks = Remarks()
        bars = events_of(opened(path, remarks=remarks), key)
        lines = path.read_text().strip().count("\n")
        unreadable = sum(count for what, count in remarks.counts.items() if "unreadable" in what)
        assert len(bars) + unreadable == lines and unreadable == 0
        assert all(isinstance(bar, Bar) and bar.close % (ONE // 100) == 0 for bar in bars)


