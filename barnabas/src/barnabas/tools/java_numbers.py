"""Read numbers for argparse as Java's types hold them."""

from __future__ import annotations


def long(text: str) -> int:
    """Read a number of 64 bits. Raises ValueError."""
    return _within(int(text), 1 << 63)


def integer(text: str) -> int:
    """Read a number of 32 bits. Raises ValueError."""
    return _within(int(text), 1 << 31)


def _within(number: int, limit: int) -> int:
    if not -limit <= number < limit:
        raise ValueError
    return number
