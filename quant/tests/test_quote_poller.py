"""The poller of quotes against a vendor of our own over real sockets, and against the simulated exchange."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from confluent_kafka import Message

from barnabas_quant.bus import TopicSpec, ensure_topics, read_records
from barnabas_quant.errors import QuantError
from barnabas_quant.feeds.quote_poller import MAX_BODY, Polling, QuotePoller
from barnabas_quant.model.markets import listing_of
from barnabas_quant.model.stock import Stock, decode_stock

from .conftest import eventually

NAMES = {"sh600000": "浦发银行", "sz000001": "平安银行", "rt_hk00700": "腾讯控股"}
CLOCK = 1_760_000_000 * 10**9  # 2025-10-09 16:53:20 in Shanghai


def sina(code: str, price: str, shares: int, clock: str = "14:30:00", day: str = "2025-10-09") -> str:
    """Write a quote as the vendor does."""
    if code.startswith("rt_hk"):
        fields = ["ENGLISH", NAMES[code], *["1.000"] * 4, price, *["0.000"] * 5, str(shares), *["0"] * 4]
        return f'var hq_str_{code}="{",".join([*fields, day.replace("-", "/"), clock])}";\n'
    fields = [NAMES.get(code, code), "1.00", "1.00", price, "1", "1", "1", "1", str(shares), "1.00", *["1"] * 20]
    return f'var hq_str_{code}="{",".join([*fields, day, clock, "00"])}";\n'


@dataclass
class Vendor:
    """Answer each request with the next of `answers`, the last one again and again; keep what was asked, and when."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[tuple[float, str, str]] = field(default_factory=list)
    url: str = ""

    def say(self, *lines: str, status: int = 200, **headers: str) -> None:
        self.answers.append((status, headers, "".join(lines).encode("gb18030")))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Run a vendor on loopback."""
    told = Vendor()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append((time.monotonic(), self.path, self.headers.get("Referer", "")))
            status, headers, body = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            if status == 0:  # hang up
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def topic(bootstrap: str) -> str:
    """Give a topic of three partitions that no other test uses."""
    name = f"quotes-{uuid.uuid4().hex}"
    ensure_topics(bootstrap, [TopicSpec(name, 3)])
    return name


@contextmanager
def polling(
    bootstrap: str,
    topic: str,
    url: str,
    symbols: tuple[str, ...] = ("600000", "000001", "00700"),
    complaints: list[tuple[bytes, str]] | None = None,
    now: Callable[[], int] = lambda: CLOCK,
    seconds: float = 0.02,
    **options: Any,
) -> Iterator[QuotePoller]:
    """Run a poller; whatever it raises is raised here."""
    stop = threading.Event()
    errors: list[BaseException] = []
    wrong = complaints if complaints is not None else []
    poller = QuotePoller(
        bootstrap,
        Polling(url=url, listings=tuple(listing_of(each) for each in symbols), seconds=seconds, **options),
        stop,
        lambda raw, reason, origin: wrong.append((raw, reason)),
        now=now,
        chance=random.Random(1),
        topic=topic,
    )

    def run() -> None:
        try:
            poller.run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield poller
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert errors == []


def records(bootstrap: str, topic: str) -> list[tuple[int, Stock]]:
    """Give partition and record of everything in the topic, each symbol's in order."""
    found: list[Message] = list(read_records(bootstrap, {topic: 3}))
    return [(message.partition() or 0, decode_stock(message.value())) for message in found]


def test_what_has_changed_is_published_with_what_was_added(bootstrap: str, topic: str, vendor: Vendor) -> None:
    hong_kong, shenzhen = sina("rt_hk00700", "661.500", 500), sina("sz000001", "0.000", 0)
    vendor.say(sina("sh600000", "0.000", 0, "09:20:00"), shenzhen, hong_kong)  # before the first trade in Shanghai
    vendor.say(sina("sh600000", "10.01", 1000), shenzhen, hong_kong)
    vendor.say(sina("sh600000", "10.01", 1000, "14:30:03"), shenzhen, hong_kong)  # nothing new
    vendor.say(sina("sh600000", "10.02", 1000, "14:30:06"), shenzhen, hong_kong)  # the price
    vendor.say(sina("sh600000", "10.02", 1700, "14:30:09"), shenzhen, hong_kong)  # the volume
    vendor.say(sina("sh600000", "10.05", 900, "14:30:05"), shenzhen, hong_kong)  # older than what is known
    vendor.say(sina("sh600000", "9.90", 300, "09:30:00", "2025-10-10"), 'var hq_str_sz000001="";\n')  # the next day
    with polling(bootstrap, topic, vendor.url, now=lambda: CLOCK + 86_400 * 10**9) as poller:
        eventually(lambda: len(vendor.asked) > 8)
        assert poller.state == "polling"
    found = records(bootstrap, topic)
    told = [(stock.symbol, stock.name, stock.price, stock.volume, stock.time) for _, stock in found]
    assert [each for each in told if each[0] != "00700"] == [
        ("600000", "浦发银行", "10.01", "1000", "2025-10-09 14:30:00"),
        ("600000", "浦发银行", "10.02", "0", "2025-10-09 14:30:06"),
        ("600000", "浦发银行", "10.02", "700", "2025-10-09 14:30:09"),
        ("600000", "浦发银行", "9.90", "300", "2025-10-10 09:30:00"),
    ]
    assert [each for each in told if each[0] == "00700"] == [
        ("00700", "腾讯控股", "661.50", None, "2025-10-09 14:30:00")  # when those 500 were traded nobody knows
    ]
    assert {(partition, stock.listing.venue) for partition, stock in found} == {(0, "sse"), (2, "hkex")}
    assert (poller.published, poller.failures) == (5, 0)
    assert {path for _, path, _ in vendor.asked} == {"/list=sh600000,sz000001,rt_hk00700"}
    assert {referer for _, _, referer in vendor.asked} == {"https://finance.sina.com.cn/"}


