"""From a signal to its order, while the market is busy: `python -m bench.platform --only signals`.

Broker, exchange, feed and trading service run as their user runs them. A signal goes to `trade-signal` every few
milliseconds, and a consumer of `orders` and `fills` notes when each comes back: that is the clock of one machine, from
before `produce` to after `poll`. What a bare record takes from a producer to a consumer meanwhile, through the same
broker, stands beside it.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from bench.platform import Bench, Row, at, cpu, metric, spread, symbols_of

EVERY = 0.02
"""Seconds between two signals."""

_TRADED = {"BTCUSDT": 0.0002, "ETHUSDT": 0.003}  # so little that one quote has it


class Echo:
    """Note when records come back, by what is read of them."""

    def __init__(self, bootstrap: str, *topics: str) -> None:
        from confluent_kafka import OFFSET_END, Consumer, TopicPartition

        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "echo", "fetch.wait.max.ms": 5, "fetch.queue.backoff.ms": 1}
        )
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_END) for topic in topics])
        self._consumer.consume(1, 1.0)
        self.came: dict[tuple[str, str], float] = {}
        self.accepted = 0

    def hear(self, seconds: float) -> None:
        """Take what is there."""
        if (message := self._consumer.poll(seconds)) is None or message.error() is not None:
            return
        now = time.perf_counter()
        record: dict[str, Any] = json.loads(message.value() or b"{}")
        step = record.get("step", message.topic())
        self.came.setdefault((record.get("order", record.get("id", "")), step), now)
        self.accepted += step == "accept"

    def close(self) -> None:
        self._consumer.close()


def signals(bench: Bench, rate: int) -> list[Row]:
    """Measure from signals to orders and fills at `rate` ticks a second."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(bench.broker())
        stack.enter_context(bench.exchange_at(rate))
        bench.write_config(symbols_of(bench.exchange))
        with bench.config.open("a") as config:
            config.write('[trading]\norder_type = "market"\n[trading.cash]\nUSDT = "1000000000"\n')
            config.write("[trading.limits]\norders_per_second = 100000\n")
        stack.enter_context(bench.service("feed-binance"))
        port, trading = stack.enter_context(bench.service("trading"))
        while metric(port, "barnabas_quant_records_total") < rate:
            time.sleep(0.1)
        read, used, begun = metric(port, "barnabas_quant_records_total"), cpu(trading.pid), time.monotonic()
        orders, fills, bare = asked(f"127.0.0.1:{bench.kafka}", _TRADED, bench.seconds)
        took = time.monotonic() - begun
        ticks = (metric(port, "barnabas_quant_records_total") - read) / took
        cores = (cpu(trading.pid) - used) / took
    beside = f"{len(orders):,} orders; a bare record there and back: {spread(bare)}"
    return [
        (f"signal to accepted order at {ticks:,.0f} records/s, ms", spread(orders), beside),
        ("signal to fill, ms", spread(fills), f"{at(fills, 50) / at(bare, 50):.1f} bare ways at the median"),
        ("the trading service meanwhile, cores", f"{cores:.2f}", "of two"),
    ]  # fmt: skip


def asked(bootstrap: str, volumes: dict[str, float], seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Send signals, and bare records between them; give milliseconds to orders, to fills, and there and back."""
    from confluent_kafka import Message, Producer

    from barnabas_quant.bus import ensure_topics
    from barnabas_quant.bus.topics import TopicSpec

    ensure_topics(bootstrap, [TopicSpec("bench-bare", 1)])
    echo = Echo(bootstrap, "orders", "fills", "bench-bare")
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    sent: dict[str, float] = {}
    bare: dict[str, float] = {}

    def noted(begun: float) -> Any:
        def delivered(error: object, message: Message) -> None:
            assert error is None, error
            sent[f"trade-signal-0-{message.offset()}"] = begun

        return delivered

    until, due, number = time.perf_counter() + seconds, time.perf_counter(), 0
    while (now := time.perf_counter()) < until or (now < until + 20 and echo.accepted < len(sent)):
        if due <= now < until:
            due += EVERY
            number += 1
            symbol = [*volumes][number % len(volumes)]
            signal = {"signal": "BUY", "symbol": symbol, "price": 1, "volume": volumes[symbol], "strategy": "BENCH"}
            begun = time.perf_counter()
            producer.produce("trade-signal", json.dumps(signal).encode(), partition=0, on_delivery=noted(begun))
            bare[str(number)] = time.perf_counter()
            producer.produce("bench-bare", json.dumps({"id": str(number)}).encode(), partition=0)
        producer.poll(0)
        echo.hear(0.001)
    echo.close()
    came = echo.came

    def ways(step: str, begun: dict[str, float]) -> list[float]:
        return [(came[id, step] - at) * 1000 for id, at in begun.items() if (id, step) in came]

    lost = [id for id in sent if (id, "accept") not in came]
    assert len(lost) <= len(sent) // 100, f"{len(lost)} of {len(sent)} signals gave no order"
    return ways("accept", sent), ways("fills", sent), ways("bench-bare", bare)
