"""What the platform talks about: records, order books, money."""

from barnabas_quant.model.book import Book
from barnabas_quant.model.frame import Frame
from barnabas_quant.model.money import DecimalText, decimal_text, total_text, units
from barnabas_quant.model.records import MARKET_RECORDS, Gap, Kline, Level, OrderBook, Reading, Record, Tick, Trade

__all__ = [
    "MARKET_RECORDS",
    "Book",
    "DecimalText",
    "Frame",
    "Gap",
    "Kline",
    "Level",
    "OrderBook",
    "Reading",
    "Record",
    "Tick",
    "Trade",
    "decimal_text",
    "total_text",
    "units",
]
