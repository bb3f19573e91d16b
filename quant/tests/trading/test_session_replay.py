"""A session of all five strategies on the live road, its services killed: `replay` gives it again from the history."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus import MARKET_TOPICS, ensure_topics, partition_counts
from barnabas_quant.bus.journal import Journal
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.cli import main
from barnabas_quant.feeds import BITCOIN_AND_OTHERS, Simulator
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history.rows import TABLES

from ..conftest import PATIENCE, eventually
from ..road import Road, road
from ..stores import ClickHouse
from ..strategies.common import FIVE
from ..test_history import records_of, wait_for_rows
from .test_services import Running, records

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")

SETTINGS = """
computed = ["1s"]

[history]
seconds = 0.2

[trading]
order_type = "market"
signal_seconds = 100000.0  # those of strategies that were down come late, and all at once

[trading.limits]
orders_per_second = 100000
"""
SERVICES = ("trading", "strategies")
MARKET = [spec.name for spec in MARKET_TOPICS]


@pytest.fixture
def kafka() -> Iterator[str]:
    """Give a Kafka of this test's own: the trading topics have fixed names."""
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        yield broker.bootstrap


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path) as running:
        yield running


def settings_of_five(clickhouse: str) -> str:
    text = f'clickhouse = "{clickhouse}"\n{SETTINGS}'
    for name, (_, parameters) in (FIVE | {"GRID": (FIVE["GRID"][0], {"step": 1, "lines": 50})}).items():
        chosen = ", ".join(f"{key} = {json.dumps(value)}" for key, value in parameters.items() if key != "short")
        text += f'[[strategies]]\nname = "{name}"\nsymbols = ["BTCUSDT", "ETHUSDT"]\nparameters = {{ {chosen} }}\n'
    return text


def inputs_taken(reader: RangeReader, kafka: str, service: str) -> Counter[str]:
    """Count what a service's journal names, by topic; topics of which it names nothing are 0."""
    taken: Counter[str] = Counter()
    for entry in Journal(kafka, service).read(reader, 0):
        taken.update(dict.fromkeys(entry.start, 0))
        for topic, _, _, count in entry.runs:
            taken[topic] += count
    return taken


def worked_off(kafka: str) -> bool:
    """Tell whether both services have taken all that stands in the topics that they hear."""
    with RangeReader(kafka) as reader:
        for service in SERVICES:
            taken = inputs_taken(reader, kafka, service)
            for topic, count in partition_counts(kafka, taken).items():
                bounds = reader.bounds((topic, number) for number in range(count))
                if taken[topic] != sum(end for _, end in bounds.values()):
                    return False
    return True


def play_a_session(folder: Path, kafka: str, clickhouse: str, minutes: int, kills: int) -> None:
    """Play a market through the road while all services run, and two of them are killed in turn."""
    capture = folder / "capture.gz"
    begin = int(time.time()) // 60 * 60_000  # quotes have no time of the venue but that of their reception: now
    frames = chain.from_iterable(
        Simulator(5, BITCOIN_AND_OTHERS[:2]).minute(n, begin + n * 60_000) for n in range(minutes)
    )
    write_capture(capture, frames)
    settings = settings_of_five(clickhouse)
    running = {name: Running(folder, kafka, name, settings) for name in (*SERVICES, "analysis", "history")}
    try:
        eventually(lambda: {entry["service"] for entry in records(kafka, "engine-journal")} == set(SERVICES), PATIENCE)
        with road(folder, kafka, capture, 6.0) as played:
            _kill_in_turn(played, running, kills)
            played.wait_until_played()
            eventually(lambda: worked_off(kafka), PATIENCE)
        eventually(lambda: worked_off(kafka), PATIENCE)
        for name in SERVICES:
            running[name].end()
        client = Client(clickhouse, 10)
        wait_for_rows(client, records_of(kafka))
        client.close()
        for name in ("analysis", "history"):
            running[name].end()
    finally:
        for service in running.values():
            service.kill()


def _kill_in_turn(played: Road, running: dict[str, Running], kills: int) -> None:
    played.wait_for_frames(500)
    for number in range(kills):
        before = played.frames()
        running[SERVICES[number % 2]].kill()
        running[SERVICES[number % 2]].start()
        played.wait_for_frames(before + 400)


def remove_records(kafka: str, topics: list[str]) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    with RangeReader(kafka) as reader:
        partitions = [(t, number) for t, count in partition_counts(kafka, topics).items() for number in range(count)]
        ends = [TopicPartition(*at, end) for at, (_, end) in reader.bounds(partitions).items()]
        for future in admin.delete_records(ends).values():
            future.result(20)
        assert all(low == high for low, high in reader.bounds(partitions).values())


@pytest.mark.long
def test_a_session_is_given_again_by_the_history(
    tmp_path: Path, kafka: str, clickhouse: ClickHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    play_a_session(tmp_path, kafka, clickhouse.url, 3, 6)
    fills = records(kafka, "fills")
    by_strategy = Counter(fill["strategy"] for fill in fills)
    assert by_strategy.keys() == FIVE.keys(), by_strategy  # how often depends on how busy the machine is
    told = {topic: len(records(kafka, topic)) for topic in ("trade-signal", "orders", "fills", "positions", "equity")}
    with RangeReader(kafka) as reader:
        taken = {name: inputs_taken(reader, kafka, name) for name in SERVICES}
    command = ["replay", "--kafka", kafka, "--clickhouse", clickhouse.url, "--data", str(tmp_path / "none")]

    assert main(command) == 0
    plain = [line for line in capsys.readouterr().out.splitlines() if " told " in line]
    assert main([*command, "--history"]) == 0
    with_rows = capsys.readouterr().out.splitlines()
    assert [line for line in with_rows if " told " in line] == plain
    for topic, count in told.items():
        assert any(f" {topic} " in line and f" {count:,} told " in line for line in plain), (topic, count, plain)

    remove_records(kafka, MARKET)
    assert main(command) == 1
    assert "Offset out of range" in capsys.readouterr().err
    report = tmp_path / "report"
    assert main([*command, "--history", "--report", str(report)]) == 0
    after = capsys.readouterr().out.splitlines()
    assert [line for line in after if "report:" not in line] == with_rows
    for name, counts in taken.items():
        rows = sum(count for topic, count in counts.items() if topic in TABLES)
        line = f"{name:12} {rows:,} records from the history, {counts.total() - rows:,} from topics"
        assert line in with_rows and rows > 1000

    held = json.loads((report / "report.json").read_bytes())
    assert held["recorded"] and sorted(held["instruments"]) == ["binance:BTCUSDT", "binance:ETHUSDT"]
    assert held["signals"] == told["trade-signal"] and sorted(held["strategy"].split(", ")) == sorted(FIVE)
    metrics = held["metrics"]["USDT"]
    assert metrics["fills"] == len(fills)
    with (report / "fills.csv").open() as file:
        assert [row["order"] for row in csv.DictReader(file)] == [fill["order"] for fill in fills]
    last = [event for event in records(kafka, "equity") if event["currency"] == "USDT"][-1]
    with (report / "equity.csv").open() as file:
        curve = {int(row["time"]): row["equity"] for row in csv.DictReader(file)}
    assert curve[last["time"]] == last["equity"]
    assert (report / "report.html").read_text().count("<svg") >= 5
