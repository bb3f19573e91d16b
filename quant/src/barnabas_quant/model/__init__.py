"""What the platform talks about: records, order books, money."""

from barnabas_quant.model.book import Book
from barnabas_quant.model.money import DecimalText, decimal_text, units
from barnabas_quant.model.records import MARKET_RECORDS, Kline, Level, OrderBook, Record, Tick, Trade

__all__ = [
    "MARKET_RECORDS",
    "Book",
    "DecimalText",
    "Kline",
    "Level",
    "OrderBook",
    "Record",
    "Tick",
    "Trade",
    "decimal_text",
    "units",
]
