"""MA_CROSS in this engine: reads CSV of bars, prints seconds of the run alone and the fills."""

from __future__ import annotations

import csv
import datetime
import json
import sys
import time
from typing import Any

from barnabas_quant.backtest.run import Loop
from barnabas_quant.model.intervals import DAY, MINUTE
from barnabas_quant.model.money import ONE, units
from barnabas_quant.strategies.catalog import find_strategy
from barnabas_quant.strategies.host import Host
from barnabas_quant.trading import Engine, EngineSettings
from barnabas_quant.trading.events import Bar, Fill
from barnabas_quant.trading.instruments import Fees, Instrument, rate
from barnabas_quant.trading.limits import Limits

KEY = "binance:BTCUSDT"


def main() -> None:
    path, fast, slow, fee = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    bars = []
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            moment = datetime.datetime.fromisoformat(row["time"]).replace(tzinfo=datetime.UTC)
            begin = int(moment.timestamp()) * 1_000_000
            amounts = (units(row[name]) for name in ("open", "high", "low", "close", "volume"))
            bars.append(Bar(KEY, begin + MINUTE, begin, "1m", *amounts))
    charged = rate(f"{float(fee) * 100:.6f}")
    settings = EngineSettings(
        cash={"USDT": 10_000_000 * ONE}, order_type="market", time_in_force="GTC", equity_every=DAY,
        limits=Limits(daily_loss=None),
        instruments=(
            Instrument(
                exchange="binance", symbol="BTCUSDT", asset="BTC", currency="USDT", tick=ONE // 100, lot=ONE // 100_000,
                fees=Fees(maker=charged, taker=charged),
            ),
        ),
    )  # fmt: skip
    fills: list[Fill] = []

    def collect(output: Any) -> None:
        if type(output) is Fill:
            fills.append(output)

    engine = Engine(settings)
    host = Host([find_strategy("MA_CROSS")([KEY], {"fast": fast, "slow": slow, "volume": 1})])
    begun = time.perf_counter()
    Loop(host, engine, collect).run(bars)
    taken = time.perf_counter() - begun
    told = [
        [str(datetime.datetime.fromtimestamp((fill.time - MINUTE) / 1e6, datetime.UTC)), float(fill.price), fill.side]
        for fill in fills
    ]
    print(json.dumps({"seconds": taken, "bars": len(bars), "equity": engine.main.equity("USDT") / ONE, "fills": told}))


main()
