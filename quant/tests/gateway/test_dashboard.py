"""What the dashboard asks beside prices and portfolios: strategies, risk, the pipeline, sparklines, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from barnabas_quant.endpoints import run_folder
from barnabas_quant.model import Gap
from barnabas_quant.status import PlatformStatus, ProcessStatus, write_status

from ..conftest import eventually
from ..stores import Valkey
from ..trading.test_services import tell
from .dashboard import BARS, BEGIN, KEY, Everything, closes, everything


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, kafka: str, valkey: Valkey) -> Iterator[Everything]:
    made = everything(tmp_path_factory.mktemp("platform"), tmp_path_factory.mktemp("database"), kafka, valkey.url)
    with made as running:
        yield running


# Strategies


def strategies(platform: Everything) -> dict[str, dict[str, Any]]:
    answer = platform.owner.get("strategies")
    assert answer.status_code == 200, answer.text
    assert answer.json()["complete"] is True
    return {each["alias"]: each for each in answer.json()["strategies"]}


def switch(platform: Everything, alias: str, on: bool, reason: str = "") -> httpx.Response:
    return platform.owner.put(f"strategies/{alias}", json={"on": on, "reason": reason})


def counts(platform: Everything, what: str) -> dict[str, int]:
    return {alias: each[what] for alias, each in strategies(platform).items()}


def last_price(platform: Everything, alias: str) -> str:
    price: str = strategies(platform)[alias]["last_signal"]["price"]
    return price


def traded(platform: Everything) -> None:
    """Have both strategies buy: their service, too, reads what comes while it runs."""
    before = counts(platform, "fills")

    def both_heard() -> bool:
        platform.market.quote("50000.00", "50000.10", ask_size=7)
        return all(count > before[alias] for alias, count in counts(platform, "fills").items())

    eventually(both_heard)


def test_strategies_are_stopped_and_started_and_what_they_earned_is_told(platform: Everything) -> None:
    market = platform.market
    eventually(lambda: [each["state"] for each in strategies(platform).values()] == ["running", "running"])
    found = strategies(platform)
    assert found["SWING"]["symbols"] == [KEY] and found["SWING"]["file"] is True
    assert [found[alias]["parameters"] for alias in ("SWING", "WITNESS")] == [{"lots": 1}, {"lots": 2}]
    assert abs(found["SWING"]["since"] - time.time_ns() // 1000) < 3600 * 1_000_000

    traded(platform)

    def all_sold() -> bool:  # it sells what it has heard that it has: the rest with the next quote
        market.quote("51000.00", "51000.10", bid_size=7)
        return not any(each["positions"] for each in strategies(platform).values())

    eventually(all_sold)
    # the portfolio hears the same fills by itself
    eventually(lambda: len(platform.owner.get("fills", params={"limit": 500}).json()["fills"])
               == sum(counts(platform, "fills").values()))  # fmt: skip
    fills = platform.owner.get("fills", params={"limit": 500}).json()["fills"]
    for alias, each in strategies(platform).items():
        own = [fill for fill in fills if fill["strategy"] == alias]
        paid = {"BUY": Decimal(0), "SELL": Decimal(0)}
        for fill in own:
            paid[fill["side"]] += Decimal(fill["price"]) * Decimal(fill["quantity"])
        fees = sum(Decimal(fill["fee"]) + Decimal(fill["taxes"]) for fill in own)
        (profit,) = each["profit"]
        assert Decimal(profit["realized"]) == paid["SELL"] - paid["BUY"] - fees
        assert (Decimal(profit["fees"]), profit["open_fees"], profit["currency"]) == (fees, "0", "USDT")
        assert profit["trades"] == profit["won"] >= 1 and each["fills"] == len(own)
        assert each["last_fill"]["side"] == each["last_signal"]["side"] == "SELL"

    stopped = switch(platform, "SWING", False, "lunch")
    assert stopped.status_code == 200, stopped.text
    event = stopped.json()["event"]
    assert (event["state"], event["who"], event["reason"], event["subject"]) == (
        "stopped", "operator", "lunch", stopped.json()["id"],
    )  # fmt: skip
    market.quote("50000.00", "50001.00", ask_size=7)
    eventually(lambda: last_price(platform, "WITNESS") == "50001")
    found = strategies(platform)
    assert found["SWING"]["last_signal"]["price"] != "50001"
    assert (found["SWING"]["state"], found["SWING"]["who"], found["SWING"]["reason"]) == (
        "stopped", "operator", "lunch",
    )  # fmt: skip
    again = switch(platform, "SWING", True)
    assert again.json()["event"]["state"] == "running"
    market.quote("50000.00", "50002.00", ask_size=7)
    eventually(lambda: last_price(platform, "SWING") == last_price(platform, "WITNESS") == "50002")

    assert strategies(platform)["SWING"]["failure"] is None
    market.quote("50000.00", "50000.10", ask_size=13)
    eventually(lambda: strategies(platform)["SWING"]["state"] == "failed")
    failed = strategies(platform)["SWING"]
    assert failed["failure"]["reason"] == "ValueError: thirteen is too many"
    assert "swing.py" in failed["failure"]["where"] and "on_tick" in failed["failure"]["where"]
    anew = switch(platform, "SWING", True, "again").json()["event"]
    assert anew["state"] == "running" and anew["reason"].startswith("again; it had failed: its state begins anew")
    assert strategies(platform)["SWING"]["failure"] is None


def test_who_is_no_owner_switches_nothing(platform: Everything) -> None:
    anna, nobody = platform.user("anna"), platform.gateway.client()
    for browser, status in ((anna, 403), (nobody, 401)):
        assert browser.get("strategies").status_code == status
        assert browser.get("pipeline").status_code == status
        assert browser.put("strategies/SWING", json={"on": False}).status_code == status
    assert strategies(platform)["SWING"]["state"] == "running"


@pytest.mark.parametrize(
    ("alias", "body", "status", "words"),
    [
        ("NOBODY", {"on": False}, 404, "no strategy is called NOBODY"),
        ("X" * 61, {"on": False}, 404, "so long a name"),
        ("SWING", {}, 400, "on"),
        ("SWING", {"on": "no"}, 400, "bool"),
        ("SWING", {"on": False, "who": "me"}, 400, "who"),
        ("SWING", {"on": False, "reason": "x" * 201}, 400, "200"),
    ],
)
def test_what_cannot_be_asked(platform: Everything, alias: str, body: Any, status: int, words: str) -> None:
    answer = platform.owner.put(f"strategies/{alias}", json=body)
    assert answer.status_code == status and words in answer.json()["message"]


def test_a_command_is_kept_until_the_service_is_there_again(platform: Everything) -> None:
    service = platform.services["strategies"]
    service.kill()
    asked = switch(platform, "WITNESS", False)
    assert asked.status_code == 202 and asked.json()["event"] is None
    service.start()
    eventually(lambda: strategies(platform)["WITNESS"]["state"] == "stopped")
    assert switch(platform, "WITNESS", True).json()["event"]["state"] == "running"


@pytest.mark.long
def test_what_retention_took_is_counted_from_the_history(platform: Everything) -> None:
    eventually(lambda: [each["state"] for each in strategies(platform).values()] == ["running", "running"])
    traded(platform)
    platform.market.quote("50000.00", "50003.00", ask_size=7)  # what comes before it has been worked off with it
    eventually(lambda: last_price(platform, "SWING") == last_price(platform, "WITNESS") == "50003")

    def stored() -> bool:  # each signal is decided about, and the history has all of it
        query = (
            "SELECT (SELECT uniqExact(subject) FROM trade_decisions WHERE startsWith(subject, 'trade-signal')), "
            "uniqExact(seq) FROM fills WHERE account = 'main'"
        )
        told = httpx.post(platform.clickhouse.rpartition("/")[0], params={"query": query}).text.split()
        return told == [str(sum(counts(platform, what).values())) for what in ("signals", "fills")]

    eventually(stored)
    before = strategies(platform)
    admin = AdminClient({"bootstrap.servers": platform.kafka})
    whole = [TopicPartition(topic, 0, -1) for topic in ("fills", "trade-signal")]
    for future in admin.delete_records(whole).values():
        future.result()
    platform.gateway.kill()
    platform.gateway.start()
    eventually(platform.gateway.writes)
    eventually(lambda: platform.owner.get("strategies").status_code == 200)
    eventually(lambda: strategies(platform)["SWING"]["signals"] is not None)
    after = strategies(platform)
    for alias in before:
        assert {**after[alias], "last_signal": None} == {**before[alias], "last_signal": None}


# Risk


def test_what_an_account_uses_of_its_limits(platform: Everything) -> None:
    greta = platform.user("greta")
    nothing = greta.get("risk").json()
    assert nothing["account"] == "greta" and nothing["prices"] == []
    assert {limit["name"]: limit["uses"] for limit in nothing["limits"] if limit["scope"] == "instrument"} == {
        "position": [], "position_notional": [],
    }  # fmt: skip
    platform.market.quote("50000.00", "50000.20")
    bought = greta.post("orders", json={"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5"})
    assert bought.status_code == 201, bought.text
    eventually(lambda: bool(greta.get("portfolio").json()["positions"]))
    platform.market.quote("50000.00", "50000.20")  # the mark, and with it the alert
    eventually(lambda: bool(greta.get("portfolio").json()["alerts"]))

    def lost() -> str | None:
        """Give the day's loss, which is not known until the history has what the day began with."""
        limits = {limit["name"]: limit["uses"] for limit in greta.get("risk").json()["limits"]}
        return next(use["value"] for use in limits["daily_loss"] if use["subject"] == "USDT")

    eventually(lambda: lost() is not None)
    has, risk = greta.get("portfolio").json(), greta.get("risk").json()
    equity = Decimal(next(one["equity"] for one in has["equity"] if one["currency"] == "USDT"))
    limits = {limit["name"]: limit for limit in risk["limits"]}
    rules = {rule["name"]: rule for rule in risk["rules"]}
    assert risk["prices"][0]["instrument"] == KEY and risk["prices"][0]["source"] in ("redis", "clickhouse")
    mark = Decimal(risk["prices"][0]["price"])  # nobody writes Redis here: it may be an older one
    gross = Decimal("0.5") * mark
    assert limits["position"]["limit"] == "2" and limits["position"]["uses"][0]["share"] == "0.25"
    (used,) = limits["gross_notional"]["uses"]
    assert (used["subject"], Decimal(used["value"])) == ("USDT", gross)
    assert abs(Decimal(used["share"]) - gross / 200_000) < Decimal("0.00000002")  # eight places are told
    assert abs(Decimal(limits["leverage"]["uses"][0]["value"]) - gross / equity) < Decimal("0.00000002")
    assert limits["order_notional"]["limit"] is None and limits["price_collar"]["uses"] == []
    assert limits["orders_per_second"]["uses"][0]["value"] in ("0", "1")
    exposure = rules["exposure"]["uses"][0]
    assert exposure["level"] == "warning" and exposure["reason"] == "the positions are too large for the equity"
    assert abs(Decimal(exposure["value"]) - gross / equity) < Decimal("0.00000002")
    assert rules["trailing_stop"]["on"] is False and rules["trailing_stop"]["uses"][0]["value"] is None
    loss = Decimal(rules["stop_loss"]["uses"][0]["value"])
    paid = Decimal(has["positions"][0]["average_price"])
    assert abs(loss - (1 - mark / paid)) < Decimal("0.00000002")
    assert rules["stop_loss"]["action"] == "flatten" and rules["stop_loss"]["critical"] == "0.5"
    assert abs(Decimal(lost() or "") - (100_000 - equity) / 100_000) < Decimal("0.00000002")
    assert limits["daily_loss"]["limit"] == "0.05"
    assert platform.gateway.client().get("risk").status_code == 401


