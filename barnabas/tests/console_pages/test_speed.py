"""Typing in the filter with 5,000 topics, beside an empty page in the same run; and what the first load weighs."""

from __future__ import annotations

import gzip
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from barnabas.embedded import Broker

from .running import Console

pytestmark = pytest.mark.pages

TOPICS = 5_000
STATIC = Path(__file__).parents[2] / "src/barnabas/console/static"
MEASURE = """async (milliseconds) => {
  const times = [];
  let last = performance.now();
  const end = last + milliseconds;
  while (last < end) {
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times.slice(2);
}"""


def frames(page: Any, type_something: bool) -> list[float]:
    """Return the times of frames, in milliseconds, while somebody types, or does not."""
    page.evaluate(f"() => {{ window.frames_ = ({MEASURE})(4000); }}")
    if type_something:
        field = page.get_by_label("Filter topics by name")
        for word in ("topic-12", "3", "9"):
            field.press_sequentially(word, delay=60)
        for _ in range(10):
            field.press("Backspace", delay=30)
        field.press_sequentially("service 77", delay=60)
    found: list[float] = page.evaluate("() => window.frames_")
    return found


def test_typing_with_5000_topics_is_as_smooth_as_an_empty_page(page: Any, beside: ExitStack) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic
    from playwright.sync_api import expect

    broker = beside.enter_context(Broker(process=True))
    console = beside.enter_context(Console([f"local={broker.bootstrap}"]))
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for start in range(0, TOPICS, 100):
        made = admin.create_topics([NewTopic(f"topic-{n}.service", 1, 1) for n in range(start, start + 100)])
        for future in made.values():
            future.result(60)
        assert len(broker.topics()) >= start  # and reads the broker's log lines, which a pipe holds 64 KiB of

    def high(times: list[float]) -> float:
        return statistics.quantiles(times, n=20)[-1]

    def ratio() -> float:
        page.set_content("<label>Filter topics by name <input></label>")
        empty = frames(page, True)
        page.goto(console.to("topics"))
        expect(page.get_by_text("5,000 topics")).to_be_visible()
        assert page.locator("tbody tr").count() < 80  # only what is in view is drawn
        typing = frames(page, True)
        expect(page.get_by_text("of 5,000 topics")).to_be_visible()
        found = high(typing) / high(empty)
        print(
            f"\n95th percentile of frame times: {high(typing):.1f} ms typing, {high(empty):.1f} ms on an empty page; "
            f"ratio {found:.2f}; longest {max(typing):.0f} and {max(empty):.0f} ms"
        )
        return found

    # In pairs, and the median: what else the machine does in one of the halves is no matter of the page's.
    assert statistics.median(ratio() for _ in range(3)) < 3


def test_the_first_load_is_small() -> None:
    index = (STATIC / "index.html").read_text()
    named = [file for file in (STATIC / "assets").iterdir() if file.name in index]
    size = len(gzip.compress(index.encode())) + sum(len(gzip.compress(file.read_bytes())) for file in named)
    assert len(named) >= 2
    assert size < 120_000
