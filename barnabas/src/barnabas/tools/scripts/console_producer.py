"""Read lines from standard input and write them to a topic, like Kafka's ConsoleProducer.

A line is a value; the reader's properties ask for keys and headers (`line_reader.py`). Standard input is read in large
blocks, and a block goes to librdkafka (confluent-kafka) in one call; records are sent when a batch is full or --timeout
has passed, and at the end. With --sync each line waits for its answer. Requests: Metadata, Produce, InitProducerId.

Records that a broker refuses are logged, as in Java's tool, and do not change the exit status (with --sync they end the
tool with status 1). What differs: Java waits --max-block-ms for each record while no broker can be reached or the topic
is missing, and exits with status 0; ours says the same after some seconds, with status 1. With a transactional.id
neither tool can send anything: Java's says so after delivery.timeout.ms, ours at once. --sync does not wait for
--timeout.
"""

from __future__ import annotations

import os
import select
import sys
from typing import Any, Final

from barnabas.tools.console import (
    check_address,
    end_on_sigterm,
    java_error,
    log_error,
    pairs,
    properties_file,
    renamed,
)
from barnabas.tools.errors import ConfigError, ToolError
from barnabas.tools.line_reader import LineReader, LineSplitter
from barnabas.tools.options import Option, Parsed

SUMMARY = "This tool helps to read data from standard input and publish it to Kafka."
_READER = (
    "A property of the reader, key=value: parse.key, parse.headers, ignore.error (true or false), key.separator (tab), "
    "headers.delimiter (tab), headers.separator (,), headers.key.separator (:), null.marker. With both, a line is "
    "headers, key and value: h1:v1,h2:v2<TAB>key<TAB>value."
)
OPTIONS = (
    Option("topic", "REQUIRED: the topic to write to.", "topic", completes="topic"),
    Option("bootstrap-server", "REQUIRED: the brokers to begin with.", "host:port", completes="server"),
    Option("sync", "Wait for the answer to each record before reading the next line."),
    Option(
        "compression-codec", "Compress batches: none, gzip, snappy, lz4, zstd; gzip if none is named.", "codec",
        optional=True, completes="none gzip snappy lz4 zstd",
    ),
    Option("batch-size", "Bytes of a batch (batch.size).", "bytes", "int", 16_384),
    Option("max-partition-memory-bytes", "Deprecated name of --batch-size; it wins over it.", "bytes", "int", 16_384),
    Option("message-send-max-retries", "How often a batch is sent again (retries).", "count", "int", 3),
    Option("retry-backoff-ms", "Wait so long before sending again (retry.backoff.ms).", "ms", "long", 100),
    Option("timeout", "Wait so long for a batch to fill (linger.ms).", "ms", "long", 1000),
    Option(
        "request-required-acks", "Acknowledgements to wait for: 0, 1, -1 or all (acks).", "acks", default="-1",
        completes="0 1 -1 all",
    ),
    Option("request-timeout-ms", "Wait so long for an answer (request.timeout.ms).", "ms", "int", 1500),
    Option("metadata-expiry-ms", "Ask for metadata anew after so long (metadata.max.age.ms).", "ms", "long", 300_000),
    Option("max-block-ms", "Wait so long for metadata and memory (max.block.ms).", "ms", "long", 60_000),
    Option("max-memory-bytes", "Bytes that wait to be sent, at most (buffer.memory).", "bytes", "long", 33_554_432),
    Option("socket-buffer-size", "The socket's send buffer (send.buffer.bytes).", "bytes", "int", 102_400),
    Option("line-reader", "The class that reads lines; there is this one.", "class",
           default="org.apache.kafka.tools.LineMessageReader"),
    Option("reader-property", _READER, "key=value"),
    Option("property", "Deprecated name of --reader-property.", "key=value"),
    Option("reader-config", "A property file for the reader.", "file", completes="file"),
    Option("command-property", "A property of the producer.", "key=value"),
    Option("producer-property", "Deprecated name of --command-property.", "key=value"),
    Option("command-config", "A property file with the producer's configuration.", "file", completes="file"),
    Option("producer.config", "Deprecated name of --command-config.", "file", completes="file"),
)
EXAMPLE = """
kafka-console-producer --bootstrap-server localhost:9092 --topic stock-realtime
kafka-console-producer --bootstrap-server localhost:9092 --topic stock-realtime --reader-property parse.key=true
"""

