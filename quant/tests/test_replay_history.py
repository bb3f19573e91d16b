"""Records made of rows again: the same inputs, whatever the text; what has no row comes from its topic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from confluent_kafka import Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from barnabas_quant.bus import ensure_topics
from barnabas_quant.bus.journal import Entry, records_of
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topic_ids import topic_id
from barnabas_quant.errors import BusError
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history import migrate
from barnabas_quant.history.records import StoredRecord, stored_records
from barnabas_quant.history.rows import INTO, TABLES, line, table_and_cells
from barnabas_quant.model import Gap, Kline, OrderBook, Tick, Trade
from barnabas_quant.replay_history import HistoryReader
from barnabas_quant.trading.events import (
    OUTPUTS,
    Alert,
    CashFlow,
    Decision,
    EquityEvent,
    Fill,
    OrderEvent,
    PositionEvent,
)
from barnabas_quant.trading.inputs import inputs_of

from .conftest import eventually
from .stores import ClickHouse

embedded = pytest.importorskip("barnabas.embedded", reason="the package barnabas is not installed")

ID = "00000000-0000-4000-8000-00000000002a"
ANOTHER = "00000000-0000-4000-8000-00000000002b"

TICK: dict[str, Any] = {
    "exchange": "binance", "symbol": "BTCUSDT", "kind": "quote", "price": None, "bid": "68000.10000000",
    "bid_size": "0.00000001", "ask": "68000.11000000", "ask_size": "12.00000000", "update_id": 10**19 - 1,
    "event_time": None, "receive_time": 1_700_000_040_000_001,
}  # fmt: skip
TRADE: dict[str, Any] = {
    "exchange": "okx", "symbol": "BTC-USDT", "trade_id": 0, "price": "68000.10000000", "quantity": "0.00000001",
    "buyer_is_maker": True, "event_time": 1_700_000_040_000_000, "trade_time": 1_700_000_040_000_000,
    "receive_time": 1_700_000_040_000_007, "first_trade_id": None, "last_trade_id": 2**63 + 1,
}  # fmt: skip
KLINE: dict[str, Any] = {
    "exchange": "binance", "symbol": "BTCUSDT", "interval": "5s", "open_time": 1_700_000_040_000_000,
    "close_time": 1_700_000_044_999_000, "open": "0.00000001", "high": "68000.10000000", "low": "0.00000001",
    "close": "100.00000000", "volume": "1000.50000000", "quote_volume": "0.00000000", "trades": 3, "closed": True,
    "source": "computed", "event_time": 1_700_000_045_000_000, "receive_time": 1_700_000_045_000_000,
}  # fmt: skip
BOOK: dict[str, Any] = {
    "exchange": "binance", "symbol": "BTCUSDT", "type": "diff", "first_update_id": 1, "last_update_id": 2,
    "previous_update_id": None, "bids": [["68000.10000000", "0.00000000"], ["0.00000001", "2.5"]], "asks": [],
    "event_time": 1_700_000_040_000_000, "receive_time": 1_700_000_040_000_001,
}  # fmt: skip
RECORDS: list[tuple[type[Any], dict[str, Any]]] = [
    (Tick, TICK),
    (Tick, TICK | {"bid": None, "bid_size": None, "event_time": 1_700_000_040_000_000}),
    (Tick, TICK | {"kind": "trade", "price": "1.10000000", "bid": None, "bid_size": None, "ask": None,
                   "ask_size": None, "update_id": 0}),
    (Tick, TICK | {"bid": "9999999999.99999999", "bid_size": f"{'9' * 30}.99999999"}),
    (Trade, TRADE),
    (Trade, TRADE | {"price": "100", "quantity": "0", "buyer_is_maker": False, "first_trade_id": 7,
                     "symbol": "\u6bd4\u7279\u5e01/x"}),
    (Kline, KLINE),
    (Kline, KLINE | {"source": "venue", "closed": False}),
    (OrderBook, BOOK),
    (OrderBook, BOOK | {"previous_update_id": 0, "bids": [], "asks": [["1", f"{'9' * 30}"]], "event_time": None}),
    (OrderBook, BOOK | {"type": "snapshot", "first_update_id": 9, "last_update_id": 9,
                        "asks": [["68001.00000000", "3"]], "event_time": None}),
    (Gap, {"exchange": "binance", "symbol": "BTCUSDT", "stream": "trade", "last_id": None, "next_id": 7,
           "from_time": 1, "to_time": 2, "cause": "a cause, in/words", "filled": False}),
    (OrderEvent, {"seq": 3, "time": 1_700_000_040_000_000, "order": "trade-signal-0-1", "instrument": "binance:BTCUSDT",
                  "step": "new", "status": "accepted", "side": "BUY", "type": "limit", "quantity": "0.00000001",
                  "filled": "0", "price": "68000.1", "trigger": None, "time_in_force": "DAY", "strategy": "\u5747",
                  "reason": 'it said "no" / \\\n\t'}),
    (Fill, {"seq": 4, "time": 1_700_000_040_000_000, "fill": "trade-signal-0-1-0", "order": "trade-signal-0-1",
            "instrument": "binance:BTCUSDT", "side": "SELL", "price": "68000.1", "quantity": "0.00000001",
            "fee": "-0.5", "taxes": "0", "currency": "USDT", "liquidity": "maker", "slippage": "-0.00000001",
            "strategy": 'q"\\/'}),
    (PositionEvent, {"seq": 5, "time": 1, "instrument": "binance:BTCUSDT", "quantity": "-1", "available": "0",
                     "average_price": "1.5", "realized": "-0.1", "fees": "100"}),
    (EquityEvent, {"seq": 6, "time": 1, "currency": "USDT", "cash": "-10.5", "held": "0", "positions": "1",
                   "equity": "2", "peak": "100000"}),
    (Decision, {"seq": 7, "time": 1, "subject": "trade-signal-0-1", "verdict": "rejected", "rule": "stale",
                "reason": "too \"old\"", "numbers": {"age": "301.5", "limit": "300"}, "order": "", "strategy": ""}),
    (Alert, {"seq": 8, "time": 1, "rule": "stale", "subject": "binance:BTCUSDT", "state": "fired", "level": "warning",
             "action": "none", "reason": "no word", "numbers": {}}),
    (CashFlow, {"seq": 9, "time": 1, "kind": "transfer", "currency": "USDT", "amount": "-0.1", "instrument": "",
                "numbers": {}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with ClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        client = Client(running.url, 30)
        migrate(client)
        yield client
        client.close()


def written(record: type[Any], fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode(msgspec.convert(fields, record))


def insert(client: Client, topic: str, value: bytes, id: str, partition: int, offset: int, produced: int = 5) -> None:
    table, cells = table_and_cells(topic, value)
    client.insert(INTO[table], line(cells, id.encode(), partition, offset, produced), "TabSeparated")


def plain(held: Any) -> Any:
    """Make numbers of all that is one, so that 1 and 1.00000000 are the same."""
    if isinstance(held, dict):
        return {name: plain(one) for name, one in held.items()}
    if isinstance(held, list | tuple):
        return list(map(plain, held))
    try:
        return Decimal(held) if isinstance(held, str) else held
    except ArithmeticError:
        return held


@pytest.fixture(scope="module")
def stored(client: Client) -> dict[str, dict[int, StoredRecord]]:
    """Write every record, each twice, and read them back two at a time."""
    for _ in range(2):
        for number, (record, fields) in enumerate(RECORDS):
            insert(client, record.topic, written(record, fields), ID, 3, number, 1_000 + number)
    return {
        topic: {one.offset: one for one in stored_records(client, topic, ID, {3: (0, 100)}, 2)} for topic in TABLES
    }  # fmt: skip


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_a_row_makes_the_record_that_it_was(stored: dict[str, dict[int, StoredRecord]], number: int) -> None:
    record, fields = RECORDS[number]
    value = written(record, fields)
    found = stored[record.topic][number]
    assert (found.partition, found.offset, found.produced) == (3, number, 1_000 + number)
    decoded = msgspec.json.decode(value, type=record)
    key = decoded.key
    assert found.key == (key.decode() if isinstance(key, bytes) else key)
    again = msgspec.json.decode(found.value, type=record)
    assert plain(msgspec.to_builtins(again)) == plain(msgspec.to_builtins(decoded))
    if record in (Tick, Trade, Kline, OrderBook, Fill):
        place = (record.topic, found.value, found.produced, 3, number, "binance")
        assert inputs_of(*place) == inputs_of(record.topic, value, *place[2:])
    if record in OUTPUTS:  # whoever hears of them may look at the text
        assert again == decoded


def test_each_row_is_read_once_and_only_where_it_was_asked_for(client: Client) -> None:
    trades = [TRADE | {"trade_id": n} for n in range(40)]
    for number, fields in enumerate(trades):
        for id in (ANOTHER, ANOTHER, ID):
            insert(client, Trade.topic, written(Trade, fields), id, 20 + number % 2, number // 2, number)
    for page in (1, 3, 4, 50_000):
        found = list(stored_records(client, Trade.topic, ANOTHER, {20: (3, 9), 21: (18, 30), 22: (0, 5)}, page))
        assert [(one.partition, one.offset) for one in found] == [(20, n) for n in range(3, 9)] + [(21, 18), (21, 19)]
        assert [json.loads(one.value)["trade_id"] for one in found] == [one.produced for one in found]
    assert list(stored_records(client, Trade.topic, ANOTHER, {})) == []


def test_all_tables_are_tried() -> None:
    assert {record.topic for record, _ in RECORDS} == TABLES.keys()


# The history and the topics together


@pytest.fixture
def kafka() -> Iterator[str]:
    """Give a Kafka of this test's own."""
    with embedded.Broker() as broker:
        ensure_topics(broker.bootstrap)
        yield broker.bootstrap


