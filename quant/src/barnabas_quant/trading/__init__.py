"""Trading: one deterministic engine, the same in a backtest, in a replay and live."""

from barnabas_quant.trading.engine import Engine, EngineSettings, Sizing
from barnabas_quant.trading.market import VenueModel
from barnabas_quant.trading.orders import Order, OrderRequest

__all__ = ["Engine", "EngineSettings", "Order", "OrderRequest", "Sizing", "VenueModel"]
