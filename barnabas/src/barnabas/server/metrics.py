"""Count what happens, and show it in Prometheus' text form under the names of Kafka's JMX exporter.

Requests that came together are counted together, so that counting is no more than a list's append for each. Sizes,
offsets and lag are read from the node when somebody asks for the page, never kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from barnabas.server.broker import Broker


class RequestStats:
    """Hold count, total and largest time of one API's requests; seconds."""

    __slots__ = ("count", "largest", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.largest = 0.0


class Metrics:
    """Hold the counters of a broker."""

    def __init__(self) -> None:
        self.requests: dict[str, RequestStats] = {}

    def answered(self, apis: list[str], seconds: float) -> None:
        """Count requests that were answered one behind the other, and the seconds that all of them took."""
        first, each = apis[0], seconds / len(apis)
        if apis.count(first) == len(apis):
            self.request(first, each, len(apis))
        else:
            for api in apis:
                self.request(api, each)

    def request(self, api: str, seconds: float, times: int = 1) -> None:
        """Count answered requests of some seconds each, from the last byte to the answer."""
        stats = self.requests.get(api)
        if stats is None:
            stats = self.requests[api] = RequestStats()
        stats.count += times
        stats.total += seconds * times
        if seconds > stats.largest:
            stats.largest = seconds


def render(broker: Broker) -> str:
    """Write the page."""
    lines: list[str] = []
    for name, kind, text, samples in _families(broker):
        lines.append(f"# HELP {name} {text}")
        lines.append(f"# TYPE {name} {kind}")
        for labels, value in samples:
            shown = ",".join(f'{k}="{_escape(v)}"' for k, v in labels.items())
            lines.append(f"{name}{{{shown}}} {value}" if shown else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


_Family = tuple[str, str, str, list[tuple[dict[str, str], float]]]


def _families(broker: Broker) -> Iterator[_Family]:
    node, stats = broker.node, broker.metrics.requests
    yield (
        "kafka_network_requestmetrics_requests_total", "counter", "Requests answered.",
        [({"request": name}, s.count) for name, s in stats.items()],
    )
    yield (
        "kafka_network_requestmetrics_totaltimems_sum", "counter", "Milliseconds spent on requests.",
        [({"request": name}, round(s.total * 1000, 3)) for name, s in stats.items()],
    )
    yield (
        "kafka_network_requestmetrics_totaltimems_max", "gauge", "Longest request in milliseconds.",
        [({"request": name}, round(s.largest * 1000, 3)) for name, s in stats.items()],
    )
    logs = [({"topic": log.topic, "partition": str(log.partition)}, log) for log in node.directory.logs.values()]
    topics: dict[str, list[float]] = {}
    for log in node.directory.logs.values():
        counted = topics.setdefault(log.topic, [0, 0, 0])
        counted[0] += log.messages_in
        counted[1] += log.bytes_in
        counted[2] += log.bytes_out
    for index, (metric, text) in enumerate(
        (("messagesin", "Messages appended."), ("bytesin", "Bytes appended."), ("bytesout", "Bytes fetched."))
    ):
        yield (
            f"kafka_server_brokertopicmetrics_{metric}_total", "counter", text,
            [({"topic": topic}, counted[index]) for topic, counted in topics.items()],
        )
    yield "kafka_log_log_size", "gauge", "Bytes of a partition.", [(at, log.size) for at, log in logs]
    yield (
        "kafka_log_log_logstartoffset", "gauge", "First offset of a partition.",
        [(at, log.log_start_offset) for at, log in logs],
    )
    yield (
        "kafka_log_log_logendoffset", "gauge", "Offset behind the last of a partition.",
        [(at, log.log_end_offset) for at, log in logs],
    )
    yield (
        "kafka_log_log_numlogsegments", "gauge", "Segments of a partition.",
        [(at, len(log.segments)) for at, log in logs],
    )
    yield "kafka_server_replicamanager_partitioncount", "gauge", "Partitions on this broker.", [({}, len(logs))]
    yield (
        "kafka_controller_kafkacontroller_globaltopiccount", "gauge", "Topics.", [({}, len(node.image.topics))]
    )
    states: dict[str, int] = {}
    for group in node.groups.groups.values():
        states[group.state] = states.get(group.state, 0) + 1
    yield (
        "kafka_coordinator_group_groupmetadatamanager_numgroups", "gauge", "Groups by state.",
        [({"state": state}, n) for state, n in states.items()],
    )
    lags = []
    for group_id, offsets in node.groups.offsets.items():
        for (topic, partition), value in offsets.items():
            found = node.directory.logs.get((topic, partition))
            if found is not None:
                labels = {"group": group_id, "topic": topic, "partition": str(partition)}
                lags.append((labels, float(max(0, found.log_end_offset - value.offset))))
    yield "kafka_consumergroup_lag", "gauge", "Records that a group has not committed yet.", lags
    yield (
        "kafka_server_socketservermetrics_connection_count", "gauge", "Open connections.",
        [({}, len(broker.connections))],
    )


async def serve_http(broker: Broker, reader: object, writer: object) -> None:
    """Answer one HTTP request for the page; `reader` and `writer` are asyncio streams."""
    import asyncio

    assert isinstance(reader, asyncio.StreamReader)
    assert isinstance(writer, asyncio.StreamWriter)
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        path = head.split(b" ", 2)[1] if head.count(b" ") >= 2 else b""
        found = path.split(b"?")[0] in (b"/", b"/metrics")
        body = render(broker).encode() if found else b"The page is /metrics\n"
        status = b"200 OK" if found else b"404 Not Found"
        writer.write(
            b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: "
            + str(len(body)).encode() + b"\r\nConnection: close\r\n\r\n" + body
        )
        await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
