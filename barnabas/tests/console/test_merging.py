"""Which records of many partitions are shown, and where the next page begins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from barnabas.console.merging import Merge, Order, chunk

from .properties import relaxed

#: of each partition the times of its records, whose offsets count from 0
partitions = st.lists(st.lists(st.integers(-1, 20), max_size=12), min_size=1, max_size=5)


def orders(times: list[list[int]]) -> list[Order]:
    return [(time, p, offset) for p, those in enumerate(times) for offset, time in enumerate(those)]


@relaxed
@given(partitions, st.integers(1, 20), st.booleans(), st.randoms(use_true_random=False))
def test_it_keeps_what_a_sort_would(times: list[list[int]], limit: int, newest: bool, random: object) -> None:
    records = orders(times)
    random.shuffle(records)  # type: ignore[attr-defined]
    merge = Merge(limit, 1 << 30, newest=newest)
    for order in records:
        merge.add(order, repr(order).encode())
    expected = sorted(records, reverse=newest)[:limit]
    if newest and records and merge.is_full:
        assert merge.floor == expected[-1][0]
    assert merge.take() == [repr(order).encode() for order in expected]


@relaxed
@given(st.lists(st.lists(st.integers(0, 9), max_size=12).map(sorted), min_size=1, max_size=4), st.integers(1, 7),
       st.booleans())
def test_pages_give_every_record_once(times: list[list[int]], limit: int, newest: bool) -> None:
    """Times that do not go back within a partition: then nothing comes twice, and nothing is left out."""
    seen: list[bytes] = []
    at = {p: len(those) if newest else 0 for p, those in enumerate(times)}
    for _ in range(100):
        merge = Merge(limit, 1 << 30, newest=newest)
        for time, p, offset in orders(times):
            if (offset < at[p]) if newest else (offset >= at[p]):
                merge.add((time, p, offset), repr((time, p, offset)).encode())
        lines = merge.take()
        seen += lines
        at = merge.next_of({p: 0 if newest else len(those) for p, those in enumerate(times)})
        if not lines:
            break
    assert seen == [repr(order).encode() for order in sorted(orders(times), reverse=newest)]


def test_the_budget_makes_it_smaller_and_it_says_so() -> None:
    merge = Merge(10, 100, newest=True)
    for offset in range(5):
        merge.add((offset, 0, offset), b"x" * 40)
    assert merge.is_cut
    assert len(merge) == 2
    assert merge.next_of({0: 0}) == {0: 3}


def test_what_is_later_than_a_time_is_taken_first() -> None:
    merge = Merge(4, 1 << 20, newest=True)
    for time in range(6):
        merge.add((time, 0, time), b"%d" % time)
    assert merge.take(after=3) == [b"5", b"4"]
    assert merge.take() == [b"3", b"2"]


@relaxed
@given(st.integers(1, 1000), st.integers(1, 1_000_000), st.integers(0, 100), st.booleans())
def test_chunks_are_bounded(partitions: int, left: int, number: int, filtered: bool) -> None:
    assert 1 <= chunk(partitions, left, number, filtered=filtered) <= 50_000
