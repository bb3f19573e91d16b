"""From records of the topics to what a host of strategies hears: a pure function of a record, without a clock."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from barnabas_quant.errors import RecordError
from barnabas_quant.strategies.host import Heard
from barnabas_quant.trading.events import Bar, Clock, Decision, Depth, Fill, OrderEvent, Print, Quote
from barnabas_quant.trading.inputs import inputs_of

_ANSWERS: dict[str, Callable[[bytes], OrderEvent | Decision]] = {
    OrderEvent.topic: msgspec.json.Decoder(OrderEvent).decode,
    Decision.topic: msgspec.json.Decoder(Decision).decode,
}


def heard_of(topic: str, value: bytes, produced: int, partition: int, offset: int, primary: str) -> list[Heard]:
    """Make what strategies hear of one record; `produced` is Kafka's timestamp in milliseconds.

    Raises RecordError for a record that cannot be used.
    """
    if (decode := _ANSWERS.get(topic)) is not None:
        try:
            return [decode(value)]
        except (ValueError, RecursionError) as error:  # msgspec's and Unicode's are kinds of the first
            raise RecordError(f"{topic}: {error}") from error
    found = inputs_of(topic, value, produced, partition, offset, primary)
    return [event for event in found if isinstance(event, Quote | Print | Bar | Depth | Fill | Clock)]
