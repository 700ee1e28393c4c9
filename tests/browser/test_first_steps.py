"""A new user's path: one command, JupyterLab in a browser, cells run and found again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

T = TypeVar("T")

PROGRAM = os.path.join(os.path.dirname(sys.executable), "blackroad-nb")
LINK = re.compile(r"http://127\.0\.0\.1:\d+/\S+")


@dataclass(frozen=True)
class Lab:
    """A running `blackroad-nb up`."""

    link: str
    folder: Path

    def run(self, *words: str) -> str:
        """Run a command of ours against the same database; return its output."""
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("work")
    output = folder.parent / "up.log"
    with output.open("w") as log, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTEBOOK_DB", str(folder.parent / "lab.db"))
        command = [PROGRAM, "up", "--no-browser", "--folder", str(folder)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            link = wait_for(lambda: LINK.search(output.read_text()), 60)
            yield Lab(link.group(), folder)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def wait_for(look: Callable[[], T | None], seconds: float) -> T:
    """Look again and again until there is something, or fail."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not seen within {seconds} s")


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    yield page
    context.close()


def test_the_link_opens_a_notebook_that_runs_and_is_found_again(lab: Lab, page: Page) -> None:
    open_demo(page, lab)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    expect(page.locator(".jp-OutputArea-output").last).to_contain_text("#", timeout=60_000)

    def recorded() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(lab.run("search", "dice"))
        return rows

    row = wait_for(recorded, 10)[0]
    assert row["status"] == "success"
    assert row["cell_id"] == "welcome-roll"
    assert row["path"] == str(lab.folder / "welcome.ipynb")


def test_a_headless_run_shows_in_the_list_of_running_kernels(lab: Lab, page: Page) -> None:
    lab.run("create", "Slow", str(lab.folder / "slow.ipynb"))
    write_cell(lab.folder / "slow.ipynb", "import time\nfor i in range(600):\n    time.sleep(0.1)")
    open_demo(page, lab)
    run = json.loads(
        lab.run("execute", str(lab.folder / "slow.ipynb"), "--server", "--detach", "--json")
    )
    page.get_by_role("tab", name="Running Terminals and Kernels").click()
    expect(page.locator(".jp-RunningSessions").get_by_text("slow").first).to_be_visible(
        timeout=30_000
    )
    lab.run("executions", "cancel", run["id"])

    def ended() -> bool:
        runs = json.loads(lab.run("executions", "list"))
        return bool(next(r for r in runs if r["id"] == run["id"])["status"] == "cancelled")

    assert wait_for(ended, 20)


def open_demo(page: Page, lab: Lab) -> None:
    """Follow the link and wait until the notebook has its kernel."""
    page.goto(lab.link)
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=60_000)


def write_cell(path: Path, source: str) -> None:
    document = json.loads(path.read_text())
    document["cells"][0]["source"] = source
    path.write_text(json.dumps(document))
