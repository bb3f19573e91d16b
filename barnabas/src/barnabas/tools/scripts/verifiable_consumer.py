"""kafka-verifiable-consumer: consume as a member of a group and report everything as JSON, for system tests.

Records are consumed with confluent-kafka: at most 500 at once, those that are there. Before that a connection of our
own tells whether the cluster is there. Differs from Java's tool: a cluster that cannot be reached is given up after a
few seconds; librdkafka has the assignors Range, RoundRobin and CooperativeSticky alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from barnabas.tools.client_properties import await_cluster, consumer_config, exception_for, failure, read_properties
from barnabas.tools.errors import ToolError
from barnabas.tools.java_numbers import integer
from barnabas.tools.verifiable_events import Stop, say

SUMMARY = "Consume a topic, and report assignments, records and commits as JSON."
EXAMPLE = """
kafka-verifiable-consumer --bootstrap-server localhost:9092 --topic test --group-id tests --max-messages 1000
"""
HELP_WITHOUT_ARGUMENTS = True

_AT_ONCE: Final = 500


def parser(parser: Any) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--topic", required=True, metavar="TOPIC", help="The topic to consume.")
    add("--group-protocol", default="classic", metavar="PROTOCOL", help="CLASSIC or CONSUMER (KIP-848).")
    add("--group-remote-assignor", metavar="NAME", help="The broker's assignor, for the protocol CONSUMER.")
    add("--group-id", required=True, metavar="GROUP", help="The group to consume in.")
    add("--group-instance-id", metavar="ID", help="What makes the member a static one.")
    add("--max-messages", type=integer, default=-1, metavar="COUNT", help="How many to consume; -1: until it is ended.")
    add("--session-timeout", type=integer, metavar="MS", help="The session timeout, for the protocol CLASSIC.")
    add("--verbose", action="store_true", help="Report each record too.")
    add("--enable-autocommit", action="store_true", help="Let the client commit by itself.")
    add("--reset-policy", default="earliest", metavar="POLICY", help="Where to begin: earliest, latest or none.")
    add("--assignment-strategy", default="org.apache.kafka.clients.consumer.RangeAssignor", metavar="CLASS",
        help="The assignor, for the protocol CLASSIC.")
    add("--consumer.config", dest="consumer_config", metavar="FILE", help="Deprecated: use --command-config.")
    add("--command-config", metavar="FILE", help="A property file with the consumer's configuration.")
    add("--bootstrap-server", required=True, metavar="HOST:PORT,...", help="REQUIRED: the servers to connect to.")


def run(options: Any) -> int:
    """Consume, and report."""
    if options.consumer_config and options.command_config:
        raise _usage("Options --consumer.config and --command-config are mutually exclusive.")
    if options.consumer_config:
        print(
            "Option --consumer.config has been deprecated and will be removed in a future version. "
            "Use --command-config instead."
        )
    properties = _properties(options)
    config = consumer_config(properties)
    await_cluster(properties, "consumer")
    from confluent_kafka import Consumer, KafkaException

    stop = Stop()
    consumer = Consumer(config)
    run = Run(consumer, options)
    say("startup_complete")
    try:
        consumer.subscribe([options.topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
        run.consume(stop)
    except KafkaException as e:
        print(f"Error during processing, terminating consumer process: {failure(e.args[0])}", file=sys.stderr)
    if stop.signal:
        say("shutdown_requested")
    consumer.close()
    say("shutdown_complete")
    if not stop.signal:
        say("shutdown_requested")
    return stop.status


def _properties(options: Any) -> dict[str, str]:
    try:
        properties = read_properties(options.consumer_config or options.command_config)
    except ToolError as e:
        raise _usage(str(e)) from None
    if options.group_protocol.upper() == "CONSUMER":
        properties["group.protocol"] = options.group_protocol
        if options.group_remote_assignor is not None:
            properties["group.remote.assignor"] = options.group_remote_assignor
    else:
        properties["partition.assignment.strategy"] = options.assignment_strategy
    if options.group_instance_id is not None:
        properties["group.instance.id"] = options.group_instance_id
    if options.session_timeout is not None:
        properties["session.timeout.ms"] = str(options.session_timeout)
    return properties | {
        "bootstrap.servers": options.bootstrap_server, "group.id": options.group_id,
        "enable.auto.commit": str(options.enable_autocommit).lower(), "auto.offset.reset": options.reset_policy,
    }


def _usage(text: str) -> ToolError:
    return ToolError(f"usage: kafka-verifiable-consumer [options]\nkafka-verifiable-consumer: error: {text}")


def assigned(_: Any, partitions: Iterable[Any]) -> None:
    """Report partitions that the group gave."""
    say("partitions_assigned", partitions=_shown(partitions))


def revoked(_: Any, partitions: Iterable[Any]) -> None:
    """Report partitions that the group took away."""
    say("partitions_revoked", partitions=_shown(partitions))


def _shown(partitions: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {"topic": topic, "partition": partition} for topic, partition in sorted((p.topic, p.partition) for p in
                                                                                partitions)
    ]


class Run:
    """Consume as many records as was asked for, or until a signal comes."""

    def __init__(self, consumer: Any, options: Any) -> None:
        self._consumer, self._options = consumer, options
        self._most: int = options.max_messages
        self._consumed = 0

    def consume(self, stop: Stop) -> None:
        """Consume, report, commit. Raises KafkaException for what a consumer cannot go on after."""
        while not stop.signal and not 0 <= self._most <= self._consumed:
            messages = self._messages()
            if messages:
                offsets = self.report(messages)
                if not self._options.enable_autocommit:
                    self._commit(offsets)

    def _messages(self) -> list[Any]:
        """Return what has come, without waiting for more."""
        from confluent_kafka import KafkaError, KafkaException

        first = self._consumer.poll(0.2)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(_AT_ONCE - 1, 0)]
        for message in messages:
            error = message.error()
            if error is not None and (error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET):
                raise KafkaException(error)
        return [message for message in messages if message.error() is None]

    def report(self, messages: list[Any]) -> dict[tuple[str, int], int]:
        """Report records, in order of partitions; return the offsets to commit."""
        groups: dict[tuple[str, int], list[Any]] = {}
        for message in messages:
            groups.setdefault((message.topic(), message.partition()), []).append(message)
        offsets, summaries = {}, []
        for (topic, partition), records in sorted(groups.items()):
            if self._most >= 0:
                records = records[: self._most - self._consumed]
            if not records:
                continue
            first, last = records[0].offset(), records[-1].offset()
            offsets[topic, partition] = last + 1
            summaries.append({
                "topic": topic, "partition": partition, "count": len(records), "minOffset": first, "maxOffset": last
            })
            if self._options.verbose:
                for record in records:
                    say("record_data", key=_text(record.key()), value=_text(record.value()), topic=topic,
                        partition=partition, offset=record.offset())
            self._consumed += len(records)
        say("records_consumed", count=len(messages), partitions=summaries)
        return offsets

    def _commit(self, offsets: dict[tuple[str, int], int]) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        error = None
        try:
            done = self._consumer.commit(
                offsets=[TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()],
                asynchronous=False,
            )
            error = next((partition.error for partition in done if partition.error is not None), None)
        except KafkaException as e:
            error = e.args[0]
            if error.fatal():
                raise
        say(
            "offsets_committed",
            offsets=[{"topic": t, "partition": p, "offset": offset} for (t, p), offset in offsets.items()],
            **({} if error is None else {"error": exception_for(error)[1]}), success=error is None,
        )


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")
