#!/usr/bin/env python3
"""Send the same odd requests to Apache Kafka and to Barnabas, and compare what they answer.

    compat/differential.py ADDRESS_OF_KAFKA ADDRESS_OF_BARNABAS [--only PROBE,...] [--level low,middle,high] [--all]

Each probe (see `probes/`) asks the same questions of both, in the lowest, a middle and the highest version of every
API. Ids, times and addresses are masked. Prints a table of the differences; those that are meant
(`probes/expected.py`) are counted, and shown with --all. The exit code is 1 if there is a difference that is not meant.
Both brokers must be new, have node.id 1, num.partitions 1 and group.initial.rebalance.delay.ms 0; Kafka is of
version 4.3. The probes make some hundred topics and delete few of them.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from probes import cluster, groups, records, topics
from probes.expected import EXPECTED, Expected
from probes.session import LEVELS, Entry, Session

PROBES: dict[str, Callable[[Session], None]] = {
    probe.__name__: probe for module in (topics, cluster, records, groups) for probe in module.PROBES
}
ABSENT = "-"
#: of one question so many differing fields are printed
SHOWN = 6


class Difference(NamedTuple):
    """Hold one field that differs."""

    question: str
    path: str
    kafka: str
    barnabas: str


def transcript(probe: str, level: str, address: str, nonce: str) -> list[Entry]:
    """Run one probe against one broker. What stops it half-way is part of the transcript."""
    session = Session(address, level, nonce, probe)
    try:
        PROBES[probe](session)
    except (AssertionError, AttributeError, OSError) as e:
        session.note("the probe ended", f"{type(e).__name__}: {e}")
    finally:
        session.close()
    return session.entries


def compare(kafka: list[Entry], barnabas: list[Entry]) -> list[Difference]:
    """Lay two transcripts side by side."""
    found = []
    theirs, ours = ({f"{e.label} #{n}": e.answer for n, e in numbered(entries)} for entries in (kafka, barnabas))
    for question in dict.fromkeys((*theirs, *ours)):
        a, b = theirs.get(question, {}), ours.get(question, {})
        if a != b and (not a or not b or "answer" in a or "answer" in b):  # no answer, or none of the same kind
            found.append(Difference(question.removesuffix(" #1"), "answer", said(a), said(b)))
            continue
        for path in dict.fromkeys((*a, *b)):
            if a.get(path, ABSENT) != b.get(path, ABSENT):
                shown = question.removesuffix(" #1")
                found.append(Difference(shown, path, str(a.get(path, ABSENT)), str(b.get(path, ABSENT))))
    return found


def said(answer: dict[str, Any]) -> str:
    """Say in one line what was answered."""
    return str(answer.get("answer", f"{len(answer)} fields" if answer else "not asked"))


def numbered(entries: list[Entry]) -> list[tuple[int, Entry]]:
    """Number entries that have the same label."""
    seen: Counter[str] = Counter()
    out = []
    for entry in entries:
        seen[entry.label] += 1
        out.append((seen[entry.label], entry))
    return out


def reason(difference: Difference) -> Expected | None:
    """Return the entry of the list of meant differences that covers one."""
    return next((e for e in EXPECTED if e.covers(*difference)), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kafka", metavar="ADDRESS_OF_KAFKA")
    parser.add_argument("barnabas", metavar="ADDRESS_OF_BARNABAS")
    parser.add_argument("--only", metavar="PROBE,...", default=",".join(PROBES))
    parser.add_argument("--level", metavar="LEVEL,...", default=",".join(LEVELS))
    parser.add_argument("--all", action="store_true", help="show the meant differences too")
    chosen = parser.parse_args()
    nonce = uuid.uuid4().hex[:6]
    questions = unmeant = 0
    meant: Counter[str] = Counter()
    for probe in chosen.only.split(","):
        for level in chosen.level.split(","):
            kafka = transcript(probe, level, chosen.kafka, nonce)
            barnabas = transcript(probe, level, chosen.barnabas, nonce)
            questions += len(kafka)
            shown: Counter[str] = Counter()
            for difference in compare(kafka, barnabas):
                why = reason(difference)
                if why is not None:
                    meant[why.what] += 1
                else:
                    unmeant += 1
                if why is None or chosen.all:
                    shown[difference.question] += 1
                    if shown[difference.question] <= SHOWN:
                        print(" | ".join(difference), flush=True)
            for question, count in shown.items():
                if count > SHOWN:
                    print(f"{question} | ... {count - SHOWN} more")
    for what, count in meant.items():
        print(f"meant: {what}: {count}")
    if chosen.only == parser.get_default("only") and chosen.level == parser.get_default("level"):
        for what in dict.fromkeys(e.what for e in EXPECTED if e.what not in meant):
            print(f"never seen any more: {what}")
    print(f"{questions} questions, {sum(meant.values())} meant differences, {unmeant} others")
    return 1 if unmeant else 0


if __name__ == "__main__":
    sys.exit(main())
