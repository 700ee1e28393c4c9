"""What a hook of the operator's says to people, on our pages as on JupyterHub's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hub_process import HubProcess, start_hub, until
from tiny_session import CONFIG
from tornado import web
from visitor import Visitor

from blackroad_nb.hub.failures import explain

SAID = "The licences are out until 14:00 <ask ops>"
HOOKS = f"""
from tornado import web
class Closed(web.HTTPError):
    jupyterhub_message = {SAID!r}
class Marked(Closed):
    jupyterhub_html_message = "See the <a href='https://status.example.org/'>status</a>."
async def closed(spawner):
    raise {{"ada": Closed, "mia": Marked}}[spawner.user.name](503, "host lic01 refused")
c.Spawner.pre_spawn_hook = closed
async def nowhere(path, request, user, base_url):
    raise Closed(503, "host lic01 refused")
c.JupyterHub.user_redirect_hook = nowhere
"""
PEOPLE = {"ada": ("researchers",), "mia": ("researchers",)}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("hooks")
    with start_hub(
        folder, users=PEOPLE, docker=False, proxy=False, extra_config=CONFIG + HOOKS
    ) as running:
        yield running


def failed_start(hub: HubProcess, user: str) -> str:
    """Start a session that a hook refuses; return the page that says so afterwards."""
    assert hub.start(user)[0] == 503
    visitor = Visitor(hub, user)
    page = until(
        lambda: (found := visitor.get(f"hub/spawn-pending/{user}")).status != 200 and found
    )
    assert "lic01" not in page.html
    return str(page.html)


def test_a_message_for_people_is_shown_as_text(hub: HubProcess) -> None:
    page = failed_start(hub, "ada")
    assert "until 14:00 &lt;ask ops&gt;" in page


def test_a_message_in_html_is_shown_as_html(hub: HubProcess) -> None:
    assert "See the <a href='https://status.example.org/'>status</a>." in failed_start(hub, "mia")


def test_the_page_of_an_error_shows_it_too(hub: HubProcess) -> None:
    ada = Visitor(hub, "ada")
    page = ada.get("hub/user-redirect/lab")
    assert (page.status, "until 14:00 &lt;ask ops&gt;" in page.html) == (503, True)
    assert "lic01" not in page.html


class Told(web.HTTPError):
    jupyterhub_message = SAID


def test_what_only_the_log_should_say_stays_there() -> None:
    said = explain(Told(418, "host lic01 refused"))
    assert (said.cause, said.status) == (SAID, 418)
