"""Exports over REST: the formats, and downloads that cannot run in the session."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from rest_client import Api, write_notebook

from blackroad_nb.ports import Exported
from blackroad_nb.server.handlers.download import disposition


@pytest.fixture
def export(api: Api, jp_root_dir: Path, jp_asyncio_loop: Any) -> str:
    """The export route of a notebook with an awkward file name."""
    write_notebook(jp_root_dir / 'My "étude"; x=1.ipynb', "print(6 * 7)")
    body = {"name": "Étude", "path": 'My "étude"; x=1.ipynb', "adopt": True}
    made = jp_asyncio_loop.run_until_complete(api("POST", "notebooks", body))
    return f"notebooks/{made.json['id']}/export"


async def test_each_format_says_whether_it_works_here(api: Api) -> None:
    items = (await api("GET", "exports")).json["items"]
    formats = {item["name"]: item for item in items}
    assert formats["html"]["available"]
    assert formats["script"]["available"]
    assert all(item["reason"] for item in items if not item["available"])


async def test_html_is_downloaded_and_sandboxed(api: Api, export: str) -> None:
    for query in ({"format": "html"}, {"format": "html", "trusted": "1"}):
        reply = await api("GET", export, **query)
        assert reply.status == 200, reply.body
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers.get_list("Content-Security-Policy")[0].startswith("sandbox; ")
        assert "allow-same-origin" not in reply.headers["Content-Security-Policy"]
        assert reply.headers["Content-Disposition"] == (
            'attachment; filename="My __tude__ x=1.html"; '
            "filename*=UTF-8''My%20_%C3%A9tude__%20x%3D1.html"
        )
        assert b"6 * 7" in reply.body or b"6</span>" in reply.body


async def test_the_notebook_itself_and_its_script(api: Api, export: str) -> None:
    notebook = await api("GET", export, format="ipynb")
    assert json.loads(notebook.body)["nbformat"] == 4
    assert (await api("GET", export)).body == notebook.body
    script = await api("GET", export, format="script")
    assert b"print(6 * 7)" in script.body


async def test_the_description_names_every_type_and_refusal(
    api: Api, jp_root_dir: Path, export: str
) -> None:
    described = (await api("GET", "openapi.json")).json["paths"]
    verb = next(path["get"] for name, path in described.items() if name.endswith("}/export"))
    formats = (await api("GET", "exports")).json["items"]
    named = {item["mime_type"] for item in formats if item["available"]}
    assert named <= set(verb["responses"]["200"]["content"])
    path = jp_root_dir / 'My "étude"; x=1.ipynb'
    content = json.loads(path.read_text())
    broken = {"output_type": "display_data", "data": {"image/png": "A"}, "metadata": {}}
    content["cells"][0]["outputs"] = [broken]
    path.write_text(json.dumps(content))
    refused = await api("GET", export, format="markdown")
    assert (refused.status, refused.json["code"]) == (422, "export_failed")
    assert "422" in verb["responses"]


async def test_what_is_not_a_format_is_a_clear_error(api: Api, export: str) -> None:
    for name in ("nothing", "blackroad_nb.errors.StoreError", "os.system"):
        reply = await api("GET", export, format=name)
        assert (reply.status, reply.json["code"]) == (400, "invalid_input"), reply.body
    gone = await api("GET", "notebooks/none/export")
    assert (gone.status, gone.json["code"]) == (404, "notebook_not_found")


async def test_files_beside_the_export_come_in_an_archive(
    api: Api, app: Any, export: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def with_picture(*_: object, **__: object) -> Exported:
        return Exported(b"![](x.png)", ".md", "text/markdown", {"output/x.png": b"png"})

    monkeypatch.setattr(app.parts.exports, "export", with_picture)
    reply = await api("GET", export, format="markdown")
    assert reply.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert len(archive.namelist()) == 2
        assert archive.read("output/x.png") == b"png"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("plain.html", "plain.html"),
        ('a"b.html', "a_b.html"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("line\r\nSet-Cookie: x=1.html", "lineSet-Cookie_ x=1.html"),
        ("\u202egpj.html", "gpj.html"),
        ("...", "download"),
        ("100%.html", "100_.html"),
    ],
)
def test_file_names_are_made_safe(name: str, plain: str) -> None:
    header = disposition(name)
    assert header.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert header.isascii()
    assert header.isprintable()
