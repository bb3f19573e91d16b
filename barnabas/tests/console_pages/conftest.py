"""A browser, a broker and a console: what the tests of the console's page run against."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from barnabas.embedded import Broker

from .running import Console, Produced, produce

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
AXE = Path(__file__).parents[3] / "web/node_modules/axe-core/axe.min.js"
WAIT_MS = 15_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Give Chromium; skip where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    sync_api.expect.set_options(timeout=WAIT_MS)  # what is set for a context does not reach it
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker(process=True) as broker:
        yield broker


@pytest.fixture(scope="module")
def console(broker: Broker) -> Iterator[Console]:
    with Console([f"local={broker.bootstrap}"]) as console:
        yield console


@dataclass
class Watched:
    """Hold what the browser complained of."""

    errors: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Beginnings of complaints that a test brings about on purpose."""

    def unexpected(self) -> list[str]:
        return [one for one in self.errors if not one.startswith(self.expected)] if self.expected else self.errors


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def beside() -> Iterator[contextlib.ExitStack]:
    """Give a stack for consoles and brokers of the test's own: they end after the page, which would miss them."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def page(browser: Any, watched: Watched, beside: contextlib.ExitStack) -> Iterator[Any]:
    """Give a page of its own; the test fails where the browser's console has an error in the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.on("console", lambda message: watched.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: watched.errors.append(f"uncaught: {error}"))
    page.on("dialog", lambda dialog: (watched.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield page
    context.close()
    assert watched.unexpected() == []


@pytest.fixture
def records(broker: Broker) -> Iterator[Produced]:
    """Give what writes records to the module's broker."""
    yield produce(broker.bootstrap)
