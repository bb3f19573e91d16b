"""kafka-e2e-latency: measure the time that a record takes from a producer to a consumer, one record after the other.

Records are produced and consumed with confluent-kafka. Requests of our own: Metadata; CreateTopics where there is no
such topic. Differs from Java's tool: the consumer's fetches wait at the broker until the record comes, where Java's ask
again and again.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from barnabas.tools.client_properties import consumer_config, failure, producer_config, read_properties
from barnabas.tools.cluster import Cluster
from barnabas.tools.errors import AnswerError, ConfigError, ToolError, UsageError, check
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.perf_stats import document, number, percentiles
from barnabas.tools.record_headers import headers_of
from barnabas.tools.settings import Settings

SUMMARY = "This tool measures end-to-end latency in Kafka by sending messages and timing their reception."
OPTIONS = (
    Option("bootstrap-server", "REQUIRED: the Kafka broker to connect to.", "host:port", completes="server"),
    Option("topic", "REQUIRED: the topic; it is created where there is none.", "topic", completes="topic"),
    Option("num-records", "REQUIRED: how many records to send.", "count", "int"),
    Option("producer-acks", "REQUIRED: what to wait for, 1 or all.", "acks", completes="1 all"),
    Option("record-size", "REQUIRED: the bytes of a record's value.", "bytes", "int"),
    Option("command-config", "A property file with the clients' configuration.", "file", optional=True,
           completes="file"),
    Option("record-key-size", "The bytes of a record's key; 0: none.", "bytes", "int", 0, optional=True),
    Option("record-header-size", "The bytes of a header's value; -1: null.", "bytes", "int", 0, optional=True),
    Option("record-header-key-size", "The bytes of a header's name.", "bytes", "int", 0, optional=True),
    Option("num-headers", "How many headers a record has.", "count", "int", 0, optional=True),
    JSON,
)
EXAMPLE = """
kafka-e2e-latency --bootstrap-server localhost:9092 --topic test --num-records 1000 --producer-acks 1 --record-size 100
"""
USAGE_AFTER_ERRORS = True

_POSITIONS: Final = ("bootstrap-server", "topic", "num-records", "producer-acks", "record-size", "command-config")
_TIMEOUT: Final = 60.0


def prepare(arguments: list[str]) -> list[str]:
    """Make options of arguments without names, which the tool had until Kafka 4.1. Raises `ToolError`."""
    if not arguments or any(f"--{name}" in arguments for name in _POSITIONS):
        return arguments
    if len(arguments) not in (5, 6):
        raise ToolError(
            f"Invalid number of arguments. Expected 5 or 6 positional arguments, but got {len(arguments)}. Usage: "
            "bootstrap-server topic num-records producer-acks record-size [optional] command-config"
        )
    print(
        "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. Please use named "
        f"arguments instead: {', '.join(f'--{name}' for name in _POSITIONS)}"
    )
    return [f"--{name}={value}" for name, value in zip(_POSITIONS, arguments, strict=False)]


def run(options: Parsed) -> int:
    """Send and receive, record by record, and report."""
    _check(options)
    properties = read_properties(options.value("command-config"))
    properties["bootstrap.servers"] = options.value("bootstrap-server")
    name = options.value("topic")
    consuming = consumer_config({
        **properties, "group.id": f"test-group-{int(time.time() * 1000)}", "enable.auto.commit": "false",
        "auto.offset.reset": "latest",
    })
    producing = producer_config({**properties, "linger.ms": "0", "acks": options.value("producer-acks")})
    _await_topic(properties, name, sys.stderr if options.has("json") else sys.stdout)
    from confluent_kafka import Consumer, KafkaException, Producer

    try:
        consumer, producer = Consumer(consuming), Producer(producing)
        try:
            _go_to_end(consumer, name)
            latencies = _measure(consumer, producer, options)
        finally:
            consumer.close()
    except KafkaException as e:
        raise ToolError(failure(e.args[0]).partition(": ")[2]) from None
    if options.has("json"):
        document(figures(latencies))
    else:
        for line in results(latencies):
            print(line)
    return 0


def _check(options: Parsed) -> None:
    options.require(*_POSITIONS[:5])
    if options.value("producer-acks") not in ("1", "all"):
        raise UsageError(
            "Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. Please use '1' "
            "or 'all'."
        )
    if options.value("num-records") <= 0:
        raise UsageError("Value for --num-records must be a positive integer.")
    for name in ("record-size", "record-key-size", "record-header-key-size", "num-headers"):
        if options.value(name) < 0:
            raise UsageError(f"Value for --{name} must be a non-negative integer.")
    if options.value("record-header-size") < -1:
        raise UsageError("Value for --record-header-size must be a non-negative integer or -1 for null header value.")


def _await_topic(properties: dict[str, str], name: str, notes: Any) -> None:
    """Create the topic where there is none, and wait for its leader."""
    try:
        settings = Settings(properties)
        with Cluster(settings) as cluster:
            error = cluster.metadata([name]).topics[0].error_code
            if error in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_TOPIC_EXCEPTION):
                _create(cluster, name, notes)
            deadline = time.monotonic() + 5
            while cluster.metadata([name]).topics[0].error_code and time.monotonic() < deadline:
                time.sleep(0.05)
    except ConfigError as e:
        raise ToolError(f"Failed to construct kafka consumer\nCaused by: {e.exception}: {e}") from None


def _create(cluster: Cluster, name: str, notes: Any) -> None:
    print(f'Topic "{name}" does not exist. Will create topic with 1 partition(s) and replication factor = 1',
          file=notes)
    request = CreateTopicsRequest([CreatableTopic(name, 1, 1)], 30_000)
    result = cluster.ask(request, call="createTopics").topics[0]
    try:
        check(result.error_code, result.error_message)
    except AnswerError as e:
        print(f"Creation of topic {name} failed", file=notes)
        raise ToolError(
            f"java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.{e.exception}: {e}"
        ) from None


def _go_to_end(consumer: Any, name: str) -> None:
    from confluent_kafka import TopicPartition

    partitions = consumer.list_topics(name, 10).topics[name].partitions
    ends = [
        TopicPartition(name, index, consumer.get_watermark_offsets(TopicPartition(name, index), 10)[1])
        for index in partitions
    ]
    consumer.assign(ends)
    consumer.poll(0)


def _measure(consumer: Any, producer: Any, options: Parsed) -> list[int]:
    """Return how long each record took, in nanoseconds."""
    name, size, key_size = options.value("topic"), options.value("record-size"), options.value("record-key-size")
    chance = random.Random(0)
    latencies: list[int] = []
    failed: list[Any] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error)

    for index in range(options.value("num-records")):
        value, key = _letters(chance, size), _letters(chance, key_size) if key_size else None
        headers = [
            (
                _letters(chance, options.value("record-header-key-size")).decode(),
                None if options.value("record-header-size") < 0 else _letters(chance,
                                                                              options.value("record-header-size")),
            )
            for _ in range(options.value("num-headers"))
        ]
        begin = time.perf_counter_ns()
        producer.produce(name, value, key, headers=headers, on_delivery=delivered)
        producer.flush()
        if failed:
            raise ToolError(failure(failed[0]).partition(": ")[2])
        message = consumer.poll(_TIMEOUT)
        elapsed = time.perf_counter_ns() - begin
        validate(value, key, headers, message)
        if index % 1000 == 0 and options.has("json"):
            document({"report": "record", "record": index, "latencyMs": elapsed / 1000 / 1000})
        elif index % 1000 == 0:
            print(f"{index}\t{elapsed / 1000 / 1000}", flush=True)
        latencies.append(elapsed)
    return latencies


def _letters(chance: random.Random, size: int) -> bytes:
    """Return so many times one letter, another one each time."""
    return bytes([65 + chance.randrange(26)]) * size


def validate(value: bytes, key: bytes | None, headers: list[tuple[str, bytes | None]], message: Any) -> None:
    """Raise `ToolError` where what was received is not what was sent."""
    if message is None:
        raise ToolError(f"poll() timed out before finding a result (timeout:[{int(_TIMEOUT * 1000)}ms])")
    if message.error() is not None:
        raise ToolError(failure(message.error()).partition(": ")[2])
    for what, sent, read in (("value", value, message.value()), ("key", key, message.key())):
        if sent != read:
            raise ToolError(
                f"The message {what} read [{_text(read)}] did not match the message {what} sent [{_text(sent)}]"
            )
    if (read := headers_of(message)) != headers:
        raise ToolError(f"The message headers read {read} did not match those sent {headers}")


def _text(data: bytes | None) -> str:
    return "null" if data is None else data.decode(errors="replace")


def results(latencies: Sequence[int]) -> list[str]:
    """Write the lines at the end for latencies in nanoseconds."""
    found = figures(latencies)
    return [
        f"Avg latency: {number(found['averageLatencyMs'], 4)} ms",
        f"Percentiles: 50th = {found['latencyMs50th']}, 99th = {found['latencyMs99th']}, 99.9th = "
        f"{found['latencyMs99.9th']}",
    ]


def figures(latencies: Sequence[int]) -> dict[str, Any]:
    """Return the report on latencies in nanoseconds."""
    half, nearly, all_but = percentiles([latency // 1000 // 1000 for latency in latencies], 0.5, 0.99, 0.999)
    average = sum(latencies) / len(latencies) / 1000 / 1000
    return {"report": "total", "records": len(latencies), "averageLatencyMs": average, "latencyMs50th": half,
            "latencyMs99th": nearly, "latencyMs99.9th": all_but}