BAD = b'{"exchange":"binance","symbol":"X","trade_id":1,"price":"12345678901","quantity":"1"'


def test_what_has_no_row_comes_from_its_topic(kafka: str, client: Client) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    id = str(topic_id(admin, Trade.topic))
    assert topic_id(admin, "no-such-topic") is None
    values = [BAD if n in (2, 7) else written(Trade, TRADE | {"trade_id": n}) for n in range(10)]
    producer = Producer({"bootstrap.servers": kafka})
    for value in values:
        producer.produce(Trade.topic, value, b"okx:BTC-USDT", 1)
        producer.produce("stock-realtime", value, b"x", 1)
    assert producer.flush(20) == 0
    for number, value in enumerate(values[:-1]):  # the writer is one behind
        if value != BAD:
            insert(client, Trade.topic, value, id, 1, number)
    entry = Entry(service="one", n=0, runs=[("stock-realtime", 1, 0, 4), (Trade.topic, 1, 0, 10)])

    def replayed() -> list[Message]:
        with RangeReader(kafka) as topics:
            reader = HistoryReader(kafka, client, topics, 3)
            ((_, messages),) = records_of(reader, [entry])
            given.append((reader.given["rows"], reader.given["topics"]))
            return messages

    def remove(before: int) -> None:
        at = TopicPartition(Trade.topic, 1, before)
        for future in admin.delete_records([at]).values():
            future.result(20)

    given: list[tuple[int, int]] = []
    messages = replayed()
    assert given == [(7, 7)]
    assert [message.offset() for message in messages] == [*range(4), *range(10)]
    assert [message.value() for message in messages[:4]] == values[:4]
    for message, value in zip(messages[4:], values, strict=True):
        assert message.topic() == Trade.topic and message.partition() == 1 and message.error() is None
        assert message.key() == b"okx:BTC-USDT"
        if value == BAD:
            assert message.value() == BAD
        else:
            assert plain(json.loads(message.value() or b"")) == plain(json.loads(value))
    remove(2)
    assert [message.value() for message in replayed()] == [message.value() for message in messages]
    assert given[-1] == (7, 7)
    remove(3)
    with pytest.raises(
        BusError, match=r"one: a record that its journal names is gone: market_data\.trades-1, offset 2"
    ):
        replayed()


