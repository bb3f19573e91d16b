"""Stage 1: the exchange's WebSocket to the topic `market_data.ticks`, one record a trade.

`produce` puts a record into the client's buffer and returns: the socket is read on at once, while a thread of the
client sends batches and waits for their acknowledgement. Only while the buffer is full is the socket left alone.
What the exchange sends while the connection is down is missed here; the platform's own feed fetches it over REST.

    python collect.py --url ws://localhost:8100 BTCUSDT ETHUSDT
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import time

from confluent_kafka import KafkaError, Message, Producer
from ticks import TOPIC, Tick, make_topic
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


def parse_tick(trade: Tick) -> Tick:
    """Turn a trade of Binance into a tick: prices stay the text that they are, times are microseconds."""
    tick = {"exchange": "binance", "symbol": trade["s"], "kind": "trade", "price": trade["p"]}
    quote = dict.fromkeys(("bid", "bid_size", "ask", "ask_size"))
    times = {"event_time": trade["E"] * 1000, "receive_time": time.time_ns() // 1000}
    return tick | quote | {"update_id": trade["t"]} | times


async def collect(options: argparse.Namespace, producer: Producer, failures: list[KafkaError]) -> None:
    """Send tick after tick until Ctrl-C, SIGTERM or --count; connect again whenever the connection ends."""
    myself = asyncio.current_task()
    assert myself is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, myself.cancel)

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    streams = "/".join(f"{symbol.lower()}@trade" for symbol in options.symbols)
    left = options.count
    # At the end frames that nobody reads may stand before the exchange's farewell: it is not waited for long.
    async for socket in connect(f"{options.url}/stream?streams={streams}", close_timeout=1):
        with contextlib.suppress(ConnectionClosed):
            async for frame in socket:
                tick = parse_tick(json.loads(frame)["data"])
                while len(producer) > 50_000:  # Kafka is slower than the exchange, or away
                    await asyncio.sleep(0.01)
                    producer.poll(0)
                producer.produce(TOPIC, json.dumps(tick), f"binance:{tick['symbol']}", on_delivery=delivered)
                producer.poll(0)
                left -= 1
                if left == 0:
                    return


def main() -> None:
    """Collect, then wait until all is acknowledged; exit code 1 where something was not."""
    parser = argparse.ArgumentParser(description="Collect ticks from an exchange.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--url", default="ws://localhost:8100", help="Binance itself: wss://stream.binance.com:9443")
    parser.add_argument("--count", type=int, default=0, help="end after as many ticks")
    parser.add_argument("symbols", nargs="*", default=["BTCUSDT"], metavar="SYMBOL")
    options = parser.parse_args()

    make_topic(options.bootstrap)
    settings = {"enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 5}
    producer = Producer({"bootstrap.servers": options.bootstrap, **settings})
    failures: list[KafkaError] = []
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(collect(options, producer, failures))
    if (waiting := producer.flush(60)) or failures:
        raise SystemExit(f"{waiting + len(failures)} ticks not written: {failures[0] if failures else 'no answer'}")


if __name__ == "__main__":
    main()
