"""The history in ClickHouse: its tables, how they are made, and writing each record exactly once."""

from barnabas_quant.history.client import AsyncClickHouse, ClickHouse, ClickHouseError
from barnabas_quant.history.migrations import migrate

__all__ = ["AsyncClickHouse", "ClickHouse", "ClickHouseError", "migrate"]
