"""`barnabas-quant replay`: work a service's journal off once more, and hold what it told against what it says now.

That is a backtest of the session that was: the same inputs in the same order through the same code, from the first
entry on, without a snapshot. Nothing is written, but the report where one is wanted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from barnabas_quant.backtest.report import write_report
from barnabas_quant.bus.dead_letters import DeadLetters
from barnabas_quant.bus.journal import Journal
from barnabas_quant.bus.marks import Mark
from barnabas_quant.bus.ranges import RangeReader, read_records
from barnabas_quant.errors import ServiceError, SettingsError
from barnabas_quant.history import ClickHouse
from barnabas_quant.journaled import JournaledService, Said
from barnabas_quant.replay_history import HistoryReader
from barnabas_quant.replay_report import RecordedTrading
from barnabas_quant.runner import find_service, service_names
from barnabas_quant.service import Context, Status
from barnabas_quant.settings import Settings

_PATIENCE = 5.0  # seconds for a service to tell what follows from the last entry of its journal


def journaled(name: str) -> type[JournaledService]:
    """Give a journaled service by its name. Raises ServiceError."""
    kind = find_service(name)
    if not issubclass(kind, JournaledService):
        names = ", ".join(each for each in service_names() if issubclass(find_service(each), JournaledService))
        raise ServiceError(f"{name} keeps no journal; those that do: {names}")
    return kind


def made(kind: type[JournaledService], settings: Settings) -> JournaledService:
    """Make a service that is to be replayed: nobody stops it, nobody asks how it is."""
    return kind(Context(settings, threading.Event(), Status(), DeadLetters(settings.bootstrap, kind.name)))


def told(kind: type[JournaledService], settings: Settings, count: int, end: int) -> dict[str, list[bytes]]:
    """Give what stands in the topics that a service tells, by topic; `count` follows from the journal up to `end`.

    A service that runs tells more meanwhile: where the journal has grown, what is beyond `count` is left out. And it
    may be about to tell the last of these: that is waited for a while.
    """
    deadline, least = time.monotonic() + _PATIENCE, count - 1
    if Journal(settings.bootstrap, kind.name).end() == end:
        count = 2**63
    while True:
        found: dict[str, list[bytes]] = {topic: [] for topic in kind.tells}
        last = -1
        for topic in kind.tells:
            for message in read_records(settings.bootstrap, {topic: 1}):
                mark = Mark.of(message)
                if mark is not None and mark.source == kind.name and mark.sequence[0] < count:
                    found[topic].append(bytes(message.value() or b""))
                    last = max(last, mark.sequence[0])
        if last >= least or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


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


@contextmanager
def from_history(settings: Settings) -> Iterator[HistoryReader]:
    """Give what reads records from the history. Raises SettingsError where there is none."""
    if settings.clickhouse is None:
        raise SettingsError("--history: no ClickHouse: give --clickhouse URL, or start it with `barnabas-quant up`")
    with closing(ClickHouse(settings.clickhouse)) as clickhouse, RangeReader(settings.bootstrap) as topics:
        yield HistoryReader(settings.bootstrap, clickhouse, topics)


def run(services: Sequence[str], settings: Settings, history: bool = False, report: Path | None = None) -> int:
    """Replay and print a line a topic; give 1 where something differs. Raises QuantError.

    With `history` the records that have rows come from there. `report` is the folder of what the trading service did.
    """
    names = services or ("trading", "strategies")
    if report is not None and "trading" not in names:
        raise SettingsError("--report tells what the service trading did: name it, too")
    differs = [_replay(name, settings, history, report) for name in names]
    return 1 if any(differs) else 0


def _replay(name: str, settings: Settings, history: bool, report: Path | None) -> bool:
    """Replay a service; tell whether something differs."""
    recorded = name == "trading" and report is not None
    service = made(RecordedTrading if recorded else journaled(name), settings)
    end = Journal(settings.bootstrap, name).end()
    if history:
        with from_history(settings) as reader:
            said = list(service.replay(reader))
        print(f"{name:12} {reader.given['rows']:,} records from the history, {reader.given['topics']:,} from topics")
    else:
        said = list(service.replay())
    rows = compare(said, told(type(service), settings, len(said), end))
    for topic, count, same, wrong in rows:
        print(f"{name:12} {topic:20} {count:>9,} told  {same:>9,} the same  {wrong}")
    if report is not None and isinstance(service, RecordedTrading):
        print(f"{name:12} report: {write_report(service.result(), report, service.notes())}")
    return any(wrong for *_, wrong in rows)
