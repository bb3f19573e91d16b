"""MA_CROSS in backtrader: reads CSV of bars, prints seconds of the run alone and the trades."""

import json
import sys
import time

import backtrader as bt
import pandas as pd

path, fast, slow, fee = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
fills = []


class MaCross(bt.Strategy):
    def __init__(self):
        self.cross = bt.indicators.CrossOver(
            bt.indicators.SMA(self.data.close, period=fast), bt.indicators.SMA(self.data.close, period=slow)
        )

    def next(self):
        if self.cross > 0:
            self.buy(size=1)
        elif self.cross < 0 and self.position:
            self.close()

    def notify_order(self, order):
        if order.status == order.Completed:
            fills.append([str(bt.num2date(order.executed.dt)), order.executed.price, order.executed.size])


data = pd.read_csv(path, parse_dates=["time"], index_col="time")
cerebro = bt.Cerebro(stdstats=False)
cerebro.adddata(bt.feeds.PandasData(dataname=data))
cerebro.addstrategy(MaCross)
cerebro.broker.setcash(10_000_000)
cerebro.broker.setcommission(fee)
begun = time.perf_counter()
cerebro.run()
taken = time.perf_counter() - begun
print(json.dumps({"seconds": taken, "bars": len(data), "equity": cerebro.broker.getvalue(), "fills": fills}))
