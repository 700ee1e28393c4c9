"""A link that starts a session, on pages of other sites: followed it does, fetched it does not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hub_process import PASSWORD, HubProcess, start_hub
from playwright.sync_api import Browser, Page
from tiny_session import CONFIG

pytestmark = pytest.mark.browser

PROFILES = "profiles:\n  - name: small\n"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with start_hub(
        tmp_path_factory.mktemp("hub"),
        docker=False,
        proxy=False,
        profiles=PROFILES,
        extra_config=CONFIG,
    ) as running:
        yield running


@pytest.fixture
def ada(hub: HubProcess, chromium: Browser) -> Iterator[Page]:
    """A browser that is logged in; afterwards nothing runs."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{hub.hub_url}hub/login?next=/hub/home")
    page.fill("#username_input", "ada")
    page.fill("#password_input", PASSWORD)
    page.click("#login_submit")
    page.wait_for_url("**/hub/home")
    yield page
    context.close()
    hub.stop_session("ada")
    hub.wait_gone("ada")


@pytest.fixture
def foreign(hub: HubProcess, tmp_path: Path) -> Iterator[str]:
    """Serve a page that tries everything; return its address. Another name is another site."""
    start = f"{hub.hub_url}hub/spawn?opt-profile=small"
    api = f"{hub.hub_url}hub/api/users/ada/server"
    (tmp_path / "index.html").write_text(
        f"<!doctype html><img src='{start}'><iframe src='{start}'></iframe>"
        f"<script src='{start}'></script><link rel=prefetch href='{start}'>"
        f"<form method=post action='{start}' target=frame><input name=profile value=small></form>"
        "<iframe name=frame></iframe>"
        f"<a id=link href='{start}'>A session</a>"
        f"<script>document.forms[0].submit();"
        f"window.done = Promise.allSettled(["
        f"fetch('{start}', {{mode: 'no-cors', credentials: 'include'}}),"
        f"fetch('{api}', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: '{{}}'}})"
        "]).then(() => 'tried');</script>"
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://NAME:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()


# The second one shares the hub's site, as another user's server on it would: there the
# browser sends the hub's cookies along.
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_foreign_page_starts_nothing_until_its_link_is_followed(
    hub: HubProcess, ada: Page, foreign: str, name: str
) -> None:
    ada.goto(foreign.replace("NAME", name), wait_until="load")
    assert ada.evaluate("window.done") == "tried"
    ada.wait_for_load_state("networkidle")
    assert hub.servers("ada") == {}
    assert "Spawning" not in hub.log().rpartition("User logged in")[2]
    ada.click("#link", no_wait_after=True)  # without a proxy it leads nowhere
    hub.wait_ready("ada")
