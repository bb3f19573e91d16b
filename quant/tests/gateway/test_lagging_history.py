"""A gateway that starts while the history lacks the newest of what the trading service told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus.topic_ids import topic_id
from barnabas_quant.gateway.reader import BEFORE
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history import migrate
from barnabas_quant.history.rows import INTO, line, table_and_cells
from barnabas_quant.trading.events import PositionEvent

from ..conftest import eventually
from ..stores import ClickHouse, Valkey
from .common import Browser, GatewayProcess

COUNT = BEFORE + 500


def position(number: int) -> PositionEvent:
    """Make the record of that number; each tenth opens a position of its own."""
    symbol = f"X{number}" if number % 10 == 0 else "BTCUSDT"
    return PositionEvent(
        seq=number, time=number, instrument=f"binance:{symbol}", quantity=str(number + 1), available="0",
        average_price="1", realized="0", fees="0",
    )  # fmt: skip


def tell(kafka: str, events: Iterable[PositionEvent]) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for event in events:
        producer.produce(PositionEvent.topic, msgspec.json.encode(event), event.key.encode(), 0)
    assert producer.flush(20) == 0


def store(clickhouse: str, kafka: str, events: Iterable[PositionEvent]) -> None:
    id = str(topic_id(AdminClient({"bootstrap.servers": kafka}), PositionEvent.topic)).encode()
    rows = []
    for event in events:
        _, cells = table_and_cells(PositionEvent.topic, msgspec.json.encode(event))
        rows.append(line(cells, id, 0, event.seq, 5))
    client = Client(clickhouse, 30)
    client.insert(INTO["positions"], b"".join(rows), "TabSeparated")
    client.close()


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "clickhouse").mkdir()
    with ClickHouse(tmp_path / "clickhouse") as running:
        client = Client(running.url, 30)
        migrate(client)
        client.close()
        yield running.url


def held(house: Browser) -> dict[str, str]:
    return {one["instrument"]: one["quantity"] for one in house.get("portfolio").json()["positions"]}


def expected(count: int) -> dict[str, str]:
    events = [position(number) for number in range(count)]
    return {event.instrument: event.quantity for event in events}


@pytest.mark.long
def test_what_the_history_lacks_comes_from_the_topics(
    tmp_path: Path, kafka: str, valkey: Valkey, clickhouse: str
) -> None:
    tell(kafka, map(position, range(COUNT)))
    store(clickhouse, kafka, map(position, range(COUNT - BEFORE + 1)))
    gateway = GatewayProcess(tmp_path, kafka, valkey.url, clickhouse=clickhouse)
    try:
        house = gateway.client(**gateway.operator())
        eventually(lambda: held(house) == expected(COUNT))
        tell(kafka, [position(COUNT)])  # and what comes
        eventually(lambda: held(house) == expected(COUNT + 1))
        gateway.end()
    finally:
        gateway.kill()


@pytest.mark.long
def test_where_even_the_topics_were_read_too_late_it_is_asked_again(
    tmp_path: Path, kafka: str, valkey: Valkey, clickhouse: str
) -> None:
    tell(kafka, map(position, range(COUNT + 1, 2 * COUNT)))
    store(clickhouse, kafka, map(position, range(COUNT)))
    gateway = GatewayProcess(tmp_path, kafka, valkey.url, clickhouse=clickhouse)
    try:
        house, everything = gateway.client(**gateway.operator()), expected(2 * COUNT)
        eventually(lambda: held(house).get("binance:BTCUSDT") == everything["binance:BTCUSDT"])
        assert held(house) != everything
        store(clickhouse, kafka, map(position, range(COUNT, 2 * COUNT)))
        eventually(lambda: held(house) == everything)
        gateway.end()
    finally:
        gateway.kill()
