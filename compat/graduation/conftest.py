"""Let the tests import the modules beside them, whatever pytest's import mode is, and skip where no Kafka can run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import peer


@pytest.fixture(autouse=True)
def _needs_kafka() -> None:
    reason = peer.missing()
    if reason is not None:
        pytest.skip(reason)
