"""What of the bus needs no broker."""

import threading
import time
from collections.abc import Iterator

import pytest

from barnabas_quant.bus import Mark, RecordProducer, Watcher, ensure_topics, partition_counts, partition_of
from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.live_producer import LiveProducer
from barnabas_quant.bus.partitioner import murmur2
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.snapshots import SnapshotStore
from barnabas_quant.bus.topics import TOPICS, TRADING_TOPICS, set_client_settings
from barnabas_quant.errors import BusError


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_the_java_clients(data: bytes, signed: int) -> None:
    """Vectors of Apache Kafka's own UtilsTest."""
    assert murmur2(data) == signed % 2**32


def test_partitions_are_within_bounds_and_all_used() -> None:
    assert {partition_of(f"binance:S{n}".encode(), 12) for n in range(300)} == set(range(12))


def test_marks_survive_their_header() -> None:
    for mark in (
        Mark("capture-ab@binance", (41249,)),
        Mark("simulator-cd", (3, 1_700_000_040_000, 17)),
        Mark("a#b", (0,)),
    ):
        assert Mark.decode(mark.encode()) == mark


@pytest.mark.parametrize(
    "value", [b"", b"#", b"x", b"x#", b"x#1.", b"x#-1", b"x#1.a", b"x#\xc2\xb2", b"\xff#" + b"9" * 20]
)
def test_what_is_no_mark_is_none(value: bytes) -> None:
    assert Mark.decode(value) is None


def test_the_topics_are_those_of_the_platform() -> None:
    assert {topic.name: topic.partitions for topic in TOPICS} == {
        "market_data.ticks": 12,
        "market_data.trades": 12,
        "market_data.orderbooks": 12,
        "market_data.klines": 12,
        "market_data.indicators": 12,
        "market_data.gaps": 1,
        "market_data.dead_letters": 1,
        "analysis-state": 12,
        "stock-realtime": 3,
        "trade-signal": 1,
        "user-events": 3,
        "accounts": 1,
        "engine-journal": 1,
        **{topic.name: 1 for topic in TRADING_TOPICS},
    }
    assert {t.settings.get("retention.ms") for t in TOPICS if t.name.startswith("market_data.")} == {"604800000"}


@pytest.fixture
def everywhere() -> Iterator[None]:
    """Give every client a setting that none can be made with."""
    set_client_settings({"security.protocol": "no such protocol"})
    yield
    set_client_settings({})


@pytest.mark.usefixtures("everywhere")
def test_settings_reach_every_client() -> None:
    nowhere = "127.0.0.1:1"
    for make in (
        lambda: RangeReader(nowhere),
        lambda: RecordProducer(nowhere),
        lambda: LiveProducer(nowhere),
        lambda: SnapshotStore(nowhere, "service", 12),
        lambda: DeadLetters(nowhere, "service").put(b"", "none", "nowhere"),
        lambda: Watcher(nowhere, "group", ["topic"]),
        lambda: partition_counts(nowhere, ["topic"], 0.1),
        lambda: ensure_topics(nowhere),
    ):
        with pytest.raises(Exception, match=r"security\.protocol"):
            make()


def test_who_is_to_end_is_not_held_up_by_a_kafka_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas_quant.bus.producer.PATIENCE", 0.5)
    set_client_settings({"queue.buffering.max.messages": "3"})
    try:
        stop = threading.Event()
        producer, live = RecordProducer("127.0.0.1:1", stop.is_set), LiveProducer("127.0.0.1:1")
    finally:
        set_client_settings({})
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(BusError, match="told to stop"):
        while True:  # the fourth one waits
            producer.send(b"key", "topic", b"value")
    assert producer.sent == 3
    assert producer.flush(600) == 3
    producer.abandon()
    for number in range(5):
        assert live.put("topic", b"key", b"value") == (number < 3)
    assert live.flush(0.5) == 5
    assert time.monotonic() - begun < 30
