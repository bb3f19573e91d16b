"""Files of shares as records: every kind, exact amounts, lines that are none; the sample; the exchanges' clock."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from barnabas_quant.errors import QuantError
from barnabas_quant.feeds.ashare_files import AshareFile, Row
from barnabas_quant.feeds.ashare_replay import merged
from barnabas_quant.feeds.ashare_sample import SAMPLE, lines, write_sample
from barnabas_quant.feeds.trading_clock import TradingClock, is_open
from barnabas_quant.model.markets import VENUES

from .conftest import SHARED

ASHARE = SHARED.parent / "ashare"
RECORDED = pytest.mark.skipif(
    not ASHARE.exists(), reason="recordings are not part of the project: none beside the repository"
)
TRADES = (
    "buyorsell,datetime,price,vol\n0,20190201093005,10800,887\n1,20190201093005,10790,177\n2,20190201150000,491,1\n"
)
DAILY = ",ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount\n"


def read(path: Path) -> tuple[list[Row], list[tuple[int, str]]]:
    complaints: list[tuple[int, str]] = []
    rows = list(AshareFile(path).rows(lambda path, number, reason, line: complaints.append((number, reason))))
    return rows, complaints


def write(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["SH600000_trans.csv", "600000.SH_x.csv.gz", "sh600000.csv"])
def test_trades(tmp_path: Path, name: str) -> None:
    rows, complaints = read(write(tmp_path, name, TRADES))
    assert complaints == []
    assert [(row.line, row.stock.symbol, row.stock.price, row.stock.volume, row.stock.time) for row in rows] == [
        (2, "600000", "10.80", "88700", "2019-02-01 09:30:05"),
        (3, "600000", "10.79", "17700", "2019-02-01 09:30:05"),
        (4, "600000", "0.491", "100", "2019-02-01 15:00:00"),
    ]
    assert rows[0].time == datetime(2019, 2, 1, 1, 30, 5, tzinfo=UTC).timestamp() * 1_000_000
    assert rows[0].stock.name == "浦发银行"


def test_minutes_are_known_at_their_end(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path, "SZ000001_time.csv", "datetime,price,vol\r\n201812030930,10610,83391\r\n"))
    assert [(row.stock.price, row.stock.volume, row.stock.time) for row in rows] == [
        ("10.61", "8339100", "2018-12-03 09:30:59")
    ]


def test_daily_bars_give_their_close_and_round_nothing(tmp_path: Path) -> None:
    text = DAILY + (
        "1,600519.SH,20100104,172.0,172.0,169.31,169.9,169.82,0.12,0.07,44304.88,753405.635\n"
        "0,600519.SH,20100105,106.2798,106.5968,105.0429,105.3164,105.6272,-0.31,-0.29,31513.18,535720.422\n"
    )
    rows, complaints = read(write(tmp_path, "any name.csv", "\ufeff" + text))
    assert complaints == []
    assert [(row.stock.price, row.stock.volume, row.stock.time) for row in rows] == [
        ("169.90", "4430488", "2010-01-04 15:00:00"),
        ("105.3164", "3151318", "2010-01-05 15:00:00"),
    ]


def test_hong_kong_volumes_are_shares(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path, "HK00700_trans.csv", "buyorsell,datetime,price,vol\n0,20190201093005,345200,400\n"))
    assert [(row.stock.symbol, row.stock.price, row.stock.volume) for row in rows] == [("00700", "345.20", "400")]


@pytest.mark.parametrize(
    ("name", "header", "line", "reason"),
    [
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"3,20190201093005,10800,887", "buyorsell"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201093005,10800", "3 columns instead of 4"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201093005,10800,1,1", "5 columns"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190230093005,10800,1", "no such day"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201253005,10800,1", "time"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,2019020109300,10800,1", "14 digits"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201093005,-10800,1", "price"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201093005,0,1", "price: it is 0"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201093005,1e4,1", "price"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201093005,10800,-1", "vol"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0,20190201093005,10800," + b"9" * 40, "vol"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"\x00\xff\xfe,,,", "utf-8"),
        ("SH600000_a.csv", "buyorsell,datetime,price,vol", b"0," * 5000, "longer than 4096"),
        ("SH600000_a.csv", "datetime,price,vol", "２01812030930,10610,1".encode(), "12 digits"),
        ("a.csv", DAILY.strip(), b"1,600519.SH,20100104,172,171,169,170,1,1,1,4,7", "outside low and high"),
        ("a.csv", DAILY.strip(), b"1,600519.XX,20100104,172,172,169,170,1,1,1,4,7", "not a symbol"),
        ("a.csv", DAILY.strip(), b"1,600519.SH,20100104,nan,172,169,170,1,1,1,4,7", "open"),
        ("a.csv", "symbol,price,time", b"600000,10.5,09:30:00", "not date and time"),
        ("a.csv", "symbol,name,price,time", b'600000,"a,b",10.5,2025-10-09 09:30:00', "5 columns"),
        ("a.csv", "symbol,price,time", b"BTC,10.5,2025-10-09 09:30:00", "not a symbol"),
    ],
)
def test_lines_that_are_no_record_are_reported_by_number(
    tmp_path: Path, name: str, header: str, line: bytes, reason: str
) -> None:
    rows, complaints = read(write(tmp_path, name, header.encode() + b"\n\n" + line + b"\n\n"))
    assert rows == []
    assert [number for number, _ in complaints] == [3]
    assert reason in complaints[0][1]


@pytest.mark.parametrize("header", [b"", b"a,b\n", b"\x00" * 100, b"datetime,price\n", "时间,价格,vol\n".encode("gbk")])
def test_a_file_with_another_header_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(QuantError, match="not a header"):
        AshareFile(write(tmp_path, "SH600000.csv", header))


def test_a_file_that_names_no_instrument_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantError, match="its name should"):
        AshareFile(write(tmp_path, "trades.csv", TRADES))
    with pytest.raises(QuantError, match="cannot read"):
        AshareFile(tmp_path / "SH600000.csv")


def test_a_damaged_gzip_file_gives_what_was_before_the_damage(tmp_path: Path) -> None:
    whole = gzip.compress((TRADES + "0,20190201150001,10800,1\n" * 5000).encode(), 0)
    path = tmp_path / "SH600000.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    rows, complaints = read(path)
    assert len(rows) > 1000
    assert [number for number, _ in complaints] == [rows[-1].line + 1]
    assert "damaged" in complaints[0][1]


def test_a_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    plain = AshareFile(write(tmp_path, "SH600000_a.csv", TRADES)).identity
    assert AshareFile(write(tmp_path, "600000.SH_b.csv.gz", TRADES)).identity == plain
    assert AshareFile(write(tmp_path, "SH600001_a.csv", TRADES)).identity != plain
    assert AshareFile(write(tmp_path, "SH600000_c.csv", TRADES.replace("10800", "10810"))).identity != plain


def test_files_are_merged_by_time_and_keep_their_own_order(tmp_path: Path) -> None:
    header = "symbol,price,time\n"
    day = "2025-10-09"
    first = [f"600000,1,{day} 09:30:0{second}\n" for second in (1, 5, 3, 5)]
    second = [f"00700,1,{day} 09:30:0{second}\n" for second in (0, 3, 5, 6)]
    files = [
        AshareFile(write(tmp_path, "a.csv", header + "".join(first))),
        AshareFile(write(tmp_path, "b.csv", header + "".join(second))),
    ]
    order = [(file.path.name, row.line) for file, row in merged(files, lambda *complaint: None)]
    assert order == [("b.csv", 2), ("a.csv", 2), ("b.csv", 3)] + [("a.csv", n) for n in (3, 4, 5)] + [
        ("b.csv", 4),
        ("b.csv", 5),
    ]


def independent_sums(path: Path) -> Counter[str]:
    """Add up a recorded file's rows without the code under test: count, prices and volumes."""
    sums: Counter[str] = Counter()
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            daily = "close" in row
            price = Decimal(row["close"]) if daily else Decimal(row["price"]) / 1000
            sums.update({"rows": 1, "price": int(price * 10**8), "volume": int(Decimal(row["vol"]) * 100 * 10**8)})
    return sums


