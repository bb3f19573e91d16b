"""The rules of the watch: their settings, what is remembered of them, and how one fires, escalates, acts and clears.

A rule is judged by a value against its warning and its critical level. It fires once, escalates once, and clears when
the value is below its lowest level by the hysteresis, or what it is about is gone. At its critical level it acts, once:
`remedy.py` reduces or closes positions, `kill` pulls the account's switch. All of it is told as an Alert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from barnabas_quant.model.intervals import SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.trading.events import Alert, text
from barnabas_quant.trading.instruments import share
from barnabas_quant.trading.remedy import Remedy, Target

if TYPE_CHECKING:
    from barnabas_quant.trading.account import Account

Action = Literal["none", "reduce", "flatten", "kill"]
Level = Literal["warning", "critical"]

NEVER = 2**62
LIQUIDATION = "liquidation"

_REASONS = {
    "stop_loss": "the position has lost too much of what was paid for it",
    "trailing_stop": "the price is too far from the best one since there is the position",
    LIQUIDATION: "the balance is below the maintenance margin of the futures",
    "drawdown": "the equity is too far below its highest",
    "exposure": "the positions are too large for the equity",
    "concentration": "one position is too large a part of the equity",
    "volatility": "the price moves much more than it did before",
    "crossed": "bid is above ask",
    "stale": "the instrument tells nothing",
    "silent": "the venue tells nothing",
}
_DURATIONS = ("crossed", "stale", "silent")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say from which values on a rule warns and acts; None: never. Rates in 10^-8, durations in microseconds."""

    warning: int | None = None
    critical: int | None = None
    action: Action = "none"
    """What it does at its critical level."""

    @property
    def on(self) -> bool:
        return self.warning is not None or self.critical is not None

    @property
    def lowest(self) -> int | None:
        return self.warning if self.warning is not None else self.critical

    @property
    def highest(self) -> Level:
        return "critical" if self.critical is not None else "warning"


class Watch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what is watched. A rule without a level is off."""

    stop_loss: Rule = Rule()
    """Rate: what a position has lost of what was paid for it, fees aside."""
    trailing_stop: Rule = Rule()
    """Rate: how far the price is from the best one since there is the position."""
    drawdown: Rule = Rule()
    """Rate: what the equity of a currency is below its highest; payments and a reset of the kill switch aside."""
    exposure: Rule = Rule()
    """Rate: notional of all positions of a currency, long and short added, over its equity."""
    concentration: Rule = Rule()
    """Rate: notional of one position over the equity of its currency."""
    volatility: Rule = Rule()
    """Rate: realized volatility of the latest `short` samples over that of the `long` ones before them."""
    crossed: Rule = Rule()
    """Microseconds for which bid has been above ask; 0: as soon as it is seen."""
    stale: Rule = Rule()
    """Microseconds of trading time for which an instrument has told nothing while its venue went on, or was silent."""
    silent: Rule = Rule()
    """Microseconds of trading time for which a venue has told nothing while the clock went on."""
    hysteresis: int = ONE // 10
    """How far below its lowest level a value has to be for a rule to clear, as a rate of that level."""
    every: int = SECOND
    """Microseconds between two samples, and two looks at the data."""
    short: int = 60
    long: int = 600
    """Samples of the two windows of the volatility."""
    kill_flattens: bool = False
    """Whether a rule that pulls the kill switch closes every position as well."""

    def __post_init__(self) -> None:
        if self.every <= 0 or self.short <= 0 or self.long <= 0:
            raise ValueError("watch: every, short and long have to be above 0")


class Samples(msgspec.Struct):
    """Hold the returns of an instrument, the latest last, and the sums of their squares."""

    time: int
    price: int
    returns: list[int] = []
    short: int = 0
    long: int = 0


class Venue(msgspec.Struct):
    """Hold the time of a venue's last event, and what the clock has counted since."""

    time: int = 0
    away: int = 0


class WatchState(msgspec.Struct):
    """Hold all that the watch remembers, to be written and read back."""

    active: dict[str, dict[str, Level]] = {}
    """By rule and subject."""
    best: dict[str, int] = {}
    """Best price since there is the position."""
    peaks: dict[str, int] = {}
    """Highest equity, by currency."""
    crossed: dict[str, int] = {}
    """Since when."""
    samples: dict[str, Samples] = {}
    venues: dict[str, Venue] = {}
    reading: int = 0
    due: int = NEVER
    targets: dict[str, Target] = {}


class Conditions:
    """Know which conditions hold, tell when that changes, and act."""

    def __init__(self, settings: Watch, account: Account, state: WatchState) -> None:
        self._settings = settings
        self._account = account
        self.active = state.active
        self.remedy = Remedy(account, state.targets)

    def calm(self, name: str, rule: Rule, subject: str, value: int) -> bool:
        """Tell whether nothing is to be judged: the rule is off, or the value is low and the condition did not hold."""
        lowest = rule.lowest
        return lowest is None or (value < lowest and subject not in self.active.get(name, ()))

    def judge(self, name: str, rule: Rule, subject: str, value: int, seen: dict[str, str], keys: list[str]) -> None:
        """Hold a value against a rule: fire, escalate, act on `keys`, clear."""
        active = self.active.get(name, {}).get(subject)
        level: Level | None = None
        if rule.critical is not None and value >= rule.critical:
            level = "critical"
        elif rule.warning is not None and value >= rule.warning:
            level = "warning"
        if level is None:
            lowest = rule.lowest or 0
            if active is not None and value < lowest - share(lowest, self._settings.hysteresis):
                self.clear(name, subject, "it is below its levels", _shown(name, value, lowest))
            return
        if active == level or active == "critical":
            return
        self.active.setdefault(name, {})[subject] = level
        action: Action = rule.action if level == "critical" else "none"
        limit = (rule.critical if level == "critical" else rule.warning) or 0
        seen = {**_shown(name, value, limit), **seen}
        self.tell(name, subject, "fired" if active is None else "escalated", level, action, _REASONS[name], seen)
        if action == "kill":
            self._account.pull(
                f"{name}:{subject}", "the watch", f"{name}: {_REASONS[name]}", self._settings.kill_flattens
            )
        elif action != "none":
            self.remedy.begin(name, keys, whole=action == "flatten")

    def clear(self, name: str, subject: str, reason: str, seen: dict[str, str] | None = None) -> None:
        """Say that a condition does not hold any more, where it did."""
        active = self.active.get(name)
        if active is not None and (level := active.pop(subject, None)) is not None:
            self.tell(name, subject, "cleared", level, "none", reason, seen or {})

    def tell(
        self, name: str, subject: str, state: Literal["fired", "escalated", "cleared"], level: Level, action: Action,
        reason: str, numbers: dict[str, str],
    ) -> None:  # fmt: skip
        """Tell an Alert."""
        self._account.tell(
            Alert, rule=name, subject=subject, state=state, level=level, action=action, reason=reason, numbers=numbers
        )


def _shown(name: str, value: int, limit: int) -> dict[str, str]:
    """Write value and limit as rates, or as seconds."""
    unit, scale = ("_s", ONE // SECOND) if name in _DURATIONS else ("", 1)
    return {f"value{unit}": text(value * scale), f"limit{unit}": text(limit * scale)}
