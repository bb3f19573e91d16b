"""Level-1 quotes as hq.sinajs.cn answers them."""

from __future__ import annotations

import re

import pytest

from barnabas_quant.exchange.sina import Sina
from barnabas_quant.exchange.wire import Request
from barnabas_quant.feeds.level1 import Quote, parse_quotes

from .conftest import SHARED, Running

NOON = 1_700_020_800  # 12:00 in Shanghai


def ask(sina: Sina, codes: str) -> dict[str, list[str]]:
    answer = sina.answer(Request("GET", f"/list={codes}", {}, {}))
    assert answer.status == 200
    lines = answer.body.decode("gbk").splitlines()
    parsed = [re.fullmatch(r'var hq_str_(\w*)="(.*)";', line) for line in lines]
    return {line[1]: line[2].split(",") for line in parsed if line is not None}


def test_over_http(simulated: Running) -> None:
    answer = simulated.get("/list=sh600519,sz000001,sh600000,rt_hk00700,hk00700,sh999999")
    text = answer.content.decode("gbk")
    assert [line.split('="')[0] for line in text.splitlines()] == [
        f"var hq_str_{code}" for code in ("sh600519", "sz000001", "sh600000", "rt_hk00700", "hk00700", "sh999999")
    ]
    assert "贵州茅台" in text
    assert 'hq_str_sh999999="";' in text


def test_the_platform_reads_them() -> None:
    body = Sina(1, lambda: NOON + 100.0).answer(Request("GET", "/list=sh600519,sz000001,rt_hk00700,sh1", {}, {})).body
    quotes = [quote for quote in parse_quotes(body) if isinstance(quote, Quote)]
    assert [(quote.name, quote.time, quote.traded) for quote in quotes] == [
        ("贵州茅台", "2023-11-15 12:01:40", True),
        ("平安银行", "2023-11-15 12:01:40", True),
        ("腾讯控股", "2023-11-15 12:01:00", True),
    ]


def test_a_day_only_grows_and_stays_within_itself() -> None:
    clock = [float(NOON)]
    sina = Sina(1, lambda: clock[0])
    before = (0, 0.0)
    for _ in range(30):
        fields = ask(sina, "sh600519")["sh600519"]
        opening, previous, price, high, low, bid, ask_price = (float(text) for text in fields[1:8])
        volume, value = int(fields[8]), float(fields[9])
        assert low <= price <= high
        assert low <= opening <= high
        assert bid < ask_price
        assert abs(price / previous - 1) <= 0.1
        assert (volume, value) >= before
        assert low * volume <= value <= high * volume
        before = (volume, value)
        clock[0] += 37
    clock[0] = NOON + 12 * 3600 + 1  # the next day
    assert int(ask(sina, "sh600519")["sh600519"][8]) < before[0]


def test_the_same_second_is_the_same_quote() -> None:
    first = ask(Sina(1, lambda: NOON + 50.0), "sz000001")
    clock = [NOON + 100.0]
    sina = Sina(1, lambda: clock[0])
    later = ask(sina, "sz000001")
    clock[0] = NOON + 50.9
    assert ask(sina, "sz000001") == first != later


@pytest.mark.parametrize("code", ["sz162411", "sz160922"])
def test_fields_are_those_of_recorded_quotes(code: str) -> None:
    path = SHARED / "ashare" / "sina_level1_samples.txt"
    if not path.exists():
        pytest.skip("recordings are not part of the project: none beside the repository")
    recorded = re.search(rf'hq_str_{code}="(.*)"', path.read_text("utf-8"))
    assert recorded is not None
    made = ask(Sina(1, lambda: float(NOON)), "sz000001")["sz000001"]

    def kinds(fields: list[str]) -> list[str]:
        return [re.sub(r"\d+", "9", text) for text in fields[1:]]

    assert kinds(made) == kinds(recorded[1].split(","))


def test_hostile_codes_are_answered_safely() -> None:
    sina = Sina(1, lambda: float(NOON))
    answer = sina.answer(Request("GET", '/list=";alert(1)//,é,' + "x" * 1000, {}, {}))
    assert answer.body.decode("gbk").splitlines()[0] == 'var hq_str_alert1="";'
