"""The served document: whole, true to the handlers, and held to by a fuzzer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from permissions import PERMISSIONS
from rest_client import Api, write_notebook
from server_process import AUTHORIZATION, running_server

from blackroad_nb.server.handlers import ROUTES
from blackroad_nb.server.handlers.base import BlackRoadHandler
from blackroad_nb.server.openapi import document, operations
from blackroad_nb.server.schemas import COMPONENTS

HERE = Path(__file__).resolve().parent
SECONDS = 150


async def test_the_document_is_served_under_the_base_url(api: Api) -> None:
    served = (await api("GET", "openapi.json")).json
    assert served["openapi"] == "3.1.0"
    assert served["servers"] == [{"url": "/a%40b"}]
    assert served["paths"].keys() == {path for path, _ in ROUTES}


@pytest.mark.parametrize(("path", "handler"), ROUTES, ids=[path for path, _ in ROUTES])
async def test_each_route_answers_head_and_options(
    api: Api, path: str, handler: type[BlackRoadHandler]
) -> None:
    address = re.sub(r"\{\w+\}", "unknown", path).removeprefix("/blackroad/")
    verbs = operations(handler)
    head, options = await api("HEAD", address), await api("OPTIONS", address)
    assert head.body == options.body == b""
    possible = {"OPTIONS", *(verb.upper() for verb in verbs), *(["HEAD"] if "get" in verbs else [])}
    assert set(options.headers["Allow"].split(", ")) == possible
    if "get" in verbs:
        whole = await api("GET", address)
        for name in ("Content-Type", "Content-Length"):
            assert head.headers[name] == whole.headers[name]
        assert head.status == whole.status
    else:
        assert (head.status, head.headers["Allow"]) == (405, options.headers["Allow"])


async def test_head_of_a_stream_ends_at_once(api: Api, jp_root_dir: Path) -> None:
    write_notebook(jp_root_dir / "long.ipynb", "import time\ntime.sleep(600)")
    run = (await api("POST", "executions", {"path": "long.ipynb"})).json["id"]
    events = await api("HEAD", f"executions/{run}/events")
    assert (events.status, events.headers["Content-Type"]) == (200, "text/event-stream")
    await api("POST", f"executions/{run}/cancel", {})
    table = await api("HEAD", "history", format="csv")
    assert (table.status, table.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    for streamed in (events, table):
        assert (streamed.body, streamed.headers.get("Content-Length")) == (b"", None)


async def test_head_is_for_those_who_may_get(api: Api) -> None:
    stranger = {"Authorization": "token wrong"}
    assert (await api("HEAD", "notebooks", headers=stranger)).status == 403


def test_each_verb_has_a_name_of_its_own_and_says_what_it_answers() -> None:
    described = [one for _, handler in ROUTES for one in operations(handler).values()]
    names = [one.id for one in described]
    assert len(names) == len(set(names))
    for one in described:
        assert one.summary, one.id
        assert all(answer.description for answer in one.answers.values()), one.id
        assert all(parameter.description.endswith(".") for parameter in one.query), one.id


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    whole = document(ROUTES, "/")
    for name, schema in COMPONENTS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object", name

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/components/schemas/") in COMPONENTS
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(whole["paths"])
    walk(whole["components"])


def test_the_reference_names_every_route_and_its_permission() -> None:
    page = (HERE.parents[1] / "docs" / "reference" / "rest.md").read_text()
    for verb, (action, _) in PERMISSIONS.items():
        assert f"| `{verb}` | {action} |" in page, verb


def test_a_fuzzer_finds_nothing_that_the_document_does_not_say(tmp_path: Path) -> None:
    """Schemathesis sends good and bad requests to each route, all its checks on.

    `schemathesis.toml` beside this file says what it may not know.
    """
    with running_server(tmp_path, "--BlackRoadApp.max_active_runs=2") as server:
        write_notebook(server.root / "here.ipynb", "1")
        server.call("POST", "notebooks", {"name": "Here", "path": "here.ipynb", "adopt": True})
        command = [str(Path(sys.executable).with_name("schemathesis"))]
        command += ["--config-file", str(HERE / "schemathesis.toml"), "run"]
        command += [f"{server.url}blackroad/openapi.json", "--no-color"]
        command += ["--header", f"Authorization: {AUTHORIZATION['Authorization']}"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
        assert server.call("GET", "health")["status"] == "ok"
