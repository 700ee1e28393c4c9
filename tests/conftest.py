"""What every test shares: a home of its own, so that nobody's settings leak in or out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@pytest.fixture(scope="session", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Point HOME and Jupyter's folders into a temporary place for the whole session."""
    home = tmp_path_factory.mktemp("home")
    places = {
        "HOME": home,
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "IPYTHONDIR": home / "ipython",
        "NOTEBOOK_DB": home / "notebooks.db",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, place in places.items():
            patch.setenv(name, os.fspath(place))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        for name in ("NOTEBOOK_ROOTS", "JUPYTERHUB_SERVICE_PREFIX", "JPY_API_TOKEN"):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser, headless; on CI its absence is a failure, elsewhere a loud skip."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        message = "chromium is not installed; on Debian: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()
