"""MA_CROSS in backtesting.py: reads CSV of bars, prints seconds of the run alone and the trades."""

import json
import sys
import time

import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

path, fast, slow, fee = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])


class MaCross(Strategy):
    def init(self):
        self.fast = self.I(lambda x: pd.Series(x).rolling(fast).mean(), self.data.Close)
        self.slow = self.I(lambda x: pd.Series(x).rolling(slow).mean(), self.data.Close)

    def next(self):
        if crossover(self.fast, self.slow):
            self.buy(size=1)
        elif crossover(self.slow, self.fast) and self.position:
            self.position.close()


data = pd.read_csv(path, parse_dates=["time"], index_col="time")
data.columns = ["Open", "High", "Low", "Close", "Volume"]
test = Backtest(data, MaCross, cash=10_000_000, commission=fee, finalize_trades=False)
begun = time.perf_counter()
stats = test.run()
taken = time.perf_counter() - begun
trades = stats["_trades"]
fills = [
    [str(time), price, side]
    for trade in trades.itertuples()
    for time, price, side in ((trade.EntryTime, trade.EntryPrice, "BUY"), (trade.ExitTime, trade.ExitPrice, "SELL"))
]
fills += [[str(trade.entry_time), trade.entry_price, "BUY"] for trade in stats["_strategy"].trades]  # still open
equity = float(stats["_equity_curve"]["Equity"].iloc[-1])
print(json.dumps({"seconds": taken, "bars": len(data), "equity": equity, "fills": fills}))
