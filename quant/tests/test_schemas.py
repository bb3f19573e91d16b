"""The JSON Schemas in the package are those of the types, and records of the topics satisfy them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from barnabas_quant.cli import main
from barnabas_quant.model.schema import SCHEMA_NAMES, make_schema, shipped_schema


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
