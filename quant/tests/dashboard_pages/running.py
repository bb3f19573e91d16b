"""Run a platform, and end and start its gateway, for the tests of the trading page."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redis import Redis

from testkit.ports import free_ports

PATIENCE = 90.0
WAIT_MS = 30_000


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait until something is there, and give it."""
    deadline = time.monotonic() + PATIENCE
    waiting = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        waiting.wait(0.05)
    return found


def moves(page: Any, selector: str) -> None:
    """Wait until the text of an element is another one than now."""
    page.wait_for_function("selector => document.querySelector(selector)?.innerText.trim()", arg=selector)
    before = page.inner_text(selector)
    page.wait_for_function(
        "([selector, before]) => document.querySelector(selector).innerText !== before", arg=[selector, before]
    )


def sign_up(page: Any, user: str) -> None:
    """Make a user, who is signed in then."""
    page.get_by_role("button", name="Sign up").click()
    page.get_by_label("User").fill(user)
    page.get_by_label("Password", exact=True).fill("a long password")
    page.get_by_label("Password again").fill("a long password")
    page.get_by_role("dialog").get_by_role("button", name="Sign up").click()
    page.wait_for_selector(f'[data-user="{user}"]')


def relink(page: Any, passes: Callable[[str], object] = lambda text: True) -> Any:
    """Load a page again with its WebSocket led through the test; give the link, whose `send` says more to the page.

    What the server says goes on to the page where `passes` says so.
    """
    links: list[Any] = []

    def linked(link: Any) -> None:
        server = link.connect_to_server()
        link.on_message(server.send)
        server.on_message(lambda text: link.send(text) if passes(text) else None)
        links.append(link)

    page.route_web_socket("**/api/v1/stream", linked)
    page.reload()
    page.wait_for_selector('[data-link="open"]')
    return links[-1]


class Platform:
    """Be a platform: `barnabas-quant up` on free ports in a folder of its own."""

    def __init__(self, folder: Path, *, closed: bool = False) -> None:
        """Take the folder, and whether whoever is on this machine has to sign in, too."""
        self._folder = folder
        self._closed = closed
        self.data = folder / "data"
        kafka, redis, clickhouse, exchange, gateway = free_ports(5)
        self.url = f"http://127.0.0.1:{gateway}"
        self._redis = f"redis://127.0.0.1:{redis}/0"
        self._settings = (
            f'listen = ["127.0.0.1:{kafka}"]\nredis_listen = "127.0.0.1:{redis}"\n'
            f'clickhouse_listen = "127.0.0.1:{clickhouse}"\nexchange_listen = "127.0.0.1:{exchange}"\n'
            f'gateway_listen = "127.0.0.1:{gateway}"\nmetrics_listen = "off"\n'
            # A stop-loss far away: its line is drawn, and it never acts.
            '[trading.watch.stop_loss]\nwarning = "0.5"\ncritical = "0.9"\naction = "none"\n'
            # And one that tells of every position.
            '[trading.watch.concentration]\nwarning = "0.000001"\naction = "none"\n'
            f"[gateway]\nopen = {str(not closed).lower()}\n"
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[Platform]:
        """Give it once prices come in; end it, which must go in order."""
        config = self._folder / "platform.toml"
        config.write_text(self._settings, encoding="utf-8")
        log = self._folder / "up.log"
        words = [sys.executable, "-m", "barnabas_quant", "up", "--data", str(self.data), "--config", str(config)]
        with log.open("ab") as output, subprocess.Popen(words, stdout=output, stderr=output) as process:
            try:
                eventually(lambda: process.poll() is not None or self._prices(), "no price came")
                assert process.poll() is None, log.read_text()
                yield self
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0, log.read_text()
            finally:
                if process.poll() is None:
                    process.kill()

    def ask(self, path: str) -> Any:
        """Ask the gateway as whoever is on this machine; None where it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.HTTPError):
            return None

    def kill_gateway(self) -> None:
        """Kill the gateway; the supervisor starts it anew."""
        os.kill(self._gateway(), signal.SIGKILL)

    def forget_sessions(self) -> None:
        """End every session, as the embedded Redis does where the platform is started anew."""
        with Redis.from_url(self._redis) as redis:
            assert redis.delete(*redis.keys("session:*"))

    @contextlib.contextmanager
    def redis_silent(self) -> Iterator[None]:
        """Let Redis answer nothing meanwhile."""
        with Redis.from_url(self._redis) as redis:
            process = redis.info("server")["process_id"]
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def _gateway(self) -> int:
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (
                    (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    if folder.name.isdigit()
                    else []
                )
                if "gateway" in words and any(str(self.data) in word for word in words):
                    return int(folder.name)
        raise AssertionError("no gateway runs")

    def _prices(self) -> bool:
        books = ("binance", "BTCUSDT"), ("binance", "ETHUSDT"), ("okx", "BTC-USDT")
        if not all(self.ask(f"orderbook/{symbol}?exchange={exchange}&depth=1") for exchange, symbol in books):
            return False  # a browser complains of a book that is not there yet
        bars = self.ask("klines/BTCUSDT?limit=5")
        if self._closed:
            return bool(bars and bars["klines"])
        found = self.ask("strategies")
        told = bool(bars and bars["klines"] and found and all(one["state"] for one in found["strategies"]))
        return told and self.ask("alerts?limit=1") is not None  # the history answers
