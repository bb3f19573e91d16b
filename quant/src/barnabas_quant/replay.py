"""`barnabas-quant replay`: work a service's journal off once more, and hold what it told against what it says now.

That is a backtest of the session that was: the same inputs in the same order through the same code, from the first
entry on, without a snapshot. Nothing is written.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.marks import Mark
from barnabas_quant.bus.ranges import read_records
from barnabas_quant.errors import ServiceError
from barnabas_quant.journaled import JournaledService, Said
from barnabas_quant.runner import find_service, service_names
from barnabas_quant.service import Context, Status
from barnabas_quant.settings import Settings


def journaled(name: str) -> type[JournaledService]:
    """Give a journaled service by its name. Raises ServiceError."""
    kind = find_service(name)
    if not issubclass(kind, JournaledService):
        names = ", ".join(each for each in service_names() if issubclass(find_service(each), JournaledService))
        raise ServiceError(f"{name} keeps no journal; those that do: {names}")
    return kind


def replayed(kind: type[JournaledService], settings: Settings) -> Iterator[Said]:
    """Give what a service says on the inputs of its journal, in order. Raises BusError where some of them are gone."""
    context = Context(settings, threading.Event(), Status(), DeadLetters(settings.bootstrap, kind.name))
    yield from kind(context).replay()


def told(kind: type[JournaledService], settings: Settings) -> dict[str, list[bytes]]:
    """Give what stands in the topics that a service tells, of its own records, by topic."""
    found: dict[str, list[bytes]] = {}
    for topic in kind.tells:
        found[topic] = [
            bytes(message.value() or b"")
            for message in read_records(settings.bootstrap, {topic: 1})
            if (mark := Mark.of(message)) is not None and mark.source == kind.name
        ]
    return found


def compare(said: Iterable[Said], stands: dict[str, list[bytes]]) -> list[tuple[str, int, int, str]]:
    """Give for each topic how many records were told, how many are the same, and the first difference in words."""
    made: dict[str, list[bytes]] = {topic: [] for topic in stands}
    for topic, _, value in said:
        made.setdefault(topic, []).append(value)
    rows = []
    for topic, values in made.items():
        there = stands.get(topic, [])
        same = sum(a == b for a, b in zip(values, there, strict=False))
        number = next((n for n, (a, b) in enumerate(zip(values, there, strict=False)) if a != b), None)
        if number is not None:
            wrong = f"record {number}: {there[number][:200]!r} was told, {values[number][:200]!r} is said"
        elif len(values) != len(there):
            wrong = f"{len(there)} were told, {len(values)} are said"
        else:
            wrong = ""
        rows.append((topic, len(there), same, wrong))
    return rows


def run(services: Sequence[str], settings: Settings) -> int:
    """Replay and print a line a topic; give 1 where something differs. Raises QuantError."""
    differs = False
    for name in services or ("trading", "strategies"):
        kind = journaled(name)
        for topic, count, same, wrong in compare(replayed(kind, settings), told(kind, settings)):
            differs = differs or bool(wrong)
            print(f"{name:12} {topic:20} {count:>9,} told  {same:>9,} the same  {wrong}")
    return 1 if differs else 0
