"""What the tests of the dashboard's routes share: a gateway with everything behind it, and a market made by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
from confluent_kafka import Producer

from barnabas_quant.bus.producer import encode
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history import migrate
from barnabas_quant.history.rows import INTO, line, table_and_cells
from barnabas_quant.model.intervals import MINUTE
from barnabas_quant.model.records import Kline, Tick

from ..conftest import eventually
from ..stores import ClickHouse
from ..trading.test_services import Running
from .common import Browser, GatewayProcess

KEY = "binance:BTCUSDT"
BEGIN = 1_700_000_040_000_000  # of the stored bars
BARS = 400

TRADING = """
[trading]
order_type = "market"
[trading.cash]
USDT = "100000"
CNY = "50000"
[trading.limits]
position = "2"
leverage = "3"
gross_notional = "200000"
[trading.watch]
stop_loss = {critical = "0.5"}
exposure = {warning = "0.2", critical = "9"}
"""

SWING = """
from barnabas_quant.model.money import ONE
from barnabas_quant.strategies import Strategy

class Swing(Strategy):
    name = "SWING"

    class Parameters(Strategy.Parameters):
        lots: int = 1

    selling: bool = False  # the account has what the others hold as well: nothing is sold twice

    def on_order(self, order):
        if order.side == "SELL" and order.step in ("deny", "reject", "expire", "cancel"):
            self.selling = False

    def on_fill(self, fill):
        if fill.side == "SELL":
            self.selling = False

    def on_refusal(self, decision):
        self.selling = False

    def on_tick(self, quote):
        held = self.positions.get(quote.instrument, 0)
        if quote.ask_size == 7 * ONE:
            self.buy(quote.instrument, self.parameters.lots * ONE // 100, quote.ask)
        elif quote.bid_size == 7 * ONE and held > 0 and not self.selling:
            self.selling = True
            self.sell(quote.instrument, held, quote.bid)
        elif quote.ask_size == 13 * ONE and self.alias == "SWING":
            raise ValueError("thirteen is too many")
"""

STRATEGIES = """
[[strategies]]
name = "{0}"
symbols = ["BTCUSDT"]
[[strategies]]
name = "{0}"
alias = "WITNESS"
symbols = ["BTCUSDT"]
parameters = {{ lots = 2 }}
"""


class Market:
    """Tell quotes of one instrument, each later than the one before."""

    def __init__(self, kafka: str) -> None:
        self._producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0})
        self._number = 0

    def quote(self, bid: str, ask: str, bid_size: int = 100, ask_size: int = 100) -> None:
        """Tell a quote, and wait until Kafka has it."""
        self._number += 1
        now = time.time_ns() // 1000
        tick = Tick(
            exchange="binance", symbol="BTCUSDT", kind="quote", price=None, bid=bid, bid_size=str(bid_size), ask=ask,
            ask_size=str(ask_size), update_id=self._number, event_time=now, receive_time=now,
        )  # fmt: skip
        self._producer.produce("market_data.ticks", msgspec.json.encode(tick), KEY.encode())
        assert self._producer.flush(20) == 0


class Everything:
    """A gateway, and behind it trading, strategies, the history and its writer."""

    def __init__(self, folder: Path, kafka: str, redis: str, clickhouse: str) -> None:
        self.kafka, self.clickhouse, self.folder = kafka, clickhouse, folder
        self.market = Market(kafka)
        swing = folder / "swing.py"
        swing.write_text(SWING)
        strategies = STRATEGIES.format(swing)
        history = f'clickhouse = "{clickhouse}"\n[history]\nseconds = 0.1\n'
        self.services = {
            name: Running(folder, kafka, name, settings)
            for name, settings in (("trading", TRADING), ("strategies", strategies), ("history", history))
        }
        self.gateway = GatewayProcess(folder, kafka, redis, f"open = false\n{TRADING}{strategies}", clickhouse)
        eventually(self.gateway.writes)
        self.owner = self.gateway.client()
        self.owner.headers.update(self.gateway.operator())

    def quoted(self) -> None:
        """Tell prices until the trading service has heard one: it reads those that come while it runs."""

        def told() -> bool:
            self.market.quote("50000.00", "50000.10")
            order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "test": True}
            return self.owner.post("orders", json=order).status_code == 200

        def running() -> bool:
            found = self.owner.get("strategies").json().get("strategies", ())
            return {each["state"] for each in found} == {"running"}

        eventually(told)
        eventually(running)

    def user(self, name: str) -> Browser:
        """Register somebody, and wait for their account."""
        browser = self.gateway.client()
        assert browser.register(name).status_code == 201
        eventually(lambda: bool(browser.get("portfolio").json().get("opened")))
        return browser

    def end(self) -> None:
        """End all in order."""
        self.gateway.end()
        for service in self.services.values():
            service.end()

    def kill(self) -> None:
        """End what is left."""
        self.gateway.kill()
        for service in self.services.values():
            service.kill()


@contextmanager
def everything(folder: Path, database: Path, kafka: str, redis: str) -> Iterator[Everything]:
    """Start it all, with the bars that `bars` gives in the history, and end it all."""
    with ClickHouse(database) as clickhouse:
        client = Client(clickhouse.url, 30)
        migrate(client)
        client.insert(INTO["market_klines"], b"".join(bars()), "TabSeparated")
        client.close()
        running = Everything(folder, kafka, redis, clickhouse.url)
        try:
            running.quoted()
            yield running
            running.end()
        finally:
            running.kill()


def closes() -> list[str]:
    """Give the closes of the stored bars: a random walk."""
    random, price, found = Random(3), 30_000, []
    for _ in range(BARS):
        price = max(100, price + random.randint(-60, 62))
        found.append(f"{price // 100}.{price % 100:02d}")
    return found


def bars() -> Iterator[bytes]:
    """Give rows of minute bars, closed, of ETHUSDT."""
    for n, close in enumerate(closes()):
        kline = Kline(
            exchange="binance", symbol="ETHUSDT", interval="1m", open_time=BEGIN + n * MINUTE,
            close_time=BEGIN + (n + 1) * MINUTE - 1000, open=close, high=close, low=close, close=close, volume="1000",
            quote_volume="1", trades=3, closed=True, source="computed", event_time=BEGIN, receive_time=BEGIN,
        )  # fmt: skip
        _, cells = table_and_cells(Kline.topic, encode(kline))
        yield line(cells, b"00000000-0000-0000-0000-00000000002a", 0, n, 5)
