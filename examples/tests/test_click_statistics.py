"""Run the click statistics: the counts equal those of the clicks that were sent."""

from __future__ import annotations

import json
import runpy
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

Run = Callable[..., list[str]]
Unique = Callable[[str], str]
CLICKS: Callable[[int, float, int], Iterator[dict[str, str | float]]] = runpy.run_path(
    str(Path(__file__).parent.parent / "click_statistics" / "clicks.py")
)["clicks"]


def test_views_and_users_are_counted(run: Run, unique: Unique) -> None:
    """The last row of each window and page has the views and users of an independent count; a second run agrees."""
    topic, start = unique("user_clicks"), 1_760_000_000.0
    sent = ("--topic", topic, "--count", "400", "--start", str(start), "--seed", "7")
    assert run("click_statistics/clicks.py", *sent) == ["sent 400 clicks"]

    expected: dict[tuple[int, str], list[str]] = defaultdict(list)
    for click in CLICKS(400, start, 7):
        expected[int(float(click["timestamp"]) // 60), str(click["page"])].append(str(click["user_id"]))
    assert len(expected) > 10

    def counted() -> dict[tuple[str, str], tuple[int, int]]:
        rows = map(json.loads, run("click_statistics/count_clicks.py", "--topic", topic, "--window", "60", "--once"))
        return {(row["window"], row["page"]): (row["views"], row["users"]) for row in rows}

    first = counted()
    assert sorted(first.values()) == sorted((len(users), len(set(users))) for users in expected.values())
    assert min(first)[0] == "2025-10-09T08:53:00+00:00"
    assert counted() == first
