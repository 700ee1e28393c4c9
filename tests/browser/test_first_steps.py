"""A new user's path: one command, one link, a session in a browser, cells found again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect
from up_process import Up, up_in

pytestmark = pytest.mark.browser

T = TypeVar("T")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("first")
    with up_in(folder) as up:
        up.open("--folder", str(folder / "research"))
        yield up


def ask(hub: Up, *words: str) -> str:
    """Run a command of ours as the operator does; return its output."""
    done = hub.run(*words[1:], program=words[0])
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_from_the_link_to_recorded_cells_and_back_to_the_work(hub: Up, page: Page) -> None:
    page.goto(hub.link)
    expect(page.get_by_text("not isolated")).to_be_visible()
    page.get_by_role("button", name="Start session").click()  # the first template is marked
    page.wait_for_url("**/lab/tree/work/welcome.ipynb", timeout=60_000)
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=60_000)
    expect(page.locator(".jp-Dialog, .jp-toast-button")).to_have_count(0)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    expect(page.locator(".jp-OutputArea-output").last).to_contain_text("#", timeout=60_000)
    page.keyboard.press("Control+s")

    def recorded() -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(ask(hub, "search", "dice"))
        return rows

    row = wait_for(recorded, 10)[0]
    work = hub.folder / "research" / "work" / "welcome.ipynb"
    assert (row["status"], row["cell_id"]) == ("success", "welcome-roll")
    assert row["path"] == str(work)
    wait_for(lambda: has_outputs(work) or None, 20)

    page.goto(f"http://127.0.0.1:{hub.settings.port}/hub/home")
    page.get_by_role("button", name="Stop").or_(page.locator("#stop")).first.click()
    wait_for(lambda: not hub.servers() or None, 30)
    before = work.read_bytes()
    page.goto(hub.link)
    page.get_by_role("button", name="Start session").click()
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=60_000)
    expect(page.locator(".jp-OutputArea-output").last).to_contain_text("#", timeout=60_000)
    assert work.read_bytes() == before


def test_the_link_leads_straight_into_a_session_that_is_running(hub: Up, page: Page) -> None:
    if not hub.servers():
        hub.start_session(template="welcome")
        hub.wait_session()
    page.goto(hub.link)
    page.wait_for_url("**/lab/**", timeout=60_000)
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=60_000)


def test_a_headless_run_shows_in_the_list_of_running_kernels(hub: Up, page: Page) -> None:
    if not hub.servers():
        hub.start_session()
        hub.wait_session()
    slow = hub.folder / "research" / "slow.ipynb"
    ask(hub, "create", "Slow", str(slow))
    write_cell(slow, "import time\nfor i in range(600):\n    time.sleep(0.1)")
    page.goto(hub.link)
    expect(page.get_by_role("tab", name="Running Terminals and Kernels")).to_be_visible(
        timeout=60_000
    )
    run = json.loads(ask(hub, "execute", str(slow), "--server", "--detach", "--json"))
    page.get_by_role("tab", name="Running Terminals and Kernels").click()
    expect(page.locator(".jp-RunningSessions").get_by_text("slow").first).to_be_visible(
        timeout=30_000
    )
    ask(hub, "executions", "cancel", run["id"])

    def ended() -> bool:
        runs = json.loads(ask(hub, "executions", "list"))
        return bool(next(r for r in runs if r["id"] == run["id"])["status"] == "cancelled")

    assert wait_for(ended, 20)


def has_outputs(path: Path) -> bool:
    cells = json.loads(path.read_text())["cells"]
    return any(cell.get("outputs") for cell in cells)


def write_cell(path: Path, source: str) -> None:
    document = json.loads(path.read_text())
    document["cells"][0]["source"] = source
    path.write_text(json.dumps(document))
