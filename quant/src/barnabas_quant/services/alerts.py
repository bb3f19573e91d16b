"""The alerts' service: each record of `risk-alerts` into the log, and to the webhooks and mailboxes of the settings.

A record is delivered at least once: after a SIGKILL the last second's may come again, with the same id. What a place
that is down keeps waiting is in `delivery.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
from confluent_kafka import Message

from barnabas_quant.delivery import Notice, places
from barnabas_quant.service import ConsumerService, Context
from barnabas_quant.trading.events import Alert

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(Alert).decode
_PATIENCE = 5.0  # seconds for what waits when the service ends


class AlertService(ConsumerService):
    """Tell people."""

    name = "alerts"
    summary = "delivers risk-alerts: log, webhooks, e-mail"
    group = "alerts"
    topics = (Alert.topic,)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._places = places(self.settings.alerts)
        for place in self._places:
            place.start()
        self._lost = 0

    def handle(self, messages: Sequence[Message]) -> None:
        for message in messages:
            try:
                alert = _decode(bytes(message.value() or b""))
            except ValueError as error:  # msgspec's and Unicode's are kinds of it
                self.context.dead_letters.put_message(message, str(error))
                self.status.error("malformed")
                continue
            notice = notice_of(alert, message)
            log.log(logging.ERROR if alert.level == "critical" else logging.WARNING, "%s", notice.subject)
            if alert.level == "critical" or self.settings.alerts.level == "warning":
                for place in self._places:
                    place.put(notice)

    def idle(self) -> None:
        lost = sum(place.lost for place in self._places)
        for _ in range(lost - self._lost):
            self.status.error("not delivered")
        self._lost = lost

    def close(self) -> None:
        for place in self._places:
            place.end(_PATIENCE)


def notice_of(alert: Alert, message: Message) -> Notice:
    """Write what people read of an alert."""
    numbers = ", ".join(f"{name} {value}" for name, value in alert.numbers.items())
    action = "" if alert.action == "none" else f"; {alert.action}"
    subject = f"{alert.level} {alert.rule} {alert.state}: {alert.subject}{action}"
    lines = [subject, f"{alert.reason} ({numbers})" if numbers else alert.reason]
    return Notice(
        id=f"{message.topic()}-{message.partition()}-{message.offset()}", subject=subject, text="\n".join(lines),
        record=bytes(message.value() or b""),
    )  # fmt: skip
