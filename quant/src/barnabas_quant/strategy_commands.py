"""`barnabas-quant trading strategies | stop | start`: which strategies run, and stopping and starting one."""

from __future__ import annotations

import argparse
import getpass
from typing import Any, TextIO

import msgspec

from barnabas_quant.asking import add_wait, ask, decoded
from barnabas_quant.bus.ranges import RangeReader
from barnabas_quant.bus.topics import ensure_topics, topic_specs
from barnabas_quant.errors import QuantError
from barnabas_quant.strategies.switching import COMMANDS, StrategyCommand, StrategyEvent

ACTIONS = ("strategies", "stop", "start")


def add_strategy_actions(actions: Any, add_settings: Any) -> None:
    """Add the commands to those of `trading`; `add_settings` adds the options that name the platform."""
    one = actions.add_parser("strategies", help="the strategies, whether they run, and why one does not")
    add_settings(one)
    one.add_argument("--json", action="store_true", help="as a JSON document")
    for name, text in (
        ("stop", "stop a strategy: it hears only of its orders, and signals nothing; what it holds stays"),
        ("start", "let a strategy go on; one that has failed begins anew"),
    ):
        one = actions.add_parser(name, help=text)
        add_settings(one)
        one.add_argument("alias", metavar="ALIAS", help="what its signals are called by")
        one.add_argument("--who", default="", metavar="NAME", help="(default: the user of this shell)")
        one.add_argument("--reason", default="", metavar="TEXT")
        add_wait(one, "the strategies' service")


def run_strategy_action(options: argparse.Namespace, bootstrap: str, out: TextIO) -> int:
    """Do what the options say; give the exit code: 1 where the service says no. Raises QuantError."""
    if options.action == "strategies":
        return _show(bootstrap, options.json, out)
    who = options.who or getpass.getuser()
    command = StrategyCommand(
        strategy=options.alias[:60], on=options.action == "start", who=who[:200], reason=options.reason[:200]
    )
    event = ask(bootstrap, COMMANDS, command, StrategyEvent, options.wait, out)
    if event is None:
        if options.wait:
            raise QuantError(f"no answer within {options.wait:g} s: the command is kept; do the strategies run?")
        return 0
    state = "there is none" if event.state is None else event.state
    print(f"{event.verdict} {event.strategy} {state}" + (f": {event.reason}" if event.reason else ""), file=out)
    return 0 if event.verdict == "accepted" else 1


def read_strategies(bootstrap: str) -> list[StrategyEvent]:
    """Give how each strategy stands. Raises BusError."""
    ensure_topics(bootstrap, topic_specs((StrategyEvent.topic,)))
    found: dict[str, StrategyEvent] = {}
    at = (StrategyEvent.topic, 0)
    with RangeReader(bootstrap) as reader:
        for event in decoded(reader.read(reader.bounds([at])), StrategyEvent):
            if event.state is not None:
                found[event.strategy] = event
    return [event for event in found.values() if event.state != "removed"]


def _show(bootstrap: str, as_json: bool, out: TextIO) -> int:
    found = read_strategies(bootstrap)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode(), file=out)
        return 0
    for event in found:
        parameters = " ".join(f"{name}={value}" for name, value in event.parameters.items())
        about = ", ".join(part for part in (event.reason, event.where) if part)
        by = f" by {event.who}" if event.who else ""
        print(
            f"{event.strategy:<20} {event.state or '':<8} {event.name} on {', '.join(event.symbols)} {parameters}"
            + (f"  ({event.state}{by}: {about})" if about or by else ""),
            file=out,
        )
    return 0
