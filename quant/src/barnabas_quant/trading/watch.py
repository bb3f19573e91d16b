"""What watches the stream: the part of an account that warns, stops losses and liquidates.

No clock of its own: time is the market's (that of the inputs); what passes where no input comes is told by readings of
the clock, which count for a venue since its last event and move no other time.

- Stops, drawdown, exposure and concentration are judged at each price of an instrument in which there is a position,
  and after each fill, when the input is worked off. The rules about data are in `data_rules.py`, how a rule fires and
  clears in `rules.py`, what is done to positions in `remedy.py`.
- A crossed quote (bid above ask) is no price: nothing is marked by it.
- Futures are liquidated as by the venue, whatever the settings: where the balance of a currency (cash and what its
  futures would bring: cross margin) is below the maintenance margin of them all, they are closed at the market.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from barnabas_quant.model.money import ONE
from barnabas_quant.trading.data_rules import DataRules
from barnabas_quant.trading.events import text
from barnabas_quant.trading.instruments import share
from barnabas_quant.trading.ledger import Position
from barnabas_quant.trading.rules import LIQUIDATION, NEVER, Conditions, Rule, Watch, WatchState

if TYPE_CHECKING:
    from barnabas_quant.trading.account import Account

__all__ = ["Guard", "Rule", "Watch", "WatchState"]

_ENDLESS = 10**10 * ONE  # a ratio to an equity that is gone
_MAINTENANCE = Rule(critical=1, action="flatten")  # units that are missing


class Guard:
    """Watch one account."""

    def __init__(self, settings: Watch, account: Account) -> None:
        self.settings = settings
        self._account = account
        self._by_price = settings.stop_loss.on or settings.trailing_stop.on
        self._by_account = settings.drawdown.on or settings.exposure.on or settings.concentration.on
        self._dirty: dict[str, None] = {}  # positions that fills have changed
        self.load(WatchState())

    def load(self, state: WatchState) -> None:
        """Take what was saved; rules that are off now forget what they remembered."""
        self.state = state
        for name in list(state.active):
            if name != LIQUIDATION and not getattr(self.settings, name, Rule()).on:
                del state.active[name]
        self._conditions = Conditions(self.settings, self._account, state)
        self.remedy = self._conditions.remedy
        self.data = DataRules(self.settings, self._account, state, self._conditions)
        if not self.data.needed:
            state.due = NEVER
        elif state.due == NEVER:
            state.due = 0

    # What the account tells

    def marked(self, key: str, position: Position) -> None:
        """Judge what depends on the price of a position, which has a new one."""
        instrument = self._account.instruments[key]
        if instrument.leverage and instrument.maintenance:
            self._liquidate(instrument.currency)
        if self._by_price:
            self._judge_price(key, position)
        if self._by_account:
            self._judge_account(instrument.currency)
        if self.state.targets:
            self.remedy.pursue(key)

    def filled(self, key: str) -> None:
        """Remember that a position has changed."""
        self._dirty[key] = None

    def settle(self) -> None:
        """Judge after fills; what comes of that may fill again."""
        while self._dirty:
            key = next(iter(self._dirty))
            del self._dirty[key]
            if not self._account.ledger.positions[key].quantity:
                self.state.best.pop(key, None)
                for name in ("stop_loss", "trailing_stop", "concentration"):
                    self._conditions.clear(name, key, "the position is closed")
            instrument = self._account.instruments[key]
            if self._by_account:
                self._judge_account(instrument.currency)
            if instrument.leverage and instrument.maintenance:
                self._liquidate(instrument.currency)
            self.remedy.settle(key)

    def transferred(self, currency: str, amount: int) -> None:
        """Take note of money paid in or out: it is no gain and no loss."""
        self.state.peaks[currency] = self.state.peaks.get(currency, 0) + amount

    def reset(self, who: str) -> None:
        """Begin the drawdown anew from what there is, and end what rules have begun: a person takes over.

        The venue's liquidation goes on.
        """
        self.remedy.withdraw(f"reset by {who}", LIQUIDATION)
        for currency in self.state.peaks:
            self.state.peaks[currency] = self._account.equity(currency)
            self._conditions.clear("drawdown", currency, f"the kill switch was reset by {who}")

    def refuses(self, key: str) -> str:
        """Name the rule that is making a position smaller, which no other order is to disturb; empty: none."""
        target = self.state.targets.get(key)
        return "" if target is None else target.rule

    # What is judged

    def _judge_price(self, key: str, position: Position) -> None:
        judge, settings = self._conditions.judge, self.settings
        long, mark = position.quantity > 0, position.mark
        if settings.trailing_stop.on:
            # Kept with the sign of the position: a best price of the other side is none.
            best = self.state.best.get(key, 0)
            if not best or (best > 0) != long or (mark > best if long else mark < -best):
                best = self.state.best[key] = mark if long else -mark
            value = (best - mark if long else mark + best) * ONE // abs(best)
            if not self._conditions.calm("trailing_stop", settings.trailing_stop, key, value):
                seen = {"price": text(mark), "best": text(abs(best)), "quantity": text(position.quantity)}
                judge("trailing_stop", settings.trailing_stop, key, value, seen, [key])
        if settings.stop_loss.on and position.cost:  # the rule before may have closed it
            value = -position.unrealized() * ONE // abs(position.cost)
            if not self._conditions.calm("stop_loss", settings.stop_loss, key, value):
                seen = {
                    "price": text(mark), "average": text(position.average), "quantity": text(position.quantity),
                }  # fmt: skip
                judge("stop_loss", settings.stop_loss, key, value, seen, [key])

    def _judge_account(self, currency: str) -> None:
        ledger, settings, conditions = self._account.ledger, self.settings, self._conditions
        equity = self._account.equity(currency)
        peak = self.state.peaks.get(currency, 0)
        if equity > peak:
            peak = self.state.peaks[currency] = equity
        held = ledger.of_currency(currency)
        value = (peak - equity) * ONE // peak if peak > 0 else 0
        if not conditions.calm("drawdown", settings.drawdown, currency, value):
            seen = {"equity": text(equity), "peak": text(peak)}
            conditions.judge("drawdown", settings.drawdown, currency, value, seen, held)
        if not settings.exposure.on and not settings.concentration.on:
            return
        worth = {key: abs(ledger.positions[key].value()) for key in held}
        gross = sum(worth.values())
        value = _over(gross, equity)
        if not conditions.calm("exposure", settings.exposure, currency, value):
            seen = {"gross": text(gross), "equity": text(equity)}
            conditions.judge("exposure", settings.exposure, currency, value, seen, held)
        for key, part in worth.items():
            value = _over(part, equity)
            if not conditions.calm("concentration", settings.concentration, key, value):
                seen = {"notional": text(part), "equity": text(equity)}
                conditions.judge("concentration", settings.concentration, key, value, seen, [key])

    def _liquidate(self, currency: str) -> None:
        ledger, instruments = self._account.ledger, self._account.instruments
        balance, required, futures = ledger.cash.get(currency, 0), 0, []
        for key in ledger.of_currency(currency):
            position, instrument = ledger.positions[key], instruments[key]
            if instrument.leverage:
                balance += position.unrealized()
                required += share(abs(position.value()), instrument.maintenance)
                futures.append(key)
        missing = required - balance
        if not self._conditions.calm(LIQUIDATION, _MAINTENANCE, currency, missing):
            seen = {"balance": text(balance), "required": text(required)}
            self._conditions.judge(LIQUIDATION, _MAINTENANCE, currency, missing, seen, futures)


def _over(amount: int, equity: int) -> int:
    if equity <= 0:
        return _ENDLESS if amount else 0
    return amount * ONE // equity
