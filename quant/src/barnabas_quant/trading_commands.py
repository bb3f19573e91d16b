"""`barnabas-quant trading kill | reset | cancel | place | transfer | open | status | strategies | stop | start`.

A person at a paper account. Commands are records of `trade-commands`; what the trading service decided about one stands
on `trade-decisions` under its id, the record's place. `status` reads the newest records of `equity`, `positions`,
`orders` and `trade-decisions`. The last three are those of strategy_commands.py.
"""

from __future__ import annotations

import argparse
import getpass
from typing import Any, TextIO

import msgspec

from barnabas_quant.asking import add_wait, ask, decoded, look_for
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topics import ensure_topics, kafka_answers, set_client_settings, topic_specs
from barnabas_quant.endpoints import running_platform
from barnabas_quant.errors import BusError, QuantError, SettingsError, SymbolError
from barnabas_quant.model.money import units
from barnabas_quant.settings import Settings, completed
from barnabas_quant.strategy_commands import ACTIONS, add_strategy_actions, run_strategy_action
from barnabas_quant.trading.events import (
    EVERY,
    MAIN,
    Cancel,
    Decision,
    EquityEvent,
    Open,
    OrderEvent,
    Place,
    PositionEvent,
    Switch,
    Transfer,
)
from barnabas_quant.trading.inputs import COMMANDS, key_of
from barnabas_quant.trading.instruments import usual
from barnabas_quant.trading.orders import OPEN, OrderRequest

_MOMENT = 2.0  # seconds for an order to reach the venue

Command = Open | Place | Cancel | Switch | Transfer


def add_arguments(command: argparse.ArgumentParser, add_settings: Any) -> None:
    """Add the commands; `add_settings` adds the options that name the platform to each."""
    actions = command.add_subparsers(dest="action", required=True, metavar="action")

    def action(name: str, text: str, told: bool = True) -> argparse.ArgumentParser:
        one = actions.add_parser(name, help=text)
        add_settings(one)
        if name != "open":
            more = f", or {EVERY}: all" if name in ("kill", "reset") else ""
            one.add_argument("--account", default=MAIN, metavar="NAME", help=f"(default {MAIN}){more}")
        if told:
            add_wait(one, "the trading service's decision")
        return one

    one = action("kill", "pull the kill switch: cancel all orders, trade no more until a person resets it")
    one.add_argument("--flatten", action="store_true", help="and close every position")
    one.add_argument("--who", default="", metavar="NAME", help="who pulls it (default: the user of this shell)")
    one.add_argument("--reason", default="", metavar="TEXT")
    one = action("reset", "reset the kill switch: trading goes on")
    one.add_argument("--who", required=True, metavar="NAME", help="the person who has looked at it")
    one.add_argument("--reason", default="", metavar="TEXT")
    one = action("cancel", "cancel an order, all of a strategy, or all")
    one.add_argument("order", nargs="?", default="", help="its id, as `status` shows it")
    one.add_argument("--strategy", default="", metavar="NAME")
    one.add_argument("--all", action="store_true")
    one = action("place", "place an order by hand")
    one.add_argument("side", type=str.upper, choices=("BUY", "SELL"))
    one.add_argument("symbol", help="EXCHANGE:SYMBOL, a share's symbol, or one of the primary venue")
    one.add_argument("quantity", type=_amount)
    one.add_argument("--type", choices=("market", "limit", "stop", "take_profit", "trailing_stop"))
    one.add_argument("--price", type=_amount, metavar="P", help="limit; without --type it makes a limit order")
    one.add_argument("--trigger", type=_amount, metavar="P", help="of a stop or a take-profit")
    one.add_argument("--trail", type=_amount, metavar="P", help="distance of a trailing stop")
    one.add_argument("--trail-rate", type=_amount, metavar="RATE", help="or as a rate: 0.05")
    one.add_argument("--time-in-force", choices=("GTC", "IOC", "FOK", "DAY"), default="GTC")
    one.add_argument("--reduce-only", action="store_true", help="never more than closes the position")
    one.add_argument("--group", default="", metavar="NAME", help="the first fill of a group cancels the others")
    one.add_argument("--strategy", default="", metavar="NAME")
    one.add_argument("--test", action="store_true", help="only say what would become of it")
    one = action("transfer", "pay money in, or out with a minus")
    one.add_argument("currency", type=str.upper)
    one.add_argument("amount", type=_signed)
    one = action("open", "open an account, with what accounts begin with")
    one.add_argument("account", metavar="NAME")
    add_strategy_actions(actions, add_settings)
    one = action("status", "equity, positions, open orders and the kill switch", told=False)
    one.add_argument("--json", action="store_true", help="as a JSON document")


