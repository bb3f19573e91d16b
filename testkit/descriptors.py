"""Descriptors of this process, by what they are for.

Their whole number tells nothing in a run of the tests: threads of brokers and clients that other tests keep open and
close theirs meanwhile, and the garbage collector does.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def held_open(folder: Path) -> int:
    """Count the open descriptors of files that lie in a folder, or lay there until they were deleted."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            found += os.readlink(descriptor).startswith(f"{folder}/")
    return found
