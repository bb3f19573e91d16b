"""The two pages in Chromium: `python -m bench.pages --help`.

Everything runs on the cores of this machine: broker, exchange, services, the browser, and its painting, which without a
graphics card is work of the processor. What a figure is held against stands beside it: the goal, or what an empty page
does in the same run.

A trade is on the pixel when its price, or that of a later one, has been written beside the last candle of the chart's
canvas and the frame it was written in has been painted; what the compositor takes after that, less than a frame, is not
in it. It begins with the exchange's own time of the trade.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.machine import Watch, describe
from bench.platform import Bench, Row, at, fetches, process, spread, symbols_of
from bench.report import write_between_marks
from testkit.ports import free_port

BEGIN, END = "<!-- pages:begin -->", "<!-- pages:end -->"
WAIT_MS = 60_000
INTERVAL = "1m"

_FRAMES = """
(lasts) => new Promise((resolve) => {
    const frames = [];
    const tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
        .observe({entryTypes: ["longtask"]});
    let last = performance.now();
    const begin = last;
    const step = (now) => {
        frames.push(now - last);
        last = now;
        if (now - begin < lasts) requestAnimationFrame(step);
        else resolve({frames, tasks});
    };
    requestAnimationFrame(step);
})
"""

# Notes the number that a frame wrote last on its canvases, which is the last price beside the axis, and when, by this
# machine's clock, the frame had been painted.
_WRITINGS = """
(() => {
    const all = window.written = [];
    let label = null;
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
        all.push([label, performance.timeOrigin + performance.now()]);
        label = null;
    };
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        if (/^[\\d.]+$/.test(text)) {
            if (label === null) channel.port2.postMessage(0);
            label = text;
        }
        return write.call(this, text, ...rest);
    };
})();
"""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Give a browser. Raises SystemExit where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SystemExit("pip install playwright") from None
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if path is None:
        raise SystemExit("there is no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Any) -> Any:
    """Open a page of a desktop's size."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en").new_page()
    page.set_default_timeout(WAIT_MS)
    return page


class Work(NamedTuple):
    """Tell what a page's main thread had to do, in processor time: the clock runs while others have the core, too."""

    share: float
    """Of the time."""
    longest: float
    """Milliseconds of the longest task."""


@contextlib.contextmanager
def working(page: Any) -> Iterator[list[Work]]:
    """Trace the page's main thread until the block ends, and put what it did into the list."""
    found: list[Work] = []
    browser = page.context.browser
    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
    begun = time.monotonic()
    yield found
    seconds = time.monotonic() - begun
    events = json.loads(browser.stop_tracing())["traceEvents"]
    main = {(e["pid"], e["tid"]) for e in events if e.get("args", {}).get("name") == "CrRendererMain"}
    tasks: dict[tuple[int, int], list[float]] = {one: [] for one in main}
    for event in events:
        if event["name"] == "RunTask" and event["ph"] == "X" and (event["pid"], event["tid"]) in main:
            tasks[event["pid"], event["tid"]].append(event.get("tdur", 0) / 1000)
    busiest = max(tasks.values(), key=sum)  # a browser has a spare page, which does nothing
    found.append(Work(sum(busiest) / 1000 / seconds, max(busiest)))


def frames_rows(what: str, busy: dict[str, list[float]], empty: dict[str, list[float]], work: Work) -> list[Row]:
    """Write down frames and long tasks."""
    frames, nothing, tasks = busy["frames"], empty["frames"], busy["tasks"]
    return [
        (
            f"{what}: times between frames, ms",
            f"p50 {at(frames, 50):.1f}, p95 {at(frames, 95):.1f}, longest {max(frames):.0f}",
            f"an empty page in the same run: p95 {at(nothing, 95):.1f}, longest {max(nothing):.0f}",
        ),
        (
            f"{what}: the longest task of the main thread, ms of processor time",
            f"{work.longest:.0f}; all of them {work.share:.0%} of the time",
            f"goal 50; by the clock {len(tasks)} took longer{f', at most {max(tasks):.0f}' if tasks else ''}, "
            f"of an empty page {len(empty['tasks'])}",
        ),
    ]


class Trades(threading.Thread):
    """Hear the trades of one instrument as any client does: price, and the exchange's time in milliseconds."""

    def __init__(self, url: str, symbol: str) -> None:
        super().__init__(daemon=True)
        self.url, self.symbol = url, symbol
        self.heard: list[tuple[str, float]] = []
        self.ends = threading.Event()

    def run(self) -> None:
        from websockets.sync.client import connect

        with connect(self.url, max_size=None) as client:
            client.send(json.dumps({"op": "subscribe", "streams": [f"trade:binance:{self.symbol}"]}))
            while not self.ends.is_set():
                with contextlib.suppress(TimeoutError):
                    for event in json.loads(client.recv(timeout=0.2)):
                        if "data" in event:
                            self.heard.append((event["data"]["price"], event["data"]["trade_time"] / 1000))


