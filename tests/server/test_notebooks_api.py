"""The registry over REST."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rest_client import Api, Reply, write_notebook


async def create(api: Api, name: str, path: str, **more: object) -> str:
    reply = await api("POST", "notebooks", {"name": name, "path": path, **more})
    assert reply.status == 201, reply.body
    return str(reply.json["id"])


async def test_a_notebook_is_created_found_and_deleted(api: Api, jp_root_dir: Path) -> None:
    made = await api("POST", "notebooks", {"name": "First", "path": "first.ipynb"})
    assert made.status == 201
    file = jp_root_dir / "first.ipynb"
    assert made.json["path"] == str(file)
    assert made.json["kernel"] == "python3"
    assert json.loads(file.read_text())["nbformat_minor"] == 5
    location = made.headers["Location"]
    assert location == f"/a%40b/blackroad/notebooks/{made.json['id']}"

    one = f"notebooks/{made.json['id']}"
    assert (await api("GET", one)).json == made.json
    with_content = (await api("GET", one, content="1")).json
    assert with_content["content"]["cells"][0]["cell_type"] == "code"

    assert (await api("DELETE", one)).json["id"] == made.json["id"]
    assert file.exists()
    gone = await api("GET", one)
    assert (gone.status, gone.json["code"]) == (404, "notebook_not_found")


async def test_the_file_goes_when_asked(api: Api, jp_root_dir: Path) -> None:
    made = await create(api, "First", "first.ipynb")
    assert (await api("DELETE", f"notebooks/{made}", delete_file="1")).status == 200
    assert not (jp_root_dir / "first.ipynb").exists()


async def test_pages_hold_every_notebook_once(api: Api) -> None:
    made = [await create(api, f"n{number}", f"n{number}.ipynb") for number in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api("GET", "notebooks", limit="2", **cursor)).json
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == made[::-1]


async def test_a_file_is_never_overwritten_and_adopted_only_on_request(
    api: Api, jp_root_dir: Path
) -> None:
    file = write_notebook(jp_root_dir / "mine.ipynb", "1", "2")
    before = file.read_bytes()
    refused = await api("POST", "notebooks", {"name": "Mine", "path": "mine.ipynb"})
    assert (refused.status, refused.json["code"]) == (409, "file_exists")
    adopted = await api(
        "POST",
        "notebooks",
        {"name": "Mine", "path": str(file), "adopt": True, "metadata": {"a": 1}},
    )
    assert (adopted.status, adopted.json["cell_count"]) == (201, 2)
    assert adopted.json["metadata"] == {"a": 1}
    again = await api("POST", "notebooks", {"name": "Mine", "path": "mine.ipynb", "adopt": True})
    assert (again.status, again.json["code"]) == (409, "notebook_exists")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "path", ["../out.ipynb", "/etc/out.ipynb", "link/out.ipynb", "~/x/o.ipynb"]
)
async def test_paths_stay_under_the_root(
    api: Api, jp_root_dir: Path, tmp_path: Path, path: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", jp_root_dir / "link")
    reply = await api("POST", "notebooks", {"name": "Out", "path": path})
    assert reply.status in (400, 403), reply.body
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "out.ipynb").exists()


async def test_odd_names_survive_the_round_trip(api: Api, jp_root_dir: Path) -> None:
    name, path = """O'Neil "quoted" 🦊 <b>""", "sp ace 'q' \"d\" 🦊 %2e?.ipynb"
    made = await create(api, name, path)
    shown = (await api("GET", f"notebooks/{made}")).json
    assert (shown["name"], shown["path"]) == (name, str(jp_root_dir / path))


async def test_a_wrong_body_gets_a_sentence(api: Api) -> None:
    reply = await api("POST", "notebooks", {"name": "a", "path": "a.ipynb", "kernal": "x"})
    assert reply.status == 400
    assert reply.json["code"] == "invalid_input"
    assert "'kernal'" in reply.json["message"]
    form = await api("POST", "notebooks", b"name=a", headers={"Content-Type": "text/plain"})
    assert (form.status, form.json["code"]) == (415, "media_type_unsupported")


async def test_other_methods_are_refused_with_what_is_possible(api: Api) -> None:
    reply = await api("PUT", "notebooks", {})
    assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == "GET, HEAD, POST, OPTIONS"


async def test_a_query_that_is_misspelt_deletes_nothing(api: Api, jp_root_dir: Path) -> None:
    made = await create(api, "First", "first.ipynb")
    reply = await api("DELETE", f"notebooks/{made}", deletefile="1")
    assert reply.status == 400
    assert (await api("GET", f"notebooks/{made}")).status == 200


@pytest.mark.parametrize(
    ("odd", "shown"),
    [("NaN", None), ("-Infinity", None), ("1e999", None), ('"\\ud800"', "\ud800"), ('"é"', "é")],
)
async def test_what_json_does_not_know_is_still_sent_as_json(
    api: Api, jp_root_dir: Path, odd: str, shown: object
) -> None:
    file = write_notebook(jp_root_dir / "odd.ipynb", "1")
    content = json.loads(file.read_bytes())
    text = json.dumps({**content, "metadata": {"odd": "HERE"}}).replace('"HERE"', odd)
    (jp_root_dir / "odd.ipynb").write_text(text)
    made = await create(api, "Odd", "odd.ipynb", adopt=True)
    reply = await api("GET", f"notebooks/{made}", content="1")
    assert reply.status == 200, reply.body
    assert b"NaN" not in reply.body
    assert b"Infinity" not in reply.body
    assert reply.json["content"]["metadata"]["odd"] == shown


async def adopt_nested(api: Api, folder: Path, depth: int) -> tuple[Reply, Reply | None]:
    """Adopt a file that is nested so deeply, and ask for its content."""
    nested = "[" * depth + "]" * depth
    text = '{"cells": [], "metadata": {"a": %s}, "nbformat": 4, "nbformat_minor": 5}'
    (folder / f"deep{depth}.ipynb").write_text(text % nested)
    body = {"name": "Deep", "path": f"deep{depth}.ipynb", "adopt": True}
    made = await api("POST", "notebooks", body)
    if made.status != 201:
        return made, None
    return made, await api("GET", f"notebooks/{made.json['id']}", content="1")


async def test_a_notebook_may_be_nested_deeply(api: Api, jp_root_dir: Path) -> None:
    _, shown = await adopt_nested(api, jp_root_dir, 500)
    assert shown is not None
    assert shown.status == 200, shown.body[:200]
    innermost = shown.json["content"]["metadata"]["a"]
    for _ in range(499):
        (innermost,) = innermost
    assert innermost == []


async def test_a_notebook_nested_without_end_is_a_clear_error(api: Api, jp_root_dir: Path) -> None:
    made, _ = await adopt_nested(api, jp_root_dir, 100_000)
    assert (made.status, made.json["code"]) == (400, "invalid_notebook")


@pytest.mark.parametrize("depth", [900, 960, 980])
async def test_near_the_limit_of_the_interpreter_a_refusal_is_typed(
    api: Api, jp_root_dir: Path, depth: int
) -> None:
    """Which of these depths can be sent differs between versions of Python."""
    made, shown = await adopt_nested(api, jp_root_dir, depth)
    assert made.status == 201
    assert shown is not None
    if shown.status != 200:
        assert (shown.status, shown.json["code"]) == (400, "invalid_notebook")
