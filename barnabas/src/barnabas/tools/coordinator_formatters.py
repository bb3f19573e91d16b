"""Write the records of Kafka's internal topics as JSON, as the formatters of its coordinators do.

`record_json.py` decodes them, and knows Java's JSON. A formatter prints some types of its coordinator's records, yet
decodes them all, as Java's do: what is no record of that coordinator is an error even where nothing would be printed.
Types that the coordinator does not know, and records without a key, print nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from barnabas.tools.record_formatters import FormatError, Formatter, Record
from barnabas.tools.record_json import (
    Definitions,
    MalformedRecord,
    UnknownRecord,
    as_json,
    decode_coordinator_record,
    dumps,
    group_records,
    share_records,
    transaction_records,
)

#: formatter: the records of its coordinator, and the types that it prints; None stands for all
_KINDS: Final[dict[str, tuple[Callable[[], Definitions], tuple[int, ...] | None]]] = {
    "offsets": (group_records, (0, 1)),
    "groups": (group_records, (2,)),
    "transactions": (transaction_records, None),
    "share groups": (group_records, (10, 11, 12, 13, 14, 15)),
    "share state": (share_records, None),
}


class CoordinatorFormatter(Formatter):
    """Write keys and values of one coordinator."""

    def __init__(self, kind: str) -> None:
        definitions, self._shown = _KINDS[kind]
        self._definitions = definitions()

    @property
    def plain(self) -> bool:
        """Tell that every record is looked at."""
        return False

    def write(self, record: Record, out: list[bytes]) -> None:
        """Append a record as JSON, without a line's end, as Java does."""
        key = record.key()
        if key is None:
            return
        try:
            found = decode_coordinator_record(self._definitions, key, record.value())
        except UnknownRecord:
            return
        except MalformedRecord as e:
            raise FormatError(
                f"java.lang.RuntimeException: Could not read record at offset {record.offset()} due to: {e}"
            ) from None
        if self._shown is not None and found.kind not in self._shown:
            return
        value = None
        if found.value is not None:
            value = {"version": found.version, "data": as_json(found.value, found.version)}
        shown = {"key": {"type": found.kind, "data": as_json(found.key, 0)}, "value": value}
        out.append(dumps(shown).encode())
