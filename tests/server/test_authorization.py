"""Who may do what: every verb of every route, one by one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth import Authorizer
from permissions import PERMISSIONS
from rest_client import Api, write_notebook

from blackroad_nb.server.handlers import ROUTES
from blackroad_nb.server.openapi import operations

QUERIES = {"DELETE /blackroad/history": {"older_than": "2026-01-01T00:00:00Z"}}
BODIES: dict[str, dict[str, Any]] = {
    "POST /blackroad/notebooks": {"name": "new", "path": "new.ipynb"},
    "POST /blackroad/executions": {"path": "here.ipynb"},
    "POST /blackroad/executions/{run_id}/cancel": {},
    "POST /blackroad/kernels": {
        "name": "mine",
        "language": "python",
        "display_name": "Mine",
        "argv": ["true", "{connection_file}"],
    },
    "POST /blackroad/kernels/{name}/check": {},
    "POST /blackroad/templates/{name}/copy": {"path": "copy.ipynb"},
}


class Recording(Authorizer):
    """Allows the actions it was told and remembers what it was asked."""

    allowed: frozenset[str] = frozenset()
    asked: list[tuple[str, str]] = []  # noqa: RUF012

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return action in self.allowed


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any]) -> dict[str, Any]:
    jp_server_config["ServerApp"]["authorizer_class"] = Recording
    Recording.asked = []
    Recording.allowed = frozenset({"read"})
    return jp_server_config


async def ask(api: Api, verb: str, **headers: str) -> Any:
    """Call a verb with a body and a query that are in order."""
    method, path = verb.split()
    path = re.sub(r"\{\w+\}", "welcome", path).removeprefix("/blackroad/")
    query = QUERIES.get(verb, {})
    return await api(method, path, BODIES.get(verb), headers=dict(headers), **query)


def test_every_verb_is_in_the_table() -> None:
    found = {
        f"{method.upper()} {path}" for path, handler in ROUTES for method in operations(handler)
    }
    assert found == set(PERMISSIONS)


async def test_each_verb_asks_for_its_own_permission(api: Api) -> None:
    Recording.allowed = frozenset()
    for verb, expected in PERMISSIONS.items():
        Recording.asked.clear()
        reply = await ask(api, verb)
        assert (verb, reply.status) == (verb, 403)
        assert Recording.asked == [expected], verb
        assert reply.json["code"] == "forbidden"
        assert expected[0] in reply.json["message"]


async def test_a_reader_reads_and_changes_nothing(
    api: Api, app: Any, jp_root_dir: Path, jp_data_dir: Path
) -> None:
    write_notebook(jp_root_dir / "here.ipynb", "1/0")
    for verb, (action, _) in PERMISSIONS.items():
        reply = await ask(api, verb)
        expected = {200, 404} if action == "read" else {403}
        assert reply.status in expected, (verb, reply.body)
    assert os.listdir(jp_root_dir) == ["here.ipynb"]
    assert not (jp_data_dir / "kernels" / "mine").exists()
    assert app.serverapp.kernel_manager.list_kernel_ids() == []
    assert (await api("GET", "notebooks")).json["items"] == []


async def test_without_a_token_every_verb_is_refused(api: Api) -> None:
    Recording.allowed = frozenset({"read", "write", "execute"})
    for verb in PERMISSIONS:
        reply = await ask(api, verb, Authorization="")
        assert (verb, reply.status) == (verb, 403)
        assert set(reply.json) == {"code", "message"}
    assert Recording.asked == []


async def test_a_path_that_is_not_there_is_not_told_to_strangers(api: Api) -> None:
    assert (await api("GET", "secret", headers={"Authorization": ""})).status == 403
    reply = await api("GET", "secret")
    assert (reply.status, reply.json["code"]) == (404, "not_found")


async def test_a_trusted_export_needs_the_right_to_execute(api: Api, jp_root_dir: Path) -> None:
    Recording.allowed = frozenset({"read", "write"})
    write_notebook(jp_root_dir / "here.ipynb", "1")
    created = await api("POST", "notebooks", {"name": "here", "path": "here.ipynb", "adopt": True})
    export = f"notebooks/{created.json['id']}/export"
    assert (await api("GET", export, format="script", trusted="1")).status == 403
    assert (await api("GET", export, format="script")).status == 200


async def test_a_browser_without_the_xsrf_token_changes_nothing(
    api: Api, jp_fetch: Any, jp_root_dir: Path, jp_serverapp: Any
) -> None:
    Recording.allowed = frozenset({"read", "write"})
    login = await jp_fetch("api", "status")
    cookies = "; ".join(cookie.partition(";")[0] for cookie in login.headers.get_list("Set-Cookie"))
    assert cookies
    as_browser = {"Authorization": "", "Cookie": cookies}
    assert (await api("GET", "notebooks", headers=as_browser)).status == 200
    body = {"name": "new", "path": "new.ipynb"}
    reply = await api("POST", "notebooks", body, headers=as_browser)
    assert (reply.status, reply.json["code"]) == (403, "forbidden")
    assert os.listdir(jp_root_dir) == []
