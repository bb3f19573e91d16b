"""GRID: lines at fixed steps around a centre; buy when the price falls to a line, sell that one step higher.

Each line is free, being bought, held or being sold; the price starts a purchase or a sale, and only a fill completes
it. So each line holds at most one volume at a time, however often the price crosses it. A line sells once its purchase
is filled or over, and not beside it. A purchase that ends without being filled frees its line, a sale that expires or
is canceled is asked for again, and lines whose stock risk has sold are free. What was asked for and is not heard of as
an open order, a sale that is refused among it, is taken for gone at the end of the day (UTC).
Source: the rule of exchanges' spot grid bots (Binance Academy, "What Is Grid Trading?"); no claim that it pays: it
earns where prices go to and fro, and holds everything bought where they fall.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from barnabas_quant.model.intervals import DAY
from barnabas_quant.model.money import DecimalText, units
from barnabas_quant.strategies.bars import check_interval, is_taken
from barnabas_quant.strategies.base import Strategy, some
from barnabas_quant.trading.events import Bar, Fill, OrderEvent, Print
from barnabas_quant.trading.orders import OPEN

_WHOLE = 10_000  # hundredths of a percent


class Line(msgspec.Struct):
    """Hold what a line has, and what was asked for."""

    state: Literal["buying", "held", "selling"]
    day: int
    """On which it was asked for."""
    quantity: int = 0
    order: str = ""
    """Which order fills it: known with the first that is told of it."""
    open: bool = False
    """Whether that order was told to be open: then it is not gone before that is told, too."""


class Grid(msgspec.Struct):
    """Hold the lines of one instrument that are not free, by their number from the centre."""

    centre: int
    last: int
    """Price before."""
    lines: dict[int, Line] = {}
    interval: str = ""


class GridStrategy(Strategy):
    """Buy and sell at fixed steps around a centre."""

    name = "GRID"
    summary = "buys each time the price falls to a line of a grid, sells that one line higher"

    class Parameters(Strategy.Parameters):
        """Say where the lines are."""

        centre: DecimalText = "0"
        """Price; 0: the first that comes."""
        step: Annotated[int, Meta(ge=1, le=1000)] = 50
        """Between two lines, in hundredths of a percent of the centre."""
        lines: Annotated[int, Meta(ge=1, le=200)] = 5
        """On each side of the centre."""
        volume: DecimalText = "0.01"
        """How much to buy at a line: shares, coins."""
        by: Literal["trades", "bars"] = "trades"
        """Whether trades or the closes of bars are heard."""
        interval: str = ""
        """Of the bars; empty: the shortest that comes."""

        def __post_init__(self) -> None:
            check_interval(self.interval)
            units(self.centre)
            some("volume", self.volume)
            if self.step * self.lines >= _WHOLE:
                raise ValueError(f"the lowest line is not above 0: {self.lines} steps of {self.step / 100} %")

    grids: dict[str, Grid] = {}

    def on_trade(self, trade: Print) -> None:
        if self.parameters.by == "trades" and trade.price:
            self._move(trade.instrument, trade.price, "")

    def on_bar(self, bar: Bar) -> None:
        if self.parameters.by == "bars" and bar.close:
            grid = self.grids.get(bar.instrument)
            if is_taken(bar, self.parameters.interval, grid.interval if grid else ""):
                self._move(bar.instrument, bar.close, bar.interval)

    def on_fill(self, fill: Fill) -> None:
        grid = self.grids.get(fill.instrument)
        if grid is None:
            return
        buys = fill.side == "BUY"
        found = self._line_of(grid, fill.order, buys)
        if found is None:  # a fill of an order that was taken for gone: `positions` has it, no line does
            return
        line = grid.lines[found]
        line.order = fill.order
        line.quantity += units(fill.quantity) if buys else -units(fill.quantity)
        if line.quantity <= 0:
            del grid.lines[found]
        elif line.state == "buying" and not line.open:
            line.state = "held"

    def on_order(self, order: OrderEvent) -> None:
        grid = self.grids.get(order.instrument)
        if grid is None:
            return
        buys = order.side == "BUY"
        found = self._line_of(grid, order.order, buys, order.price)
        if found is None:
            return
        line = grid.lines[found]
        line.order, line.open = order.order, order.status in OPEN
        if line.open:
            return
        if order.status == "filled":  # what is left of a sale is less than a lot
            if buys and line.quantity > 0:
                line.state = "held"
        elif line.quantity <= 0:
            del grid.lines[found]
        elif order.status in ("canceled", "expired"):  # one that was refused would be refused at the next price, too
            line.state = "held"

    def on_closed(self, fill: Fill) -> None:
        """Free the lines whose stock is gone, the highest first: they were the dearest."""
        grid = self.grids.get(fill.instrument)
        if grid is None:
            return
        gone = sum(line.quantity for line in grid.lines.values()) - max(0, self.positions.get(fill.instrument, 0))
        for number in sorted(grid.lines, reverse=True):
            line = grid.lines[number]
            taken = min(line.quantity, gone)
            if taken > 0:
                line.quantity -= taken
                gone -= taken
                if not line.quantity and not line.open:
                    del grid.lines[number]

    def _move(self, key: str, price: int, interval: str) -> None:
        chosen = self.parameters
        grid = self.grids.get(key)
        if grid is None:
            grid = self.grids[key] = Grid(units(chosen.centre) or price, price)
        grid.interval = interval
        last, grid.last = grid.last, price
        day = self.time // DAY
        for number in sorted(grid.lines):
            line = grid.lines[number]
            if line.day < day and line.state != "held" and not line.open:
                if line.quantity <= 0:
                    del grid.lines[number]
                    continue
                line.state = "held"
            if line.state == "held" and price >= (target := self._price(grid, number + 1)):
                line.state, line.day, line.order, line.open = "selling", day, "", False
                self.sell(key, line.quantity, target)
        for number in range(chosen.lines - 1, -chosen.lines - 1, -1):
            at = self._price(grid, number)
            if price <= at < last and number not in grid.lines:
                grid.lines[number] = Line("buying", day)
                self.buy(key, some("volume", chosen.volume), at)

    def _price(self, grid: Grid, number: int) -> int:
        return grid.centre * (_WHOLE + number * int(self.parameters.step)) // _WHOLE

    def _line_of(self, grid: Grid, order: str, buys: bool, price: str | None = None) -> int | None:
        """Give the line that an order belongs to: the one that has heard of it, else one that waits for an order.

        That is the one whose price the order has, but for the rounding to ticks. Where that is not known: of purchases
        the highest is the first that is asked for and that the market reaches, of sales the lowest.
        """
        waiting = []
        for number, line in grid.lines.items():
            if line.order == order:
                return number
            if line.state == ("buying" if buys else "selling") and not line.order:
                waiting.append(number)
        if price is not None:
            asked, step = units(price), self._price(grid, 1) - grid.centre
            waiting = [n for n in waiting if 2 * abs(self._price(grid, n if buys else n + 1) - asked) < step]
        return (max if buys else min)(waiting, default=None)