def test_a_restart_repeats_nothing_and_counts_no_volume_twice(bootstrap: str, topic: str, vendor: Vendor) -> None:
    vendor.say(sina("sh600000", "10.01", 1000), sina("sz000001", "11.00", 50))
    with polling(bootstrap, topic, vendor.url) as poller:
        eventually(lambda: poller.published == 2)
    with polling(bootstrap, topic, vendor.url) as poller:
        eventually(lambda: poller.unchanged >= 2)
        assert poller.published == 0
        vendor.answers[:] = [(200, {}, sina("sh600000", "10.03", 1600, "14:31:00").encode("gb18030"))]
        eventually(lambda: poller.published == 1)
    shanghai = [stock for _, stock in records(bootstrap, topic) if stock.symbol == "600000"]
    assert [(stock.price, stock.volume) for stock in shanghai] == [("10.01", None), ("10.03", "600")]


def test_tencent_is_asked_and_read_as_well(bootstrap: str, topic: str, vendor: Vendor) -> None:
    levels = "10.01~5~" * 10
    for lots, shares in (("0", "0.0"), ("1234", "2295.0")):  # before the first trade, then after it
        vendor.say(
            f'v_sh600000="1~浦发银行~600000~10.01~9.98~10.00~{lots}~1~2~{levels}~20251009143000~0.03~0.30~";\n',
            'v_pv_none_match="1";\n',
            f'v_hk00700="100~腾讯控股~00700~661.500~655.5~660.0~{shares}~0~0~{levels}~2025/10/09 16:08:10~6.0~";\n',
        )
    with polling(bootstrap, topic, vendor.url, layout="tencent") as poller:
        eventually(lambda: poller.published == 2)
    assert vendor.asked[0][1] == "/q=sh600000,sz000001,hk00700"
    assert {(stock.symbol, stock.price, stock.volume) for _, stock in records(bootstrap, topic)} == {
        ("600000", "10.01", "123400"),
        ("00700", "661.50", "2295"),
    }


def test_symbols_are_asked_for_in_batches(bootstrap: str, topic: str, vendor: Vendor) -> None:
    vendor.say("")
    with polling(bootstrap, topic, vendor.url, ("600000", "000001", "600519", "00700", "300750"), batch=2):
        eventually(lambda: len(vendor.asked) > 3)
    assert [path for _, path, _ in vendor.asked[:3]] == [
        "/list=sh600000,sz000001",
        "/list=sh600519,rt_hk00700",
        "/list=sz300750",
    ]


def test_a_vendor_that_asks_for_time_gets_it(bootstrap: str, topic: str, vendor: Vendor) -> None:
    vendor.say(status=429, Retry_After="1")
    vendor.say(sina("sh600000", "10.01", 1000))
    with polling(bootstrap, topic, vendor.url, batch=1) as poller:
        eventually(lambda: poller.published == 1)
        assert poller.failures == 1
    first, second = (moment for moment, _, _ in vendor.asked[:2])
    assert second - first >= 0.99
    assert [path for _, path, _ in vendor.asked[:2]] == ["/list=sh600000"] * 2  # the rest of the round was left out


@pytest.mark.parametrize("status", [0, 403, 500, 503])
def test_failures_are_waited_out(bootstrap: str, topic: str, vendor: Vendor, status: int) -> None:
    for _ in range(3):
        vendor.say(status=status)
    vendor.say(sina("sh600000", "10.01", 1000))
    with polling(bootstrap, topic, vendor.url, ("600000",)) as poller:
        eventually(lambda: poller.published == 1)
        assert poller.failures >= 3
        eventually(lambda: poller.state == "polling")
    moments = [moment for moment, _, _ in vendor.asked]
    assert moments[3] - moments[2] >= 0.02 * 2**3 / 2  # the third pause: doubled three times, shortened by half at most


