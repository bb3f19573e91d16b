"""Money as the platform handles it: decimal text outside, integers of 10^-8 inside.

No price or quantity passes through a float. Topics keep the venue's text untouched, trailing zeros and all; whatever
computes turns it into *units*, whole numbers of 10^-8, and an amount that does not fit is an error, never rounded.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

PLACES = 8
"""Decimal places that units keep."""

ONE: int = 10**PLACES
"""How many units make 1."""

LIMIT: int = 2**63
"""Bound of units, exclusive: they fit a signed 64-bit column."""

_STEPS: tuple[int, ...] = tuple(10 ** (PLACES - places) for places in range(PLACES + 1))

_PATTERN = r"^[0-9]{1,30}(\.[0-9]{1,30})?\Z"
_DECIMAL = re.compile(_PATTERN)

DecimalText = Annotated[str, Meta(pattern=_PATTERN)]
"""A price or a quantity as a venue writes it: digits, perhaps a point and more digits; no sign, no exponent."""


def units(text: str) -> int:
    """Turn decimal text into whole units of 10^-8.

    Raises ValueError for text that is no plain decimal, for more than eight significant decimal places, and for
    amounts from 2^63 units on.
    """
    amount = total_units(text)
    if amount >= LIMIT:
        raise ValueError(f"too large for 64 bits of 10^-{PLACES}: {text!r}")
    return amount


def total_units(text: str) -> int:
    """Turn the decimal text of a quantity or a sum into units; it may pass 2^63. Raises ValueError as `units` does."""
    whole, point, fraction = text.partition(".")
    if len(fraction) <= PLACES and 0 < len(whole) <= 10 and bool(fraction) == bool(point):  # half the time of the rest
        digits = whole + fraction
        if digits.isdigit() and digits.isascii():
            return int(digits) * _STEPS[len(fraction)]
    if not _DECIMAL.match(text):
        raise ValueError(f"not a plain decimal: {text!r}")
    if fraction[PLACES:].strip("0"):
        raise ValueError(f"more than {PLACES} decimal places: {text!r}")
    return int(whole) * ONE + int(fraction[:PLACES].ljust(PLACES, "0"))


def decimal_text(amount: int) -> str:
    """Write units as decimal text with all eight places, the way Binance's spot market does.

    Raises ValueError for a negative amount or one from 2^63 on.
    """
    if not 0 <= amount < LIMIT:
        raise ValueError(f"outside 0 .. 2^63: {amount}")
    return f"{amount // ONE}.{amount % ONE:08d}"


def total_text(amount: int) -> str:
    """Write a sum of units as decimal text with all eight places; a day's volume may pass 2^63 units.

    Raises ValueError for a negative amount.
    """
    if amount < 0:
        raise ValueError(f"below 0: {amount}")
    return f"{amount // ONE}.{amount % ONE:08d}"
