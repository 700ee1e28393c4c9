"""The spawn page as people meet it: a real hub, local processes, a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hub_process import HubProcess, start_hub, until
from playwright.sync_api import Browser, Page, expect

from blackroad_nb.adapters.templates import CHECKOUT

pytestmark = pytest.mark.browser

START_MS = 60_000
PEOPLE = ("ada", "grace", "joan", "mary")
HOSTILE = "<script>window.hit=1</script><img src=x onerror=window.hit=1>"
LONG = "Unbroken" * 30
PROFILES = """
profiles:
  - name: standard
    title: Standard
    description: JupyterLab with Python, for everyday research.
    price: 0.40 EUR per hour
  - name: large
    title: Large panel
    description: For whole-market panels.
    cpus: 8
    memory: 64G
    price: 3.20 EUR per hour
    groups: [quants]
  - name: small
    title: Small
    cpus: 0.5
    memory: 1G
"""


def write_template(folder: Path, name: str, title: str, description: str = "") -> None:
    document = json.loads((CHECKOUT / "welcome.ipynb").read_text())
    document["metadata"]["blackroad"] = {"title": title, "description": description}
    (folder / f"{name}.ipynb").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("hub")
    templates = folder / "templates"
    templates.mkdir()
    write_template(templates, "alpha-research", "Alpha research", "From a signal to its costs.")
    write_template(templates, "odd {name} 50%", HOSTILE, HOSTILE)
    write_template(templates, "long", LONG, LONG)
    (templates / "broken.ipynb").write_text("{")
    with start_hub(
        folder,
        users={**dict.fromkeys(PEOPLE, ("researchers",)), "nobody": ()},
        docker=False,
        profiles=PROFILES,
        templates=[str(templates)],
        extra_config="c.JupyterHub.allow_named_servers = False\n",
    ) as running:
        yield running


@contextmanager
def visit(
    chromium: Browser, hub: HubProcess, user: str | None = "ada", **more: Any
) -> Iterator[Page]:
    """A browser window of its own, with `user` logged in; nothing may come from elsewhere."""
    options = {"viewport": {"width": 1100, "height": 900}, **more}
    with chromium.new_context(**options) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        until(lambda: reachable(hub))
        try:
            if user is not None:
                hub.browser_login(page, user)
            yield page
        except BaseException:  # whoever reads the report was not there to look
            print(page.url, page.inner_text("body", timeout=5000), hub.log()[-4000:], sep="\n")
            raise
        assert [url for url in asked if not url.startswith((hub.url, "data:", "blob:"))] == []


@pytest.fixture(autouse=True)
def nothing_runs(hub: HubProcess) -> Iterator[None]:
    yield
    for user in PEOPLE:
        if hub.servers(user):
            hub.stop_session(user)
            hub.wait_gone(user)


def reachable(hub: HubProcess) -> bool:
    """Tell whether the proxy leads to the hub, which comes after the hub answers itself."""
    try:
        return hub.call("GET", f"{hub.url}hub/api", None)[0] == 200
    except OSError:
        return False


def work(hub: HubProcess, user: str = "ada") -> Path:
    return hub.state / "workspaces" / user / "work"


def spawn_page(page: Page, hub: HubProcess) -> None:
    page.goto(f"{hub.url}hub/spawn")
    expect(page.get_by_role("heading", level=1)).to_have_text("Start a session")


def opened(page: Page, path: str) -> None:
    """Wait until JupyterLab shows a notebook."""
    page.wait_for_url(f"**/lab/tree/work/{path}", timeout=START_MS)
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=START_MS)


def test_a_card_leads_to_jupyterlab_with_the_template_open(
    chromium: Browser, hub: HubProcess
) -> None:
    with visit(chromium, hub) as page:
        spawn_page(page, hub)
        page.get_by_label("Small").check()
        page.get_by_label("Alpha research").check()
        page.get_by_role("button", name="Start session").click()
        opened(page, "alpha-research.ipynb")
        copy = work(hub) / "alpha-research.ipynb"
        copy.write_text(copy.read_text().replace("rolls = 1000", "rolls = 7"))

        hub.stop_session("ada")
        hub.wait_gone("ada")
        spawn_page(page, hub)  # remembers, but not the wish for an original
        expect(page.get_by_label("Small")).to_be_checked()
        expect(page.get_by_label("Alpha research")).to_be_checked()
        page.get_by_label("Give me the original").check()
        page.get_by_role("button", name="Start session").click()
        opened(page, "alpha-research-original.ipynb")
        assert "rolls = 7" in copy.read_text()
        assert "rolls = 1000" in (work(hub) / "alpha-research-original.ipynb").read_text()

        # JupyterHub's button does nothing until its script has come.
        page.goto(f"{hub.url}hub/home", wait_until="networkidle")
        page.get_by_role("button", name="Stop my session").click()
        hub.wait_gone("ada")
        spawn_page(page, hub)
        expect(page.get_by_label("Give me the original")).not_to_be_checked()


def test_the_page_shows_everything_as_text(chromium: Browser, hub: HubProcess) -> None:
    with visit(chromium, hub) as page:
        spawn_page(page, hub)
        for text in ("0.40 EUR per hour", "not isolated", "could not be read: broken", HOSTILE):
            expect(page.locator("main")).to_contain_text(text)
        expect(page.get_by_label("Large panel")).to_be_disabled()
        expect(page.locator(".br-card-off")).to_contain_text("group quants")
        assert page.locator("main script, main img").count() == 0
        assert page.evaluate("window.hit") is None


def test_everything_can_be_done_from_the_keyboard(chromium: Browser, hub: HubProcess) -> None:
    with visit(chromium, hub, "mary") as page:
        spawn_page(page, hub)

        def focused() -> str:
            return str(page.evaluate("document.activeElement.name || document.activeElement.type"))

        def tab_to(name: str) -> None:
            for _ in range(30):
                page.keyboard.press("Tab")
                if focused() == name:
                    return
            raise AssertionError(f"Tab never came to {name}.")

        tab_to("profile")
        outline = "getComputedStyle(document.activeElement.closest('label')).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("ArrowDown")  # over the one that is not for ada
        tab_to("template")
        page.keyboard.press("ArrowUp")
        expect(page.get_by_label("My work folder")).to_be_checked()
        page.keyboard.press("ArrowDown")
        tab_to("original")
        page.keyboard.press("Space")
        expect(page.get_by_label("Small")).to_be_checked()
        expect(page.get_by_label("Alpha research")).to_be_checked()
        expect(page.get_by_label("Give me the original")).to_be_checked()
        page.keyboard.press("Space")
        tab_to("submit")
        page.keyboard.press("Enter")
        opened(page, "alpha-research.ipynb")


def test_it_works_without_scripts(chromium: Browser, hub: HubProcess) -> None:
    with visit(chromium, hub, "grace", java_script_enabled=False) as page:
        spawn_page(page, hub)
        assert not page.locator("#noscript").is_visible()
        page.locator("input[name=template][value=alpha-research]").check()
        page.locator("button[type=submit]").click()
        page.wait_for_url("**/lab/tree/work/alpha-research.ipynb", timeout=START_MS)
        assert (work(hub, "grace") / "alpha-research.ipynb").is_file()


def test_a_link_starts_at_once_also_through_the_login(chromium: Browser, hub: HubProcess) -> None:
    with visit(chromium, hub, None) as page:
        query = "opt-profile=small&opt-template=odd%20%7Bname%7D%2050%25"
        page.goto(f"{hub.url}hub/spawn?{query}")
        page.fill("#username_input", "ada")
        page.fill("#password_input", "only-for-this-test")
        page.click("#login_submit")
        page.wait_for_url(re.compile(r".*/lab/tree/work/odd.*"), timeout=START_MS)
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=START_MS)
        assert (work(hub) / "odd {name} 50%.ipynb").is_file()


def test_a_session_without_its_template_starts_and_says_why(
    chromium: Browser, hub: HubProcess, tmp_path: Path
) -> None:
    folder = work(hub, "joan")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path)  # out of what the session may write to
    with visit(chromium, hub, "joan") as page:
        page.goto(f"{hub.url}hub/spawn?opt-template=alpha-research")
        page.wait_for_url("**/blackroad/workspace*", timeout=START_MS)
        expect(page.get_by_role("alert")).to_contain_text("outside the allowed folders")
        assert list(tmp_path.iterdir()) == []
        page.get_by_role("link", name="Open JupyterLab").click()
        page.wait_for_selector(".jp-Launcher", timeout=START_MS)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("opt-profile=large", "This profile is not for you"),
        ("opt-profile=nothing", "There is no profile 'nothing'"),
        ("opt-template=..%2F..%2Fetc", "There is no template"),
        ("opt-image=evil", "There is no launch option 'image'"),
        ("opt-profile=%3Cimg%20src%3Dx%20onerror%3Dhit%3D1%3E", "<img src=x"),
    ],
)
def test_a_wrong_link_says_so_above_the_choices(
    chromium: Browser, hub: HubProcess, query: str, said: str
) -> None:
    with visit(chromium, hub) as page:
        answer = page.goto(f"{hub.url}hub/spawn?{query}")
        assert answer is not None
        assert 400 <= answer.status < 500
        expect(page.get_by_role("alert")).to_contain_text(said)
        expect(page.get_by_role("button", name="Start session")).to_be_visible()
        assert page.evaluate("window.hit") is None
        assert not hub.servers("ada")


def test_a_user_without_the_role_is_told_what_to_do(chromium: Browser, hub: HubProcess) -> None:
    with visit(chromium, hub, "nobody") as page:
        for place in ("hub/spawn", "hub/home", "user/nobody/lab", "hub/spawn?opt-profile=small"):
            page.goto(f"{hub.url}{place}")
            expect(page.locator("main")).to_contain_text("You may not start sessions")
            expect(page.locator("main")).to_contain_text("Ask an administrator")
            assert page.locator("button[type=submit], #start").count() == 0
        page.get_by_role("link", name="Back to the hub").click()
        page.wait_for_url("**/hub/home")


OVERFLOWING = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
# The least contrast of any text on the page, by the formula of WCAG 2.
CONTRAST = """() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number);
    return m.length > 3 ? m : [...m, 1]; };
  const light = c => { const [r, g, b] = c.map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  let least = [99, ''];
  for (const element of document.querySelectorAll('main *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    let under = element, back = [0, 0, 0, 0];
    while (under && back[3] === 0) { back = parse(getComputedStyle(under).backgroundColor);
      under = under.parentElement; }
    const front = parse(getComputedStyle(element).color);
    const mixed = front.map((v, i) => v * front[3] + back[i] * (1 - front[3])).slice(0, 3);
    const [a, b] = [light(mixed), light(back.slice(0, 3))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, element.outerHTML];
  }
  return least;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(chromium: Browser, hub: HubProcess, scheme: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme}
    with visit(chromium, hub, **phone) as page:
        for place in ("hub/spawn", "hub/spawn?opt-profile=large", "hub/nothing", "user/ada/lab"):
            page.goto(f"{hub.url}{place}")
            assert page.evaluate("document.documentElement.dataset.bsTheme") == scheme
            assert not page.evaluate(OVERFLOWING), place
            ratio, where = page.evaluate(CONTRAST)
            assert ratio >= 4.5, (place, where)


# starts that fail, each caused for real ----------------------------------------------


@contextmanager
def failing_hub(folder: Path, command: str, more: str = "") -> Iterator[HubProcess]:
    program = ["sh", "-c", command]
    with start_hub(
        folder,
        docker=False,
        extra_config=f"c.LocalSpawner.cmd = {program!r}\n{more}",
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("command", "config", "title", "cause"),
    [
        ("exit 3", "", "could not be started", "exit code 3"),
        ("sleep 3; exit 3", "", "could not be started", "exit code 3"),
        ("sleep 60", "c.Spawner.start_timeout = 5", "took too long", "did not answer within"),
    ],
)
def test_a_failed_start_says_why_and_leads_back(
    chromium: Browser, tmp_path: Path, command: str, config: str, title: str, cause: str
) -> None:
    with failing_hub(tmp_path, command, config) as hub, visit(chromium, hub) as page:
        spawn_page(page, hub)
        page.get_by_role("button", name="Start session").click()
        if command != "exit 3":  # long enough to look at
            expect(page.locator("#progress-log")).to_contain_text("Starting JupyterLab")
            expect(page.get_by_role("button", name="Stop starting")).to_be_visible()
        said = page.get_by_role("alert").filter(visible=True)
        expect(said).to_contain_text(title, timeout=START_MS)
        expect(said).to_contain_text(cause)
        if "spawn-pending" in page.url:
            expect(page.get_by_role("heading", level=1).filter(visible=True)).to_have_text(
                "Your session did not start"
            )
            page.reload()
            expect(page.get_by_role("alert").filter(visible=True)).to_contain_text(cause)
            page.get_by_role("link", name="Choose and start again").click()
        for word in ("Traceback", "Internal Server Error", "HTTP 5"):
            assert word not in page.content()
        expect(page.get_by_role("button", name="Start session")).to_be_visible()
        expect(page.locator("main")).to_contain_text("Your last session did not start")


def test_a_start_can_be_called_off(chromium: Browser, tmp_path: Path) -> None:
    with failing_hub(tmp_path, "sleep 60") as hub, visit(chromium, hub) as page:
        spawn_page(page, hub)
        page.get_by_role("button", name="Start session").click()
        page.get_by_role("button", name="Stop starting").click(timeout=START_MS)
        back = page.get_by_role("link", name=re.compile("start again|Start a session"))
        back.filter(visible=True).click(timeout=START_MS)
        expect(page.get_by_role("button", name="Start session")).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("Your last session")
        assert not hub.servers("ada")


def test_switched_off_nothing_can_be_started(chromium: Browser, tmp_path: Path) -> None:
    off = {"FEATURE_NOTEBOOK_LAUNCHER": "off"}
    with (
        start_hub(tmp_path, docker=False, environment=off) as hub,
        visit(chromium, hub) as page,
    ):
        for place in ("hub/spawn", "hub/home", "user/ada/lab", "hub/spawn?opt-profile=standard"):
            page.goto(f"{hub.url}{place}")
            expect(page.locator("main")).to_contain_text("switched off")
            assert page.locator("button[type=submit], #start").count() == 0
        assert not hub.servers("ada")


def test_a_full_hub_says_what_holds_its_places(chromium: Browser, tmp_path: Path) -> None:
    people = {"ada": ("researchers",), "grace": ("researchers",)}
    with (
        start_hub(tmp_path, users=people, docker=False, profiles="max_sessions: 1\n") as hub,
        visit(chromium, hub) as page,
    ):
        hub.start("grace")
        hub.wait_ready("grace")
        spawn_page(page, hub)
        page.get_by_role("button", name="Start session").click()
        expect(page.get_by_role("alert")).to_contain_text("All places are taken")
        expect(page.get_by_role("alert")).to_contain_text("another user's since")
        expect(page.get_by_role("alert")).to_contain_text("A place is free as soon as")
        expect(page.get_by_role("button", name="Start session")).to_be_visible()
