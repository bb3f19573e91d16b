"""Two clusters, a console over both, and a browser. Skips where no Apache Kafka can run."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("compat/console", "barnabas", "barnabas/tests/tools")]

import three_nodes
from tests.console.site import Console
from tests.console_pages.conftest import beside, browser, page, watched
from three_nodes import ThreeNodes

from barnabas.embedded import Broker

__all__ = ["beside", "browser", "page", "watched"]

SHOTS = os.environ.get("SHOTS")
"""A folder for pictures of the pages, for whoever wants to look at them."""


@pytest.fixture
def shot(page: Any) -> Callable[[str], None]:
    """Give what takes a picture of the page, where they are wanted."""

    def take(name: str) -> None:
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / (re.sub("[^a-z0-9]+", "-", name.strip("/")) + ".png"))

    return take


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeNodes]:
    """Give Apache Kafka on three nodes."""
    reason = three_nodes.missing()
    if reason is not None:
        pytest.skip(reason)
    nodes = ThreeNodes(tmp_path_factory.mktemp("kafka"))
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Give a broker of this checkout."""
    with Broker(process=True) as broker:
        yield broker


@pytest.fixture(scope="session")
def console(kafka: ThreeNodes, broker: Broker) -> Iterator[Console]:
    """Give a console over both: `apache` and `barnabas`."""
    with Console(
        "--cluster", f"apache={kafka.bootstrap}", "--command-config", f"apache={kafka.command_config('client')}",
        "--cluster", f"barnabas={broker.bootstrap}",
    ) as console:
        yield console
