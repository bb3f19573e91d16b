"""Fixtures of the seed tests: an arena, and an arena with a broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .arena import Arena


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """Give the two addresses of the seeds, with nothing behind them."""
    with Arena(tmp_path) as arena:
        yield arena


@pytest.fixture
def broker(arena: Arena) -> Arena:
    """Give the two addresses of the seeds with a new broker behind them."""
    arena.start_broker()
    return arena
