"""Results of third-party suites: what one test said, what a run holds, what was expected, and how two runs compare.

Everything here is plain data: nothing starts a process or opens a socket. A run is stored as JSON (`Run.save`), so
that a comparison can be made again without running anything.
"""

from __future__ import annotations

import fnmatch
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path


class Outcome(StrEnum):
    """Name how a test ended; a crash and a passed time limit are failures."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """Hold what one test said: its name inside the suite, outcome, seconds, the reason where it did not pass."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    detail: str = ""
    attempts: int = 1


@dataclass(slots=True)
class SuiteRun:
    """Hold one suite's results against one broker; `seconds` is wall-clock time without building."""

    suite: str
    version: str
    seconds: float = 0.0
    results: list[Result] = field(default_factory=list)

    def count(self, outcome: Outcome) -> int:
        """Count the results with this outcome."""
        return sum(result.outcome is outcome for result in self.results)

    def by_name(self) -> dict[str, Result]:
        """Index the results by test name."""
        return {result.name: result for result in self.results}


@dataclass(slots=True)
class Run:
    """Hold the suites that ran against one broker, in the order in which they ran."""

    broker: str
    suites: dict[str, SuiteRun] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the run as JSON, one test a line, so that differences of two files read well."""
        suites = []
        for run in self.suites.values():
            lines = ",\n".join(f"   {json.dumps(asdict(result))}" for result in run.results)
            head = json.dumps({"suite": run.suite, "version": run.version, "seconds": round(run.seconds, 1)})
            suites.append(f'  {head[:-1]}, "results": [\n{lines}\n  ]}}')
        body = ",\n".join(suites)
        path.write_text(f'{{"broker": {json.dumps(self.broker)}, "suites": [\n{body}\n]}}\n', encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Run:
        """Read what `save` wrote; raises ValueError or KeyError where the file is not such a run."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        run = cls(stored["broker"])
        for suite in stored["suites"]:
            results = [Result(**{**result, "outcome": Outcome(result["outcome"])}) for result in suite["results"]]
            run.suites[suite["suite"]] = SuiteRun(suite["suite"], suite["version"], suite["seconds"], results)
        return run


@dataclass(frozen=True, slots=True)
class Note:
    """Explain tests of a suite: what the broker needs for them, why they fail or are left out.

    `tests` are shell patterns of test names. `needs` names features (`transactions`, `kip-848`, `share-groups`,
    `acls`, `sasl`, `idempotence`); `apache` says how Apache Kafka 4.3 does: `passes`, `fails`, `skips` or `flaky`.
    """

    suite: str
    tests: tuple[str, ...]
    reason: str
    needs: tuple[str, ...] = ()
    apache: str = "passes"

    def matches(self, suite: str, name: str) -> bool:
        """Tell whether this note speaks of the test."""
        return fnmatch.fnmatchcase(suite, self.suite) and any(fnmatch.fnmatchcase(name, test) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Expectations:
    """Hold the notes of `expected.toml`, in its order."""

    notes: tuple[Note, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Expectations:
        """Read the file; raises TypeError where an entry has an unknown key or lacks one."""
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("note", [])
        return cls(tuple(Note(**{**entry, **_tuples(entry)}) for entry in entries))

    def of(self, suite: str, name: str) -> list[Note]:
        """List the notes that speak of the test."""
        return [note for note in self.notes if note.matches(suite, name)]

    def needs(self, suite: str, name: str) -> frozenset[str]:
        """Name the features that the test needs."""
        return frozenset(need for note in self.of(suite, name) for need in note.needs)

    def explain(self, suite: str, name: str) -> str:
        """Say in one line what is known of the test; empty where nothing is."""
        texts = []
        for note in self.of(suite, name):
            marks = [f"needs {', '.join(note.needs)}"] if note.needs else []
            marks += [f"Apache Kafka 4.3: {note.apache}"] if note.apache != "passes" else []
            texts.append(f"{'; '.join(marks)}: {note.reason}" if marks else note.reason)
        return " | ".join(texts)


def _tuples(entry: dict[str, object]) -> dict[str, tuple[str, ...]]:
    lists = {key: value for key, value in entry.items() if isinstance(value, list)}
    return {key: tuple(str(item) for item in value) for key, value in lists.items()}


def passes_only_there(here: SuiteRun, there: SuiteRun) -> list[tuple[Result, Result | None]]:
    """List the tests that pass in `there` but not in `here`, with the result of `here` (none: it never ran)."""
    mine = here.by_name()
    pairs = [(result, mine.get(result.name)) for result in there.results if result.outcome is Outcome.PASSED]
    return [(theirs, own) for theirs, own in pairs if own is None or own.outcome is not Outcome.PASSED]


def counts(suite: str, name: str, expected: Expectations, without: frozenset[str]) -> bool:
    """Tell whether a failure of the test counts: no feature of `without` is needed, and Apache Kafka passes it."""
    excused = any(note.apache in ("fails", "flaky") for note in expected.of(suite, name))
    return not excused and not expected.needs(suite, name) & without


def table(runs: Sequence[Run]) -> str:
    """Draw the counts of the runs side by side, a line a suite, as a Markdown table."""
    head = ["suite", "version"]
    for run in runs:
        head += [f"{run.broker}: passed", "failed", "skipped", "seconds"]
    names = list(dict.fromkeys(name for run in runs for name in run.suites))
    lines = [head, ["---"] * len(head)]
    for name in names:
        held = [run.suites.get(name) for run in runs]
        line = [name, next(suite.version for suite in held if suite)]
        for suite in held:
            line += [str(suite.count(outcome)) for outcome in Outcome] if suite else ["-"] * 3
            line += [f"{suite.seconds:.0f}"] if suite else ["-"]
        lines.append(line)
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def report(runs: Sequence[Run], expected: Expectations, without: frozenset[str]) -> tuple[str, int]:
    """Write the table, the failed tests, and what passes on the second broker only.

    Returns the text and how many tests count (see `counts`) among those that pass on the second broker only; with one
    run, among those that failed.
    """
    first, *rest = runs
    text = [table(runs), ""]
    bad = 0
    for run in runs:
        for suite in run.suites.values():
            for result in suite.results:
                if result.outcome is Outcome.FAILED:
                    known = expected.explain(suite.suite, result.name)
                    bad += not rest and counts(suite.suite, result.name, expected, without)
                    text.append(f"FAILED on {run.broker}: {suite.suite} {result.name}: {result.detail}")
                    text += [f"    {known}"] if known else []
    for other in rest:
        for name, suite in other.suites.items():
            pairs = passes_only_there(first.suites.get(name, SuiteRun(name, suite.version)), suite)
            for theirs, own in pairs:
                counted = counts(name, theirs.name, expected, without)
                bad += counted
                mark = "REGRESSION" if counted else "not counted"
                state = own.outcome.value if own else "not run"
                text.append(f"{mark}: {name} {theirs.name}: passes on {other.broker}, {state} on {first.broker}")
    return "\n".join(text), bad
