"""The errors of this package, all under one base."""

from __future__ import annotations

from pathlib import Path


class QuantError(Exception):
    """Stand for every failure this package reports by itself; the message is for the user."""


class FrameError(QuantError):
    """Say why a frame or a line of a capture cannot be read."""


class BookGapError(QuantError):
    """Say that an order book update does not follow the one before it."""


class ResumeError(QuantError):
    """Say that what stands in a topic is not what this source would have written there."""


class BusError(QuantError):
    """Say that Kafka cannot be reached or refused a record."""


class ChildError(QuantError):
    """Say that a child process did not start, or ended before it should have."""


class SettingsError(QuantError):
    """Say which setting is wrong, and where it was given."""


class ServiceError(QuantError):
    """Say why a name or a file is no service."""


class NotWritable(QuantError):
    """Say that a file or a folder does not take what is to be written."""

    @classmethod
    def of(cls, path: Path, error: OSError) -> NotWritable:
        """Name the file or the folder, and what the system says."""
        return cls(f"cannot write to {path}: {error.strerror}")


class StoreUnavailable(QuantError):
    """Say that Redis or ClickHouse does not answer now: the same work can be tried again later."""


class SymbolError(QuantError, ValueError):
    """Say why a text names no instrument of the three markets."""


class RecordError(QuantError, ValueError):
    """Say why a record of a topic cannot be used; the bytes go to the dead letters with this reason."""


class StateError(QuantError):
    """Say why saved state cannot be taken up again."""
