"""My session and All sessions as people meet them: in a browser, by keyboard, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_process import HubProcess, start_hub
from playwright.sync_api import Browser, BrowserContext, Page, expect
from service_visitor import service_is_up
from tiny_session import CONFIG

pytestmark = pytest.mark.browser
PEOPLE = {"ada": ("researchers",), "mia": ("admins",), "nobody": ()}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with start_hub(
        tmp_path_factory.mktemp("hub"), users=PEOPLE, docker=False, extra_config=CONFIG
    ) as running:
        service_is_up(running)
        yield running


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of: blocked styles, failed loads, scripts that broke."""
    return []


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    with chromium.new_context() as opened:
        yield opened


def opened(hub: HubProcess, context: BrowserContext, user: str, complaints: list[str]) -> Page:
    page = context.new_page()
    hub.browser_login(page, user)
    page.on("console", lambda message: complaints.append(message.text))
    if user == "ada":
        launch(hub)
    page.goto(f"{hub.url}services/blackroad/")
    return page


def launch(hub: HubProcess) -> None:
    assert hub.start("ada", hub.token_for("ada"), profile="standard")[0] == 201


@pytest.fixture(autouse=True)
def everything_stopped(hub: HubProcess) -> Iterator[None]:
    yield
    hub.stop_session("ada")
    hub.wait_gone("ada")


def test_start_open_stop_and_start_again(hub, context, complaints):
    page = opened(hub, context, "ada", complaints)
    card = page.get_by_role("region", name="standard")
    expect(card.get_by_role("status")).to_have_text("Running")
    link = card.get_by_role("link", name="Open")
    assert link.get_attribute("href") == "/user/ada/"
    card.get_by_role("button", name="Stop").focus()
    page.keyboard.press("Enter")
    expect(card.get_by_role("status")).to_have_text("Stopped")
    assert page.url == f"{hub.url}services/blackroad/"
    card.get_by_role("link", name="Start again").click()
    page.wait_for_url("**/user/ada/**")
    assert hub.servers("ada")[""]["ready"]
    page.goto(f"{hub.url}services/blackroad/")
    expect(card.get_by_role("status")).to_have_text("Running")
    page.get_by_role("button", name="Stop").click()
    expect(card.get_by_role("status")).to_have_text("Stopped")
    assert complaints == []


def test_a_manager_stops_somebodys_session_from_the_list(hub, context, complaints):
    launch(hub)
    page = opened(hub, context, "mia", complaints)
    page.get_by_role("link", name="All sessions").click()
    row = page.get_by_role("row", name="ada")
    row.get_by_role("button", name="Stop the session of ada").click()
    expect(page.get_by_text("No sessions hold a place now")).to_be_visible()
    assert hub.servers("ada") == {}
    assert complaints == []


def test_nobody_reads_why(hub, context, complaints):
    page = opened(hub, context, "nobody", complaints)
    expect(page.get_by_role("alert")).to_contain_text("make you a researcher")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off_and_text_stands_out(hub, chromium, scheme, complaints):
    launch(hub)
    with chromium.new_context(viewport=PHONE, color_scheme=scheme) as context:
        page = opened(hub, context, "mia", complaints)
        for path in ("", "all"):
            page.goto(f"{hub.url}services/blackroad/{path}")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["width"]
            assert _faint(page) == []


def _faint(page: Page) -> list[str]:
    """Return text with less contrast than 4.5 to 1. Source: WCAG 2.2, criterion 1.4.3."""
    return list(page.evaluate(Path(__file__).with_name("contrast.js").read_text()))
