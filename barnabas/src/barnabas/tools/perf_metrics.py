"""Show what librdkafka counts under the names of the Java clients' metrics, for --print-metrics.

librdkafka reports four times a second (`statistics.interval.ms`), and its averages cover the time since the last:
they are added up here. Rates are those of the whole life of the client; Java's are those of the last minute. What
librdkafka does not count is left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from barnabas.tools.main import KAFKA_VERSION
from barnabas.tools.perf_stats import document, number, ratio

Figures = dict[str, float | str]


class Window:
    """Add up what librdkafka says about a quantity in each of its reports."""

    def __init__(self) -> None:
        self.count = self.total = self.most = 0

    def add(self, report: Mapping[str, int]) -> None:
        """Take in a report."""
        self.count += report["cnt"]
        self.total += report["sum"]
        self.most = max(self.most, report["max"])

    @property
    def average(self) -> float:
        """Return the average over everything; NaN where there was nothing."""
        return ratio(self.total, self.count)


class Metrics:
    """Collect librdkafka's reports on one client."""

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id
        self._start = time.time()
        self._last: dict[str, Any] = {}
        self._windows: dict[tuple[str, str], Window] = {}
        self._reports = 0
        self.config: dict[str, object] = {"statistics.interval.ms": 250, "stats_cb": self.take}
        """What the client's configuration needs for it."""

    def take(self, text: str) -> None:
        """Take in a report: a JSON document."""
        self._last = json.loads(text)
        self._reports += 1
        for broker in self._last.get("brokers", {}).values():
            for name in ("rtt", "throttle", "int_latency"):
                if name in broker:
                    self._window(name, str(broker["nodeid"])).add(broker[name])
        for topic in self._last.get("topics", {}).values():
            for name in ("batchsize", "batchcnt"):
                if name in topic:
                    self._window(name, topic["topic"]).add(topic[name])

    def await_next(self, client: Any) -> None:
        """Let the client poll until the next report has come."""
        before, deadline = self._reports, time.monotonic() + 2
        while self._reports == before and time.monotonic() < deadline:
            client.poll(0.1)

    def await_producer_id(self, producer: Any) -> None:
        """Let an idempotent producer poll until it has its id; librdkafka looks for one twice a second."""
        deadline = time.monotonic() + 3
        while self._last.get("eos", {}).get("idemp_state") != "Assigned" and time.monotonic() < deadline:
            producer.poll(0.1)

    def _window(self, name: str, of: str) -> Window:
        return self._windows.setdefault((name, of), Window())

    def _all(self, name: str) -> Window:
        found = Window()
        for (kind, _), window in self._windows.items():
            if kind == name:
                found.add({"cnt": window.count, "sum": window.total, "max": window.most})
        return found

    def _common(self, group: str) -> Figures:
        mine = f"{{client-id={self._client_id}}}"
        last, age = self._last, self._age
        brokers = list(last.get("brokers", {}).values())
        throttle, rtt = self._all("throttle"), self._all("rtt")
        kind = "produce" if group.startswith("producer") else "fetch"
        manager = group if group.startswith("producer") else "consumer-fetch-manager-metrics"
        figures: Figures = {
            f"app-info:start-time-ms:{mine}": str(int(self._start * 1000)),
            f"app-info:version:{mine}": KAFKA_VERSION,
            f"{group}:connection-count:{mine}": sum(b.get("state") == "UP" for b in brokers),
            f"{group}:connection-creation-total:{mine}": sum(b.get("connects", 0) for b in brokers),
            f"{group}:connection-close-total:{mine}": sum(b.get("disconnects", 0) for b in brokers),
            f"{group}:incoming-byte-total:{mine}": last.get("rx_bytes", 0),
            f"{group}:incoming-byte-rate:{mine}": ratio(last.get("rx_bytes", 0), age),
            f"{group}:outgoing-byte-total:{mine}": last.get("tx_bytes", 0),
            f"{group}:outgoing-byte-rate:{mine}": ratio(last.get("tx_bytes", 0), age),
            f"{group}:request-total:{mine}": last.get("tx", 0),
            f"{group}:request-rate:{mine}": ratio(last.get("tx", 0), age),
            f"{group}:response-total:{mine}": last.get("rx", 0),
            f"{group}:response-rate:{mine}": ratio(last.get("rx", 0), age),
            f"{group}:request-size-avg:{mine}": ratio(last.get("tx_bytes", 0), last.get("tx", 0)),
            f"{manager}:{kind}-throttle-time-avg:{mine}": throttle.average,
            f"{manager}:{kind}-throttle-time-max:{mine}": float(throttle.most),
        }
        if kind == "produce":
            figures[f"{group}:request-latency-avg:{mine}"] = rtt.average / 1000
            figures[f"{group}:request-latency-max:{mine}"] = rtt.most / 1000
        nodes = group.replace("-metrics", "-node-metrics")
        for broker in brokers:
            if broker.get("nodeid", -1) >= 0:
                node = f"{{client-id={self._client_id}, node-id=node-{broker['nodeid']}}}"
                window = self._window("rtt", str(broker["nodeid"]))
                for name, figure in (
                    ("incoming-byte-total", broker["rxbytes"]), ("incoming-byte-rate", ratio(broker["rxbytes"], age)),
                    ("outgoing-byte-total", broker["txbytes"]), ("outgoing-byte-rate", ratio(broker["txbytes"], age)),
                    ("request-total", broker["tx"]), ("request-rate", ratio(broker["tx"], age)),
                    ("response-total", broker["rx"]), ("response-rate", ratio(broker["rx"], age)),
                    ("request-size-avg", ratio(broker["txbytes"], broker["tx"])),
                    ("request-latency-avg", window.average / 1000), ("request-latency-max", window.most / 1000),
                ):
                    figures[f"{nodes}:{name}:{node}"] = figure
        return figures

    @property
    def _age(self) -> float:
        """Return for how many seconds the client has lived."""
        return float(self._last.get("age", 0)) / 1e6

    def of_producer(self) -> Figures:
        """Return a producer's metrics."""
        last, age = self._last, self._age
        mine = f"{{client-id={self._client_id}}}"
        figures = self._common("producer-metrics")
        size, records, queue = self._all("batchsize"), self._all("batchcnt"), self._all("int_latency")
        figures |= {
            f"producer-metrics:batch-size-avg:{mine}": size.average,
            f"producer-metrics:batch-size-max:{mine}": float(size.most),
            f"producer-metrics:records-per-request-avg:{mine}": records.average,
            f"producer-metrics:record-queue-time-avg:{mine}": queue.average / 1000,
            f"producer-metrics:record-queue-time-max:{mine}": queue.most / 1000,
            f"producer-metrics:record-send-total:{mine}": last.get("txmsgs", 0),
            f"producer-metrics:record-send-rate:{mine}": ratio(last.get("txmsgs", 0), age),
            f"producer-metrics:record-size-avg:{mine}": ratio(last.get("txmsg_bytes", 0), last.get("txmsgs", 0)),
            f"producer-metrics:record-retry-total:{mine}": sum(
                b.get("txretries", 0) for b in last.get("brokers", {}).values()
            ),
            f"producer-metrics:buffer-total-bytes:{mine}": last.get("msg_size_max", 0),
            f"producer-metrics:buffer-available-bytes:{mine}": last.get("msg_size_max", 0) - last.get("msg_size", 0),
        }
        for topic in last.get("topics", {}).values():
            tags = f"{{client-id={self._client_id}, topic={topic['topic']}}}"
            parts = topic["partitions"].values()
            sent, size_ = sum(p["txmsgs"] for p in parts), sum(p["txbytes"] for p in parts)
            figures |= {
                f"producer-topic-metrics:record-send-total:{tags}": sent,
                f"producer-topic-metrics:record-send-rate:{tags}": ratio(sent, age),
                f"producer-topic-metrics:byte-total:{tags}": size_,
                f"producer-topic-metrics:byte-rate:{tags}": ratio(size_, age),
            }
        return figures

    def of_consumer(self) -> Figures:
        """Return a consumer's metrics."""
        last, age = self._last, self._age
        mine = f"{{client-id={self._client_id}}}"
        fetching = "consumer-fetch-manager-metrics"
        figures = self._common("consumer-metrics")
        fetches = sum(b.get("req", {}).get("Fetch", 0) for b in last.get("brokers", {}).values())
        figures |= {
            f"{fetching}:records-consumed-total:{mine}": last.get("rxmsgs", 0),
            f"{fetching}:records-consumed-rate:{mine}": ratio(last.get("rxmsgs", 0), age),
            f"{fetching}:bytes-consumed-total:{mine}": last.get("rxmsg_bytes", 0),
            f"{fetching}:bytes-consumed-rate:{mine}": ratio(last.get("rxmsg_bytes", 0), age),
            f"{fetching}:records-per-request-avg:{mine}": ratio(last.get("rxmsgs", 0), fetches),
            f"{fetching}:fetch-total:{mine}": fetches,
            f"{fetching}:fetch-rate:{mine}": ratio(fetches, age),
            f"{fetching}:fetch-latency-avg:{mine}": self._all("rtt").average / 1000,
            f"{fetching}:fetch-latency-max:{mine}": self._all("rtt").most / 1000,
        }
        group = last.get("cgrp", {})
        if group:
            figures[f"consumer-coordinator-metrics:assigned-partitions:{mine}"] = group["assignment_size"]
            figures[f"consumer-coordinator-metrics:rebalance-total:{mine}"] = group["rebalance_cnt"]
        for topic in last.get("topics", {}).values():
            for part in topic["partitions"].values():
                if part["partition"] >= 0 and part["consumer_lag"] >= 0:
                    tags = f"{{client-id={self._client_id}, partition={part['partition']}, topic={topic['topic']}}}"
                    figures[f"{fetching}:records-lag:{tags}"] = part["consumer_lag"]
        return figures


def print_metrics(metrics: Mapping[str, float | str], *, as_json: bool = False) -> None:
    """Print a table of metrics, as Java's tools do with --print-metrics."""
    if as_json:
        document({"report": "metrics", **metrics})
        return
    width = max((len(name) for name in metrics), default=0)
    print(f"\n{'Metric Name':<{width}}   Value")
    for name in sorted(metrics):
        value = metrics[name]
        print(f"{name:<{width}} : {value if isinstance(value, str) else number(value, 3)}")
