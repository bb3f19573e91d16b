"""Backtests over HTTP: started, watched, canceled, compared, kept through a gateway that is killed; nobody else's."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from barnabas_quant.gateway.backtest_runs import WAITING_OF_ONE
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history import migrate
from barnabas_quant.history.rows import INTO
from barnabas_quant.processes import started

from ..conftest import eventually
from ..stores import ClickHouse, Valkey
from .common import Browser, GatewayProcess
from .dashboard import BARS, BEGIN, bars

WAITER = """
import os
from barnabas_quant.strategies import Strategy

class Waiter(Strategy):
    name = "WAITER"

    def on_bar(self, bar):
        while not os.path.exists({go!r}):
            os.sched_yield()
"""
SETTINGS = """open = false
[trading.cash]
USDT = "100000"
[[strategies]]
name = "{}"
alias = "WAITS"
symbols = ["ETHUSDT"]
"""
FAST = {
    "strategy": "MA_CROSS",
    "symbols": ["ETHUSDT"],
    "interval": "1m",
    "parameters": {"fast": 3, "slow": 8, "volume": "1"},
}


class Running:
    """A gateway on a history of bars, with a strategy among its settings that waits for a file."""

    def __init__(self, folder: Path, kafka: str, redis: str, clickhouse: str) -> None:
        self.go = folder / "go"
        file = folder / "waiter.py"
        file.write_text(WAITER.format(go=str(self.go)))
        self.gateway = GatewayProcess(folder, kafka, redis, SETTINGS.format(file), clickhouse)
        self.file = str(file)
        eventually(self.gateway.writes)
        self.owner = self.gateway.client()
        self.owner.headers.update(self.gateway.operator())

    def waits(self) -> None:
        """Let the strategy wait from now on."""
        self.go.unlink(missing_ok=True)

    def goes(self) -> None:
        """Let it go on."""
        self.go.touch()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, kafka: str, valkey: Valkey) -> Iterator[Running]:
    with ClickHouse(tmp_path_factory.mktemp("database")) as clickhouse:
        client = Client(clickhouse.url, 30)
        migrate(client)
        client.insert(INTO["market_klines"], b"".join(bars()), "TabSeparated")
        client.close()
        made = Running(tmp_path_factory.mktemp("gateway"), kafka, valkey.url, clickhouse.url)
        try:
            yield made
            made.gateway.end()
        finally:
            made.gateway.kill()


@pytest.fixture(scope="module")
def anna(running: Running) -> Browser:
    browser = running.gateway.client()
    assert browser.register("anna").status_code == 201
    return browser


def start(browser: Browser, **wanted: Any) -> dict[str, Any]:
    answer = browser.post("backtests", json={**FAST, **wanted})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert made["state"] == "queued"
    return made


def state(browser: Browser, id: str) -> dict[str, Any]:
    found: dict[str, Any] = browser.get(f"backtests/{id}").json()
    return found


def over(browser: Browser, id: str) -> dict[str, Any]:
    """Wait until a backtest is over; give it."""
    eventually(lambda: state(browser, id)["state"] not in ("queued", "running"))
    return state(browser, id)


def test_one_from_its_start_to_its_report(running: Running, anna: Browser) -> None:
    made = start(anna, title="<b>mine</b>", cash={"USDT": "5000.5"}, order_type="market", delay_ms=5)
    assert made["place"] is not None and made["symbols"] == ["binance:ETHUSDT"]
    done = over(anna, made["id"])
    assert done["state"] == "done" and done["error"] == "" and done["failures"] == [], done
    assert done["progress"]["events"] == BARS and done["progress"]["percent"] == 100
    assert done["created_ms"] <= done["started_ms"] <= done["ended_ms"]
    path = f"backtests/{made['id']}"
    report = anna.get(f"{path}/report.json").json()
    assert report["strategy"] == "MA_CROSS" and report["parameters"]["slow"] == 8 and report["delay"] == 5000
    assert report["metrics"] == done["metrics"]
    assert report["metrics"]["USDT"]["first"] == "5000.5" and report["metrics"]["USDT"]["trades"] > 3
    trades = list(csv.DictReader(anna.get(f"{path}/trades.csv").text.splitlines()))
    assert len(trades) == report["metrics"]["USDT"]["trades"]
    page = anna.get(f"{path}/report")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert "MA_CROSS: binance:ETHUSDT" in page.text and not re.search(
        r"<script|\son[a-z]+=|https?://(?!www.w3)", page.text
    )
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none';") and "frame-ancestors 'self'" in policy
    assert page.headers["x-content-type-options"] == "nosniff" and page.headers["cache-control"] == "no-store"
    assert page.headers["content-disposition"].startswith("inline")
    saved = anna.get(f"{path}/report", params={"download": "1"}).headers["content-disposition"]
    assert saved.startswith("attachment")
    listed = anna.get("backtests").json()
    assert listed["backtests"][0]["id"] == made["id"]
    assert "MACD" in listed["strategies"] and not any("WAIT" in name for name in listed["strategies"])
    assert listed["backtests"][0]["title"] == "<b>mine</b>"
    removed = anna.delete(path)
    assert removed.status_code == 200 and anna.get(path).status_code == 404
    assert not (running.gateway.data / "backtests" / "anna" / made["id"]).exists()


def test_nobody_else_s(running: Running, anna: Browser) -> None:
    made = over(anna, start(anna)["id"])
    bob, nobody = running.gateway.client(), running.gateway.client()
    bob.register("bob")
    for browser, status in ((bob, 404), (running.owner, 404), (nobody, 401)):
        path = f"backtests/{made['id']}"
        for more in ("", "/report", "/report.json", "/trades.csv", "/equity.csv", "/fills.csv"):
            assert browser.get(path + more).status_code == status, more
        assert browser.delete(path).status_code == status
        assert browser.get("backtests/compare", params={"a": made["id"], "b": made["id"]}).status_code == status
    assert bob.get("backtests").json()["backtests"] == []
    assert nobody.get("backtests").status_code == 401 == nobody.post("backtests", json=FAST).status_code
    assert state(anna, made["id"])["state"] == "done"
    for name in ("job.json", "log.txt", "..%2f..%2fsettings.json", "settings.json"):
        assert anna.get(f"backtests/{made['id']}/{name}").status_code == 404


BAD: list[tuple[dict[str, Any], str]] = [
    ({"strategy": "NONE"}, "there is no 'NONE'; there are BOOK_IMBALANCE"),
    ({"strategy": "x.py"}, "there is no 'x.py'"),
    ({"strategy": "WAITS"}, "there is no 'WAITS'"),
    ({"strategy": "--help"}, "there is no '--help'"),
    ({"symbols": []}, "symbols: none is named"),
    ({"symbols": ["NOTHING"]}, "NOTHING"),
    ({"symbols": ["A"] * 21}, "symbols"),
    ({"symbols": ["600519"], "cash": {"CNY": "0"}}, "cash: there is no CNY"),
    ({"parameters": {"fast": 0}}, "fast"),
    ({"parameters": {"fast": 9, "slow": 8}}, "fast has to be below slow"),
    ({"parameters": {"nothing": 1}}, "nothing"),
    ({"parameters": {"a b": 1}}, "no name of one"),
    ({"parameters": {"interval": "1m\n"}}, "cannot be printed"),
    ({"cash": {"USDT": "-5"}}, "cash"),
    ({"from": "yesterday"}, "from: not a date such as"),
    ({"from": "2024-02-01", "to": "2024-01-01"}, "is not before"),
    ({"interval": "hour"}, "interval"),
    ({"warm_up": "10"}, "warm-up is before from"),
    ({"source": "file.csv"}, "source"),
    ({"order_type": "stop"}, "order_type"),
    ({"delay_ms": -1}, "delay_ms"),
    ({"account": "main"}, "account"),
]


@pytest.mark.parametrize(("wrong", "words"), BAD)
def test_what_is_wrong_is_said_before_anything_starts(anna: Browser, wrong: dict[str, Any], words: str) -> None:
    before = len(anna.get("backtests").json()["backtests"])
    answer = anna.post("backtests", json={**FAST, **wrong})
    assert answer.status_code == 400 and words in answer.json()["message"], answer.text
    assert len(anna.get("backtests").json()["backtests"]) == before


def test_a_history_without_such_bars_fails_in_words(anna: Browser) -> None:
    failed = over(anna, start(anna, **{"from": "2030-01-01"})["id"])
    assert failed["state"] == "failed" and failed["metrics"] is None
    assert failed["error"].startswith("no rows of binance:ETHUSDT (1m bars) in that time; there are:\n")
    assert anna.get(f"backtests/{failed['id']}/report").status_code == 404


def test_those_behind_it_wait_and_can_be_canceled(running: Running, anna: Browser) -> None:
    running.waits()
    waiter = {"strategy": "WAITS", "symbols": [], "parameters": {}}
    runs = start(running.owner, **waiter)
    eventually(lambda: state(running.owner, runs["id"])["state"] == "running")
    waits = [start(anna) for _ in range(WAITING_OF_ONE)]
    assert [state(anna, each["id"])["place"] for each in waits] == list(range(1, WAITING_OF_ONE + 1))
    full = anna.post("backtests", json=FAST)
    assert full.status_code == 409 and "too many backtests wait" in full.json()["message"]
    compared = anna.get("backtests/compare", params={"a": waits[0]["id"], "b": waits[1]["id"]})
    assert compared.status_code == 409 and "a: that backtest is queued" in compared.json()["message"]
    for each in waits[1:]:
        assert anna.delete(f"backtests/{each['id']}").json()["state"] == "canceled"
    kept = job(running, "main", runs["id"])
    assert started(kept["pid"]) == kept["born"]
    eventually(lambda: os.getpriority(os.PRIO_PROCESS, kept["pid"]) >= 10)  # once it has read its options
    bound = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**21 * 2**20
    eventually(lambda: resource.prlimit(kept["pid"], resource.RLIMIT_DATA)[0] == bound)
    assert running.owner.delete(f"backtests/{runs['id']}").json()["state"] == "canceled"
    assert started(kept["pid"]) != kept["born"]
    assert over(anna, waits[0]["id"])["state"] == "done"
    assert [state(anna, each["id"])["state"] for each in waits[1:]] == ["canceled"] * (WAITING_OF_ONE - 1)


def test_what_ran_when_the_gateway_was_killed_has_failed(running: Running, anna: Browser) -> None:
    running.waits()
    runs = start(running.owner, strategy=running.file, symbols=[], parameters={})
    eventually(lambda: state(running.owner, runs["id"])["state"] == "running")
    waits = start(anna)
    kept = job(running, "main", runs["id"])
    running.gateway.kill()
    eventually(lambda: started(kept["pid"]) != kept["born"])
    running.gateway.start()
    eventually(running.gateway.writes)
    failed = state(running.owner, runs["id"])
    assert (failed["state"], failed["error"]) == ("failed", "the gateway ended while it ran")
    assert over(anna, waits["id"])["state"] == "done"
    # And one that ends in order takes its child with it, too.
    runs = start(running.owner, strategy="WAITS", symbols=[], parameters={})
    eventually(lambda: state(running.owner, runs["id"])["state"] == "running")
    kept = job(running, "main", runs["id"])
    running.gateway.end()
    assert started(kept["pid"]) != kept["born"]
    assert job(running, "main", runs["id"])["state"] == "failed"
    running.gateway.start()
    eventually(running.gateway.writes)


def test_one_that_cannot_be_noted_fails_and_does_not_run_on(running: Running, anna: Browser) -> None:
    running.waits()
    waiter = {"strategy": "WAITS", "symbols": [], "parameters": {}}
    first, second = start(running.owner, **waiter), start(running.owner, **waiter)
    last = start(anna)
    eventually(lambda: state(running.owner, first["id"])["state"] == "running")
    in_the_way = running.gateway.data / "backtests" / "main" / second["id"] / "job.new"
    in_the_way.mkdir()
    assert running.owner.delete(f"backtests/{first['id']}").json()["state"] == "canceled"
    failed = over(running.owner, second["id"])
    assert (failed["state"], failed["error"]) == ("failed", "its folder: Is a directory")
    assert not commands_with(second["id"])
    assert failed["started_ms"] <= failed["ended_ms"]  # its child had been started
    assert over(anna, last["id"])["state"] == "done"
    in_the_way.rmdir()
    running.owner.delete(f"backtests/{second['id']}")  # the next gateway would run it: on its record it waits


@pytest.mark.long
def test_a_gateway_ends_where_the_end_of_a_backtest_cannot_be_noted(running: Running, anna: Browser) -> None:
    running.waits()
    runs = start(running.owner, strategy="WAITS", symbols=[], parameters={})
    waits = start(anna)
    eventually(lambda: state(running.owner, runs["id"])["state"] == "running")
    in_the_way = running.gateway.data / "backtests" / "main" / runs["id"] / "job.new"
    in_the_way.mkdir()
    running.gateway.end()
    assert not commands_with(runs["id"])
    assert job(running, "anna", waits["id"])["state"] == "queued"
    in_the_way.rmdir()
    running.gateway.start()
    eventually(running.gateway.writes)
    failed = state(running.owner, runs["id"])
    assert (failed["state"], failed["error"]) == ("failed", "the gateway ended while it ran")
    assert over(anna, waits["id"])["state"] == "done"


def commands_with(text: str) -> list[str]:
    """Give the commands of all processes that name something."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if text in line]


