"""`barnabas-quant replay`: what was told is what the journal gives, and a difference is found."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka import Producer

from barnabas_quant.bus.marks import HEADER, Mark
from barnabas_quant.cli import main

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
