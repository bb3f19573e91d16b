"""The record of `trade-signal`: one JSON object a record, key symbol: what a strategy wants done.

    {"signal":"BUY","symbol":"000001","price":10.50,"volume":1000,"strategy":"MA_CROSS"}

As in `stock-realtime`, price and volume are JSON numbers on the wire and decimal text here.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from barnabas_quant.model.money import DecimalText


class TradeSignal(msgspec.Struct, frozen=True, kw_only=True):
    """Tell that a strategy wants an instrument bought or sold."""

    topic: ClassVar[str] = "trade-signal"

    signal: Literal["BUY", "SELL"]
    symbol: str
    price: DecimalText
    volume: DecimalText
    strategy: str
