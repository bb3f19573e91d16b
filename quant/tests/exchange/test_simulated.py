"""The random market: what anybody can make again from its seed, and what a killed exchange goes on with."""

from __future__ import annotations

from barnabas_quant.exchange.play import EPOCH, instruments
from barnabas_quant.exchange.simulator import MINUTE, Simulator

from ..conftest import eventually
from .conftest import PATIENCE, Running, Start, message, until


def test_frames_are_those_that_the_seed_makes(simulated: Running) -> None:
    with simulated.connect("/stream?streams=btcusdt@trade/ethusdt@depth@100ms") as client:
        first = until(client, lambda m: "T" in m["data"])[-1]["data"]["T"]
        received = [client.recv(timeout=PATIENCE, decode=False) for _ in range(30)]
    simulator = Simulator(7, instruments(2))
    number = (first - EPOCH) // MINUTE
    made = {frame.text for n in (number, number + 1) for frame in simulator.minute(n, EPOCH + n * MINUTE)}
    assert set(received) <= made


def test_a_killed_exchange_goes_on_with_the_same_market(start: Start) -> None:
    arguments = ("--symbols", "1", "--seed", "9", "--venues", "binance", "--backlog", "1")
    before = start(*arguments)
    with before.connect("/ws/btcusdt@trade") as client:
        seen = [message(client) for _ in range(5)]
        before.process.kill()
    before.process.wait(PATIENCE)
    after = start(*arguments)
    with after.connect("/ws/btcusdt@trade") as client:
        last = message(client)["t"]
    fetched = after.get("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=seen[0]["t"], limit=1000).json()
    told = {trade["id"]: (trade["price"], trade["qty"], trade["time"]) for trade in fetched}
    assert set(range(seen[0]["t"], last + 1)) <= told.keys()
    assert all(told[trade["t"]] == (trade["p"], trade["q"], trade["T"]) for trade in seen)


def test_many_instruments_and_few_venues(start: Start) -> None:
    running = start("--symbols", "12", "--venues", "binance_usdm", "--backlog", "0")
    status = running.control()
    assert list(status["venues"]) == ["binance_usdm"]
    assert len(status["venues"]["binance_usdm"]) == 12
    assert running.get("/api/v3/ping").status_code == 404
    assert running.get("/fapi/v1/ping").status_code == 200
    with running.connect("/ws/sim012usdt@bookTicker") as client:  # the plain path is the first venue's
        assert message(client)["e"] == "bookTicker"
    eventually(lambda: len(running.control("played")) == 12 * 5)