# The pipeline


def test_how_the_pipeline_is(platform: Everything) -> None:
    assert platform.owner.get("pipeline").json()["services"] == {"supported": False, "at_ms": None, "processes": []}
    process = ProcessStatus(
        name="trading", state="running", records=5, rate=2.5, lag=3, errors=0, restarts=1, note="",
    )  # fmt: skip
    kept = platform.owner.get("pipeline").json()["dead_letters"]["kept"]
    tell(platform.kafka, "market_data.dead_letters", b"x", b"y")
    now = time.time_ns() // 1000
    gap = Gap(
        exchange="okx", symbol="BTC-USDT", stream="trade", last_id=1, next_id=7, from_time=now - 5, to_time=now,
        cause="disconnected", filled=True,
    )  # fmt: skip
    before_all = msgspec.structs.replace(gap, stream="depth", last_id=None, cause="start", filled=False)
    tell(platform.kafka, "market_data.gaps", msgspec.json.encode(before_all), msgspec.json.encode(gap))
    eventually(lambda: bool(platform.owner.get("pipeline").json()["gaps"]))
    platform.market.quote("50000.00", "50000.10")
    eventually(lambda: bool(platform.owner.get("pipeline").json()["ticks"]))
    run_folder(platform.gateway.data).mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}

    def whole() -> bool:  # a store that is slow to answer is left out
        write_status(platform.gateway.data, PlatformStatus(at=time.time(), processes=[process]))  # fresh for 10 s
        told.update(platform.owner.get("pipeline").json())
        return told["dead_letters"] is not None and all(store["answers"] for store in told["stores"].values())

    eventually(whole)
    assert told["services"]["supported"] is True
    assert told["services"]["processes"] == [msgspec.to_builtins(process)]
    assert [(each["symbol"], each["cause"], each["filled"]) for each in told["gaps"]] == [
        ("BTC-USDT", "disconnected", True)
    ]
    assert told["dead_letters"]["kept"] == kept + 2 and told["dead_letters"]["last_hour"] >= 2
    assert {name: store["answers"] for name, store in told["stores"].items()} == dict.fromkeys(
        ("kafka", "redis", "clickhouse"), True
    )
    assert [(each["exchange"], each["symbol"]) for each in told["ticks"]] == [("binance", "BTCUSDT")]
    assert 0 <= told["ticks"][0]["age_ms"] < 600_000
    write_status(platform.gateway.data, PlatformStatus(at=time.time() - 60, processes=[process]))
    assert platform.owner.get("pipeline").json()["services"]["supported"] is False