@RECORDED
@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("SZ000001_trans.csv", "trades", 8884),
        ("SH600000_trans.csv", "trades", 6223),
        ("SZ000001_time.csv", "minutes", 10320),
        ("SH600000_time.csv", "minutes", 10320),
        ("000001.SZ.csv", "daily", 2527),
        ("600519.SH.csv", "daily", 2591),
        ("600000.SH.csv", "daily", 2550),
        ("600519.SH_unadjusted.csv", "daily", 2490),
    ],
)
def test_recorded_files_to_the_last_row(name: str, kind: str, count: int) -> None:
    rows, complaints = read(ASHARE / name)
    assert AshareFile(ASHARE / name).kind == kind
    assert complaints == []
    sums: Counter[str] = Counter()
    for row in rows:
        volume = Decimal(row.stock.volume or 0)
        sums.update({"rows": 1, "price": int(Decimal(row.stock.price) * 10**8), "volume": int(volume * 10**8)})
    assert sums["rows"] == count
    assert sums == independent_sums(ASHARE / name)
    assert {row.stock.symbol for row in rows} == set(re.findall("[0-9]{6}", name))


def test_the_sample_is_what_its_script_makes(tmp_path: Path) -> None:
    assert gzip.decompress(SAMPLE.read_bytes()).decode() == "".join(f"{line}\n" for line in lines())
    assert SAMPLE.stat().st_size < 300_000
    assert write_sample(tmp_path / "other.csv", seed=7) > 10_000
    assert (tmp_path / "other.csv").read_bytes() != gzip.decompress(SAMPLE.read_bytes())


