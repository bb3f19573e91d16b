"""Give the tests of the examples a broker, and run programs against it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

EXAMPLES = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """Give the address of BARNABAS_TEST_BOOTSTRAP, else of a broker that lives as long as the session."""
    if address := os.environ.get("BARNABAS_TEST_BOOTSTRAP"):
        yield address
        return
    from barnabas.embedded import Broker

    with Broker() as broker:
        yield broker.bootstrap


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Give a name that no other test uses: the brokers are shared."""
    mark = uuid4().hex[:12]
    return lambda name: f"{name}-{mark}"


@pytest.fixture
def run(bootstrap: str, tmp_path: Path) -> Callable[..., list[str]]:
    """Give a function that runs an example to its end, checks its exit code and returns the lines it printed."""

    def run(program: str, *arguments: str, code: int = 0) -> list[str]:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / program), "--bootstrap", bootstrap, *arguments],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=90,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run