# Sparklines


def test_sparklines_of_many_at_once(platform: Everything) -> None:
    nobody = platform.gateway.client()
    asked = nobody.get("sparklines", params={"symbols": "binance:BTCUSDT, ETHUSDT,600519", "points": 50})
    assert asked.status_code == 200, asked.text
    nothing, walk, share = asked.json()["series"]
    assert (nothing["symbol"], nothing["closes"]) == ("BTCUSDT", [])
    assert (share["exchange"], share["symbol"]) == ("sse", "600519")
    assert [Decimal(close) for close in walk["closes"]] == [Decimal(close) for close in closes()[-50:]]
    assert walk["times"] == [BEGIN + n * 60_000_000 for n in range(BARS - 50, BARS)]
    many = ",".join(f"okx:A{n}-USDT" for n in range(100))
    assert len(nobody.get("sparklines", params={"symbols": many}).json()["series"]) == 100


@pytest.mark.parametrize(
    "params",
    [
        {}, {"symbols": ""}, {"symbols": ",".join(f"A{n}USDT" for n in range(101))}, {"symbols": "binance:a'b"},
        {"symbols": "BTCUSDT", "points": "1"}, {"symbols": "BTCUSDT", "points": "x"}, {"symbols": "BIN:X"},
        {"symbols": "sse:BTCUSDT"}, {"symbols": "a:b:c"},
    ],
)  # fmt: skip
def test_what_is_no_list_of_symbols(platform: Everything, params: dict[str, str]) -> None:
    answer = platform.gateway.client().get("sparklines", params=params)
    assert answer.status_code == 400 and answer.json()["error"] == "bad_request"
