"""Scenario 3 of the seeds on a real broker: prices fall, the position is closed, people are told, trading stays off."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.bus import read_records
from barnabas_quant.bus.journal import AT, Journal
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.cli import main
from barnabas_quant.trading.events import OUTPUTS

from ..conftest import PATIENCE, eventually
from .test_alerts import Hook, hook
from .test_services import Running, own_kafka, price, records, replayed, tell, waiting

__all__ = ["hook", "own_kafka"]

SETTINGS = """
[alerts]
webhooks = ["{hook}"]

[trading]
cash = {{HKD = "100000"}}
equity_seconds = 1.0

[trading.limits]
daily_loss = "0.5"  # else it would forbid new positions for the day, reset or not

[trading.watch]
stop_loss = {{critical = "0.05"}}
drawdown = {{warning = "0.02", critical = "0.05"}}
"""
TENCENT = "hk00700"


def command(folder: Path, kafka: str, *arguments: str) -> tuple[int, str]:
    """Run `barnabas-quant trading`; give its code and output."""
    action, *rest = arguments
    if action != "status":
        rest += ["--wait", str(PATIENCE)]
    out = StringIO()
    with redirect_stdout(out):
        code = main(["trading", action, "--kafka", kafka, "--data", str(folder), *rest])
    return code, out.getvalue()


def alerts(kafka: str) -> list[tuple[str, str, str]]:
    return [(each["rule"], each["state"], each["action"]) for each in records(kafka, "risk-alerts")]


def same_as_the_journal(kafka: str) -> None:
    """Hold every topic of the trading service against a replay of its journal."""
    trading = replayed(kafka, "trading")
    for topic in dict.fromkeys(output.topic for output in OUTPUTS):
        told = [bytes(m.value() or b"") for m in read_records(kafka, {topic: 1})]
        assert told == trading.get(topic, []), topic


def test_stop_loss_alarm_kill_switch_restart_and_reset(tmp_path: Path, own_kafka: str, hook: Hook) -> None:
    settings = SETTINGS.format(hook=hook.address)
    trading, telling = (Running(tmp_path, own_kafka, name, settings) for name in ("trading", "alerts"))
    second = 0

    def falls_to(text: str) -> None:
        nonlocal second
        second += 1
        tell(own_kafka, "stock-realtime", price(TENCENT, second, text), partition=0)

    try:
        eventually(lambda: bool(records(own_kafka, AT[0])), PATIENCE)
        falls_to("400.00")
        waiting(own_kafka, "equity", 1)
        code, said = command(tmp_path, own_kafka, "place", "buy", TENCENT, "200")
        assert code == 0 and "accepted" in said
        falls_to("400.00")
        waiting(own_kafka, "fills", 1)
        for text in ("395.00", "390.00", "380.20"):
            falls_to(text)
        waiting(own_kafka, "risk-alerts", 1)
        assert alerts(own_kafka) == [("drawdown", "fired", "none")]  # a warning
        falls_to("380.00")  # 5 % below 400
        waiting(own_kafka, "risk-alerts", 2)
        assert alerts(own_kafka)[1:] == [("stop_loss", "fired", "flatten")]
        falls_to("374.00")  # where it is sold: 5.2 % of the equity are gone, and the fees
        fill = waiting(own_kafka, "fills", 2)[1]
        assert (fill["side"], fill["quantity"], fill["price"], fill["strategy"]) == ("SELL", "200", "374", "stop_loss")
        waiting(own_kafka, "risk-alerts", 4)
        assert sorted(alerts(own_kafka)[2:]) == [("drawdown", "escalated", "kill"), ("stop_loss", "cleared", "none")]
        eventually(lambda: records(own_kafka, "positions")[-1]["quantity"] == "0", PATIENCE)
        eventually(lambda: len(hook.got) == 4, PATIENCE)
        assert [json.dumps(body) for _, body, _ in hook.got] == [
            json.dumps(each) for each in records(own_kafka, "risk-alerts")
        ]

        trading.kill()
        trading.start()
        code, said = command(tmp_path, own_kafka, "place", "BUY", TENCENT, "100", "--price", "374")
        assert code == 1 and "rejected kill-switch" in said
        account = json.loads(command(tmp_path, own_kafka, "status", "--json")[1])
        assert account["trading"] is False and account["positions"] == account["orders"] == []
        assert account["switch"].startswith("pulled by the watch: drawdown")
        code, said = command(tmp_path, own_kafka, "reset", "--who", "anna", "--reason", "looked at it")
        assert code == 0 and "reset by anna: looked at it" in said
        code, said = command(tmp_path, own_kafka, "place", "BUY", TENCENT, "100", "--price", "374")
        assert code == 0 and "accepted" in said
        id = said.split()[0]
        eventually(lambda: records(own_kafka, "orders")[-1]["status"] == "accepted", PATIENCE)
        said = command(tmp_path, own_kafka, "status")[1]
        assert id in said and said.startswith("trading   on")
        assert command(tmp_path, own_kafka, "cancel", "--all")[1].endswith("accepted cancel (orders 1)\n")
        assert command(tmp_path, own_kafka, "kill", "--reason", "enough")[0] == 0
        assert command(tmp_path, own_kafka, "transfer", "HKD", "-1000000")[0] == 1  # not there
        for service in (trading, telling):
            service.end()
    finally:
        for service in (trading, telling):
            service.kill()
    same_as_the_journal(own_kafka)


@pytest.mark.long
def test_a_venue_that_falls_silent_is_told_by_the_clock(tmp_path: Path, own_kafka: str) -> None:
    settings = '[trading.watch]\nsilent = {warning = "1", critical = "3"}\nstale = {warning = "2"}\n'
    trading = Running(tmp_path, own_kafka, "trading", settings)
    try:
        eventually(lambda: bool(records(own_kafka, AT[0])), PATIENCE)
        tell(own_kafka, "stock-realtime", price(TENCENT, 1, "400.00"), partition=0)
        waiting(own_kafka, "equity", 1)
        assert command(tmp_path, own_kafka, "place", "BUY", TENCENT, "100", "--price", "300")[0] == 0
        waiting(own_kafka, "risk-alerts", 1)
        trading.kill()
        trading.start()
        waiting(own_kafka, "risk-alerts", 3)
        tell(own_kafka, "stock-realtime", price(TENCENT, 9, "401.00"), partition=0)
        waiting(own_kafka, "risk-alerts", 5)
        trading.end()
        count = len(records(own_kafka, AT[0]))
    finally:
        trading.kill()
    found = [(each["rule"], each["state"], each["level"]) for each in records(own_kafka, "risk-alerts")]
    assert found[0] == ("silent", "fired", "warning")
    assert sorted(found[1:3]) == [("silent", "escalated", "critical"), ("stale", "fired", "warning")]
    assert sorted(found[3:5]) == [("silent", "cleared", "critical"), ("stale", "cleared", "warning")]
    with RangeReader(own_kafka) as reader:
        readings = [entry.clock for entry in Journal(own_kafka, "trading").read(reader, 0) if entry.clock]
    assert 2 < len(readings) < count
    same_as_the_journal(own_kafka)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reset",), "--who"),
        (("reset", "--who", " "), "a person has to reset it"),
        (("cancel",), "what is to be canceled"),
        (("place", "HOLD", "000001", "100"), "invalid choice"),
        (("place", "BUY", "000001", "-1"), "quantity"),
        (("place", "BUY", "000001", "0"), "above 0"),
        (("place", "BUY", "sse:43", "1"), "symbol"),
        (("place", "BUY", "nothing", "1"), "symbol"),
        (("place", "BUY", "000001", "100", "--type", "stop"), "needs a trigger"),
        (("transfer", "USDT", "much"), "amount"),
        (("kill", "--kafka", "127.0.0.1:1"), "no Kafka answers"),
        (("status", "--kafka", ""), "kafka"),
    ],
)
def test_commands_that_are_wrong_say_so(
    tmp_path: Path, bootstrap: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    known = () if "--kafka" in arguments else ("--kafka", bootstrap)
    try:
        code: Any = main(["trading", arguments[0], "--data", str(tmp_path), *known, *arguments[1:]])
    except SystemExit as stopped:
        code = stopped.code
    assert code in (1, 2)
    assert said in capsys.readouterr().err


def test_without_a_trading_service_a_command_says_that_nobody_answers(
    tmp_path: Path, own_kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(tmp_path), "--kafka", own_kafka]
    assert main(["trading", "kill", *common, "--wait", "0.1"]) == 1
    assert "does the trading service run?" in capsys.readouterr().err
    assert main(["trading", "reset", "--who", "anna", *common, "--wait", "0"]) == 0
    found = records(own_kafka, "trade-commands")
    assert [(each["type"], each["on"]) for each in found] == [("Switch", False), ("Switch", True)]
    assert found[1]["who"] == "anna" and msgspec.json.encode(found[0])
    assert main(["trading", "status", *common]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("trading   on")