_WARNING: Final = "Warning: --{} is deprecated and will be removed in a future version. Use --{} instead."
_MERGED: Final = {
    "timeout": "linger.ms", "request-required-acks": "acks", "request-timeout-ms": "request.timeout.ms",
    "message-send-max-retries": "retries", "retry-backoff-ms": "retry.backoff.ms",
    "socket-buffer-size": "send.buffer.bytes", "max-memory-bytes": "buffer.memory", "batch-size": "batch.size",
    "max-partition-memory-bytes": "batch.size", "metadata-expiry-ms": "metadata.max.age.ms",
    "max-block-ms": "max.block.ms",
}
_BLOCK: Final = 1 << 18
_MOST_RECORDS: Final = 400_000
_LOGGER: Final = "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback"


def run(options: Parsed) -> int:
    """Send what standard input holds."""
    options.require("topic")
    properties, reader_properties = _properties(options)
    topic = reader_properties.pop("topic")
    reader = _reader(options, reader_properties)
    for name, key in _MERGED.items():
        if options.has(name) or (key not in properties and name != "max-partition-memory-bytes"):
            properties[key] = str(options.value(name))
    end_on_sigterm()
    from barnabas.tools.client_properties import await_topic, producer_config

    try:
        config = producer_config(properties)
        first = _Input(reader, prompt=sys.stdin.isatty() and sys.stdout.isatty())
        first.wait()
        if first.ended:
            return 0
        await_topic(properties, topic)
    except (ConfigError, ToolError) as e:
        raise java_error(e) from None
    if "transactional.id" in config:
        # Java's tool begins no transaction either; it waits delivery.timeout.ms before it says so
        raise ToolError(
            f"java.lang.IllegalStateException: Cannot add partition {topic}-0 to transaction before completing a call "
            "to initTransactions"
        )
    sink = _Sink(config, topic, reader, int(properties["buffer.memory"]))
    try:
        (_send_each if options.has("sync") else _send_all)(first, sink)
    finally:
        sink.flush()
    return 0


def _properties(options: Parsed) -> tuple[dict[str, str], dict[str, str]]:
    """Return the properties of the producer and of the reader, whose topic is always there."""
    producer = renamed(options, "producer-property", "command-property", old_first=False, warning=_WARNING)
    file = renamed(options, "producer.config", "command-config", old_first=False, warning=_WARNING)
    reader = renamed(options, "property", "reader-property", old_first=False, warning=_WARNING)
    if options.has("max-partition-memory-bytes"):
        print(
            "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use "
            "--batch-size instead."
        )
    check_address(options.value("bootstrap-server"))
    try:
        path = options.value("reader-config")
        lines = {"topic": options.value("topic")} | (properties_file(path) if path else {})
        lines |= pairs(options.values(reader))
        path = options.value(file)
        properties = (properties_file(path) if path else {}) | pairs(options.values(producer))
    except OSError as e:
        raise ToolError(f"java.nio.file.NoSuchFileException: {e.filename}") from None
    properties["bootstrap.servers"] = options.value("bootstrap-server")
    codec = options.value("compression-codec")
    properties["compression.type"] = codec or ("gzip" if options.has("compression-codec") else "none")
    properties.setdefault("client.id", "console-producer")
    return properties, lines


def _reader(options: Parsed, properties: dict[str, str]) -> LineReader:
    name = options.value("line-reader")
    if name != "org.apache.kafka.tools.LineMessageReader":
        raise ToolError(f"java.lang.ClassNotFoundException: {name}")
    return LineReader(properties)