def test_pauses_double_up_to_a_minute_and_differ(bootstrap: str, topic: str) -> None:
    poller = QuotePoller(
        bootstrap, Polling(url="http://127.0.0.1:1", listings=()), threading.Event(), lambda *bad: None
    )
    pauses = [[poller._back_off(failures) for _ in range(50)] for failures in range(1, 200, 3)]
    assert all(3 <= pause <= 6 for pause in pauses[0])
    assert all(30 <= pause <= 60 for pause in pauses[-1])
    assert len(set(pauses[-1])) > 40


def test_nothing_listens(bootstrap: str, topic: str, unused_port: int) -> None:
    with polling(bootstrap, topic, f"http://127.0.0.1:{unused_port}") as poller:
        eventually(lambda: poller.failures > 2)
        eventually(lambda: "the next try in" in poller.state)


def test_hostile_answers_stop_nothing(bootstrap: str, topic: str, vendor: Vendor) -> None:
    good = sina("sh600000", "10.01", 1000)
    bad = sina("sz000001", "-5.00", 7)
    vendor.answers.append((200, {}, b"\x00\xff" * 1000 + b"\n" + good.encode("gb18030")))
    vendor.answers.append((200, {}, b"x" * (MAX_BODY + 1)))
    vendor.answers.append((200, {"Content-Encoding": "gzip"}, b"no gzip at all"))
    vendor.say(bad, sina("sz000001", "11.00", 7, day="2125-10-09"), sina("rt_hk00700", "0.000", 7))
    complaints: list[tuple[bytes, str]] = []
    with polling(bootstrap, topic, vendor.url, complaints=complaints) as poller:
        eventually(lambda: len(vendor.asked) > 8)
        assert (poller.published, poller.failures) == (1, 2)
    reasons = [reason for _, reason in complaints]  # each once, although the last answer came again and again
    assert len(reasons) == 4
    assert reasons[0] == "not a quote"
    assert "price: not a plain decimal" in reasons[1]
    assert "in the future" in reasons[2]
    assert "price: it is 0" in reasons[3]
    assert complaints[1][0] == bad.strip().encode("gb18030")


def test_quotes_that_were_not_asked_for_are_passed_over(bootstrap: str, topic: str, vendor: Vendor) -> None:
    vendor.say(sina("sh600000", "10.01", 1000), sina("sz000001", "11.00", 50))
    with polling(bootstrap, topic, vendor.url, ("000001",)) as poller:
        eventually(lambda: poller.published == 1 and len(vendor.asked) > 2)
    assert [stock.symbol for _, stock in records(bootstrap, topic)] == ["000001"]


def test_closed_markets_are_not_asked_where_sessions_are_kept(bootstrap: str, topic: str, vendor: Vendor) -> None:
    vendor.say(sina("sh600000", "10.01", 1000))
    now = [1_760_148_000 * 10**9]  # a Saturday
    with polling(bootstrap, topic, vendor.url, ("600000",), now=lambda: now[0], in_sessions=True) as poller:
        eventually(lambda: poller.state == "closed")
        assert vendor.asked == []
        now[0] += 2 * 86_400 * 10**9  # the Monday after, ten in the morning
        eventually(lambda: poller.published == 1)


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(QuantError, match="not an address"):
        QuotePoller("unused", Polling(url=url, listings=()), threading.Event(), lambda *bad: None)


def test_against_the_simulated_exchange(bootstrap: str, topic: str) -> None:
    exchange = subprocess.Popen(
        [sys.executable, "-m", "barnabas_quant.exchange", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert exchange.stdout is not None
        url = exchange.stdout.readline().split()[1]
        with polling(bootstrap, topic, url, ("600519", "000001", "00700"), now=time.time_ns, seconds=0.3) as poller:
            eventually(lambda: poller.published >= 6)
            assert poller.failures == 0
    finally:
        exchange.terminate()
        exchange.wait(30)
    by_symbol: dict[str, list[Stock]] = {}
    for partition, stock in records(bootstrap, topic):
        assert partition == {"sse": 0, "szse": 1, "hkex": 2}[stock.listing.venue]
        by_symbol.setdefault(stock.symbol, []).append(stock)
    assert {stocks[0].name for stocks in by_symbol.values()} == {"贵州茅台", "平安银行", "腾讯控股"}
    assert all(stocks == sorted(stocks, key=lambda stock: stock.time) for stocks in by_symbol.values())
