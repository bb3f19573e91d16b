"""The record of stock-realtime: markets, times, numbers that keep their digits, and what is no record."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas_quant.errors import RecordError, SymbolError
from barnabas_quant.model.markets import NAMES, Listing, listing_of
from barnabas_quant.model.stock import Stock, decode_stock, encode_stock, plain_price, stock_schema

TYPED = [
    '{"symbol":"000001","price":10.52,"time":"2025-10-08 14:30:00"}',
    '{"symbol":"600519","price":1680.00,"time":"2025-10-08 14:30:01"}',
    '{"symbol":"600000","price":8.95,"time":"2025-10-08 14:30:02"}',
    '{"symbol":"000001","name":"平安银行","price":10.52,"volume":15000,"time":"14:30:00"}',
    '{"symbol":"600519","name":"贵州茅台","price":1680.00,"volume":8000,"time":"14:30:01"}',
]
"""The lines that the tutorial has its reader type."""

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize("line", TYPED)
def test_the_typed_records_come_out_as_they_went_in(line: str) -> None:
    stock = decode_stock(line.encode())
    assert encode_stock(stock).decode() == line
    told = json.loads(line, parse_float=str)
    assert (stock.symbol, stock.price, stock.time) == (told["symbol"], told["price"], told["time"])
    assert (stock.name, stock.volume) == (told.get("name"), str(told["volume"]) if "volume" in told else None)


def test_the_python_producer_of_the_tutorial_is_understood() -> None:
    data = {"symbol": "000001", "price": 10.52, "volume": 15000, "time": "2025-10-08 14:30:00"}
    stock = decode_stock(json.dumps(data).encode("utf-8"))
    assert (stock.price, stock.volume, stock.name) == ("10.52", "15000", None)


@given(
    st.integers(1, 10**9 - 1),
    st.integers(0, 8).flatmap(lambda places: st.text("0123456789", min_size=places, max_size=places)),
    st.integers(0, 10**10),
)
def test_numbers_keep_their_digits(whole: int, fraction: str, volume: int) -> None:
    price = f"{whole}.{fraction}" if fraction else str(whole)
    stock = Stock(symbol="600000", price=price, volume=str(volume), time="09:30:00")
    data = encode_stock(stock)
    assert json.loads(data, parse_float=Decimal, parse_int=Decimal)["price"] == Decimal(price)
    assert f'"price":{price},"volume":{volume},'.encode() in data
    assert decode_stock(data) == stock


def test_names_are_plain_utf_8() -> None:
    data = encode_stock(Stock(symbol="09988", name="阿里巴巴-W", price="176.3", time="09:30:00"))
    assert "阿里巴巴-W".encode() in data
    escaped = b'{"symbol":"09988","name":"\\u963f\\ud83d\\ude00","price":1,"time":"09:30:00"}'
    assert decode_stock(escaped).name == "阿😀"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"null", "object"),
        (b"[]", "object"),
        (b"{}", "missing required"),
        (b"\xef\xbb\xbf{}", "malformed"),
        (b'{"symbol":"600000","price":1,"time":"09:30:00"} x', "trailing"),
        (b'{"symbol":"600000","price":1,"time":"09:30:00"', "truncated"),
        (b'{"symbol":"\xff","price":1,"time":"09:30:00"}', "utf-8"),
        (b'{"symbol":"\\ud800","price":1,"time":"09:30:00"}', "surrogate"),
        (b'{"symbol":"600000","time":"09:30:00"}', "`price`"),
        (b'{"symbol":600000,"price":1,"time":"09:30:00"}', r"\$\.symbol"),
        (b'{"symbol":"","price":1,"time":"09:30:00"}', "symbol"),
        (b'{"symbol":"BTCUSDT","price":1,"time":"09:30:00"}', "symbol: not a symbol"),
        (b'{"symbol":"830799","price":1,"time":"09:30:00"}', "Beijing"),
        (b'{"symbol":"600000","price":-1.5,"time":"09:30:00"}', "price: negative: -1.5"),
        (b'{"symbol":"600000","price":0.00,"time":"09:30:00"}', "price: it is 0"),
        (b'{"symbol":"600000","price":"10.52","time":"09:30:00"}', "price: not a number"),
        (b'{"symbol":"600000","price":null,"time":"09:30:00"}', "price: not a number"),
        (b'{"symbol":"600000","price":[1],"time":"09:30:00"}', "price: not a number"),
        (b'{"symbol":"600000","price":NaN,"time":"09:30:00"}', "malformed"),
        (b'{"symbol":"600000","price":1e400,"time":"09:30:00"}', "price: not a plain decimal"),
        (b'{"symbol":"600000","price":1.123456789,"time":"09:30:00"}', "more than 8"),
        (b'{"symbol":"600000","price":99999999999,"time":"09:30:00"}', "too large"),
        (b'{"symbol":"600000","price":' + b"9" * 5000 + b',"time":"09:30:00"}', "longer than 64 digits"),
        (b'{"symbol":"600000","price":1,"volume":-5,"time":"09:30:00"}', "volume: negative"),
        (b'{"symbol":"600000","price":1,"volume":"5","time":"09:30:00"}', "volume: not a number"),
        (b'{"symbol":"600000","price":1,"time":"24:00:00"}', "time: neither"),
        (b'{"symbol":"600000","price":1,"time":"2025-02-30 09:30:00"}', "no such day"),
        (b'{"symbol":"600000","price":1,"time":"2025-10-08T09:30:00"}', "time: neither"),
        ('{"symbol":"600000","price":1,"time":"０９:30:00"}'.encode(), "time: neither"),
        (b'{"symbol":"600000","price":1,"time":"09:30:00\\n"}', "time: neither"),
        (b'{"symbol":"600000","name":"a\\u0000b","price":1,"time":"09:30:00"}', "name"),
        (b'{"symbol":"600000","name":"' + b"n" * 101 + b'","price":1,"time":"09:30:00"}', "name"),
        (b'{"symbol":"600000","price":1,"time":"09:30:00","x":' + b"[" * 30000 + b"]" * 30000 + b"}", "nested"),
        (b'{"symbol":"600000","price":1,"time":"09:30:00","x":"' + b"x" * 65536 + b'"}', "longer than 65536"),
    ],
)
def test_what_is_no_record_is_refused_with_a_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        decode_stock(value)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(value: bytes) -> None:
    with pytest.raises(RecordError):
        decode_stock(b"\x01" + value)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_members_of_any_kind_raise_nothing_else(member: object) -> None:
    for name in ("symbol", "name", "price", "volume", "time"):
        told = {"symbol": "600000", "price": 1, "time": "09:30:00", name: member}
        try:
            decode_stock(json.dumps(told).encode("utf-8", "surrogatepass"))
        except RecordError:
            continue


def test_a_time_with_a_date_is_that_of_shanghai() -> None:
    stock = decode_stock(TYPED[0].encode())
    told = datetime(2025, 10, 8, 14, 30, tzinfo=SHANGHAI)
    assert stock.event_time(0) == told.timestamp() * 1_000_000


@pytest.mark.parametrize(
    ("produced", "time", "day"),
    [
        ("2025-10-08 14:30:01", "14:30:00", 8),  # a moment ago
        ("2025-10-08 14:29:58", "14:30:00", 8),  # the clock of whoever produced it is a little behind
        ("2025-10-08 09:00:00", "14:30:00", 7),  # not of this day yet: it was yesterday's
        ("2025-10-09 00:00:01", "23:59:59", 8),  # over midnight
        ("2025-10-08 07:59:59", "07:59:00", 8),  # the date of UTC is another
    ],
)
def test_a_time_alone_is_the_last_such_time(produced: str, time: str, day: int) -> None:
    milliseconds = int(datetime.fromisoformat(produced).replace(tzinfo=SHANGHAI).timestamp() * 1000)
    moment = Stock(symbol="600000", price="1", time=time).event_time(milliseconds)
    assert datetime.fromtimestamp(moment / 1_000_000, SHANGHAI) == datetime.fromisoformat(
        f"2025-10-{day:02d} {time}"
    ).replace(tzinfo=SHANGHAI)


def test_equal_amounts_have_one_fingerprint() -> None:
    stocks = [Stock(symbol="600000", price=price, volume="1", time="09:30:00") for price in ("8.9", "8.90", "8.91")]
    assert stocks[0].fingerprint() == stocks[1].fingerprint() != stocks[2].fingerprint()
    assert Stock(symbol="600000", price="8.9", time="09:30:00").fingerprint() != stocks[0].fingerprint()


def test_the_schema_says_number() -> None:
    properties = stock_schema()["$defs"]["Stock"]["properties"]
    assert list(properties) == ["symbol", "name", "price", "volume", "time"]
    assert properties["price"]["type"] == "number"
    assert stock_schema()["$defs"]["Stock"]["required"] == ["symbol", "price", "time"]


@pytest.mark.parametrize(
    ("text", "plain"), [("14.9", "14.90"), ("1680", "1680.00"), ("7.6663", "7.6663"), ("0.4910", "0.491")]
)
def test_prices_are_written_as_exchanges_do(text: str, plain: str) -> None:
    assert plain_price(text) == plain


@pytest.mark.parametrize(
    ("text", "venue", "symbol"),
    [
        ("600000", "sse", "600000"),
        ("688981", "sse", "688981"),
        ("900901", "sse", "900901"),
        ("510300", "sse", "510300"),
        ("113050", "sse", "113050"),
        ("000001", "szse", "000001"),
        ("300750", "szse", "300750"),
        ("200002", "szse", "200002"),
        ("159915", "szse", "159915"),
        ("162411", "szse", "162411"),
        ("399001", "szse", "399001"),
        ("127045", "szse", "127045"),
        ("00700", "hkex", "00700"),
        ("sh600000", "sse", "600000"),
        ("SZ000001", "szse", "000001"),
        ("SH.600000", "sse", "600000"),
        ("600519.SH", "sse", "600519"),
        ("600519.SS", "sse", "600519"),
        ("000001.sz", "szse", "000001"),
        ("hk00700", "hkex", "00700"),
        ("700.HK", "hkex", "00700"),
        ("09988.HK", "hkex", "09988"),
        ("sh000001", "sse", "sh000001"),  # the index of Shanghai; the code alone is a share in Shenzhen
    ],
)
def test_codes_are_listed_where_their_range_is(text: str, venue: str, symbol: str) -> None:
    listing = listing_of(text)
    assert (listing.venue, listing.symbol) == (venue, symbol)
    assert listing_of(listing.symbol) == listing_of(listing.prefixed) == listing


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "700", "6000000", "sh60000", "sh600000.SH", "SZ600000.SH", "hk600000", "920001", "430047", "999999"),
        *("７00000", "AAPL", "600000 ", "600000\n", "sh", ".SH", "123456.HK", "x" * 10_000),
    ],
)
def test_what_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(SymbolError):
        listing_of(text)


@pytest.mark.parametrize("partitions", [1, 2, 3, 5])
def test_partitions_go_by_market(partitions: int) -> None:
    numbers = [listing_of(code).partition(partitions) for code in ("600000", "000001", "00700")]
    assert numbers == [0 % partitions, 1 % partitions, 2 % partitions]


def test_known_names_are_of_listed_instruments() -> None:
    assert all(listing_of(symbol).symbol == symbol for symbol in NAMES)
    assert Listing("szse", "000001").name == "平安银行"
    assert Listing("sse", "600123").name is None
