"""What every Python client is asked to do, and what its answers must be.

The journey is the same for each library: create a topic, produce with and without keys, consume, share a group
with a second member that comes and goes, commit and resume, delete. A program makes the library's calls and hands
what came back to the checks here, as plain tuples; so the expectations stand in one place.

A step prints one line when it holds; the first one that does not ends the program with its traceback, exit code 1.
"""

from __future__ import annotations

import argparse
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

PARTITIONS = 3
UNKEYED = 30
KEYED = 60
TOTAL = UNKEYED + KEYED
KEYS = 12
HEADERS: Sequence[tuple[str, bytes]] = (("source", b"compat"), ("empty", b""))
COMMIT_AFTER = 40
COMMIT_METADATA = "half way"
TIMEOUT = 60.0


class Seen(NamedTuple):
    """A record as a consumer handed it out."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Mismatch(Exception):
    """An answer that is not the one expected."""


def check(holds: object, message: str) -> None:
    """Raise Mismatch with ``message`` unless ``holds``."""
    if not holds:
        raise Mismatch(message)


def equal(got: object, want: object, what: str) -> None:
    """Raise Mismatch unless ``got`` equals ``want``."""
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def eventually(condition: Callable[[], bool], what: str, timeout: float = TIMEOUT) -> None:
    """Wait until ``condition`` holds, at most ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        check(time.monotonic() < end, f"not within {timeout:.0f} s: {what}")
        time.sleep(0.05)


def unkeyed_value(index: int) -> bytes:
    """Value of the unkeyed record ``index``."""
    return f"plain {index}".encode()


def keyed_key(index: int) -> bytes:
    """Key of the keyed record ``index``: KEYS different ones, in turn."""
    return f"key-{index % KEYS}".encode()


def keyed_value(index: int) -> bytes:
    """Value of the keyed record ``index``; text outside ASCII on purpose."""
    return f"键 {index}".encode()


class Journey:
    """One run of one client: names of its own on the broker, and the printed steps."""

    def __init__(self, client: str) -> None:
        parser = argparse.ArgumentParser(description=f"Drive {client} through a broker and check every answer.")
        parser.add_argument("bootstrap", metavar="HOST:PORT")
        self.bootstrap: str = parser.parse_args().bootstrap
        self.topic = f"compat-{client}-{uuid.uuid4().hex[:8]}"
        self.group = f"{self.topic}-group"
        self.resume_group = f"{self.topic}-resume"

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time one step and print its line, with the details appended to the yielded list; say which one failed."""
        details: list[str] = []
        begun = time.monotonic()
        try:
            yield details
        except Exception as error:
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
            raise
        print(f"ok   {name} ({time.monotonic() - begun:.2f} s): {'; '.join(details)}", flush=True)


def check_keyed_placement(placements: Sequence[tuple[bytes, int]]) -> str:
    """Check that each key kept to one partition and that more than one partition was used."""
    homes: dict[bytes, set[int]] = {}
    for key, partition in placements:
        homes.setdefault(key, set()).add(partition)
    equal(len(homes), KEYS, "number of keys")
    scattered = {key for key, partitions in homes.items() if len(partitions) != 1}
    check(not scattered, f"keys on several partitions: {scattered}")
    used = set().union(*homes.values())
    check(len(used) > 1, "all keys on one partition")
    return f"{len(placements)} records, {KEYS} keys on {len(used)} partitions"


def check_offsets(offsets: Sequence[tuple[int, int]], starts: Mapping[int, int]) -> None:
    """Check acknowledged (partition, offset) pairs: each partition continues at ``starts`` without holes or repeats."""
    by_partition: dict[int, list[int]] = {}
    for partition, offset in offsets:
        by_partition.setdefault(partition, []).append(offset)
    for partition, found in by_partition.items():
        start = starts.get(partition, 0)
        equal(sorted(found), list(range(start, start + len(found))), f"offsets acknowledged in partition {partition}")


def count_by_partition(offsets: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Count (partition, offset) pairs by partition."""
    counts: dict[int, int] = {}
    for partition, _ in offsets:
        counts[partition] = counts.get(partition, 0) + 1
    return counts


