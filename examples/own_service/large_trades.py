"""A service of your own: trades worth more than 20,000, to a topic of their own.

Copy the file into DATA/services (./data/services by default) while `barnabas-quant up` runs: it is started within a
second, restarted when it dies, and shown by `barnabas-quant status`. No other file is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from barnabas_quant.bus.topics import TopicSpec, client_settings
from barnabas_quant.errors import StoreUnavailable
from barnabas_quant.model import Trade
from barnabas_quant.service import ConsumerService, Context

LEAST = Decimal(20_000)  # of the quote currency
TOPIC = "large-trades"


class LargeTrades(ConsumerService):
    """Pass large trades on, each as it stands, at least once."""

    name = "large-trades"
    summary = f"trades worth more than {LEAST:,} into {TOPIC}"
    group = "large-trades"
    topics = (Trade.topic,)
    creates = (TopicSpec(TOPIC, 1),)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        own = {"enable.idempotence": True, "partitioner": "murmur2_random"}
        self._producer = Producer(client_settings(self.settings.bootstrap, own))
        self._passed = 0
        self._refused = ""

    def handle(self, messages: Sequence[Message]) -> None:
        """Pass a batch on; its offsets are committed when this returns, so all of it is acknowledged before."""
        passed, self._refused = 0, ""
        for message in messages:
            try:
                trade = msgspec.json.decode(message.value() or b"", type=Trade)
            except msgspec.DecodeError as error:
                self.status.error("malformed")
                self.context.dead_letters.put_message(message, str(error))
                continue
            if Decimal(trade.price) * Decimal(trade.quantity) >= LEAST:
                self._producer.produce(TOPIC, message.value(), message.key(), on_delivery=self._delivered)
                passed += 1
        if self._producer.flush(10) or self._refused:  # the same batch comes again
            raise StoreUnavailable(f"{TOPIC} is not acknowledged: {self._refused or 'no answer'}")
        self._passed += passed
        self.status.note = f"passed on {self._passed}"

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._refused = error.str()
