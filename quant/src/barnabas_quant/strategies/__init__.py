"""Strategies: what hears the market and says what it wants bought or sold."""

from barnabas_quant.strategies.base import Strategy, StrategyError
from barnabas_quant.strategies.host import Failure, Host

__all__ = ["Failure", "Host", "Strategy", "StrategyError"]
