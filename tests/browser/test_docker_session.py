"""A session in a container, as people meet it: real engine, real hub, real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_hub import DockerHub, docker_hub
from hub_process import HubProcess, start_hub, until
from playwright.sync_api import Browser, Page, expect

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.adapters.templates import CHECKOUT

pytestmark = [pytest.mark.browser]

START_MS = 90_000
PROFILES = """
profiles:
  - name: standard
    title: Standard
    description: JupyterLab with Python, for everyday research.
    price: 0.40 EUR per hour
  - name: lost
    title: Lost image
    image: nobody/has-this:1
  - name: huge
    title: Huge
    memory: 4000G
"""


@pytest.fixture
def docker(
    tmp_path: Path, engine: DockerEngine, notebook_image: str, network: str
) -> Iterator[DockerHub]:
    templates = tmp_path / "templates"
    templates.mkdir()
    document = json.loads((CHECKOUT / "welcome.ipynb").read_text())
    document["metadata"]["blackroad"] = {"title": "Alpha research", "description": "A signal."}
    (templates / "alpha-research.ipynb").write_text(json.dumps(document))
    with docker_hub(
        tmp_path,
        engine,
        notebook_image,
        network=network,
        proxy=True,
        profiles=PROFILES,
        templates=[str(templates)],
        more="c.JupyterHub.allow_named_servers = False",
    ) as running:
        yield running


def logged_in(page: Page, hub: HubProcess) -> None:
    def reachable() -> bool:
        try:
            return hub.call("GET", f"{hub.url}hub/api", None)[0] == 200
        except OSError:
            return False

    until(reachable)
    hub.browser_login(page, "ada")
    page.goto(f"{hub.url}hub/spawn")


def opened(page: Page, path: str) -> None:
    page.wait_for_url(f"**/lab/tree/work/{path}", timeout=START_MS)
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=START_MS)


@pytest.mark.docker
def test_a_template_opens_in_a_container_and_work_is_kept(
    chromium: Browser, docker: DockerHub
) -> None:
    hub = docker.hub
    with chromium.new_context() as context:
        page = context.new_page()
        logged_in(page, hub)
        expect(page.locator("main")).not_to_contain_text("not isolated")
        expect(page.locator(".br-card").first).to_contain_text("2 CPUs")
        expect(page.locator(".br-card").first).to_contain_text("8 GB memory")
        page.get_by_label("Alpha research").check()
        page.get_by_role("button", name="Start session").click()
        opened(page, "alpha-research.ipynb")
        edit = (
            "from pathlib import Path; p = Path.home() / 'work/alpha-research.ipynb'\n"
            "p.write_text(p.read_text().replace('rolls = 1000', 'rolls = 7'))\n"
            "try: Path('/templates/alpha-research.ipynb').write_text('')\n"
            "except OSError as error: print(error.strerror)\n"
        )
        # As the session's own user, who owns the copy and not the template.
        said = docker.inside(docker.container(), edit)
        assert said.strip() in ("Read-only file system", "Permission denied")

        hub.stop_session("ada")
        hub.wait_gone("ada")
        page.goto(f"{hub.url}hub/spawn?opt-template=alpha-research&opt-original=1")
        opened(page, "alpha-research-original.ipynb")
        read = "from pathlib import Path; w = Path.home() / 'work'\n"
        read += "print(*('rolls = 7' in p.read_text() for p in sorted(w.glob('*.ipynb'))))"
        assert docker.inside(docker.container(), read).split() == ["False", "True"]


@pytest.mark.docker
@pytest.mark.parametrize(
    ("profile", "title", "cause"),
    [
        ("Lost image", "The image of this profile is missing", "nobody/has-this:1"),
        ("Huge", "The machine has no room for this session", "4000 GB"),
    ],
)
def test_a_start_that_docker_refuses_says_why(
    chromium: Browser, docker: DockerHub, profile: str, title: str, cause: str
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        logged_in(page, docker.hub)
        page.get_by_label(profile).check()
        page.get_by_role("button", name="Start session").click()
        said = page.get_by_role("alert").filter(visible=True)
        expect(said).to_contain_text(title, timeout=START_MS)
        expect(said).to_contain_text(cause)
        assert docker.containers() == ()


def test_an_engine_that_is_gone_is_said_and_nothing_breaks(
    chromium: Browser, tmp_path: Path
) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path / 'docker.sock'}"}
    with (
        start_hub(tmp_path, docker=True, environment=nowhere) as hub,
        chromium.new_context() as context,
    ):
        page = context.new_page()
        logged_in(page, hub)
        page.get_by_role("button", name="Start session").click()
        said = page.get_by_role("alert").filter(visible=True)
        expect(said).to_contain_text("Docker does not answer", timeout=START_MS)
        page.goto(f"{hub.url}hub/spawn")
        expect(page.locator("main")).to_contain_text("Your last session did not start")
        expect(page.get_by_role("button", name="Start session")).to_be_visible()
