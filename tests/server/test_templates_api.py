"""Templates over REST: listed, and copied without overwriting."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rest_client import Api

from blackroad_nb.adapters.templates import CHECKOUT

WELCOME = CHECKOUT / "welcome.ipynb"


async def test_the_welcome_template_is_listed(api: Api) -> None:
    items = (await api("GET", "templates")).json["items"]
    welcome = next(item for item in items if item["name"] == "welcome")
    assert welcome["title"] == "Welcome"
    assert welcome["description"]


async def test_a_copy_is_registered_and_never_overwrites(api: Api, jp_root_dir: Path) -> None:
    made = await api("POST", "templates/welcome/copy", {"path": "mine.ipynb", "name": "Mine"})
    assert (made.status, made.json["name"]) == (201, "Mine")
    file = jp_root_dir / "mine.ipynb"
    assert json.loads(file.read_text())["cells"] == json.loads(WELCOME.read_text())["cells"]
    assert made.headers["Location"].endswith(made.json["id"])

    file.write_text("edited")
    again = await api("POST", "templates/welcome/copy", {"path": "mine.ipynb"})
    assert (again.status, again.json["code"]) == (409, "file_exists")
    assert file.read_text() == "edited"


async def test_a_file_that_was_removed_by_hand_comes_back(api: Api, jp_root_dir: Path) -> None:
    made = await api("POST", "notebooks", {"name": "Gone", "path": "gone.ipynb"})
    (jp_root_dir / "gone.ipynb").unlink()
    reply = await api("POST", "templates/welcome/copy", {"path": "gone.ipynb"})
    assert (reply.status, reply.json["id"]) == (201, made.json["id"])
    cells = json.loads((jp_root_dir / "gone.ipynb").read_text())["cells"]
    assert cells == json.loads(WELCOME.read_text())["cells"]


@pytest.mark.parametrize("name", ["nothing", "..%2fwelcome", "%2e%2e%2ftemplates%2fwelcome"])
async def test_a_name_leads_nowhere_else(api: Api, jp_root_dir: Path, name: str) -> None:
    reply = await api("POST", f"templates/{name}/copy", {"path": "mine.ipynb"})
    assert (reply.status, reply.json["code"]) == (404, "template_not_found")
    assert os.listdir(jp_root_dir) == []


async def test_an_operators_templates_are_found_and_a_broken_one_says_so(
    api: Api, jp_data_dir: Path
) -> None:
    folder = jp_data_dir / "blackroad" / "templates"
    folder.mkdir(parents=True)
    (folder / "broken.ipynb").write_text("{}")
    (folder / "welcome.ipynb").write_text(
        WELCOME.read_text().replace('"title": "Welcome"', '"title": "House style"')
    )
    items = {item["name"]: item for item in (await api("GET", "templates")).json["items"]}
    assert items["welcome"]["title"] == "House style"
    assert "broken" in items["broken"]["description"]
    reply = await api("POST", "templates/broken/copy", {"path": "mine.ipynb"})
    assert (reply.status, reply.json["code"]) == (400, "invalid_notebook")
