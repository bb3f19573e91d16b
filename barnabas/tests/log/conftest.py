"""What each test of the log leaves behind: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from barnabas.log.handles import FilePool


@pytest.fixture(autouse=True)
def closed_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the files of all pools behind a test: hundreds of tests would hold a thousand open in one process."""
    pools: list[FilePool] = []
    make = FilePool.__init__

    def made(pool: FilePool, *arguments: Any) -> None:
        make(pool, *arguments)
        pools.append(pool)

    monkeypatch.setattr(FilePool, "__init__", made)
    yield
    for pool in pools:
        while pool._open:
            next(iter(pool._open)).close()
