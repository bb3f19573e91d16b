"""Level-1 quote strings: both vendors' layouts, instruments that are unknown or do not trade, and hostile bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas_quant.feeds.level1 import Malformed, Quote, Unknown, parse_quotes, request_path
from barnabas_quant.model.markets import listing_of

from .test_ashare_files import ASHARE, RECORDED

LEVELS = ",".join(["100,10.01"] * 10)
SINA = (
    'var hq_str_sh600000="浦发银行,10.00,9.98,10.010,10.20,9.90,10.01,10.02,123456,1234567.89,'
    f'{LEVELS},2025-10-09,14:30:00,00";'
)
SINA_HK = (
    'var hq_str_rt_hk00700="TENCENT,腾讯控股,660.000,655.500,668.000,652.500,661.500,6.000,0.915,661.000,661.500,'
    '9977000000.000,22959603,0.000,0.000,683.000,364.800,2025/10/09,16:08,";'
)
TENCENT = 'v_sh600000="1~浦发银行~600000~10.01~9.98~10.00~1234~1~2~' + "10.01~5~" * 10 + '~20251009143000~0.03~0.30~";'
TENCENT_HK = (
    'v_hk00700="100~腾讯控股~00700~661.500~655.500~660.000~22959603.0~0~0~'
    + "661.500~0~" * 10
    + ('22959603.0~2025/10/09 16:08:10~6.000~0.92~";')
)


def one(text: str | bytes) -> Quote | Unknown | Malformed:
    found = list(parse_quotes(text if isinstance(text, bytes) else text.encode("gbk")))
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (SINA, ("sh600000", "浦发银行", "10.01", 123456, "2025-10-09 14:30:00")),
        (SINA_HK, ("hk00700", "腾讯控股", "661.50", 22959603, "2025-10-09 16:08:00")),
        (SINA_HK.replace("rt_hk", "hk"), ("hk00700", "腾讯控股", "661.50", 22959603, "2025-10-09 16:08:00")),
        (TENCENT, ("sh600000", "浦发银行", "10.01", 123400, "2025-10-09 14:30:00")),
        (TENCENT.replace("600000", "688981"), ("sh688981", "浦发银行", "10.01", 1234, "2025-10-09 14:30:00")),
        (TENCENT_HK, ("hk00700", "腾讯控股", "661.50", 22959603, "2025-10-09 16:08:10")),
        (TENCENT_HK.replace("v_hk", "v_r_hk"), ("hk00700", "腾讯控股", "661.50", 22959603, "2025-10-09 16:08:10")),
    ],
)
def test_both_layouts_of_both_sides_of_the_border(line: str, told: tuple[object, ...]) -> None:
    quote = one(line)
    assert isinstance(quote, Quote)
    assert (quote.listing.prefixed, quote.name, quote.price, quote.shares, quote.time) == told
    assert quote.traded
    stock = quote.stock(300)
    assert (stock.symbol, stock.price, stock.volume, stock.time) == (told[0][2:], told[2], "300", told[4])  # type: ignore[index]


@pytest.mark.parametrize("line", ['var hq_str_sz160923="";', 'v_pv_none_match="1";', 'v_sz160923="";'])
def test_unknown_instruments(line: str) -> None:
    assert isinstance(one(line), Unknown)


@pytest.mark.parametrize(
    "line",
    [
        SINA.replace("10.010", "0.000").replace("123456,", "0,"),  # before the first trade, or suspended
        SINA.replace(',00"', ',03"'),
        SINA.replace("123456,", "0,"),
        TENCENT.replace("~1234~", "~0~"),
    ],
)
def test_what_does_not_trade(line: str) -> None:
    quote = one(line)
    assert isinstance(quote, Quote)
    assert not quote.traded


def test_an_answer_of_many_lines_with_bad_ones_between() -> None:
    body = "\r\n".join([SINA, "", "<html>busy</html>", TENCENT_HK + SINA_HK, SINA[:60]]).encode("gbk")
    assert [type(found) for found in parse_quotes(body)] == [Quote, Malformed, Quote, Quote, Malformed]


def test_a_name_with_the_separator_in_its_second_byte() -> None:
    name = b"\xaa~".decode("gb18030")  # its second byte is Tencent's separator
    assert b"~" in name.encode("gb18030")
    quote = one(TENCENT.replace("浦发银行", name).encode("gb18030"))
    assert isinstance(quote, Quote)
    assert (quote.name, quote.price) == (name, "10.01")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfe\x00", "not a quote"),
        (b'var hq_str_sh600000="' + b"x" * 20_000 + b'";', "longer than"),
        (SINA.encode("gbk").replace("浦".encode("gbk"), b"\xff\xff"), "can't decode"),
        (b'var hq_str_gb_dji="1,2,3";', "not an instrument"),
        (b'var hq_str_sh60000="1,2,3";', "not an instrument"),
        (b'var hq_str_sh600000="1,2,3";', "3 fields"),
        (b'v_sh600000="1~2~3";', "3 fields"),
        (SINA.replace("10.010", "-1"), "price"),
        (SINA.replace("10.010", "nan"), "price"),
        (SINA.replace("10.010", "1e999"), "price"),
        (SINA.replace("10.010", "9" * 40), "price"),
        (SINA.replace("123456,", "-5,"), "volume"),
        (SINA.replace("123456,", "0.5,"), "volume"),
        (SINA.replace("2025-10-09", "2025-1-9"), "time"),
        (SINA.replace("14:30:00", "14"), "time"),
        (TENCENT.replace("20251009143000", "2025100914300"), "14 digits"),
        (TENCENT.replace("~600000~", "~600001~"), "under the name"),
    ],
)
def test_hostile_lines_are_named_and_kept(line: str | bytes, reason: str) -> None:
    found = one(line)
    assert isinstance(found, Malformed)
    assert reason in found.reason
    assert found.raw


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing(body: bytes) -> None:
    list(parse_quotes(body))


@given(st.integers(0, 400), st.binary(max_size=3), st.sampled_from([SINA, SINA_HK, TENCENT, TENCENT_HK]))
def test_damaged_quotes_raise_nothing(at: int, noise: bytes, line: str) -> None:
    data = line.encode("gbk")
    for found in parse_quotes(data[:at] + noise + data[at + 1 :]):
        assert isinstance(found, Quote | Unknown | Malformed)


def test_requests_name_instruments_as_the_vendors_do() -> None:
    listings = tuple(listing_of(symbol) for symbol in ("600000", "000001", "00700"))
    assert request_path("sina", listings) == "/list=sh600000,sz000001,rt_hk00700"
    assert request_path("tencent", listings) == "/q=sh600000,sz000001,hk00700"


@RECORDED
def test_recorded_quotes() -> None:
    body = (ASHARE / "sina_level1_samples.txt").read_bytes()
    found = list(parse_quotes(body, "utf-8"))
    assert not [each for each in found if isinstance(each, Malformed)]
    quotes = {each.listing.code: each for each in found if isinstance(each, Quote)}
    assert {code: (quote.name, quote.price, quote.traded) for code, quote in quotes.items()} == {
        "162411": ("华宝油气", "0.491", True),
        "160922": ("恒生中小", "0.00", False),
        "160924": ("恒指LOF", "0.00", False),
    }
    assert quotes["162411"].shares == 133_819_867
    assert {each.text for each in found if isinstance(each, Unknown)} == {"sz160923"}
