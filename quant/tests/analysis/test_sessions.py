"""Intervals and sessions: where bars lie, and the recorded minutes of a share made again from its trades."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas_quant.analysis import Candles
from barnabas_quant.model.intervals import SECOND, Interval, parse_intervals
from barnabas_quant.model.sessions import AROUND_THE_CLOCK, HONG_KONG, SHANGHAI, Calendar, Period

from .common import recording, trade

CHINA = timezone(timedelta(hours=8))


def at(text: str, zone: timezone = CHINA) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1e6)


def local(time: int) -> str:
    return datetime.fromtimestamp(time / 1e6, CHINA).strftime("%H:%M:%S")


@pytest.mark.parametrize(
    ("name", "time", "begin"),
    [
        ("1s", "2024-08-08 12:34:56.789", "2024-08-08 12:34:56"),
        ("1m", "2024-08-08 12:34:56", "2024-08-08 12:34:00"),
        ("4h", "2024-08-08 15:59:59", "2024-08-08 12:00:00"),
        ("1d", "2024-08-08 23:59:59", "2024-08-08 00:00:00"),
        ("3d", "2017-08-18 23:00:00", "2017-08-16 00:00:00"),
        ("1w", "2024-08-08 12:00:00", "2024-08-05 00:00:00"),
        ("1w", "2024-08-05 00:00:00", "2024-08-05 00:00:00"),
    ],
)
def test_bars_begin_where_the_venue_begins_them(name: str, time: str, begin: str) -> None:
    assert Interval.parse(name).begin(at(time, UTC)) == at(begin, UTC)


@pytest.mark.parametrize("name", ["", "m", "0m", "1", "1M", "1y", "-1m", "01m", "1.5h", "99999s", "1m\n", "１m", "1 m"])
def test_names_that_are_no_interval(name: str) -> None:
    with pytest.raises(ValueError, match="not an interval"):
        Interval.parse(name)


def test_lists_of_intervals() -> None:
    assert [interval.name for interval in parse_intervals("1h, 1s,1m 1m")] == ["1s", "1m", "1h"]
    with pytest.raises(ValueError, match="no interval"):
        parse_intervals(" , ")


def test_which_intervals_nest() -> None:
    def nests(inner: str, outer: str) -> bool:
        return Interval.parse(inner).divides(Interval.parse(outer))

    assert nests("1s", "1m")
    assert nests("1d", "1w")
    assert not nests("3m", "5m")
    assert not nests("3d", "1w")
    assert not nests("7d", "1w")  # as long, but they begin on other days


def period(calendar: Calendar, interval: str, text: str) -> tuple[str, ...] | None:
    found = calendar.at(Interval.parse(interval), at(f"2019-02-01 {text}"))
    return None if found is None else tuple(map(local, found))


@pytest.mark.parametrize(
    ("interval", "time", "expected"),
    [
        ("1m", "09:14:59", None),
        ("1m", "09:25:02", ("09:15:00", "09:30:00", "09:31:00", "09:31:00")),
        ("1m", "09:31:00", ("09:31:00", "09:31:00", "09:32:00", "09:32:00")),
        ("1m", "11:29:59", ("11:29:00", "11:29:00", "11:30:00", "11:30:00")),
        ("1m", "11:30:02", ("11:30:00", "13:00:00", "13:01:00", "13:01:00")),
        ("1m", "12:30:00", ("11:30:00", "13:00:00", "13:01:00", "13:01:00")),
        ("1m", "15:00:03", ("14:59:00", "14:59:00", "15:00:00", "15:05:00")),
        ("1m", "15:05:00", None),
        ("15m", "11:20:00", ("11:15:00", "11:15:00", "11:30:00", "11:30:00")),
        ("1h", "10:29:59", ("09:15:00", "09:30:00", "10:30:00", "10:30:00")),
        ("1h", "14:00:00", ("14:00:00", "14:00:00", "15:00:00", "15:05:00")),
        ("4h", "10:00:00", ("09:15:00", "09:30:00", "11:30:00", "11:30:00")),
        ("1d", "13:00:00", ("09:15:00", "09:30:00", "15:00:00", "15:05:00")),
    ],
)
def test_bars_in_sessions(interval: str, time: str, expected: tuple[str, ...] | None) -> None:
    assert period(SHANGHAI, interval, time) == expected


def test_hong_kong_has_half_an_hour_before_lunch() -> None:
    assert period(HONG_KONG, "1h", "11:45:00") == ("11:30:00", "11:30:00", "12:00:00", "12:00:00")
    assert period(HONG_KONG, "1m", "16:09:30") == ("15:59:00", "15:59:00", "16:00:00", "16:11:00")


def test_weeks_are_refused_in_sessions() -> None:
    with pytest.raises(ValueError, match="1w: bars in sessions"):
        Candles(parse_intervals("1m,1w"), {"sse": SHANGHAI})


@given(
    calendar=st.sampled_from([SHANGHAI, HONG_KONG, AROUND_THE_CLOCK]),
    name=st.sampled_from(["1s", "7s", "1m", "5m", "15m", "30m", "1h", "2h", "1d"]),
    time=st.integers(0, 2_000_000_000 * SECOND),
)
def test_bars_lie_side_by_side(calendar: Calendar, name: str, time: int) -> None:
    interval = Interval.parse(name)
    bar = calendar.at(interval, time)
    if bar is None:
        assert calendar.first(interval, time) is None
        return
    assert bar.since <= time < bar.until
    assert bar.open < bar.end <= bar.open + interval.length or name == "1d"
    assert calendar.at(interval, bar.since) == bar == calendar.at(interval, bar.until - 1)
    following = calendar.after(interval, bar)
    if following is None:
        assert calendar.at(interval, bar.until) is None
    else:
        assert following.since == bar.until
        assert following.open >= bar.end


def test_a_day_has_240_minutes_and_none_at_lunch() -> None:
    minute = Interval.parse("1m")
    bar: Period | None = SHANGHAI.first(minute, at("2019-02-01 10:00:00"))
    labels = []
    while bar is not None:
        labels.append(local(bar.open))
        bar = SHANGHAI.after(minute, bar)
    assert len(labels) == 240
    assert (labels[0], labels[119], labels[120], labels[-1]) == ("09:30:00", "11:29:00", "13:00:00", "14:59:00")


def test_days_begin_with_the_last_price_of_the_day_before() -> None:
    candles = Candles(parse_intervals("1m"), {"szse": SHANGHAI})
    friday, monday = at("2019-02-01 14:59:30") / 1e6, at("2019-02-11 09:33:10") / 1e6
    candles.add([trade(1, friday, "10", exchange="szse"), trade(2, friday + 30, "11", exchange="szse")])
    closed, remarks = candles.add([trade(3, monday, "12", exchange="szse")])
    assert remarks == []
    assert [(local(bar.open_time), float(bar.close), bar.trades) for bar in closed] == [
        ("09:30:00", 11.0, 0),
        ("09:31:00", 11.0, 0),
        ("09:32:00", 11.0, 0),
    ]
    # The day before is over: what comes for it is late and makes no bar a second time.
    closed, remarks = candles.add([trade(4, friday + 40, "13", exchange="szse")])
    assert closed == []
    assert remarks[0][1].startswith("late")


def test_recorded_minutes_of_a_share() -> None:
    """The trades of Ping An Bank of 2019-02-01 give the 240 minutes that the vendor's file has."""
    trades = []
    with recording("ashare/SZ000001_trans.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            text = row["datetime"]
            if text.startswith("20190201"):
                time = at(datetime.strptime(text, "%Y%m%d%H%M%S").isoformat()) / 1e6
                price = f"{int(row['price']) / 1000:.2f}"
                trades.append(trade(len(trades) + 1, time, price, row["vol"], symbol="000001", exchange="szse"))
    with recording("ashare/SZ000001_time.csv").open(newline="") as file:
        expected = [
            (row["datetime"][8:], int(row["price"]), int(row["vol"]))
            for row in csv.DictReader(file)
            if row["datetime"].startswith("20190201")
        ]
    candles = Candles(parse_intervals("1m,5m,1h,1d"), {"szse": SHANGHAI}, sizes=False)
    closed, remarks = candles.add(trades)
    assert remarks == []
    closed += candles.advance("szse", SHANGHAI.day(trades[0].trade_time)[1])
    minutes = [bar for bar in closed if bar.interval == "1m"]
    ours = [
        (local(bar.open_time)[:5].replace(":", ""), round(float(bar.close) * 1000), int(float(bar.volume)))
        for bar in minutes
    ]
    assert len(ours) == 240
    assert ours == expected
    day = next(bar for bar in closed if bar.interval == "1d")
    assert int(float(day.volume)) == sum(volume for _, _, volume in expected)
    assert {bar.interval: sum(b.interval == bar.interval for b in closed) for bar in closed} == {
        "1m": 240, "5m": 48, "1h": 4, "1d": 1,
    }  # fmt: skip
