"""The JSON Schemas in the package are those of the types, and records of the topics satisfy them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from barnabas_quant.cli import main
from barnabas_quant.feeds import BITCOIN_AND_OTHERS, BinanceDecoder, Capture, Simulator
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.model import Gap
from barnabas_quant.model.records import Reading
from barnabas_quant.model.schema import SCHEMA_NAMES, make_schema, shipped_schema
from barnabas_quant.model.stock import decode_stock, encode_stock
from barnabas_quant.model.user_event import UserEvent, encode_user_event

from .conftest import START


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_a_schema_in_the_package_is_that_of_its_type(name: str) -> None:
    assert json.loads(shipped_schema(name)) == make_schema(name), "write them again: barnabas-quant schemas DIR"


def test_the_command_writes_what_is_shipped(tmp_path: Path) -> None:
    assert main(["schemas", str(tmp_path / "schemas")]) == 0
    written = {path.stem: path.read_bytes() for path in (tmp_path / "schemas").iterdir()}
    assert written == {name: shipped_schema(name) for name in SCHEMA_NAMES}


def test_patterns_are_those_of_json_schema_and_not_pythons() -> None:
    def patterns(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
            return own + [found for part in value.values() for found in patterns(part)]
        return [found for part in value for found in patterns(part)] if isinstance(value, list) else []

    found = [pattern for name in SCHEMA_NAMES for pattern in patterns(make_schema(name))]
    assert found
    assert not [pattern for pattern in found if r"\Z" in pattern]
    assert all(re.compile(pattern) for pattern in found)


def test_every_schema_names_its_topic_and_its_required_members() -> None:
    topics = {name: make_schema(name)["x-topic"] for name in SCHEMA_NAMES}
    assert topics["tick.v1"] == "market_data.ticks"
    assert topics["trade_signal.v1"] == "trade-signal"
    # The seed's record, as the tutorial types it.
    signal = json.loads('{"signal":"BUY","symbol":"000001","price":10.50,"volume":1000,"strategy":"MA_CROSS"}')
    schema = make_schema("trade_signal.v1")
    assert set(schema["required"]) == set(schema["properties"]) == set(signal)
    assert schema["properties"]["price"]["type"] == schema["properties"]["volume"]["type"] == "number"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Give records as they stand in the topics, by topic."""
    path = tmp_path_factory.mktemp("schemas") / "capture.gz"
    write_capture(path, Simulator(5, BITCOIN_AND_OTHERS[:1]).minute(0, START))
    found: dict[str, list[bytes]] = {}
    decoder = BinanceDecoder("binance")
    for frame in Capture(path).frames(lambda number, reason: None):
        for record in decoder.records(frame):
            found.setdefault(record.topic, []).append(msgspec.json.encode(record))
    gap = {
        "exchange": "binance", "symbol": "X", "stream": "trade", "last_id": None, "next_id": 3, "from_time": 1,
        "to_time": 2, "cause": "start", "filled": False,
    }  # fmt: skip
    reading = {
        "exchange": "sse", "symbol": "600000", "interval": "1m", "open_time": 1, "event_time": 2,
        "values": {"macd.signal": -0.5, "ma5": 1},
    }  # fmt: skip
    event = {"event": "login", "user": "li.lei", "time": "2025-10-08T14:30:00+08:00"}
    stock = b'{"symbol":"SH600000","price":10.50,"time":"14:30:00"}'
    return found | {
        "market_data.gaps": [msgspec.json.encode(msgspec.convert(gap, Gap))],
        Reading.topic: [msgspec.json.encode(msgspec.convert(reading, Reading))],
        "user-events": [encode_user_event(msgspec.convert(event, UserEvent))],
        "stock-realtime": [stock, encode_stock(decode_stock(stock))],
        "trade-signal": [b'{"signal":"BUY","symbol":"000001","price":10.50,"volume":1000,"strategy":"MA_CROSS"}'],
    }


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_records_satisfy_their_schema_and_spoilt_ones_do_not(name: str, written: dict[str, list[bytes]]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads(shipped_schema(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for value in written[schema["x-topic"]][:200]:
        validator.validate(json.loads(value))
    good = json.loads(written[schema["x-topic"]][0])
    for member in schema["required"]:
        spoilt = [{key: value for key, value in good.items() if key != member}, {**good, member: {"no": "record"}}]
        assert not any(validator.is_valid(one) for one in spoilt), member


def test_money_is_text_and_has_no_sign_or_exponent(written: dict[str, list[bytes]]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    validator = jsonschema.Draft202012Validator(json.loads(shipped_schema("trade.v1")))
    good = json.loads(written["market_data.trades"][0])
    for price in (1.5, "-1.5", "1e5", "", "1,5", " 1"):
        assert not validator.is_valid({**good, "price": price})