def run(options: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Do what the options say; give the exit code: 1 where the trading service says no. Raises QuantError."""
    bootstrap = completed(settings, running_platform(settings.data)).bootstrap
    set_client_settings(settings.kafka_client)
    if not kafka_answers(bootstrap) and not kafka_answers(bootstrap):
        raise BusError(f"no Kafka answers at {bootstrap}")
    if options.action in ACTIONS:
        return run_strategy_action(options, bootstrap, out)
    if options.action == "status":
        return _show(bootstrap, options.account, options.json, out)
    command = _command(options, settings.primary)
    decision = ask(bootstrap, COMMANDS, command, Decision, options.wait, out)
    if decision is None:
        if options.wait:
            raise QuantError(f"no answer within {options.wait:g} s: the command is kept; does the trading service run?")
        return 0
    numbers = ", ".join(f"{name} {value}" for name, value in decision.numbers.items())
    words = (decision.verdict, decision.rule, decision.reason, f"({numbers})" if numbers else "")
    print(" ".join(word for word in words if word), file=out)
    if decision.verdict != "accepted":
        return 1
    return _venue_says(bootstrap, decision.order, out) if decision.order else 0


def _venue_says(bootstrap: str, id: str, out: TextIO) -> int:
    """Print what the venue has made of an order within a moment; give the exit code: 1 where it was rejected."""
    order = look_for(
        bootstrap, OrderEvent.topic, OrderEvent, lambda one: one.order == id and one.step not in ("new", "submit"),
        _MOMENT,
    )  # fmt: skip
    if order is None:  # it has a long way to the venue
        return 0
    print(f"the venue: {order.status}{f', {order.reason}' if order.reason else ''}", file=out)
    return 1 if order.status == "rejected" else 0


def _amount(text: str) -> int:
    try:
        amount = units(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not amount:
        raise argparse.ArgumentTypeError("above 0")
    return amount


def _signed(text: str) -> int:
    return -_amount(text[1:]) if text.startswith("-") else _amount(text)


def _command(options: argparse.Namespace, primary: str) -> Command:
    """Make the record. Its id and its time are those of its place on the topic; what stands here counts for nothing."""
    account = options.account
    if options.action == "open":
        return Open("", 0, account)
    if options.action == "kill":
        who = options.who or getpass.getuser()
        return Switch("", 0, False, who, options.reason, options.flatten, account)
    if options.action == "reset":
        if not options.who.strip():
            raise SettingsError("--who: a person has to reset it")
        return Switch("", 0, True, options.who, options.reason, account=account)
    if options.action == "transfer":
        return Transfer("", 0, options.currency, options.amount, account)
    if options.action == "cancel":
        if not (options.order or options.strategy or options.all):
            raise SettingsError("what is to be canceled? An order's id, --strategy NAME, or --all")
        return Cancel("", 0, options.order, options.strategy, account)
    exchange, colon, symbol = options.symbol.rpartition(":")
    try:
        key = key_of(symbol, exchange if colon else None, primary)
        usual(*key.split(":", 1))
    except SymbolError as error:
        raise SettingsError(f"symbol: {error}") from error
    request = OrderRequest(
        instrument=key, side=options.side, quantity=options.quantity,
        type=options.type or ("limit" if options.price is not None else "market"), price=options.price,
        trigger=options.trigger, trail=options.trail, trail_rate=options.trail_rate,
        time_in_force=options.time_in_force, reduce_only=options.reduce_only, group=options.group,
        strategy=options.strategy,
    )  # fmt: skip
    if wrong := request.wrong():
        raise SettingsError(wrong)
    return Place("", 0, request, account, options.test)


class Account(msgspec.Struct):
    """Hold what the topics say of an account."""

    trading: bool = True
    switch: str = ""
    """Who pulled or reset the kill switch last, and why."""
    equity: list[EquityEvent] = []
    positions: list[PositionEvent] = []
    orders: list[OrderEvent] = []
    """Those that are open."""


def read_account(bootstrap: str, name: str = MAIN) -> Account:
    """Read the newest of everything of an account. Raises BusError."""
    ensure_topics(bootstrap, topic_specs((EquityEvent.topic, PositionEvent.topic, OrderEvent.topic, Decision.topic)))
    account = Account()
    equity: dict[str, EquityEvent] = {}
    positions: dict[str, PositionEvent] = {}
    orders: dict[str, OrderEvent] = {}
    kinds = {kind.topic: kind for kind in (EquityEvent, PositionEvent, OrderEvent, Decision)}
    with RangeReader(bootstrap) as reader:
        for message in reader.read(reader.bounds((topic, 0) for topic in kinds)):
            for one in decoded([message], kinds[str(message.topic())]):
                if one.account != name:
                    continue
                if isinstance(one, EquityEvent):
                    equity[one.currency] = one
                elif isinstance(one, PositionEvent):
                    positions[one.instrument] = one
                elif isinstance(one, OrderEvent) and one.status in OPEN:
                    orders[one.order] = one
                elif isinstance(one, OrderEvent):
                    orders.pop(one.order, None)
                elif one.rule == "kill-switch" and one.verdict == "accepted":
                    account.trading = not one.reason.startswith("pulled")
                    account.switch = one.reason
    account.equity = list(equity.values())
    account.positions = [one for one in positions.values() if one.quantity != "0"]
    account.orders = list(orders.values())
    return account


def _show(bootstrap: str, name: str, as_json: bool, out: TextIO) -> int:
    account = read_account(bootstrap, name)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(account)).decode(), file=out)
        return 0
    print(f"trading   {'on' if account.trading else 'OFF'}  {account.switch}".rstrip(), file=out)
    for one in account.equity:
        print(
            f"equity    {one.equity:>18} {one.currency:<5} cash {one.cash}, held {one.held}, "
            f"positions {one.positions}, peak {one.peak}",
            file=out,
        )
    for position in account.positions:
        print(
            f"position  {position.quantity:>18} {position.instrument} at {position.average_price}, "
            f"available {position.available}, realized {position.realized}",
            file=out,
        )
    for order in account.orders:
        price = " ".join(
            f"{name} {value}" for name, value in (("at", order.price), ("trigger", order.trigger)) if value is not None
        )
        print(
            f"order     {order.side} {order.quantity} {order.instrument} {order.type} {price} {order.time_in_force} "
            f"{order.status}, filled {order.filled}: {order.order}",
            file=out,
        )
    return 0
