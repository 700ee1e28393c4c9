"""A kernel's websocket stays open for as long as the page does, however long a cell runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect
from up_process import Up, until, up_in

pytestmark = pytest.mark.browser

# Both numbers of a session are divided alike, so that a test need not take minutes.
FASTER = 30
CONFIG = f"""
from pathlib import Path
from types import SimpleNamespace
from jupyter_server.base.websocket import WebSocketMixin

interval, timeout = WebSocketMixin.ping_interval.fget, WebSocketMixin.ping_timeout.fget

def faster_timeout(self):
    asked = SimpleNamespace(settings=self.settings, ping_interval=interval(self))
    return timeout(asked) / {FASTER}

def on_pong(self, data):
    heard(self, data)
    if "/channels" in self.request.path:
        with Path(__file__).with_name("pongs").open("a") as pongs:
            pongs.write("pong\\n")

heard, WebSocketMixin.on_pong = WebSocketMixin.on_pong, on_pong
WebSocketMixin.ping_interval = property(lambda self: interval(self) / {FASTER})
WebSocketMixin.ping_timeout = property(faster_timeout)
"""
# It runs until the test lets it end.
CELL = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.1)\nprint('ended')"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("pings")
    (folder / "jupyter_server_config.py").write_text(CONFIG)
    with up_in(folder, {"JUPYTER_CONFIG_DIR": str(folder)}) as up:
        up.open("--folder", str(folder / "research"))
        yield up


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def test_it_outlives_several_pings_and_a_running_cell_stays_busy(hub: Up, page: Page) -> None:
    write_notebook(hub.folder / "research" / "long.ipynb", CELL)
    hub.start_session()
    opened: list[WebSocket] = []
    closed: list[WebSocket] = []

    def watch(websocket: WebSocket) -> None:
        if "/channels" in websocket.url:
            opened.append(websocket)
            websocket.on("close", lambda gone: closed.append(gone))  # noqa: PLW0108 - takes no built-in

    page.on("websocket", watch)
    page.goto(hub.link)
    page.wait_for_url("**/lab**", timeout=60_000)
    page.goto(f"{page.url.partition('/lab')[0]}/lab/tree/long.ipynb")
    expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=60_000)
    assert len(opened) == 1
    page.locator(".jp-Cell").first.click()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="| Busy")).to_be_visible()
    before = pongs(hub)
    until(lambda: page.wait_for_timeout(100) or closed or pongs(hub) >= before + 4)
    assert closed == []
    expect(page.get_by_role("button", name="| Busy")).to_be_visible()
    (hub.folder / "research" / "go").touch()
    expect(page.locator(".jp-OutputArea-output")).to_contain_text("ended")
    assert (len(opened), closed) == (1, [])


def pongs(hub: Up) -> int:
    path = hub.folder / "pongs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def write_notebook(path: Path, source: str) -> None:
    cell = {"cell_type": "code", "id": "long", "source": source, "metadata": {}}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": [{**cell, "outputs": [], "execution_count": None}],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document))
