"""One browser for all tests of the page, one experiment for those that only look at it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser
    from webui_lab import Lab


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright
    from webui_lab import launch

    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An experiment whose eight trials have ended; it can be gone on with."""
    from webui_lab import start

    made = start(tmp_path_factory.mktemp("webui"), unused_port())
    made.until(lambda: made.get("/check-status")["status"] == "DONE", "the first trials")
    yield made
    made.end()


def unused_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
