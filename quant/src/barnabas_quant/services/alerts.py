"""The alerts' service: each record of `risk-alerts` into the log, and to the webhooks and mailboxes of the settings.

A record is delivered at least once: what the group commits never passes one that some place has neither got nor given
up, so after a SIGKILL that one is read again. How far each place has got is kept as the offsets of a group of its own,
in which nobody reads: what it has got already, but for the last second, is not brought to it again. What a place that
is down keeps waiting is in `delivery.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from barnabas_quant.bus.topics import client_settings
from barnabas_quant.delivery import Notice, places
from barnabas_quant.errors import StoreUnavailable
from barnabas_quant.service import ConsumerService, Context, Partition
from barnabas_quant.trading.events import MAIN, Alert

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(Alert).decode
_PATIENCE = 5.0  # seconds for what waits when the service ends
_COMMIT_EVERY = 1.0  # seconds
_TIMEOUT = 10.0  # seconds for Kafka's answer


class AlertService(ConsumerService):
    """Tell people."""

    name = "alerts"
    summary = "delivers risk-alerts: log, webhooks, e-mail"
    group = "alerts"
    topics = (Alert.topic,)
    batch = 50  # each of these may wait a moment for each place

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._places = places(self.settings.alerts)
        self._progress = {
            place: Progress(self.settings.bootstrap, f"{self.group}-{place.key}") for place in self._places
        }
        for place in self._places:
            place.start()
        self._handled: dict[Partition, int] = {}
        self._commit_at = 0.0
        self._lost = 0

    def assigned(self, partitions: list[TopicPartition]) -> None:
        for progress in self._progress.values():
            progress.read(partitions)

    def revoked(self, partitions: list[TopicPartition]) -> None:
        for at in partitions:
            self._handled.pop((at.topic, at.partition), None)

    def handle(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self.context.stop.is_set():
                raise StoreUnavailable("the service ends")  # the next one reads these again
            self._take(message)
            self._handled[str(message.topic()), int(message.partition() or 0)] = int(message.offset() or 0) + 1

    def _take(self, message: Message) -> None:
        try:
            alert = _decode(bytes(message.value() or b""))
        except ValueError as error:  # msgspec's and Unicode's are kinds of it
            self.context.dead_letters.put_message(message, str(error))
            self.status.error("malformed")
            return
        notice = notice_of(alert, message)
        log.log(logging.ERROR if alert.level == "critical" else logging.WARNING, "%s", notice.subject)
        if alert.level == "critical" or self.settings.alerts.level == "warning":
            for place in self._places:
                if not self._progress[place].has(notice):
                    place.put(notice)

    def held(self) -> Mapping[Partition, int]:
        found: dict[Partition, int] = {}
        for place in self._places:
            for at, offset in place.held().items():
                found[at] = min(found.get(at, offset), offset)
        return found

    def idle(self) -> None:
        lost = sum(place.lost for place in self._places)
        for _ in range(lost - self._lost):
            self.status.error("not delivered")
        self._lost = lost
        if time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + _COMMIT_EVERY
            self._keep(wait=False)

    def close(self) -> None:
        for place in self._places:
            place.end(_PATIENCE)
        self._keep(wait=True)
        for progress in self._progress.values():
            progress.close()

    def _keep(self, wait: bool) -> None:
        for place, progress in self._progress.items():
            held = place.held()
            progress.write({at: min(offset, held.get(at, offset)) for at, offset in self._handled.items()}, wait)


class Progress:
    """Keep how far a place has got: the offset after the last one before which it lacks nothing."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._group = group
        self._consumer = Consumer(client_settings(bootstrap, {"group.id": group, "enable.auto.commit": False}))
        self._got: dict[Partition, int] = {}
        self._written: dict[Partition, int] = {}

    def read(self, partitions: Sequence[TopicPartition]) -> None:
        """Learn how far it had got, of partitions whose `offset` is where reading begins (negative: not known).

        What cannot be, as the topic is another one by now, counts for nothing; nor does what cannot be learned: it is
        only delivered once more.
        """
        try:
            asked = [TopicPartition(at.topic, at.partition) for at in partitions if at.offset >= 0]
            for at in self._consumer.committed(asked, timeout=_TIMEOUT) if asked else ():
                _, end = self._consumer.get_watermark_offsets(TopicPartition(at.topic, at.partition), _TIMEOUT)
                self._got[at.topic, at.partition] = at.offset if at.offset <= end else 0
        except KafkaException as error:
            log.warning("%s: %s; what was delivered may be so again", self._group, error)

    def has(self, notice: Notice) -> bool:
        """Tell whether the place had got this before the service began."""
        return notice.offset < self._got.get((notice.topic, notice.partition), 0)

    def write(self, done: Mapping[Partition, int], wait: bool) -> None:
        """Keep how far it is; what is not kept is only delivered once more."""
        done = {at: max(offset, self._got.get(at, 0)) for at, offset in done.items()}
        moved = {at: offset for at, offset in done.items() if self._written.get(at) != offset}
        if not moved:
            return
        offsets = [TopicPartition(*at, offset) for at, offset in moved.items()]
        try:
            if wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            log.warning("%s: it is not kept how far it is: %s", self._group, error)
            return
        self._written |= moved

    def close(self) -> None:
        self._consumer.close()


def notice_of(alert: Alert, message: Message) -> Notice:
    """Write what people read of an alert."""
    numbers = ", ".join(f"{name} {value}" for name, value in alert.numbers.items())
    action = "" if alert.action == "none" else f"; {alert.action}"
    whose = "" if alert.account == MAIN else f" of {alert.account}"
    subject = f"{alert.level} {alert.rule} {alert.state}: {alert.subject}{whose}{action}"
    lines = [subject, f"{alert.reason} ({numbers})" if numbers else alert.reason]
    return Notice(
        topic=str(message.topic()), partition=int(message.partition() or 0), offset=int(message.offset() or 0),
        subject=subject, text="\n".join(lines), record=bytes(message.value() or b""),
    )  # fmt: skip
