"""The pages of a real hub, asked without a browser: form, link, memory, progress, endings."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_process import TOKEN, HubProcess, start_hub, until
from visitor import Visitor

from blackroad_nb.adapters.templates import CHECKOUT

PROFILES = """
profiles:
  - name: standard
    title: Standard
  - name: small
    title: Small
    price: 0.10 EUR per hour
  - name: large
    title: Large
    groups: [quants]
"""
TEMPLATES = 20


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("hub")
    templates = folder / "templates"
    templates.mkdir()
    for number in range(TEMPLATES):
        (templates / f"t{number}.ipynb").write_bytes((CHECKOUT / "welcome.ipynb").read_bytes())
    with start_hub(
        folder,
        docker=False,
        proxy=False,
        profiles=PROFILES,
        templates=[str(templates)],
        extra_config=TINY,
    ) as running:
        yield running


# A session that needs no JupyterLab: the pages are what is tried here.
TINY = f"""
import sys
c.LocalSpawner.cmd = [sys.executable, "-S", {str(Path(__file__).parent / "tiny_session.py")!r}]
"""


@pytest.fixture
def ada(hub: HubProcess) -> Iterator[Visitor]:
    yield Visitor(hub, "ada")
    if hub.servers("ada"):
        hub.stop_session("ada")
        hub.wait_gone("ada")


def checked(html: str) -> list[str]:
    """Return the values of the inputs that are marked."""
    inputs = [piece.split(">")[0] for piece in html.split("<input")[1:]]
    marked = [each for each in inputs if " checked" in each]
    return [each.split('value="')[1].split('"')[0] for each in marked]


def test_the_form_shows_what_there_is(hub: HubProcess, ada: Visitor) -> None:
    page = ada.get("hub/spawn")
    assert page.status == 200
    for text in ("Standard", "0.10 EUR per hour", "the group quants", "not isolated"):
        assert text in page.text
    assert page.html.count('name="template"') == TEMPLATES + 1
    assert "<script" not in page.html.split("<main")[1].split("</main>")[0]


def test_what_was_chosen_is_marked_the_next_time(hub: HubProcess, ada: Visitor) -> None:
    started = ada.post("hub/spawn", {"profile": "small", "template": "t3", "original": "1"})
    assert started.status == 302, started.text
    hub.wait_ready("ada")
    hub.stop_session("ada")
    hub.wait_gone("ada")
    assert checked(ada.get("hub/spawn").html) == ["small", "t3"]


def test_only_a_first_visit_finds_the_first_template_marked(hub: HubProcess) -> None:
    hub.add_users("eve", groups=["researchers"])
    eve = Visitor(hub, "eve")
    for _ in range(2):  # looking is no choice
        assert checked(eve.get("hub/spawn").html) == ["standard", "t0"]
    assert eve.post("hub/spawn", {"profile": "small", "template": ""}).status == 302
    hub.wait_ready("eve")
    hub.stop_session("eve")
    hub.wait_gone("eve")
    assert checked(eve.get("hub/spawn").html) == ["small", ""]
    assert checked(eve.get("hub/spawn/eve/other").html) == ["standard", ""]


def test_a_link_starts_at_once_and_does_not_only_fill_the_form(
    hub: HubProcess, ada: Visitor
) -> None:
    page = ada.get("hub/spawn?opt-profile=standard&opt-template=t1")
    assert (page.status, "/hub/spawn-pending/ada" in page.location) == (302, True)
    hub.wait_ready("ada")
    assert hub.servers("ada")[""]["user_options"]["template"] == "t1"


def test_the_progress_names_what_is_being_done(hub: HubProcess, ada: Visitor) -> None:
    assert ada.post("hub/spawn", {"profile": "standard"}).status == 302
    hub.wait_ready("ada")
    status, lines = hub.api("GET", "users/ada/server/progress", TOKEN)
    assert status == 200
    assert "Server ready" in str(lines)


def test_a_session_that_died_says_so_on_the_page(hub: HubProcess, ada: Visitor) -> None:
    hub.start("ada")
    hub.wait_ready("ada")
    until(lambda: list(sessions(hub)))
    for process in sessions(hub):
        os.kill(process, signal.SIGKILL)
    ada.get("hub/home")  # makes the hub look
    hub.wait_gone("ada")
    page = ada.get("hub/spawn")
    assert "Your last session" in page.text
    assert "SIGKILL" in page.text
    assert "Files you had saved are still there" in page.text

    hub.start("ada")
    hub.wait_ready("ada")
    hub.stop_session("ada")
    hub.wait_gone("ada")
    assert "Your last session" not in ada.get("hub/spawn").text


def sessions(hub: HubProcess) -> list[int]:
    mark = b"tiny_session"
    return [pid for pid in hub.processes() if mark in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_the_form_comes_fast(hub: HubProcess, ada: Visitor) -> None:
    ada.get("hub/spawn")
    took = []
    for _ in range(10):
        started = time.perf_counter()
        assert ada.get("hub/spawn").status == 200
        took.append(time.perf_counter() - started)
    print(json.dumps({"form_ms": [round(1000 * each, 1) for each in took]}))
    assert min(took) < 0.5
