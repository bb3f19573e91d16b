"""Follow docs/strategies.md: the file it builds, on a recording, on a CSV, and beside a broker with paper trading."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from .platform import PATIENCE, QUANT, eventually, process

pytest.importorskip("barnabas_quant")
embedded = pytest.importorskip("barnabas.embedded")

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "first_strategy" / "breakout.py"
BEGIN = 1_700_000_040  # seconds, the beginning of a minute
CLOSES = (10, 11, 12, 11, 13, 12, 10)
"""With high 3 and low 2: bought at 13, above 10, 11, 12 and 11; sold at 10, below 13 and 12."""


def backtest(folder: Path, *arguments: str) -> Any:
    command = [*QUANT, "backtest", str(FILE), *arguments, "--order-type", "market", "--out", "out"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "out" / "report.html").exists()
    with (folder / "out" / "fills.csv").open(newline="") as file:
        return done.stdout, list(csv.DictReader(file))


def test_the_guide_shows_the_file_as_it_is() -> None:
    guide = (ROOT / "docs" / "strategies.md").read_text("utf-8")
    shown = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    text = FILE.read_text("utf-8")
    assert shown[0].strip() == text[text.index("from __future__") :].strip()


def test_on_a_recording(tmp_path: Path) -> None:
    simulate = [*QUANT, "simulate", "market.gz", "--minutes", "8", "--seed", "7", "--start", str(BEGIN * 1000)]
    subprocess.run(simulate, cwd=tmp_path, check=True, capture_output=True, timeout=PATIENCE)
    printed, fills = backtest(
        tmp_path, "--symbols", "BTCUSDT,ETHUSDT", "--source", "market.gz", "--param", "high=1", "low=1"
    )
    assert "BREAKOUT on binance:BTCUSDT, binance:ETHUSDT" in printed
    assert {each["side"] for each in fills} == {"BUY", "SELL"}


def test_on_a_csv(tmp_path: Path) -> None:
    lines = [f"{BEGIN + n * 60},{close},{close},{close},{close}" for n, close in enumerate((*CLOSES, 10))]
    (tmp_path / "prices.csv").write_text("\n".join(["time,open,high,low,close", *lines]))
    _, fills = backtest(
        tmp_path, "--symbols", "BTCUSDT", "--source", "prices.csv", "--param", "high=3", "low=2", "volume=2"
    )
    assert [(each["side"], each["quantity"], each["price"]) for each in fills] == [
        ("BUY", "2", "12"), ("SELL", "2", "10")  # at the bar that comes after
    ]  # fmt: skip


def kline(number: int, close: int) -> bytes:
    begin = (BEGIN + number * 60) * 1_000_000
    return json.dumps(
        {
            "exchange": "binance", "symbol": "BTCUSDT", "interval": "1m", "open_time": begin,
            "close_time": begin + 59_999_000, **dict.fromkeys(("open", "high", "low", "close"), str(close)),
            "volume": "1", "quote_volume": "1", "trades": 1, "closed": True, "source": "computed",
            "event_time": begin + 60_000_000, "receive_time": begin + 60_000_000,
        }
    ).encode()  # fmt: skip


def quote(number: int, close: int) -> bytes:
    time = (BEGIN + number * 60 + 60) * 1_000_000
    return json.dumps(
        {
            "exchange": "binance", "symbol": "BTCUSDT", "kind": "quote", "price": None, "bid": f"{close}.00",
            "bid_size": "9", "ask": f"{close}.01", "ask_size": "9", "update_id": number, "event_time": time,
            "receive_time": time,
        }
    ).encode()  # fmt: skip


def records(kafka: str, topic: str) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "reader", "enable.auto.commit": False})
    try:
        place = TopicPartition(topic, 0, 0)
        with contextlib.suppress(KafkaException):  # there is no such topic yet
            left = consumer.get_watermark_offsets(place, 10)[1]
            consumer.assign([place])
            found = []
            while len(found) < left:
                found += [json.loads(message.value() or b"") for message in consumer.consume(left, 10)]
            return found
        return []
    finally:
        consumer.close()


def test_live(tmp_path: Path) -> None:
    """Bars and quotes come in on topics; a signal goes out on one, and its fill on another."""
    config = tmp_path / "barnabas-quant.toml"
    config.write_text(
        f'[trading]\norder_type = "market"\n\n[[strategies]]\nname = "{FILE}"\nsymbols = ["BTCUSDT"]\n'
        'parameters = { high = 3, low = 2, volume = "2" }\n'
    )
    with embedded.Broker() as broker, contextlib.ExitStack() as services:
        kafka = broker.bootstrap
        for name in ("trading", "strategies"):
            command = [*QUANT, "run", name, "--config", str(config), "--kafka", kafka, "--data", str(tmp_path)]
            services.enter_context(process(tmp_path / f"{name}.log", *command))
        eventually(lambda: len(records(kafka, "engine-journal")) == 2, "they do not run")
        producer = Producer({"bootstrap.servers": kafka})
        for number, close in enumerate(CLOSES):
            producer.produce("market_data.ticks", quote(number, close), partition=0)
            assert producer.flush(20) == 0
            eventually(lambda wanted=number + 1: taken(kafka, "market_data.ticks") == wanted, "a quote is not taken")
            producer.produce("market_data.klines", kline(number, close), partition=0)
            assert producer.flush(20) == 0
            wanted_fills = (number >= 4) + (number >= 6)
            eventually(lambda wanted=wanted_fills: len(records(kafka, "fills")) == wanted, "no fill")
            eventually(lambda wanted=wanted_fills: taken(kafka, "fills") == wanted, "a fill is not heard")
        signals, fills = records(kafka, "trade-signal"), records(kafka, "fills")
    assert [(each["signal"], each["price"], each["volume"]) for each in signals] == [("BUY", 13, 2), ("SELL", 10, 2)]
    assert {each["strategy"] for each in signals} == {"BREAKOUT"}
    assert [(each["side"], each["price"]) for each in fills] == [("BUY", "13.01"), ("SELL", "10")]


def taken(kafka: str, topic: str) -> int:
    """Tell how many records of a topic the services have taken, by their journal."""
    return sum(
        run[3] for entry in records(kafka, "engine-journal") for run in entry.get("runs", ()) if run[0] == topic
    )  # fmt: skip
