"""The errors of this package, all under one base."""

from __future__ import annotations


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
