"""The random market: what anybody can make again from its seed, and what a killed exchange goes on with."""

from __future__ import annotations

from itertools import pairwise

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


def test_bars_of_hours_before_the_start(simulated: Running, start: Start) -> None:
    # Hours first: the last whole one of them is then whole in the minutes as well, whatever turns in between.
    hours = simulated.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=1000).json()
    minutes = simulated.get("/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=1000).json()
    times = [row[0] for row in minutes]
    assert times == list(range(times[0], times[0] + 1000 * MINUTE, MINUTE))
    assert all(float(row[2]) >= max(float(row[1]), float(row[4])) >= float(row[3]) > 0 for row in minutes)
    assert all(row[8] > 0 for row in minutes[:-1])  # nothing may have been traded yet in the minute that has begun
    # Where the sketches end and the play begins, as between any two minutes, the price goes on.
    assert all(abs(float(after[1]) / float(before[4]) - 1) < 0.0005 for before, after in pairwise(minutes))
    assert len(hours) > 30
    opened, closed = hours[-2][0], hours[-2][6]
    inside = [row for row in minutes if opened <= row[0] < closed]
    assert (hours[-2][1], hours[-2][4]) == (inside[0][1], inside[-1][4])
    assert float(hours[-2][2]) == max(float(row[2]) for row in inside)
    assert hours[-2][8] == sum(row[8] for row in inside)
    at = {"startTime": times[10], "endTime": times[19]}
    futures = simulated.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", **at).json()
    assert [[float(x) for x in row[1:5]] for row in futures] == [[float(x) for x in row[1:5]] for row in minutes[10:20]]
    around = {"after": times[20], "before": times[9]}
    okx = simulated.get("/api/v5/market/history-candles", instId="BTC-USDT", bar="1m", limit=10, **around).json()
    assert [int(row[0]) for row in okx["data"]] == times[19:9:-1]
    forgetful = start("--symbols", "1", "--venues", "binance", "--no-memory")
    assert len(forgetful.get("/api/v3/klines", symbol="BTCUSDT", interval="1m").json()) <= 4


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
