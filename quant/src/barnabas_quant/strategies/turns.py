"""One purchase at a time: how the orders for an instrument stand, of a strategy that buys once and then sells all.

A purchase may rest unfilled while the rule says sell and buy again, and a sale while the price runs away from it. So a
strategy opens nothing while it holds something or an order of its own is open, asks for no second sale beside an open
one, and asks again for one that expired or was canceled.
"""

from __future__ import annotations

import msgspec

from barnabas_quant.trading.events import OrderEvent
from barnabas_quant.trading.orders import OPEN, Side


class Turn(msgspec.Struct):
    """Hold what is known of the orders for one instrument."""

    open: dict[str, Side] = {}
    """Those that were told to be open, by their ids."""
    again: bool = False
    """Whether one that was to close the position expired or was canceled, and has to be asked for again."""

    def hear(self, order: OrderEvent, position: int) -> None:
        """Take what happened to an order, with the position that there is. What was refused would be refused again."""
        if order.status in OPEN:
            self.open[order.order] = order.side
            return
        self.open.pop(order.order, None)
        if position and order.side == _closing(position):
            self.again = order.status in ("canceled", "expired")

    def may_close(self, position: int) -> bool:
        """Tell whether there is a position that no open order closes already."""
        return bool(position) and _closing(position) not in self.open.values()


def _closing(position: int) -> Side:
    return "SELL" if position > 0 else "BUY"
