"""Read records from topics and write them to standard output, like Kafka's ConsoleConsumer.

Records come through librdkafka (confluent-kafka), some thousand at a time, and leave in one write for each batch;
`record_formatters.py` says how they look. Requests: Metadata, Fetch, ListOffsets, and those of a consumer group unless
--partition is given: FindCoordinator, JoinGroup, SyncGroup, Heartbeat, OffsetFetch, OffsetCommit, LeaveGroup.

Ctrl-C and SIGTERM end it in good order: the group is left, and the count is printed. What differs: where no broker can
be reached, Java waits for ever unless --timeout-ms is given; ours says so after some seconds, with status 1.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from typing import Any, Final

from barnabas.tools.console import (
    TIMEOUT_EXCEPTION,
    is_true,
    java_error,
    log_error,
    pairs,
    properties_file,
    renamed,
)
from barnabas.tools.console_output import Output, Stop, parts
from barnabas.tools.console_source import Consumer, open_source
from barnabas.tools.errors import ConfigError, OptionError, ToolError, UsageError
from barnabas.tools.options import Option, Parsed
from barnabas.tools.record_formatters import FormatError, Formatter, HeadersOf, Record, formatter
from barnabas.tools.record_headers import HeaderReader, headers_of

SUMMARY = "This tool helps to read data from Kafka topics and outputs it to standard output."
#: what cannot be parsed is answered with the usage too
USAGE_AFTER_ERRORS = True
FORMATTER_HELP: Final = (
    "A property of the formatter, key=value: print.timestamp, print.partition, print.offset, print.delivery, "
    "print.epoch, print.headers, print.key, print.value (true or false); key.separator, line.separator, "
    "headers.separator, null.literal; key.deserializer, value.deserializer, headers.deserializer."
)
FORMATTING: Final = (
    Option("formatter", "The class that writes records.", "class",
           default="org.apache.kafka.tools.consumer.DefaultMessageFormatter"),
    Option("formatter-property", FORMATTER_HELP, "key=value"),
    Option("property", "Deprecated name of --formatter-property.", "key=value"),
    Option("formatter-config", "A property file for the formatter.", "file", completes="file"),
    Option("key-deserializer", "The class that makes text of keys.", "class"),
    Option("value-deserializer", "The class that makes text of values.", "class"),
    Option("max-messages", "End after so many records.", "count", "int"),
    Option("enable-systest-events", "Print events that Kafka's system tests wait for."),
    Option("command-property", "A property of the consumer.", "key=value"),
    Option("consumer-property", "Deprecated name of --command-property.", "key=value"),
    Option("command-config", "A property file with the consumer's configuration.", "file", completes="file"),
)
OPTIONS = (
    Option("topic", "The topic to read.", "topic", completes="topic"),
    Option("include", "A regular expression: the topics to read.", "regex"),
    Option("partition", "Read this partition alone, without a group; from its end unless --offset says more.", "number",
           "int"),
    Option("offset", "Where to begin in --partition: earliest, latest, or an offset.", "offset", default="latest",
           completes="earliest latest"),
    Option("bootstrap-server", "REQUIRED: the brokers to begin with.", "host:port", completes="server"),
    Option("from-beginning", "Begin with the earliest record where the group has no offset yet."),
    Option("timeout-ms", "End when no record has come for so long.", "ms", "long"),
    Option("skip-message-on-error", "Go on after a record that cannot be shown."),
    Option("group", "The consumer group to be in.", "group", completes="group"),
    Option("isolation-level", "read_committed leaves out what transactions have not committed.", "level",
           default="read_uncommitted", completes="read_committed read_uncommitted"),
    Option("consumer.config", "Deprecated name of --command-config.", "file", completes="file"),
    *FORMATTING,
)
EXAMPLE = """
kafka-console-consumer --bootstrap-server localhost:9092 --topic stock-realtime --from-beginning
kafka-console-consumer --bootstrap-server localhost:9092 --topic stock-realtime --formatter-property print.key=true
"""

WARNING: Final = "Option --{} is deprecated and will be removed in a future version. Use --{} instead."
_LOGGER: Final = "org.apache.kafka.tools.consumer.ConsoleConsumer"
_BATCH: Final = 5000
_MAIN: Final = 'Exception in thread "main" '


def run(options: Parsed) -> int:
    """Print records until something ends it; return the exit status."""
    properties = _consumer_properties(options)
    timeout_ms = _converted(options, "timeout-ms")
    timeout = None if timeout_ms is None or timeout_ms < 0 else timeout_ms / 1000
    headers = HeaderReader(properties)
    shown_as = make_formatter(options, headers=headers)
    with Stop() as stop, contextlib.closing(headers):
        try:
            source = open_source(
                properties, timeout, topic=options.value("topic") or "", include=options.value("include"),
                partition=options.value("partition"),
                offset=_offset("earliest" if options.has("from-beginning") else options.value("offset")),
            )
        except (ConfigError, ToolError) as e:
            log_error("Unknown error when running consumer: ", _LOGGER, str(java_error(e)))
            return 1
        if source is None:
            log_error("Error processing message, terminating consumer process: ", _LOGGER, TIMEOUT_EXCEPTION)
            print("Processed a total of 0 messages", file=sys.stderr)
            return 0
        output = Output()
        status = 0
        try:
            most = options.value("max-messages")
            commits = is_true(properties.get("enable.auto.commit", "true"))
            printing = _Printing(source, output, shown_as, stop, options, commits=commits)
            status = printing.run(-1 if most is None else most, timeout)
        except OptionError as e:
            text = f"joptsimple.OptionArgumentConversionException: {e}"
            log_error("Unknown error when running consumer: ", _LOGGER, text)
            status = 1
        finally:
            source.close()
            print(f"Processed a total of {output.count} messages", file=sys.stderr)
        if options.has("enable-systest-events"):
            output.write(b"shutdown_complete\n")
        return stop.status or status


# --- options ------------------------------------------------------------------------------------------------


def _converted(options: Parsed, name: str) -> Any:
    """Return an option's value; what cannot be converted ends Java's tool with an exception."""
    try:
        return options.value(name)
    except OptionError as e:
        if "multiple" in str(e):
            raise ToolError(f"{_MAIN}joptsimple.MultipleArgumentsForOptionException: {e}") from None
        raise ToolError(f"{_MAIN}joptsimple.OptionArgumentConversionException: {e}") from None


def _consumer_properties(options: Parsed) -> dict[str, str]:
    _check(options)
    given = renamed(options, "consumer-property", "command-property", old_first=True, warning=WARNING)
    file = renamed(options, "consumer.config", "command-config", old_first=True, warning=WARNING)
    more = pairs(options.values(given))
    path = options.value(file)
    try:
        properties = properties_file(path) if path else {}
    except OSError as e:
        raise ToolError(f"{_MAIN}java.nio.file.NoSuchFileException: {e.filename}") from None
    properties.setdefault("client.id", "console-consumer")
    groups = {g for g in (options.value("group"), more.get("group.id"), properties.get("group.id")) if g is not None}
    if len(groups) > 1:
        ordered = (properties.get("group.id"), more.get("group.id"), options.value("group"))
        shown = ", ".join(f"'{g}'" for g in dict.fromkeys(ordered) if g is not None)
        raise UsageError(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via "
            f"'--consumer.config') do not match. Detected group ids: {shown}"
        )
    properties |= more
    properties["bootstrap.servers"] = options.value("bootstrap-server")
    reset = properties.get("auto.offset.reset")
    if options.has("from-beginning"):
        if reset is not None and reset != "earliest":
            raise ToolError(
                f"Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one "
                "option"
            )
        properties["auto.offset.reset"] = "earliest"
    if options.has("isolation-level") or "isolation.level" not in properties:
        properties["isolation.level"] = options.value("isolation-level")
    if groups:
        properties["group.id"] = groups.pop()
        if options.has("partition"):
            raise UsageError("Options group and partition cannot be specified together.")
    else:
        properties["group.id"] = f"console-consumer-{random.randrange(100_000)}"
        properties.setdefault("enable.auto.commit", "false")
    return properties


def _check(options: Parsed) -> None:
    if not options.has("bootstrap-server"):
        raise UsageError('Missing required argument "[bootstrap-server]"')
    if options.has("topic") == options.has("include"):
        raise UsageError("Exactly one of the following arguments is required: [topic], [include]")
    if options.has("partition"):
        _converted(options, "partition")
        if not options.has("topic"):
            raise UsageError("The topic is required when partition is specified.")
    if options.has("offset"):
        if not options.has("partition"):
            raise UsageError("The partition is required when offset is specified.")
        if options.has("from-beginning"):
            raise UsageError("Options from-beginning and offset cannot be specified together.")
        _offset(options.value("offset"))


def _offset(text: str) -> int:
    """Return an offset as librdkafka numbers them."""
    special = {"earliest": -2, "latest": -1}
    if text.lower() in special:
        return special[text.lower()]
    if not text.removeprefix("+").isdecimal() or not text.isascii() or int(text) >= 1 << 63:
        raise UsageError(
            f"The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a "
            "non-negative long."
        )
    return int(text)


def make_formatter(options: Parsed, *, old_first: bool = True, headers: HeadersOf = headers_of) -> Formatter:
    """Return the formatter that the options ask for. Raises `UsageError`."""
    given = renamed(options, "property", "formatter-property", old_first=old_first, warning=WARNING)
    path = options.value("formatter-config")
    try:
        properties = properties_file(path) if path else {}
    except OSError as e:
        raise UsageError(str(e.filename)) from None
    properties |= pairs(options.values(given))
    for which in ("key", "value"):
        name = options.value(f"{which}-deserializer")
        if name:
            properties[f"{which}.deserializer"] = name
    name = options.value("formatter")
    found = formatter(name, properties, headers)
    if found is None:
        raise UsageError(name)
    return found


# --- reading ------------------------------------------------------------------------------------------------


class _Printing:
    """Move records from a consumer to an output."""

    def __init__(
        self, source: Consumer, output: Output, shown_as: Formatter, stop: Stop, options: Parsed, *, commits: bool
    ) -> None:
        self._source, self._output, self._formatter, self._stop = source, output, shown_as, stop
        self._commits = commits
        self._skip = options.has("skip-message-on-error")
        self._waits_for_group = not options.has("partition")

    def run(self, most: int, timeout: float | None) -> int:
        """Print up to `most` records (all where it is -1); return the exit status."""
        while not self._stop and (most == -1 or self._output.count < most):
            room = _BATCH if most == -1 else min(_BATCH, most - self._output.count)
            records = self._next(room, timeout)
            if records is None:
                return 0
            if not self._print(records):
                return 1
            if self._output.broken:
                return 0
        return 0

    def _next(self, room: int, timeout: float | None) -> list[Any] | None:
        """Return the next records; None where there are none in time, or something is wrong."""
        begun = time.monotonic()
        while not self._stop:
            left = 0.1
            if timeout is not None:
                # joining a group takes its time; Java asks twice too before it gives up
                left = min(left, timeout * (2 if self._unassigned() else 1) - (time.monotonic() - begun))
                if left < 0:
                    log_error("Error processing message, terminating consumer process: ", _LOGGER, TIMEOUT_EXCEPTION)
                    return None
            first = self._source.poll(max(left, 0.001))
            if first is None:
                continue
            records = [first, *(self._source.consume(room - 1, 0) if room > 1 else ())]
            good = [r for r in records if r.error() is None]
            if len(good) < len(records) and not self._harmless(r.error() for r in records if r.error() is not None):
                return good or None
            if good:
                return good
        return None

    def _unassigned(self) -> bool:
        if self._waits_for_group and self._source.assignment():
            self._waits_for_group = False
        return self._waits_for_group

    def _harmless(self, errors: Any) -> bool:
        from confluent_kafka import KafkaError

        from barnabas.tools.client_properties import failure

        fine = True
        for error in errors:
            if error.code() == KafkaError._PARTITION_EOF:
                continue
            if error.code() in (
                KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC,
                KafkaError.TOPIC_EXCEPTION,
            ) or error.retriable():
                log_error(str(error.str()), _LOGGER, level="WARN")
                continue
            log_error("Error processing message, terminating consumer process: ", _LOGGER, failure(error))
            fine = False
        return fine

    def _print(self, records: list[Record]) -> bool:
        """Write records; tell whether to go on."""
        if self._formatter.plain:
            done = self._output.write(
                self._formatter.values(records), len(records), lambda: (self._formatter.values([r]) for r in records)
            )
            self._store(records[:done])
            return True
        out: list[bytes] = []
        ends: list[int] = []
        wrong: FormatError | None = None
        for record in records:
            try:
                self._formatter.write(record, out)
            except FormatError as e:
                if not self._skip:
                    wrong = e
                else:
                    log_error("Error processing message, skipping this message: ", _LOGGER, str(e))
            ends.append(len(out))
            if wrong is not None:
                break
        self._store(records[: self._output.write(b"".join(out), len(ends), lambda: parts(out, ends))])
        if wrong is not None:
            log_error("Unknown error when running consumer: ", _LOGGER, str(wrong))
        return wrong is None

    def _store(self, records: list[Record]) -> None:
        """Let the group go on behind these records: they were printed. What cannot be shown counts too, as in Java."""
        from confluent_kafka import KafkaException

        if self._commits:
            for record in {(record.topic(), record.partition()): record for record in records}.values():
                with contextlib.suppress(KafkaException):  # the partition was taken away meanwhile
                    self._source.store_offsets(record)