class _Input:
    """Be standard input, in blocks of lines."""

    def __init__(self, reader: LineReader, *, prompt: bool) -> None:
        self._splitter = LineSplitter()
        self._prompt = prompt
        self._waiting: list[bytes] = []
        self.reader = reader
        self.ended = False
        """Nothing came, and nothing will come."""
        self._show(1)

    def _show(self, count: int) -> None:
        if self._prompt and count:
            sys.stdout.write(">" * count)
            sys.stdout.flush()

    def wait(self) -> None:
        """Wait for the first lines."""
        while not self._waiting and not self.ended:
            self._waiting = self._read()

    def _read(self) -> list[bytes]:
        data = os.read(0, _BLOCK)
        if not data:
            self.ended = True
            lines = self._splitter.rest()
            self.ended = not lines
            return lines
        lines = self._splitter.feed(data)
        self._show(len(lines))
        return lines

    def lines(self, sink: _Sink) -> list[bytes]:
        """Return the next lines, none at the end; meanwhile the sink may report."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            return lines
        while not self.ended:
            while sink.busy and not select.select([0], [], [], 0.1)[0]:
                sink.poll()
            lines = self._read()
            if lines:
                return lines
        return []


class _Sink:
    """Be the producer."""

    def __init__(self, config: dict[str, object], topic: str, reader: LineReader, memory: int) -> None:
        from confluent_kafka import Producer

        self._topic = topic
        self._memory = memory
        self._average = 100.0
        self._failure: Any = None
        self._reader = reader
        # this class sees to it that not too much waits: a full queue would be an error
        self._producer = Producer(config | {
            "queue.buffering.max.messages": 10_000_000, "queue.buffering.max.kbytes": 2_097_151,
            "delivery.report.only.error": True,
        })
        self._largest = int(str(config.get("message.max.bytes", 1_048_576)))

    @property
    def busy(self) -> bool:
        """Tell whether answers are missing."""
        return len(self._producer) > 0

    def poll(self) -> None:
        """Report what came of records."""
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait for all answers."""
        self._producer.flush()

    def make_room(self, lines: list[bytes]) -> None:
        """Wait until what waits to be sent is below --max-memory-bytes."""
        self._average = max(sum(map(len, lines)) / len(lines), 1.0) + 60
        most = max(1, min(_MOST_RECORDS, int(self._memory / self._average)))
        while len(self._producer) > most:
            self._producer.poll(0.01)

    def send_values(self, lines: list[bytes]) -> None:
        """Send records that are nothing but values."""
        batch = [{"value": line} for line in lines]
        if self._producer.produce_batch(self._topic, batch, on_delivery=self._failed) < len(batch):
            for record in batch:
                error: Any = record.get("_error")
                if error is not None:
                    self._report(error, None, record["value"])
        self._producer.poll(0)

    def send(self, line: bytes) -> None:
        """Send the record that a line holds. Raises `ToolError`."""
        key, value, headers = self._reader.parse(line)
        from confluent_kafka import KafkaException

        try:
            if headers:
                self._producer.produce(self._topic, value, key, headers=headers, on_delivery=self._failed)
            else:
                self._producer.produce(self._topic, value, key, on_delivery=self._failed)
        except KafkaException as e:
            self._report(e.args[0], key, value)

    def send_and_wait(self, line: bytes) -> None:
        """Send a record and wait for its answer. Raises `ToolError` where that is an error."""
        self._failure = None
        self.send(line)
        self._producer.flush()
        if self._failure is not None:
            raise ToolError(f"java.util.concurrent.ExecutionException: {self._words(*self._failure)}")

    def _words(self, error: Any, size: int) -> str:
        from confluent_kafka import KafkaError

        from barnabas.tools.client_properties import failure

        if error.code() == KafkaError.TOPIC_EXCEPTION:
            return f"org.apache.kafka.common.errors.InvalidTopicException: Invalid topics: [{self._topic}]"
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and size >= self._largest:
            return (
                f"org.apache.kafka.common.errors.RecordTooLargeException: The message is {size} bytes when serialized "
                f"which is larger than {self._largest}, which is the value of the max.request.size configuration."
            )
        return failure(error)

    def _failed(self, error: Any, message: Any) -> None:
        if error is not None:
            self._report(error, message.key(), message.value())

    def _report(self, error: Any, key: bytes | None, value: bytes | None) -> None:
        size = len(key or b"") + len(value or b"")
        self._failure = (error, size)
        if not self.quiet:
            shown = ["null" if part is None else f"{len(part)} bytes" for part in (key, value)]
            log_error(
                f"Error when sending message to topic {self._topic} with key: {shown[0]}, value: {shown[1]} with "
                "error:", _LOGGER, self._words(error, size),
            )

    quiet = False
    """Failures are raised, not logged."""


def _send_all(source: _Input, sink: _Sink) -> None:
    plain = source.reader.plain
    while lines := source.lines(sink):
        sink.make_room(lines)
        if plain:
            sink.send_values(lines)
        else:
            for line in lines:
                sink.send(line)
            sink.poll()


def _send_each(source: _Input, sink: _Sink) -> None:
    sink.quiet = True
    while lines := source.lines(sink):
        for line in lines:
            sink.send_and_wait(line)
