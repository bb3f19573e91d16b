"""A browser and a platform: what the tests of the trading page run against."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .running import WAIT_MS, Platform

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
AXE = Path(__file__).parents[3] / "web/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Give Chromium; skip where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def platform(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Give a platform that runs; one for all tests."""
    pytest.importorskip("chdb", reason="the embedded stores are not installed")
    with Platform(tmp_path_factory.mktemp("platform")).running() as platform:
        yield platform


@dataclass
class Watched:
    """Hold what the browser complained of."""

    errors: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of complaints that a test brings about on purpose."""

    def hear(self, said: Any) -> None:
        """Take down what the browser's console shows."""
        if said.type == "error":
            self.errors.append(f"{said.text} ({said.location['url']})")

    def unexpected(self) -> list[str]:
        """Give the rest."""
        return [one for one in self.errors if not any(part in one for part in self.expected)]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def open_page(browser: Any, platform: Platform, watched: Watched) -> Iterator[Callable[..., Any]]:
    """Give what opens the page; the test fails where the browser's console has an error in the end."""
    contexts = []

    def opened(address: str = "/", width: int = 1440, height: int = 900, language: str = "en") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale=language, accept_downloads=True
        )
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("console", watched.hear)
        page.on("pageerror", lambda error: watched.errors.append(f"uncaught: {error}"))
        page.goto(platform.url + address)
        page.wait_for_selector('[data-link="open"]')
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watched.unexpected() == []