def check_consumed(seen: Sequence[Seen]) -> str:
    """Check that ``seen`` is the whole topic: every value once, keys and headers intact, offsets and keys in order."""
    equal(len(seen), TOTAL, "records consumed")
    expected = {unkeyed_value(i): None for i in range(UNKEYED)} | {keyed_value(i): keyed_key(i) for i in range(KEYED)}
    equal({record.value: record.key for record in seen}, expected, "values and keys")
    next_offset: dict[int, int] = {}
    by_key: dict[bytes, list[bytes]] = {}
    for record in seen:
        equal(record.offset, next_offset.get(record.partition, 0), f"offset in partition {record.partition}")
        next_offset[record.partition] = record.offset + 1
        if record.key is not None:
            by_key.setdefault(record.key, []).append(record.value)
            equal(record.headers, tuple(HEADERS), "headers")
        else:
            equal(record.headers, (), "headers of an unkeyed record")
    for key, values in by_key.items():
        equal(values, [keyed_value(i) for i in range(KEYED) if keyed_key(i) == key], f"order under {key!r}")
    return f"{len(seen)} records from {len(next_offset)} partitions, order, keys, headers right"


def check_resumed(before: Sequence[Seen], committed: Mapping[int, int], after: Sequence[Seen]) -> str:
    """Check that a group went on exactly where it had committed: nothing twice, nothing lost."""
    first: dict[int, int] = {}
    for record in after:
        first.setdefault(record.partition, record.offset)
    for partition, offset in first.items():
        equal(offset, committed.get(partition, 0), f"first offset after resuming partition {partition}")
    check_consumed(sorted([*before, *after]))
    return f"{len(before)} before, {len(after)} after the commit"


def next_offsets(seen: Sequence[Seen]) -> dict[int, int]:
    """Return what to commit for ``seen``: the offset after the last record of each partition."""
    return {record.partition: record.offset + 1 for record in seen}


def shares(*assignments: frozenset[int]) -> bool:
    """Tell whether the members split all partitions among them, each with at least one and none twice."""
    together = [partition for assignment in assignments for partition in assignment]
    return all(assignments) and sorted(together) == list(range(PARTITIONS))


class Member:
    """A group member of a blocking library: a thread that polls, since only polling takes part in a rebalance."""

    def __init__(self, poll: Callable[[], frozenset[int]], close: Callable[[], None]) -> None:
        self.assignment: frozenset[int] = frozenset()
        self._poll = poll
        self._close = close
        self._ending = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # An exception ends the thread with its traceback; holds() and leave() notice.
        while not self._ending.is_set():
            self.assignment = self._poll()
        self._close()
        self._closed = True

    def holds(self) -> frozenset[int]:
        """Return the partitions assigned after the last poll; raises Mismatch once the thread has died."""
        check(self._thread.is_alive(), "a member's thread died")
        return self.assignment

    def leave(self) -> None:
        """Leave the group and wait until that is done."""
        self._ending.set()
        self._thread.join(TIMEOUT)
        check(self._closed, "a member did not close")


def check_rebalance(open_member: Callable[[], Member]) -> str:
    """Let one member take everything, a second one share, and the first take everything again when it leaves."""
    everything = frozenset(range(PARTITIONS))
    first = open_member()
    eventually(lambda: first.holds() == everything, "the first member has all partitions")
    second = open_member()
    eventually(lambda: shares(first.holds(), second.holds()), "two members share the partitions")
    detail = f"alone {PARTITIONS}, shared {len(first.holds())}+{len(second.holds())}, alone again {PARTITIONS}"
    second.leave()
    eventually(lambda: first.holds() == everything, "the first member has all partitions back")
    first.leave()
    return detail
