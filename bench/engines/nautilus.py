"""MA_CROSS in nautilus_trader: reads CSV of bars, prints seconds of the run alone and the fills."""

import json
import sys
import time
from decimal import Decimal

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

path, fast, slow, fee = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
VENUE = Venue("BINANCE")
ID = InstrumentId(Symbol("BTCUSDT"), VENUE)
KIND = BarType.from_str("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
fills = []


class MaCross(Strategy):
    def __init__(self):
        super().__init__(StrategyConfig())
        self.fast, self.slow = SimpleMovingAverage(fast), SimpleMovingAverage(slow)
        self.above = None

    def on_start(self):
        self.instrument = self.cache.instrument(ID)
        self.register_indicator_for_bars(KIND, self.fast)
        self.register_indicator_for_bars(KIND, self.slow)
        self.subscribe_bars(KIND)

    def on_bar(self, bar: Bar):
        if not self.slow.initialized:
            return
        above = self.fast.value > self.slow.value
        if self.above is not None and above != self.above:
            if above:
                self.submit_order(self.order_factory.market(ID, OrderSide.BUY, self.instrument.make_qty(1)))
            elif self.portfolio.is_net_long(ID):
                self.close_all_positions(ID)
        self.above = above

    def on_order_filled(self, event):
        fills.append([str(pd.Timestamp(event.ts_event)), float(event.last_px), str(event.order_side)])


instrument = CurrencyPair(
    instrument_id=ID, raw_symbol=Symbol("BTCUSDT"), base_currency=BTC, quote_currency=USDT, price_precision=2,
    size_precision=5, price_increment=Price.from_str("0.01"), size_increment=Quantity.from_str("0.00001"),
    ts_event=0, ts_init=0, maker_fee=Decimal(fee), taker_fee=Decimal(fee),
)  # fmt: skip
data = pd.read_csv(path, parse_dates=["time"], index_col="time")
bars = BarDataWrangler(KIND, instrument).process(data)
engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(log_level="ERROR", bypass_logging=True)))
engine.add_venue(VENUE, OmsType.NETTING, AccountType.CASH, starting_balances=[Money(10_000_000, USDT), Money(0, BTC)])
engine.add_instrument(instrument)
engine.add_data(bars)
engine.add_strategy(MaCross())
begun = time.perf_counter()
engine.run()
taken = time.perf_counter() - begun
print(json.dumps({"seconds": taken, "bars": len(bars), "fills": fills}))
