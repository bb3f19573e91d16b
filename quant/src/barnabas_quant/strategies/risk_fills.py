"""Fills by which risk makes a position of the account smaller: whose stock they take.

A stop-loss or the kill switch closes what the account holds, and several strategies may have bought that. It is taken
off those that hold the instrument one after the other, in the order of the settings; what is left over is of a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from barnabas_quant.model.money import total_units
from barnabas_quant.trading.events import Fill


def is_of_risk(fill: Fill) -> bool:
    """Tell whether a fill is of an order that a rule sent: its id begins with the rule's name and the instrument."""
    return fill.order.startswith(f"{fill.strategy}:{fill.instrument}:")


def taken_from(fill: Fill, holdings: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Give what a fill takes from those that hold its instrument, by name: units, below 0 of a short position."""
    left = total_units(fill.quantity) * (-1 if fill.side == "BUY" else 1)
    for name, held in holdings:
        part = min(held, left) if left > 0 else max(held, left)
        if part * left > 0:
            left -= part
            yield name, part
