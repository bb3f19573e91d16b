"""`barnabas-quant replay`: what was told is what the journal gives, and a difference is found."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import Producer

from barnabas_quant.bus.marks import HEADER, Mark
from barnabas_quant.cli import main

from ..conftest import PATIENCE, eventually
from .test_services import BUY, Running, own_kafka, price, records, tell, waiting

__all__ = ["own_kafka"]


def test_a_session_is_replayed_and_a_forged_record_is_found(tmp_path: Path, own_kafka: str) -> None:
    trading = Running(tmp_path, own_kafka, "trading")
    try:
        waiting(own_kafka, "engine-journal", 1)
        tell(own_kafka, "stock-realtime", price("000001", 1, "10.40"), partition=1)
        waiting(own_kafka, "equity", 1)
        tell(own_kafka, "trade-signal", BUY, b"rubbish")
        waiting(own_kafka, "trade-decisions", 2)
        tell(own_kafka, "stock-realtime", price("000001", 5, "10.41"), partition=1)
        waiting(own_kafka, "fills", 1)
        trading.end()
    finally:
        trading.kill()
    command = ["replay", "trading", "--kafka", own_kafka, "--data", str(tmp_path)]
    assert main(command) == 0
    producer = Producer({"bootstrap.servers": own_kafka})
    forged = Mark("trading", (10_000,)).encode()
    producer.produce("fills", b'{"price":"1"}', b"szse:000001", headers=[(HEADER, forged)])
    assert producer.flush(20) == 0
    assert main(command) == 1
    assert len(records(own_kafka, "fills")) == 2  # nothing was written by it


def test_the_report_of_a_session_tells_what_the_main_account_traded(
    tmp_path: Path, own_kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["replay", "trading", "--kafka", own_kafka, "--data", str(tmp_path), "--report", str(tmp_path / "report")]
    trading = Running(tmp_path, own_kafka, "trading")
    try:
        waiting(own_kafka, "engine-journal", 1)
        tell(own_kafka, "stock-realtime", price("000001", 1, "10.40"), price("000002", 1, "20.00"), partition=1)
        waiting(own_kafka, "equity", 1)
        trading.end()
        assert main(command) == 1
        assert "no order was made in that session" in capsys.readouterr().err
        (tmp_path / "trading.toml").write_text('[trading]\norder_type = "market"\n')
        trading.start()
        eventually(lambda: sum("settings" in entry for entry in records(own_kafka, "engine-journal")) == 2, PATIENCE)
        tell(own_kafka, "trade-commands", b'{"type":"Transfer","id":"","time":0,"currency":"CNY","amount":100000000}')
        tell(own_kafka, "trade-signal", BUY)
        waiting(own_kafka, "trade-decisions", 2)
        tell(own_kafka, "stock-realtime", price("000001", 61, "10.41"), price("000001", 122, "10.60"), partition=1)
        (fill,) = waiting(own_kafka, "fills", 1)
        eventually(lambda: any(Decimal(each["positions"]) == 10_600 for each in records(own_kafka, "equity")), PATIENCE)
        trading.end()
    finally:
        trading.kill()
    assert main(command) == 0
    held = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert (held["strategy"], held["instruments"], held["recorded"]) == ("MA_CROSS", ["szse:000001"], True)
    assert (held["events"], held["signals"], held["orders"]["complete"]) == (4, 1, 1)
    assert [note.partition(";")[0] for note in held["notes"][1:]] == [
        "Settings: changed, or begun anew, 1 x", "Payments into or out of the account: 1",
    ]  # fmt: skip
    (metrics,) = held["metrics"].values()
    assert (metrics["currency"], metrics["fills"], metrics["fees"]) == ("CNY", 1, fill["fee"])
    equity = [each for each in records(own_kafka, "equity") if each["currency"] == "CNY"]
    assert metrics["last"] == equity[-1]["equity"]
    with (tmp_path / "report" / "equity.csv").open() as file:
        curve = list(csv.DictReader(file))
    assert [row["equity"] for row in curve if int(row["time"]) == equity[-1]["time"]] == [equity[-1]["equity"]]
    assert curve[-1]["held"] == "10600"  # as the account held it, at the last price
    with (tmp_path / "report" / "fills.csv").open() as file:
        assert [(row["order"], row["price"]) for row in csv.DictReader(file)] == [("trade-signal-0-0", "10.41")]
    assert "signals travelled as they did" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["strategies", "--report", "x"], "--report tells what the service trading did"),
        (["trading", "--history"], "--history: no ClickHouse: give --clickhouse URL"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    tmp_path: Path, own_kafka: str, capsys: pytest.CaptureFixture[str], options: list[str], text: str
) -> None:
    assert main(["replay", *options, "--kafka", own_kafka, "--data", str(tmp_path)]) == 2
    assert text in capsys.readouterr().err
