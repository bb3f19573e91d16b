"""Read records through a share group and write them to standard output, like Kafka's ConsoleShareConsumer.

`share_client.py` is the client; the formatters and their options are those of kafka-console-consumer. Each record that
is printed is accepted, or released or rejected if so asked; what was acquired but not printed is released at the end.

What differs: where no broker can be reached, Java waits for ever unless --timeout-ms is given; ours ends after some
seconds with status 1.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Final

from barnabas.tools.console import TIMEOUT_EXCEPTION, java_error, log_error, pairs, properties_file, renamed
from barnabas.tools.console_output import Output, Stop, parts
from barnabas.tools.errors import AnswerError, ClientError, ConfigError, OptionError, ToolError, UsageError
from barnabas.tools.options import Option, Parsed
from barnabas.tools.record_formatters import FormatError, Formatter
from barnabas.tools.scripts.console_consumer import FORMATTING, WARNING, make_formatter
from barnabas.tools.settings import Settings

SUMMARY = "This tool helps to read data from Kafka topics using share groups and outputs it to standard output."
USAGE_AFTER_ERRORS = True
OPTIONS = (
    Option("topic", "REQUIRED: the topic to read.", "topic", completes="topic"),
    Option("bootstrap-server", "REQUIRED: the brokers to begin with.", "host:port", completes="server"),
    Option("group", "The share group to be in.", "group", default="console-share-consumer", completes="group"),
    Option("timeout-ms", "End when no record has come for so long.", "ms", "int"),
    Option("reject", "Reject records: nobody gets them again."),
    Option("release", "Release records: they are delivered again."),
    Option("reject-message-on-error", "Reject a record that cannot be shown, and go on."),
    Option("consumer-config", "Deprecated name of --command-config.", "file", completes="file"),
    *FORMATTING,
)
EXAMPLE = """
kafka-console-share-consumer --bootstrap-server localhost:9092 --topic orders --group packers
kafka-console-share-consumer --bootstrap-server localhost:9092 --topic orders --group packers --release
"""

_LOGGER: Final = "org.apache.kafka.tools.consumer.ConsoleShareConsumer"
_UNKNOWN: Final = "Unknown error when running consumer: "
_ERROR: Final = "Error processing message, terminating consumer process: "
_UNSUPPORTED: Final = (
    "auto.offset.reset", "enable.auto.commit", "group.instance.id", "isolation.level", "partition.assignment.strategy",
    "interceptor.classes", "session.timeout.ms", "heartbeat.interval.ms", "group.protocol", "group.remote.assignor",
)


def run(options: Parsed) -> int:
    """Print records until something ends it; return the exit status."""
    properties = _properties(options)
    shown_as = make_formatter(options)
    try:
        timeout_ms = options.value("timeout-ms")
        settings = _settings(properties, options.value("topic"))
    except (OptionError, ToolError, ConfigError) as e:
        named = isinstance(e, OptionError)
        text = f"joptsimple.OptionArgumentConversionException: {e}" if named else str(java_error(e))
        log_error(_UNKNOWN, _LOGGER, text)
        return 1
    timeout = None if timeout_ms is None or timeout_ms < 0 else timeout_ms / 1000
    output = Output()
    status = 0
    with Stop() as stop:
        try:
            status = _Printing(options, settings, shown_as, output, stop).run(timeout)
        except OptionError as e:
            log_error(_UNKNOWN, _LOGGER, f"joptsimple.OptionArgumentConversionException: {e}")
            status = 1
        finally:
            print(f"Processed a total of {output.count} messages", file=sys.stderr)
        if options.has("enable-systest-events"):
            output.write(b"shutdown_complete\n")
        return stop.status or status


def _properties(options: Parsed) -> dict[str, str]:
    if not options.has("topic"):
        raise UsageError("--topic is a required argument")
    options.require("bootstrap-server")
    if options.has("reject") and options.has("release"):
        raise UsageError("At most one of --reject and --release may be specified.")
    given = renamed(options, "consumer-property", "command-property", old_first=True, warning=WARNING)
    file = renamed(options, "consumer-config", "command-config", old_first=True, warning=WARNING)
    path = options.value(file)
    try:
        properties = properties_file(path) if path else {}
    except OSError as e:
        raise ToolError(f'Exception in thread "main" java.nio.file.NoSuchFileException: {e.filename}') from None
    more = pairs(options.values(given))
    asked = options.value("group") if options.has("group") else None
    groups = [g for g in dict.fromkeys((asked, more.get("group.id"), properties.get("group.id"))) if g is not None]
    if len(groups) > 1:
        shown = ", ".join(f"'{g}'" for g in groups)
        raise UsageError(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via "
            f"'--consumer-config') do not match. Detected group ids: {shown}"
        )
    properties |= more
    properties["group.id"] = groups[0] if groups else options.value("group")
    properties["bootstrap.servers"] = options.value("bootstrap-server")
    return properties


def _settings(properties: dict[str, str], topic: str) -> Settings:
    properties.setdefault("client.id", "console-share-consumer")
    for key in _UNSUPPORTED:
        if key in properties:
            raise ToolError(f"{key} cannot be set when using a share group.")
    settings = Settings(properties)
    if not topic.strip():
        raise ToolError("Topic collection to subscribe to cannot contain null or empty topic")
    return settings


class _Printing:
    """Move records from a share group to an output."""

    def __init__(self, options: Parsed, settings: Settings, shown_as: Formatter, output: Output, stop: Stop) -> None:
        self._options, self._settings = options, settings
        self._formatter, self._output, self._stop = shown_as, output, stop
        from barnabas.tools.share_client import ACCEPT, REJECT, RELEASE

        self._kind = REJECT if options.has("reject") else RELEASE if options.has("release") else ACCEPT
        self._rejected = REJECT if options.has("reject-message-on-error") else None

    def run(self, timeout: float | None) -> int:
        """Consume; return the exit status. Raises `OptionError`."""
        from barnabas.tools.cluster import PATIENCE, Cluster, Unreachable
        from barnabas.tools.share_client import ShareConsumer

        most = self._options.value("max-messages")
        properties = self._settings.properties
        patience = PATIENCE if timeout is None else max(min(PATIENCE, timeout), 0.1)
        with Cluster(self._settings, patience=patience) as cluster:
            consumer = ShareConsumer(
                cluster, properties["group.id"], self._options.value("topic"),
                max_records=self._settings.integer("max.poll.records", 500, 1),
            )
            try:
                return self._consume(consumer, -1 if most is None else most, timeout)
            except Unreachable as e:
                text = TIMEOUT_EXCEPTION if timeout is not None else f"{TIMEOUT_EXCEPTION}: {e}"
                log_error(_ERROR, _LOGGER, text)
                return 0 if timeout is not None else 1
            except AnswerError as e:
                log_error(_ERROR, _LOGGER, f"org.apache.kafka.common.errors.{e.exception}: {e}")
                return 0
            except ClientError as e:
                log_error(_ERROR, _LOGGER, f"org.apache.kafka.common.KafkaException: {e}")
                return 1
            finally:
                consumer.close()

    def _consume(self, consumer: Any, most: int, timeout: float | None) -> int:
        last = time.monotonic()
        while not self._stop and (most == -1 or self._output.count < most):
            if timeout is not None and time.monotonic() - last > timeout:
                log_error(_ERROR, _LOGGER, TIMEOUT_EXCEPTION)
                return 0
            records = consumer.poll(0.2)
            if not records:
                continue
            if most != -1:
                records = records[: most - self._output.count]
            if not self._print(consumer, records):
                return 1
            if self._output.broken:
                return 0
            last = time.monotonic()
        return 0

    def _print(self, consumer: Any, records: list[Any]) -> bool:
        """Write records, and acknowledge those that went out; tell whether to go on."""
        out: list[bytes] = []
        ends: list[int] = []
        kinds: list[int] = []
        wrong: FormatError | None = None
        for record in records:
            kind = self._kind
            try:
                self._formatter.write(record, out)
            except FormatError as e:
                if self._rejected is None:
                    wrong = e
                else:
                    log_error("Error processing message, rejecting this message: ", _LOGGER, str(e))
                    kind = self._rejected
            ends.append(len(out))
            if wrong is not None:
                break
            kinds.append(kind)
        done = self._output.write(b"".join(out), len(ends), lambda: parts(out, ends))
        for record, kind in zip(records[:done], kinds, strict=False):
            consumer.acknowledge(record, kind)
        if wrong is not None:
            log_error(_UNKNOWN, _LOGGER, str(wrong))
        return wrong is None