def to_pixel(trades: list[tuple[str, float]], written: list[tuple[str, float]]) -> list[float]:
    """Give the milliseconds from each trade to the first painted frame that shows its price or a later trade's.

    A trade whose price was another trade's within the two seconds before cannot be told from that one: it is left out,
    and so is the time after the last frame.
    """
    painted: dict[float, list[float]] = {}
    for text, moment in written:
        painted.setdefault(float(text), []).append(moment)
    end = written[-1][1] if written else 0.0
    before: dict[float, float] = {}
    shown: list[float | None] = []  # of each trade that can be told: when its own price was painted first
    for text, moment in trades:
        price = float(text)
        told = moment - before.get(price, 0.0) > 2000
        before[price] = moment
        moments = painted.get(price, [])
        index = bisect.bisect_left(moments, moment)
        shown.append((moments[index] if index < len(moments) else float("inf")) if told else None)
    delays, earliest = [], float("inf")
    for (_, moment), own in zip(reversed(trades), reversed(shown), strict=True):
        if own is None:
            continue
        earliest = min(earliest, own)
        if moment < end - 2000:
            delays.append(earliest - moment)
    return delays


@contextlib.contextmanager
def trading_page(bench: Bench, browser: Any, services: str, *exchange: str) -> Iterator[tuple[Any, str, list[str]]]:
    """Run a platform on an exchange, open the page on BTCUSDT; give the page, the gateway's address and the symbols."""
    with contextlib.ExitStack() as stack:
        for one in (bench.broker(), bench.valkey(), bench.chdb()):
            stack.enter_context(one)
        words = ("barnabas_quant.exchange", "--listen", f"127.0.0.1:{bench.exchange}", "--venues", "binance", *exchange)
        control = f"http://127.0.0.1:{bench.exchange}/control"
        stack.enter_context(process(bench.folder, "exchange", *words, answers=lambda: fetches(control)))
        known = symbols_of(bench.exchange)
        bench.write_config(known)
        settings = bench.config.read_text()
        gateway = next(line.split('"')[1] for line in settings.splitlines() if line.startswith("gateway_listen"))
        for name in services.split():
            stack.enter_context(bench.service(name))
        while not fetches(f"http://{gateway}/api/v1/klines/BTCUSDT?limit=1"):
            time.sleep(0.2)
        page = opened(browser)
        page.add_init_script(_WRITINGS)
        page.goto(f"http://{gateway}/?symbol=binance:BTCUSDT&interval={INTERVAL}")
        page.wait_for_function(
            "count => document.querySelector('.list [role=status]')?.innerText === String(count)"
            " && Number(document.querySelector('.canvas')?.dataset.bars) > 0",
            arg=len(known),
        )
        time.sleep(3)
        yield page, gateway, known
        page.context.close()


def trading(bench: Bench, browser: Any, symbols: int, rate: int) -> list[Row]:
    """Measure frames and tasks of the trading page, with so many instruments ticking, so often in all."""
    empty_page = opened(browser)
    empty = empty_page.evaluate(_FRAMES, bench.seconds * 1000)
    empty_page.context.close()
    exchange = ("--symbols", str(symbols), "--rate", str(rate))
    services = "feed-binance analysis history cache gateway"
    with trading_page(bench, browser, services, *exchange) as (page, gateway, known):
        ticks = rate_of(gateway)
        with working(page) as work:
            busy = page.evaluate(_FRAMES, bench.seconds * 1000)
    what = f"trading page, {len(known)} instruments ticking, {ticks:,.0f} ticks/s to a client"
    return frames_rows(what, busy, empty, work[0])


def pixel(bench: Bench, browser: Any) -> list[Row]:
    """Measure how long a trade takes to the chart, on the random market: prepared frames repeat their prices."""
    services = "feed-binance analysis history cache gateway"
    with trading_page(bench, browser, services, "--symbols", "20", "--backlog", "1") as (page, gateway, known):
        heard = Trades(f"ws://{gateway}/api/v1/stream", "BTCUSDT")
        heard.start()
        ticks = rate_of(gateway)
        page.wait_for_timeout(2 * bench.seconds * 1000)
        heard.ends.set()
        heard.join(10)
        delays = to_pixel(heard.heard, page.evaluate("window.written"))
    what = f"a trade at the exchange to the pixel on the chart, ms ({len(delays)} trades)"
    return [(what, spread(delays), f"{len(known)} instruments of the random market, {ticks:,.0f} ticks/s to a client")]


