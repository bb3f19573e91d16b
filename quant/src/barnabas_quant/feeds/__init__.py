"""Where market data comes from: captures, the simulated exchange, and Binance's frames as records."""

from barnabas_quant.feeds.binance import SPOT, USD_M, BinanceDecoder, Frame
from barnabas_quant.feeds.capture import Capture
from barnabas_quant.feeds.simulator import Simulator
from barnabas_quant.feeds.walk import BITCOIN_AND_OTHERS, Instrument

__all__ = ["BITCOIN_AND_OTHERS", "SPOT", "USD_M", "BinanceDecoder", "Capture", "Frame", "Instrument", "Simulator"]
