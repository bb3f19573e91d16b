"""What the live table shows: a row for each symbol, from the records that its consumer group reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
from confluent_kafka import Message
from rich.table import Table

from barnabas_quant.feeds.player import Progress
from barnabas_quant.model import Tick

Partition = tuple[str, int]


class _Price(msgspec.Struct):
    price: str | None = None


_price = msgspec.json.Decoder(_Price)


@dataclass(slots=True)
class Row:
    """Hold what is known of one key."""

    price: str | None = None
    records: int = 0
    rate: float = 0.0
    counted: int = 0
    """Records when the rate was last worked out."""


class View:
    """Add up records by key, and draw them as a table or as a line."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.records = 0
        self.lag = 0
        self.unreadable = 0
        self._partitions: dict[str, set[Partition]] = {}
        self._lags: Mapping[Partition, int] = {}
        self._sampled: float | None = None

    def add(self, messages: Iterable[Message]) -> None:
        """Count records in; a record without a key or a readable price counts, and no more."""
        for message in messages:
            key = bytes(message.key() or b"-").decode("utf-8", "replace")
            row = self.rows.get(key)
            if row is None:
                row = self.rows[key] = Row()
                self._partitions[key] = set()
            row.records += 1
            self.records += 1
            topic = str(message.topic())
            self._partitions[key].add((topic, int(message.partition() or 0)))
            if topic == Tick.topic:
                try:
                    row.price = _price.decode(bytes(message.value() or b"")).price or row.price
                except (msgspec.DecodeError, UnicodeDecodeError):
                    self.unreadable += 1

    def sample(self, now: float, lags: Mapping[Partition, int]) -> None:
        """Work out rates since the last sample. `now` in seconds on a clock that never goes back."""
        elapsed = now - self._sampled if self._sampled is not None else 0.0
        for row in self.rows.values():
            row.rate = (row.records - row.counted) / elapsed if elapsed > 0 else 0.0
            row.counted = row.records
        self._sampled = now
        self._lags = lags
        self.lag = sum(lags.values())

    def lag_of(self, key: str) -> int:
        """Give how many records are unread in the partitions that hold this key (others may share them)."""
        return sum(self._lags.get(partition, 0) for partition in self._partitions[key])

    @property
    def rate(self) -> float:
        """Give all records a second, at the last sample."""
        return sum(row.rate for row in self.rows.values())

    def table(self, progress: Progress, bootstrap: str) -> Table:
        """Draw the view for a terminal."""
        table = Table(title=f"market data on {bootstrap}", caption=status(progress), caption_justify="left")
        table.add_column("symbol")
        for title in ("last price", "records/s", "records", "lag"):
            table.add_column(title, justify="right")
        for key, row in sorted(self.rows.items()):
            table.add_row(key, short(row.price), f"{row.rate:,.0f}", f"{row.records:,}", f"{self.lag_of(key):,}")
        table.add_section()
        table.add_row("all", "", f"{self.rate:,.0f}", f"{self.records:,}", f"{self.lag:,}")
        return table

    def line(self, progress: Progress) -> str:
        """Write the view as one plain line."""
        prices = " ".join(f"{key}={short(row.price)}" for key, row in sorted(self.rows.items()))
        return (
            f"records={self.records} rate={self.rate:.0f}/s lag={self.lag} feed={progress.state} "
            f"sent={progress.sent} skipped={progress.skipped} malformed={progress.malformed} {prices}"
        ).rstrip()


def short(price: str | None) -> str:
    """Drop the zeros that a venue pads prices with; two decimals stay."""
    if price is None:
        return "-"
    whole, point, fraction = price.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}" if point else whole


def status(progress: Progress) -> str:
    """Write what the feed is doing."""
    parts = [f"feed {progress.state}", f"{progress.sent:,} sent"]
    if progress.skipped:
        parts.append(f"{progress.skipped:,} stood there already")
    if progress.malformed:
        parts.append(f"{progress.malformed:,} malformed")
    return ", ".join(parts)
