"""Full speed: prepared frames are as true as others, at the rate asked for, each id once."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import pytest

from .conftest import Start, message, until


@pytest.mark.parametrize(("venue", "fields"), [("binance", "u s b B a A"), ("binance_usdm", "e u s b B a A T E")])
def test_prepared_frames_are_messages_of_the_venue(start: Start, venue: str, fields: str) -> None:
    running = start("--rate", "5000", "--symbols", "2", "--venues", venue)
    now = time.time() * 1000
    ids: dict[str, list[int]] = defaultdict(list)
    names = ("btcusdt@bookTicker", "ethusdt@trade")
    with running.connect("/stream?streams=" + "/".join(names)) as client:
        begun = time.monotonic()
        seen: list[dict[str, Any]] = until(client, lambda m: len(ids[m["stream"]]) > 600 or ids_of(m, ids))
        took = time.monotonic() - begun
    assert took < 5
    quote = next(m["data"] for m in seen if m["stream"] == names[0])
    trade = next(m["data"] for m in seen if m["stream"] == names[1])
    assert " ".join(quote) == fields
    assert abs(trade["E"] - now) < 60_000
    for stream in names:
        assert ids[stream] == list(range(ids[stream][0], ids[stream][0] + len(ids[stream])))
    report = running.control("played")[f"{venue}:{names[1]}"]
    assert report["first_id"] == ids[names[1]][0]
    assert report["count"] == report["last_id"] - report["first_id"] + 1
    assert report["checksum"] is None


def ids_of(told: dict[str, Any], ids: dict[str, list[int]]) -> bool:
    data = told["data"]
    ids[told["stream"]].append(data["t"] if "t" in data else data["u"])
    return False


def test_the_rate_is_kept_over_several_connections(start: Start) -> None:
    running = start("--rate", "4000", "--symbols", "2")
    with running.connect("/ws/btcusdt@trade") as one, running.connect("/ws/ethusdt@trade") as other:
        message(one), message(other)
        # Of what it could not send while it had no processor the exchange makes good one second: a third of this time.
        begun = time.monotonic()
        before = running.control()["play"]["frames"]
        while time.monotonic() - begun < 3.0:
            message(one), message(other)
        after, took = running.control()["play"]["frames"], time.monotonic() - begun
    assert 0.5 < (after - before) / took / 4000 < 1.5
