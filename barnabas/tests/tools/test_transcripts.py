"""Replay what Java's tools said on Barnabas: ours must say the same, on a broker of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas.embedded import Broker

from .forked import Forked
from .transcript import differ, play, read

LONG = ("kafka-console-producer", "kafka-consumer-groups", "kafka-consumer-perf-test", "kafka-producer-perf-test")
TRANSCRIPTS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.long] if path.stem in LONG else [])
    for path in sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
]


@pytest.mark.parametrize("path", TRANSCRIPTS)
def test_ours_answer_as_java_s_tools_do(path: Path) -> None:
    expected = list(read(path))
    with Broker(process=True) as broker, Forked() as tools:
        found = play(expected, "barnabas", broker.bootstrap, tools.run)
    assert len(found) == len(expected)
    wrong = [(a, b) for a, b in zip(expected, found, strict=True) if differ(a, b)]
    for a, b in wrong:
        print(f"$ {a.command}\n  expected {a.status}: {a.stdout} {a.stderr}\n  found {b.status}: {b.stdout} {b.stderr}")
    assert not wrong, f"{len(wrong)} of {len(expected)} commands answer differently"
