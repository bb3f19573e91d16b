"""A command of a person, from a terminal: written to its topic, and what became of it, from the topic that tells."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, TypeVar

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from barnabas_quant.bus.answers import Answer
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topics import client_settings, ensure_topics, topic_specs
from barnabas_quant.errors import BusError

PATIENCE = 10.0
"""Seconds that an answer is waited for, if nothing else is said."""


_A = TypeVar("_A", bound=Answer)
_R = TypeVar("_R")

_NEWEST = 1000  # records among which one is looked for that was told a moment ago


def add_wait(command: argparse.ArgumentParser, what: str) -> None:
    """Declare how long an answer is waited for."""
    command.add_argument(
        "--wait", type=float, default=PATIENCE, metavar="SECONDS",
        help=f"for {what} (default {PATIENCE:g}; 0: do not wait)",
    )  # fmt: skip


def ask(bootstrap: str, topic: str, command: Any, kind: type[_A], wait: float, out: TextIO) -> _A | None:
    """Write a command, print its id; give what became of it, None where that is not known within `wait` seconds.

    Raises BusError.
    """
    answers = str(kind.topic)  # type: ignore[attr-defined]  # every kind of record names its topic
    ensure_topics(bootstrap, topic_specs((topic, answers)))
    id = f"{topic}-0-{_write(bootstrap, topic, msgspec.json.encode(command))}"
    print(id, file=out, flush=True)
    return look_for(bootstrap, answers, kind, lambda one: one.subject == id, wait) if wait else None


def look_for(bootstrap: str, topic: str, kind: type[_R], is_it: Callable[[_R], bool], seconds: float) -> _R | None:
    """Give the record that is wanted from among the newest of a topic; None where it does not come. Raises BusError."""
    with RangeReader(bootstrap) as reader:
        at, deadline = (topic, 0), time.monotonic() + seconds
        low, end = reader.bounds([at])[at]
        heard = max(low, end - _NEWEST)
        while True:
            end = reader.bounds([at])[at][1]
            if end > heard:
                for record in decoded(reader.read({at: (heard, end)}), kind):
                    if is_it(record):
                        found: _R = record
                        return found
                heard = end
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)


def _write(bootstrap: str, topic: str, value: bytes) -> int:
    """Write a command once, whatever the network does; give its offset. Raises BusError."""
    answers: list[tuple[KafkaError | None, Message]] = []
    settings = {"enable.idempotence": True, "message.timeout.ms": round(PATIENCE * 1000)}
    producer = Producer(client_settings(bootstrap, settings))
    producer.produce(topic, value, partition=0, on_delivery=lambda error, message: answers.append((error, message)))
    if producer.flush(PATIENCE + 1) or not answers:
        raise BusError(f"{topic}: the command is not acknowledged; perhaps it is there: see `status`")
    error, message = answers[0]
    if error is not None:
        raise BusError(f"{topic}: the command was not written: {error.str()}")
    return int(message.offset() or 0)


def decoded(messages: Iterable[Any], kind: type[Any]) -> Iterator[Any]:
    """Give the records of a topic that its service wrote; others say nothing of it."""
    for message in messages:
        try:
            yield msgspec.json.decode(bytes(message.value() or b""), type=kind)
        except ValueError:
            continue
