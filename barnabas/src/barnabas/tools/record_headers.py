"""Read the headers of records that came through confluent-kafka, whatever their names are made of.

The name of a header is a text, but no broker checks that. Java's clients read U+FFFD where it is not UTF-8;
confluent-kafka 2.16 fails, in a way that only a call through C notices: `headers_of` is that call. `HeaderReader` reads
what Java reads: it fetches such a record again, with our own protocol layer.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, Protocol

from barnabas.protocol.errors import BarnabasError
from barnabas.tools.errors import ToolError

if TYPE_CHECKING:
    from barnabas.tools.cluster import Cluster

#: of each its name and its value
Headers = list[tuple[str, bytes | None]]

# A header's name that is not UTF-8 makes confluent-kafka return a list with null pointers and an error that it leaves
# behind. A call written out does not always look for that, once the interpreter has optimised it, and the next use of
# the list ends the process; a call through C always does.
_ask = operator.methodcaller("headers")
#: the last version of Fetch that names topics, not their ids
_NAMED: Final = 12
_AHEAD: Final = 1 << 20


class NamesAreNoText(ToolError):
    """Headers cannot be read, because a name is not UTF-8."""


class Record(Protocol):
    """Be a record, with the methods of confluent-kafka's Message that are needed here."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def headers(self) -> Any: ...


def headers_of(record: Record) -> Headers:
    """Return a record's headers. Raises `NamesAreNoText`; must not be asked again about such a record."""
    try:
        return _ask(record) or []
    except (UnicodeDecodeError, SystemError):
        raise NamesAreNoText("the names of this record's headers are not UTF-8") from None


class HeaderReader:
    """Read the headers of records as Java's clients do. Of what cannot be fetched again, they are one named U+FFFD."""

    def __init__(self, properties: dict[str, str]) -> None:
        self._properties = properties
        self._cluster: Cluster | None = None
        self._place: tuple[Any, Any] = ("", -1)
        self._fetched: dict[int, Headers] = {}
        """By offset, the headers of what was fetched last, which lies in `_place`."""

    def close(self) -> None:
        """Close the connections, if there are any."""
        if self._cluster is not None:
            self._cluster.close()

    def __call__(self, record: Record) -> Headers:
        """Return a record's headers. Must not be asked about a record twice."""
        try:
            return headers_of(record)
        except NamesAreNoText:
            pass
        place, offset = (record.topic(), record.partition()), record.offset() or 0
        if place != self._place or offset not in self._fetched:
            try:
                self._place, self._fetched = place, self._fetch(place, offset)
            except BarnabasError:
                self._fetched = {}
        return self._fetched.get(offset, [("\ufffd", None)])

    def _fetch(self, place: tuple[Any, Any], offset: int) -> dict[int, Headers]:
        """Return the headers of the batch that holds an offset, and of some behind it. Raises `BarnabasError`."""
        from barnabas.protocol.batch import batches, read_records
        from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
        from barnabas.tools.cluster import PATIENCE, Cluster
        from barnabas.tools.errors import AnswerError
        from barnabas.tools.settings import Settings

        if self._cluster is None:
            self._cluster = Cluster(Settings(self._properties), told=lambda _: None)
        leader = self._cluster.leaders([place], seconds=PATIENCE)[place]
        if isinstance(leader, AnswerError):
            raise leader
        asked = FetchTopic(place[0], partitions=[
            FetchPartition(place[1], fetch_offset=offset, partition_max_bytes=_AHEAD)
        ])
        answer = self._cluster.ask(FetchRequest(topics=[asked]), node=leader, highest=_NAMED)
        found: dict[int, Headers] = {}
        for data in (bytes(p.records or b"") for topic in answer.responses for p in topic.partitions):
            for header, at in batches(data):
                if not header.is_control:
                    found |= {r.offset: list(r.headers) for r in read_records(header, memoryview(data)[at:])}
        return found
