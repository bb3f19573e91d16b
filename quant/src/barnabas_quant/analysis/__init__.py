"""What is computed from market data: candles and indicators. No I/O, no clock."""

from barnabas_quant.analysis.candles import Candles, TradeFields

__all__ = ["Candles", "TradeFields"]
