"""MA_CROSS in vectorbt, which computes whole columns: prints seconds of a second run (the first one compiles)."""

import json
import sys
import time

import pandas as pd
import vectorbt as vbt

path, fast, slow, fee = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
data = pd.read_csv(path, parse_dates=["time"], index_col="time")


def run():
    quick, slower = vbt.MA.run(data.close, fast), vbt.MA.run(data.close, slow)
    enter, leave = quick.ma_crossed_above(slower), quick.ma_crossed_below(slower)
    # What is decided at a close is done at the next open.
    return vbt.Portfolio.from_signals(
        data.close, enter.shift(1, fill_value=False), leave.shift(1, fill_value=False), price=data.open, size=1,
        init_cash=10_000_000, fees=fee, freq="1min",
    ), 0  # fmt: skip


run()
begun = time.perf_counter()
portfolio, _ = run()
equity = float(portfolio.value().iloc[-1])
taken = time.perf_counter() - begun
orders = portfolio.orders.records_readable
print(json.dumps({"seconds": taken, "bars": len(data), "equity": equity,
                  "fills": [[str(o.Timestamp), o.Price, o.Side] for o in orders.itertuples()]}))  # fmt: skip
