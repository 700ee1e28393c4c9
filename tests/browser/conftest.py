"""A browser for one module at a time.

Playwright's synchronous face keeps an event loop running in this thread for as long as
it is open: neither pytest-jupyter's loop nor `asyncio.run` can live beside it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """Stand in for pytest-jupyter's loop, which no test here needs."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """Stand in for pytest-jupyter's clean-up, which would make a server to clean it up."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser, headless; on CI its absence is a failure, elsewhere a loud skip."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        message = "chromium is not installed; on Debian: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()
