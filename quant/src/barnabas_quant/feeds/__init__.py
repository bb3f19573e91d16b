"""Where market data comes from: captures, the simulated exchange, and Binance's frames as records."""

from barnabas_quant.exchange.simulator import Simulator
from barnabas_quant.exchange.walk import BITCOIN_AND_OTHERS, Instrument
from barnabas_quant.feeds.binance import SPOT, USD_M, BinanceDecoder
from barnabas_quant.feeds.capture import Capture
from barnabas_quant.model import Frame

__all__ = ["BITCOIN_AND_OTHERS", "SPOT", "USD_M", "BinanceDecoder", "Capture", "Frame", "Instrument", "Simulator"]
