"""The JSON Schemas of the records, a file each in `model/schemas`, made from the types (`barnabas-quant schemas DIR`).

A name carries the version, `tick.v1.json`. A change that a reader of the old schema would not take makes a new
version, and the old file stays: records of both may stand in a topic.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from barnabas_quant.model.records import Gap, Kline, OrderBook, Reading, Tick, Trade
from barnabas_quant.model.stock import Stock, stock_schema
from barnabas_quant.model.trade_signal import TradeSignal
from barnabas_quant.model.user_event import UserEvent

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _signal_schema() -> dict[str, Any]:
    schema = msgspec.json.schema(TradeSignal)
    schema["$defs"]["TradeSignal"]["properties"] |= {
        "price": {"type": "number", "exclusiveMinimum": 0},
        "volume": {"type": "number", "exclusiveMinimum": 0},
    }
    return schema


_MADE: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "tick.v1": (Tick.topic, lambda: msgspec.json.schema(Tick)),
    "trade.v1": (Trade.topic, lambda: msgspec.json.schema(Trade)),
    "kline.v1": (Kline.topic, lambda: msgspec.json.schema(Kline)),
    "orderbook.v1": (OrderBook.topic, lambda: msgspec.json.schema(OrderBook)),
    "gap.v1": (Gap.topic, lambda: msgspec.json.schema(Gap)),
    "reading.v1": (Reading.topic, lambda: msgspec.json.schema(Reading)),
    "stock.v1": (Stock.topic, stock_schema),
    "trade_signal.v1": (TradeSignal.topic, _signal_schema),
    "user_event.v1": (UserEvent.topic, lambda: msgspec.json.schema(UserEvent)),
}

SCHEMA_NAMES = tuple(_MADE)
"""Names of the current schemas, `tick.v1` and so on."""


def make_schema(name: str) -> dict[str, Any]:
    """Make the schema of a name from the type as it is now. Raises KeyError for a name that is none."""
    topic, make = _MADE[name]
    made = make()
    (record,) = made["$defs"].values()
    told = inspect.cleandoc(record["description"]).split("\n\n")
    record["description"] = "\n\n".join(part for part in told if not part.startswith("Raises "))  # Python's alone
    plain: dict[str, Any] = _standard({"$schema": _DIALECT, "$id": f"{name}.json", "x-topic": topic, **record})
    return plain


def shipped_schema(name: str) -> bytes:
    """Give the schema of a name as it stands in the package. Raises FileNotFoundError."""
    return files("barnabas_quant.model").joinpath("schemas", f"{name}.json").read_bytes()


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema into a folder; answer the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in SCHEMA_NAMES:
        path = folder / f"{name}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(make_schema(name))) + b"\n")
        written.append(path)
    return written


def _standard(value: Any) -> Any:
    """Write patterns as JSON Schema has them: the end of the text is `$` there, and `\\Z` is Python's."""
    if isinstance(value, dict):
        return {
            name: part.replace(r"\Z", "$") if name == "pattern" and isinstance(part, str) else _standard(part)
            for name, part in value.items()
        }
    return [_standard(part) for part in value] if isinstance(value, list) else value