def rate_of(gateway: str) -> float:
    """Count the ticks a second that a client of all of them is sent."""
    from websockets.sync.client import connect

    count, seconds = 0, 3.0
    with connect(f"ws://{gateway}/api/v1/stream", max_size=None) as client:
        client.send(json.dumps({"op": "subscribe", "streams": ["tick:binance:*"]}))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                count += sum("data" in event for event in json.loads(client.recv(timeout=0.2)))
    return count / seconds


@contextlib.contextmanager
def console(bench: Bench) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a console on the bench's broker; give its address and process."""
    port = free_port()
    words = ("barnabas", "console", "--cluster", f"bench=127.0.0.1:{bench.kafka}", "--listen", f"127.0.0.1:{port}")
    with process(
        bench.folder, "console", *words, answers=lambda: fetches(f"http://127.0.0.1:{port}/api/session")
    ) as running:
        yield f"http://127.0.0.1:{port}", running


def resident(pid: int) -> float:
    """Give the resident memory of a process, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def furnish(bench: Bench, topics: int, groups: int, records: int) -> None:
    """Make topics, groups with committed offsets, and one long topic of JSON records of 100 bytes."""
    from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    kafka = {"bootstrap.servers": f"127.0.0.1:{bench.kafka}"}
    admin = AdminClient(kafka)
    names = [f"service-{number}.events" for number in range(topics - 1)] + ["long"]
    for start in range(0, len(names), 200):
        for future in admin.create_topics([NewTopic(name, 1, 1) for name in names[start : start + 200]]).values():
            future.result(60)
    for start in range(0, groups, 50):
        asked = [
            admin.alter_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(f"group-{number}", [TopicPartition(names[number % (topics - 1)], 0, 0)])]
            )
            for number in range(start, min(groups, start + 50))
        ]
        for answer in asked:
            for future in answer.values():
                future.result(60)
    producer = Producer({**kafka, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000, "acks": 1})
    for number in range(records):
        body = b'{"id": %d, "symbol": "COIN%d", "price": %d.%02d, "source": "bench", "note": "%s"}'
        value = body % (number, number % 200, number % 1000, number % 100, b"x" * 28)
        while True:
            try:
                producer.produce("long", value, key=b"COIN%d" % (number % 200))
                break
            except BufferError:
                producer.poll(0.05)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()


def scale(bench: Bench, browser: Any, topics: int, groups: int, records: int) -> list[Row]:
    """Measure the console over many topics, groups and records."""
    rows: list[Row] = []
    with bench.broker(), console(bench) as (url, running):
        idle = resident(running.pid)
        furnish(bench, topics, groups, records)
        page = opened(browser)
        page.goto(url)

        def until(address: str, selector: str) -> float:
            """Open a page of the running application by its address; give the milliseconds until it shows something."""
            begun = time.perf_counter()
            page.goto(url + address)
            page.wait_for_selector(selector)
            return (time.perf_counter() - begun) * 1000

        first = "tbody tr[data-index]"
        lists = (("topics", f"{topics:,} topics"), ("groups", f"{groups:,} groups"))
        for kind, what in lists:
            taken = [until(f"/c/bench/{kind}", first) for _ in range(5)]
            rows.append(
                (
                    f"console: list of {what}, address to rows, ms",
                    f"first {taken[0]:.0f}, then {statistics.median(taken[1:]):.0f}",
                    "goal 1,000",
                )
            )
            empty = opened(browser)
            empty.set_content("<label>Filter <input></label>")
            typed = []
            for one, field in ((empty, empty.locator("input")), (page, page.locator('input[type="search"]').first)):
                with working(one) as work:
                    one.evaluate(f"() => {{ window.measured = ({_FRAMES})(4000); }}")
                    for word in ("service-12", "7"):
                        field.press_sequentially(word, delay=60)
                    for _ in range(11):
                        field.press("Backspace", delay=40)
                    field.press_sequentially("roup 77" if kind == "groups" else "events 77", delay=60)
                    measured = one.evaluate("() => window.measured")
                typed.append((measured, work[0]))
            empty.context.close()
            rows += frames_rows(f"console: typing into the filter of {what}", typed[1][0], typed[0][0], typed[1][1])
        for mode in ("newest", "oldest", f"offset&offset={records // 2}"):
            taken = [until(f"/c/bench/topics/long/messages?from={mode}", first) for _ in range(3)]
            rows.append(
                (
                    f"console: records of {records:,}, from={mode.partition('&')[0]}, address to rows, ms",
                    f"{statistics.median(taken):.0f}",
                    "100 records",
                )
            )
        for words in ("text=nothing+has+this", "where=" + "value.price+%3E+1e9"):
            begun, end = time.perf_counter(), None
            with urllib.request.urlopen(
                f"{url}/api/clusters/bench/topics/long/messages?from=oldest&limit=10&{words}", timeout=300
            ) as answer:
                for line in answer:
                    end = json.loads(line)
            seconds = time.perf_counter() - begun
            read = int(end["scanned"]) if end else 0
            rows.append(
                (
                    f"console: filter {words.partition('=')[0]}, records/s",
                    f"{read / seconds:,.0f}",
                    f"{read:,} read in {seconds:.0f} s, end: {end and end['reason']}",
                )
            )
        rows.append(("console: memory, MB", f"idle {idle:.0f}, after all this {resident(running.pid):.0f}", "goal 40"))
        page.context.close()
    return rows


def live(bench: Bench, browser: Any, minutes: float, rate: int) -> list[Row]:
    """Measure a live view: memory of page and console while records come, and whether all of them are counted."""
    with bench.broker(), console(bench) as (url, running):
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic

        kafka = {"bootstrap.servers": f"127.0.0.1:{bench.kafka}"}
        admin = AdminClient(kafka)
        for future in admin.create_topics([NewTopic("live", 3, 1, config={"retention.bytes": "200000000"})]).values():
            future.result(30)
        page = opened(browser)
        page.goto(f"{url}/c/bench/topics/live/messages?from=live")
        page.wait_for_function("() => document.querySelector('.status')?.innerText.includes('records read')")
        session = page.context.new_cdp_session(page)

        def used() -> float:
            session.send("HeapProfiler.collectGarbage")
            return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

        producer = Producer({**kafka, "linger.ms": 5})
        begun, sent, memory = time.monotonic(), 0, []
        look = 60.0
        while (passed := time.monotonic() - begun) < minutes * 60:
            while sent < passed * rate:
                producer.produce("live", b'{"id": %d, "price": %d.5, "note": "%s"}' % (sent, sent % 1000, b"x" * 60))
                sent += 1
            producer.poll(0)
            if passed > look:
                memory.append((used(), resident(running.pid)))
                print(f"{passed / 60:.0f} min: page {memory[-1][0]:.1f} MB, console {memory[-1][1]:.1f} MB", flush=True)
                look += max(60.0, minutes * 6)
            time.sleep(0.02)
        producer.flush()
        ended = time.monotonic()
        page.wait_for_function(f"() => document.querySelector('.status').innerText.includes('of {sent:,}')")
        longest = time.monotonic() - ended
        memory.append((used(), resident(running.pid)))
        page.context.close()
    told = [f"{p:.1f}" for p, _ in memory]
    kept = [f"{c:.0f}" for _, c in memory]
    return [
        (
            f"console: memory of a page with a live view of {rate:,} records/s, MB, over {minutes:.0f} minutes",
            ", ".join(told),
            "flat",
        ),
        ("console: its own memory meanwhile, MB", ", ".join(kept), "flat"),
        (
            "console: records that the live view counted",
            f"{sent:,} of {sent:,}",
            f"the last one {longest:.1f} s after it was acknowledged, at most",
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.pages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="pixel,trading,scale,live", help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement of frames; default %(default)s")
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--ticks", type=int, default=2_000, help="quotes and trades a second of all of them")
    parser.add_argument("--topics", type=int, default=5_000)
    parser.add_argument("--groups", type=int, default=2_000)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--minutes", type=float, default=60, help="of the live view; default %(default)s")
    parser.add_argument(
        "--rate", type=int, default=2_000, help="records a second of the live view; default %(default)s"
    )
    parser.add_argument("--markdown", type=Path, help="the page whose table is written anew")
    chosen = parser.parse_args()
    parts: dict[str, Callable[[Bench, Any], list[Row]]] = {
        "pixel": pixel,
        "trading": lambda bench, browser: trading(bench, browser, chosen.symbols, chosen.ticks),
        "scale": lambda bench, browser: scale(bench, browser, chosen.topics, chosen.groups, chosen.records),
        "live": lambda bench, browser: live(bench, browser, chosen.minutes, chosen.rate),
    }
    rows: list[Row] = []
    watch = Watch()
    for name in chosen.only.split(","):
        with tempfile.TemporaryDirectory(prefix="barnabas-pages-") as folder, chromium() as browser:
            for row in parts[name](Bench(Path(folder), chosen.seconds), browser):
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
