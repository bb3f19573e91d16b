"""Random streams: the account adds up, nothing is filled twice, nobody looks ahead."""

from __future__ import annotations

import re
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas_quant.model.intervals import MINUTE, SECOND
from barnabas_quant.model.money import ONE
from barnabas_quant.trading import Engine, EngineSettings, OrderRequest, VenueModel
from barnabas_quant.trading.engine import EngineState
from barnabas_quant.trading.events import (
    Alert,
    Bar,
    Cancel,
    CashFlow,
    Clock,
    Depth,
    Fill,
    Funding,
    Input,
    Open,
    OrderEvent,
    Output,
    Place,
    PositionEvent,
    Print,
    Quote,
    Switch,
    Transfer,
)
from barnabas_quant.trading.instruments import CENT, notional
from barnabas_quant.trading.limits import Limits
from barnabas_quant.trading.watch import Rule, Watch

from .common import COIN, FUTURE, SHARE, china, u

KEYS = (COIN, FUTURE, SHARE)
CASH = {"USDT": 3000 * ONE, "CNY": 30_000 * ONE}


WATCH = Watch(
    stop_loss=Rule(warning=ONE // 100, critical=ONE // 50, action="flatten"),
    trailing_stop=Rule(critical=ONE // 30, action="reduce"), drawdown=Rule(warning=ONE // 100, critical=ONE // 20),
    exposure=Rule(warning=ONE // 4, critical=ONE // 2, action="reduce"),
    concentration=Rule(warning=ONE // 2, critical=ONE, action="flatten"),
    volatility=Rule(critical=ONE, action="reduce"), crossed=Rule(warning=0), short=2, long=3, every=1000,
    stale=Rule(warning=SECOND), silent=Rule(warning=SECOND, critical=3 * SECOND, action="flatten"),
)  # fmt: skip
"""Levels that these streams break all the time."""
KILLING = msgspec.structs.replace(WATCH, drawdown=Rule(critical=ONE // 10, action="kill"), kill_flattens=True)


def engine(seed: int) -> Engine:
    venue = VenueModel(
        latency=seed % 3 * 700, slippage_ticks=seed % 2, participation=(ONE, ONE // 3, 0)[seed % 5 % 3]
    )  # fmt: skip
    watch = (Watch(), WATCH, WATCH, KILLING)[seed % 4]
    return Engine(EngineSettings(cash=CASH, venue=venue, limits=Limits(price_collar=None), watch=watch))


def stream(seed: int, length: int) -> list[Input]:
    """Make inputs: prices around 100 in whole cents, quantities in whole lots."""
    random = Random(seed)
    time = china(0, 10)
    inputs: list[Input] = []
    finest = {key: random.choice(["quote", "print", "bar", "all"]) for key in KEYS}
    for number in range(length):
        time += random.choice([0, 1, 500, 1000, MINUTE])
        key = random.choice(KEYS)
        price, size = random.randint(9500, 10_500) * CENT, random.randint(1, 9) * ONE * (100 if key == SHARE else 1)
        kind = finest[key] if finest[key] != "all" else random.choice(["quote", "print", "bar", "depth"])
        what = random.random()
        if what < 0.35:
            type_ = random.choice(["market", "limit", "limit", "stop", "take_profit", "trailing_stop"])
            inputs.append(
                Place(
                    f"p{number}", time,
                    OrderRequest(
                        instrument=key, side=random.choice(["BUY", "SELL"]), quantity=size, type=type_,
                        price=price if type_ == "limit" else None,
                        trigger=price if type_ in ("stop", "take_profit") else None,
                        trail=ONE if type_ == "trailing_stop" else None,
                        time_in_force=random.choice(["GTC", "IOC", "FOK", "DAY"]),
                        reduce_only=random.random() < 0.2, group=random.choice(["", "", "g"]),
                    ),
                )
            )  # fmt: skip
        elif what < 0.42:
            inputs.append(Cancel(f"c{number}", time, f"p{random.randrange(number + 1)}"))
        elif what < 0.46:
            inputs.append(Funding(FUTURE, time, random.randint(-ONE // 100, ONE // 100), price))
        elif what < 0.5:
            inputs.append(Clock(time, time + 10**15 + number * SECOND))
        elif what < 0.51:
            inputs.append(Switch(f"s{number}", time, True, "anna"))
        elif what < 0.52:
            inputs.append(Transfer(f"t{number}", time, "USDT", random.randint(-100, 100) * ONE))
        elif kind == "quote":
            apart = random.choice([CENT] * 9 + [-CENT])
            inputs.append(Quote(key, time, price - apart, size, price + apart, random.choice([0, size])))
        elif kind == "print":
            inputs.append(Print(key, time, price, random.choice([0, size]), random.choice([True, False, None])))
        elif kind == "bar":
            low, high = price - random.randint(0, 300) * CENT, price + random.randint(0, 300) * CENT
            inputs.append(Bar(key, time, time - MINUTE, "1m", price, high, low, random.choice([low, high]), size * 9))
        else:
            sides = [tuple((price + sign * step * CENT, size) for step in range(1, 4)) for sign in (-1, 1)]
            inputs.append(Depth(key, time, True, *sides))
    return inputs


def run(seed: int, inputs: list[Input], reload: int | None = None) -> tuple[Engine, list[list[Output]]]:
    """Run a stream; before the input `reload`, go through a snapshot."""
    made, outputs = engine(seed), []
    for number, one in enumerate(inputs):
        if number == reload:
            state = msgspec.json.encode(made.save())
            made = engine(seed)
            made.load(msgspec.json.decode(state, type=EngineState))
        outputs.append(made.process(one))
        for account in made.accounts.values():
            account.ledger.check(account.orders)
    return made, outputs


def whole(value: object) -> bool:
    """Tell whether nothing in it is a float."""
    if isinstance(value, dict):
        return all(map(whole, value.values()))
    if isinstance(value, list):
        return all(map(whole, value))
    return not isinstance(value, float)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_what_holds_for_any_stream(seed: int) -> None:
    inputs = stream(seed, 80)
    made, parts = run(seed, inputs)
    outputs = [output for part in parts for output in part]
    assert [output.seq for output in outputs] == list(range(len(outputs)))
    assert run(seed, inputs)[1] == parts
    # A snapshot anywhere, and nobody notices
    assert run(seed, inputs, seed % 80)[1] == parts
    # Half of the inputs with another future: the same outputs until there
    assert run(seed, inputs[:40] + stream(seed + 1, 40))[1][:40] == parts[:40]
    assert whole(msgspec.to_builtins(outputs)) and whole(msgspec.to_builtins(made.main.ledger.positions))

    cash, filled = dict(CASH), dict[str, int]()
    for fill in outputs:
        if isinstance(fill, Fill):
            filled[fill.order] = filled.get(fill.order, 0) + u(fill.quantity)
            cash[fill.currency] -= u(fill.fee) + u(fill.taxes)
            if fill.instrument != FUTURE:
                traded = notional(u(fill.price), u(fill.quantity))
                cash[fill.currency] += -traded if fill.side == "BUY" else traded
    for flow in outputs:
        if isinstance(flow, CashFlow):
            cash[flow.currency] += u(flow.amount)
    told = [output for output in outputs if isinstance(output, PositionEvent) and output.instrument == FUTURE]
    cash["USDT"] += u(told[-1].realized) if told else 0
    assert made.main.ledger.cash == cash
    asked = {output.order: u(output.quantity) for output in outputs if isinstance(output, OrderEvent)}
    assert all(0 < quantity <= asked[order] for order, quantity in filled.items())
    standing: dict[tuple[str, str], str] = {}
    for alert in outputs:  # each condition: fired, perhaps escalated, cleared
        if isinstance(alert, Alert):
            before = standing.get((alert.rule, alert.subject), "cleared")
            assert (before == "cleared") == (alert.state == "fired") and before + alert.state != "escalatedescalated"
            standing[alert.rule, alert.subject] = alert.state
    assert cash["CNY"] >= 0


def of_one(outputs: list[list[Output]], account: str) -> list[bytes]:
    """Write what one account is told, without the numbers that count the outputs of all."""
    found = [msgspec.json.encode(output) for part in outputs for output in part if output.account == account]
    masked = [re.sub(rb'("seq":|:)[0-9]+(?=[,"#])', rb"\1N", re.sub(rb'"account":"[a-z]+"', b"", one)) for one in found]
    return [one for one in masked if b'"cash":' not in one]  # equity is told of an account where it may have moved


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_accounts_know_nothing_of_each_other(seed: int) -> None:
    seed -= seed % 3  # with no latency: an order on its way arrives before anybody's next input
    inputs = [Quote(COIN, china(0, 9), 100 * ONE, ONE, 101 * ONE, ONE), *stream(seed, 80)]
    random = Random(seed)
    both: list[Input] = [Open("open", 0, "anna")]
    hers: list[Input] = []
    for one in inputs:
        both.append(one)
        if isinstance(one, Place | Cancel | Switch | Transfer):
            if random.random() < 0.5:
                both[-1] = msgspec.structs.replace(one, account="anna")
            hers.append(both[-1])
        else:
            hers.append(one)
    his = [one for one in both[1:] if getattr(one, "account", "main") == "main"]
    made, outputs = run(seed, both)
    assert of_one(outputs, "main") == of_one(run(seed, his)[1], "main")
    # Hers are what they would be if she were the only one
    alone = [msgspec.structs.replace(one, account="main") if getattr(one, "account", "") == "anna" else one
             for one in hers if getattr(one, "account", "anna") == "anna"]  # fmt: skip
    opening = len([output for output in outputs[0] if b'"cash":' not in msgspec.json.encode(output)])
    assert of_one(outputs, "anna")[opening:] == of_one(run(seed, alone)[1], "main")
    assert run(seed, both, seed % 80)[1] == outputs
    assert set(made.accounts) == {"main", "anna"}


def test_the_streams_are_worth_something() -> None:
    """Fills of every kind happen in them: a property of nothing would hold, too."""
    seen: set[tuple[str, str]] = set()
    rules: set[tuple[str, str]] = set()
    for seed in range(30):
        for part in run(seed, stream(seed, 80))[1]:
            seen |= {(fill.instrument, fill.liquidity) for fill in part if isinstance(fill, Fill)}
            rules |= {(alert.rule, alert.state) for alert in part if isinstance(alert, Alert)}
    assert seen == {(key, liquidity) for key in KEYS for liquidity in ("maker", "taker")}
    assert {rule for rule, _ in rules} >= {
        name for name in Watch.__struct_fields__ if isinstance(getattr(WATCH, name), Rule)
    }
    assert {state for _, state in rules} == {"fired", "escalated", "cleared"}