def job(running: Running, account: str, id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((running.gateway.data / "backtests" / account / id / "job.json").read_bytes())
    return found


def test_an_owner_runs_a_file_of_the_settings(running: Running) -> None:
    running.goes()
    done = over(running.owner, start(running.owner, strategy="WAITS", symbols=[], parameters={})["id"])
    assert done["state"] == "done" and done["symbols"] == ["binance:ETHUSDT"], done
    assert "WAITS" in running.owner.get("backtests").json()["strategies"]
    bad = over(running.owner, start(running.owner, strategy="WAITS", symbols=[], parameters={"no": 1})["id"])
    assert bad["state"] == "failed" and "no" in bad["error"]
    other = running.owner.post("backtests", json={**FAST, "strategy": str(Path(running.file).with_name("other.py"))})
    assert other.status_code == 400


def test_two_side_by_side(anna: Browser) -> None:
    a = over(anna, start(anna, order_type="market")["id"])
    b = over(anna, start(anna, order_type="market", **{"from": "2023-11-14T23:40"})["id"])
    answer = anna.get("backtests/compare", params={"a": a["id"], "b": b["id"], "points": 50})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["currencies"]
    assert found["currency"] == "USDT" and (found["a"], found["b"]) == (a["metrics"]["USDT"], b["metrics"]["USDT"])
    assert len(found["times"]) == len(found["equity_a"]) == len(found["equity_b"]) == 50
    assert found["times"][0] == a["metrics"]["USDT"]["begin"] and found["times"] == sorted(found["times"])
    assert found["times"][0] > BEGIN and found["equity_b"][0] is None and found["equity_b"][-1] is not None
    assert Decimal(found["equity_a"][-1]) == Decimal(found["a"]["last"])
    assert anna.get("backtests/compare", params={"a": a["id"]}).status_code == 400
    assert anna.get("backtests/compare", params={"a": a["id"], "b": "x"}).status_code == 404


def test_another_gateway_of_the_same_folder_says_that_it_has_it_not(
    running: Running, anna: Browser, tmp_path: Path, kafka: str, valkey: Valkey
) -> None:
    over(anna, start(anna)["id"])  # now it has the folder
    other = GatewayProcess(tmp_path, kafka, valkey.url)
    try:
        other.data.joinpath("backtests").symlink_to(running.gateway.data / "backtests")
        answer = httpx.get(f"{other.url}/api/v1/backtests", headers=other.operator())
        assert answer.status_code == 503 and "another gateway" in answer.json()["message"]
        other.end()
    finally:
        other.kill()
