"""The services that write to stock-realtime, as processes: the sample in the package, files, bad lines, quotes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from barnabas_quant.bus import Mark, partition_counts, read_records
from barnabas_quant.feeds.ashare_files import AshareFile
from barnabas_quant.feeds.ashare_sample import SAMPLE
from barnabas_quant.model.stock import Stock, decode_stock

from .conftest import eventually
from .test_ashare_replay import write_session


class ServiceProcess:
    """Run a service as the supervisor does, and read its reports."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._reading, writing = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "barnabas_quant.cli", "run", name, *arguments],
            stdin=subprocess.PIPE,
            pass_fds=[writing],
            env=os.environ | {"BARNABAS_QUANT_REPORT": str(writing)},
        )
        os.close(writing)
        self._reports = os.fdopen(self._reading, encoding="utf-8")

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read reports until one of them is as wanted."""
        for line in self._reports:
            report: dict[str, Any] = json.loads(line)
            if condition(report):
                return report
        raise AssertionError(f"it ended before, with {self._process.wait()}")

    def kill(self) -> None:
        self._process.kill()
        assert self._process.wait() == -signal.SIGKILL

    def end(self) -> int:
        """End it as the supervisor does, by the end of its standard input; answer its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(30)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reports.close()


@pytest.fixture
def service(bootstrap: str, tmp_path: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Start services with the lines of a settings file."""
    started: list[ServiceProcess] = []

    def start(name: str, settings: str) -> ServiceProcess:
        config = tmp_path / "settings.toml"
        config.write_text(settings)
        data = str(tmp_path / "data")
        process = ServiceProcess(name, "--config", str(config), "--data", data, "--kafka", bootstrap)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()


def written(bootstrap: str, source: str) -> list[Message]:
    """Give the records of a source, in the order of each partition."""
    marks = [(message, Mark.of(message)) for message in read_records(bootstrap, {Stock.topic: 3})]
    return [message for message, mark in marks if mark is not None and mark.source == source]


@pytest.mark.long
def test_the_sample_is_played_without_any_file_and_goes_on_after_a_kill(
    bootstrap: str, service: Callable[..., ServiceProcess]
) -> None:
    # An hour of trading a second: killed in the middle of the session.
    first = service("feed-ashare", "[ashare]\nspeed = 3600")
    report = first.wait_for(lambda report: report["records"] > 500)
    assert (report["ready"], report["note"]) == (True, "playing")
    eventually(lambda: len(written(bootstrap, AshareFile(SAMPLE).identity)) > 500)
    first.kill()
    assert partition_counts(bootstrap, [Stock.topic]) == {Stock.topic: 3}
    standing = len(written(bootstrap, AshareFile(SAMPLE).identity))
    second = service("feed-ashare", '[ashare]\nspeed = "max"')
    report = second.wait_for(lambda report: report["note"] == "played")
    assert report["records"] == 20_998 - standing > 0
    assert "barnabas_quant_records_total" in report["metrics"]
    assert second.end() == 0
    rows = list(AshareFile(SAMPLE).rows(lambda *complaint: None))
    messages = written(bootstrap, AshareFile(SAMPLE).identity)
    for number, venue in enumerate(("sse", "szse", "hkex")):
        expected = [row.stock for row in rows if row.stock.listing.venue == venue]
        assert [decode_stock(each.value()) for each in messages if each.partition() == number] == expected
        assert len(expected) > 5000


def test_files_of_the_settings_are_played_and_bad_lines_are_kept(
    bootstrap: str, service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    path = tmp_path / "session.csv"
    total = write_session(path, uuid.uuid4().int % 10**9)
    bad = b"600000,\xff\xfe,-1,5,2025-10-09 09:30:00\n"
    path.write_bytes(path.read_bytes() + bad + path.read_bytes().splitlines(keepends=True)[-1])
    feed = service("feed-ashare", f'[ashare]\nfiles = ["{path}"]\nspeed = "max"')
    report = feed.wait_for(lambda report: report["note"] == "played")
    assert (report["records"], report["errors"]) == (total + 1, 1)
    assert feed.end() == 0
    assert len(written(bootstrap, AshareFile(path).identity)) == total + 1
    letters = [each for each in read_records(bootstrap, {"market_data.dead_letters": 1}) if each.value() == bad.strip()]
    assert len(letters) == 1
    headers = dict(letters[0].headers() or [])
    assert b"utf-8" in bytes(headers["reason"] or b"")
    assert (headers["service"], headers["from"]) == (b"feed-ashare", f"session.csv#{total + 2}".encode())


def test_a_file_that_is_none_ends_the_service_with_a_sentence(
    bootstrap: str, service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    (tmp_path / "SH600000.csv").write_text("nonsense\n")
    feed = service("feed-ashare", f'[ashare]\nfiles = ["{tmp_path / "SH600000.csv"}"]')
    with pytest.raises(AssertionError, match="with 1"):
        feed.wait_for(lambda report: report["ready"])


@pytest.mark.long
def test_quotes_are_polled_from_the_simulated_exchange(
    bootstrap: str, service: Callable[..., ServiceProcess], unused_port: int
) -> None:
    exchange = subprocess.Popen(
        [sys.executable, "-m", "barnabas_quant.exchange", "--listen", f"127.0.0.1:{unused_port}"],
        stdout=subprocess.DEVNULL,
    )
    try:
        # It may start before the exchange: that is a failure to wait out.
        feed = service("feed-quotes", f'exchange_listen = "127.0.0.1:{unused_port}"\n[quotes]\nseconds = 0.2')
        report = feed.wait_for(lambda report: report["records"] >= 8 and report["note"] == "polling")
        assert report["ready"]
        assert feed.end() == 0
    finally:
        exchange.terminate()
        exchange.wait(30)
    markets = {"sh600519": 0, "sh600000": 0, "sz000001": 1, "hk00700": 2}
    found = {code: written(bootstrap, f"level1-{code}") for code in markets}
    assert sum(map(len, found.values())) >= report["records"]
    assert {code: {each.partition() for each in messages} for code, messages in found.items()} == {
        code: {partition} for code, partition in markets.items()
    }