def test_the_sample_is_a_session_of_three_markets() -> None:
    rows, complaints = read(SAMPLE)
    assert complaints == []
    by_venue: dict[str, set[str]] = {venue: set() for venue in VENUES}
    for row in rows:
        by_venue[row.stock.listing.venue].add(f"{row.stock.symbol} {row.stock.name}")
    assert by_venue["hkex"] == {"00700 腾讯控股", "09988 阿里巴巴-W", "00005 汇丰控股"}
    assert len(by_venue["sse"] | by_venue["szse"]) == 6
    assert all(one.time <= other.time for one, other in pairwise(rows))
    assert all(is_open(row.stock.listing.venue, row.time) for row in rows)
    assert rows[-1].stock.time == "2025-10-09 16:08:30"


def microseconds(text: str) -> int:
    return int((datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=8)).timestamp()) * 1_000_000


def test_closed_hours_take_no_time() -> None:
    clock = TradingClock(["sse"])
    moments = ["2019-02-01 09:30:00", "2019-02-01 11:30:00", "2019-02-01 13:00:00", "2019-02-01 15:00:00"]
    moments += ["2019-02-11 09:25:00", "2019-02-11 09:30:00"]  # ten days later, after the holidays
    times = [clock.trading_time(microseconds(moment)) / 60e6 for moment in moments]
    assert [times[n + 1] - times[n] for n in range(5)] == [120, 0, 120, 15, 5]  # 5 after the close, 10 before 09:25


def test_with_hong_kong_its_lunch_alone_is_closed() -> None:
    clock = TradingClock(VENUES)
    moments = ["2025-10-09 11:30:00", "2025-10-09 12:00:00", "2025-10-09 13:00:00", "2025-10-09 16:08:30"]
    times = [clock.trading_time(microseconds(moment)) / 60e6 for moment in moments]
    assert [times[n + 1] - times[n] for n in range(3)] == [30, 0, 188.5]


@pytest.mark.parametrize(
    ("venue", "moment", "open_"),
    [
        ("sse", "2025-10-09 09:14:59", False),
        ("sse", "2025-10-09 09:15:00", True),
        ("szse", "2025-10-09 12:00:00", False),
        ("sse", "2025-10-09 15:30:00", False),
        ("sse", "2025-10-11 10:00:00", False),  # a Saturday
        ("hkex", "2025-10-09 11:59:00", True),
        ("hkex", "2025-10-09 16:05:00", True),
        ("hkex", "2025-10-10 16:30:00", False),
    ],
)
def test_markets_are_open_when_they_are(venue: str, moment: str, open_: bool) -> None:
    assert is_open(venue, microseconds(moment)) is open_  # type: ignore[arg-type]