def test_a_topic_that_is_gone_is_known_by_its_rows(kafka: str, client: Client) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    insert(client, Kline.topic, written(Kline, KLINE), (id := str(topic_id(admin, Kline.topic))), 5, 0)
    entry = Entry(service="one", n=0, runs=[(Kline.topic, 5, 0, 1)])
    with RangeReader(kafka) as topics:
        ((_, (message,)),) = records_of(HistoryReader(kafka, client, topics), [entry])
        assert message.timestamp() == (1, 5)
        admin.delete_topics([Kline.topic])[Kline.topic].result(20)
        eventually(lambda: topic_id(admin, Kline.topic) is None)
        client.command(
            "ALTER TABLE market_klines DELETE WHERE topic_id != {id:UUID} SETTINGS mutations_sync = 2", id=id
        )
        ((_, (again,)),) = records_of(HistoryReader(kafka, client, topics), [entry])
        assert again.value() == message.value()
        with pytest.raises(BusError, match=r"is gone: market_data\.klines-5, offset 1"):
            list(
                records_of(
                    HistoryReader(kafka, client, topics),
                    [msgspec.structs.replace(entry, runs=[(Kline.topic, 5, 0, 2)])],
                )
            )
        insert(client, Kline.topic, written(Kline, KLINE), ANOTHER, 5, 0)
        with pytest.raises(BusError, match="rows of 2 topics of that name"):
            list(records_of(HistoryReader(kafka, client, topics), [entry]))
