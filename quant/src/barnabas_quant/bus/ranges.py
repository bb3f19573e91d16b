"""Reading stretches of partitions, each to a known end, with a group that commits nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from barnabas_quant.bus.topics import client_settings
from barnabas_quant.errors import BusError

Partition = tuple[str, int]

_NO_LEADER_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
)

SILENCE = 30.0
"""Seconds without a record or an end of partition after which reading is given up."""


class Records(Protocol):
    """Give records by their places, wherever they are kept."""

    def read(self, ranges: Mapping[Partition, tuple[int, int]]) -> Iterator[Message]:
        """Give the records at offsets from <= offset < end of each partition, as far as they are there.

        Raises QuantError where that cannot be told.
        """


class RangeReader:
    """Read partitions from one offset up to another; use as a context manager."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer = Consumer(
            client_settings(
                bootstrap,
                {
                    "group.id": "barnabas-quant-reader",  # asked for by the client; nothing joins or commits
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",
                    "fetch.wait.max.ms": 50,
                    "fetch.queue.backoff.ms": 10,  # a second, unless told: so long a full queue would go unfilled
                },
            )
        )

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self._consumer.close()

    def bounds(self, partitions: Iterable[Partition], seconds: float = 10.0) -> dict[Partition, tuple[int, int]]:
        """Give the first offset and the end of each partition. Raises BusError, after `seconds` without an answer."""
        deadline = time.monotonic() + SILENCE
        return {partition: self._bounds(partition, seconds, deadline) for partition in partitions}

    def _bounds(self, partition: Partition, seconds: float, deadline: float) -> tuple[int, int]:
        while True:
            try:
                return self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=seconds)
            except KafkaException as error:
                # A partition made a moment ago has no leader yet.
                if error.args[0].code() not in _NO_LEADER_YET or time.monotonic() > deadline:
                    raise BusError(
                        f"{partition[0]}-{partition[1]}: cannot list offsets: {error.args[0].str()}"
                    ) from error
            time.sleep(0.05)

    def read(self, ranges: Mapping[Partition, tuple[int, int]]) -> Iterator[Message]:
        """Give the records at offsets from <= offset < end of each partition, in the order of each partition.

        Raises BusError where the broker falls silent.
        """
        ends = {partition: end for partition, (start, end) in ranges.items() if start < end}
        self._consumer.assign([TopicPartition(*partition, ranges[partition][0]) for partition in ends])
        heard = time.monotonic()
        while ends:
            messages = self._consumer.consume(5000, 0.2)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE:
                raise BusError(f"{self._bootstrap}: nothing read for {SILENCE:g} s from {sorted(ends)}")
            for message in messages:
                partition = (str(message.topic()), int(message.partition() or 0))
                offset = int(message.offset() or 0)
                error = message.error()
                if error is not None:
                    # The end can lie behind markers that are never handed out: the end of the partition says so.
                    if error.code() == KafkaError._PARTITION_EOF:
                        ends.pop(partition, None)
                    elif not error.retriable():
                        raise BusError(f"{partition[0]}-{partition[1]}: {error.str()}")
                    continue
                end = ends.get(partition)
                if end is None:
                    continue
                if offset < end:
                    yield message
                if offset >= end - 1:
                    del ends[partition]
        self._consumer.unassign()


def read_records(bootstrap: str, topics: Mapping[str, int]) -> Iterator[Message]:
    """Give every record that stands in the topics (name to number of partitions) now. Raises BusError."""
    with RangeReader(bootstrap) as reader:
        partitions = [(topic, number) for topic, count in topics.items() for number in range(count)]
        yield from reader.read(reader.bounds(partitions))
