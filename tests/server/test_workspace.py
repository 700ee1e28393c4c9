"""The work folder of a session: copied once, never overwritten, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rest_client import Api
from store_rows import mounted, remount
from tornado.httpclient import HTTPClientError

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.templates import CHECKOUT, FolderTemplates
from blackroad_nb.config import operator_templates
from blackroad_nb.core.template import free_paths, landing, work_path
from blackroad_nb.errors import InvalidInput
from blackroad_nb.server.workspace import Workspace, prepare, wanted

WELCOME = CHECKOUT / "welcome.ipynb"
ODD_NAMES = [
    "a b",
    "ä ö 研究",
    "50% off",
    "{username}",
    "x?y#z&w",
    "-rf",
    "a'b\"c",
    "a\\b",
    "x" * 180,
]


@dataclass
class Session:
    """A session's root folder, and templates to start from."""

    root: Path
    folder: Path

    def template(self, name: str, content: str | None = None) -> None:
        (self.folder / f"{name}.ipynb").write_text(content or WELCOME.read_text())

    def start(self, template: str | None = "alpha", original: bool = False) -> Workspace:
        files = DiskNotebookFiles((self.root,))
        return prepare(template, original, self.root, files, FolderTemplates((self.folder,)))

    @property
    def work(self) -> list[str]:
        return sorted(os.listdir(self.root / "work"))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    for name in ("home", "templates"):
        (tmp_path / name).mkdir()
    made = Session(Path(os.path.realpath(tmp_path / "home")), tmp_path / "templates")
    made.template("alpha")
    return made


def test_a_template_is_copied_once_and_an_edited_copy_stays(session: Session) -> None:
    assert session.start() == Workspace("alpha", "work/alpha.ipynb")
    copy = session.root / "work" / "alpha.ipynb"
    assert json.loads(copy.read_text())["cells"] == json.loads(WELCOME.read_text())["cells"]
    copy.write_text("edited")
    assert session.start() == Workspace("alpha", "work/alpha.ipynb")
    assert copy.read_text() == "edited"
    assert session.work == ["alpha.ipynb"]


def test_the_original_comes_beside_the_copy_under_a_free_name(session: Session) -> None:
    # Without a copy the original is the copy.
    assert session.start(original=True).path == "work/alpha.ipynb"
    (session.root / "work" / "alpha.ipynb").write_text("edited")
    assert session.start(original=True).path == "work/alpha-original.ipynb"
    (session.root / "work" / "alpha-original.ipynb").write_text("edited too")
    assert session.start(original=True).path == "work/alpha-original-2.ipynb"
    assert session.work == ["alpha-original-2.ipynb", "alpha-original.ipynb", "alpha.ipynb"]
    assert (session.root / "work" / "alpha.ipynb").read_text() == "edited"
    assert (session.root / "work" / "alpha-original.ipynb").read_text() == "edited too"


def test_a_copy_opens_although_its_template_is_gone_or_broken(session: Session) -> None:
    session.start()
    session.template("alpha", "{")
    assert session.start() == Workspace("alpha", "work/alpha.ipynb")
    (session.folder / "alpha.ipynb").unlink()
    assert session.start() == Workspace("alpha", "work/alpha.ipynb")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_with_odd_letters_is_a_name(session: Session, name: str) -> None:
    session.template(name)
    assert session.start(name) == Workspace(name, f"work/{name}.ipynb")
    assert (session.root / "work" / f"{name}.ipynb").is_file()


@pytest.mark.parametrize(
    "name", ["../alpha", "/etc/passwd", ".", "..", ".hidden", "a/b", "a\0b", "nothing", "x" * 5000]
)
def test_a_hostile_name_writes_nothing(session: Session, name: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    workspace = session.start(name)
    assert workspace.path is None
    assert "is not in your work folder" in workspace.message
    assert [p for p in sorted(tmp_path.rglob("*")) if p.name != "work"] == before


def test_a_link_out_of_the_root_is_not_followed(session: Session, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (session.root / "work").symlink_to(outside)
    workspace = session.start()
    assert workspace.path is None
    assert "outside the allowed folders" in workspace.message
    assert os.listdir(outside) == []


@pytest.mark.parametrize("target", ["/etc/passwd", "nowhere", "../other.ipynb"])
def test_a_link_in_the_place_of_the_copy_is_left_alone(session: Session, target: str) -> None:
    (session.root / "other.ipynb").write_text("mine")
    work = session.root / "work"
    work.mkdir()
    (work / "alpha.ipynb").symlink_to(target)
    assert session.start().path == "work/alpha-original.ipynb"
    assert os.readlink(work / "alpha.ipynb") == target
    assert (session.root / "other.ipynb").read_text() == "mine"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_does_not_stop_the_copy(
    session: Session, make: Callable[[Path], None]
) -> None:
    work = session.root / "work"
    work.mkdir()
    make(work / "alpha.ipynb")
    assert session.start().path == "work/alpha-original.ipynb"


def test_a_file_in_the_place_of_the_folder_is_said(session: Session) -> None:
    (session.root / "work").write_text("no folder")
    workspace = session.start()
    assert workspace.path is None
    assert "leads through a link or a file" in workspace.message
    assert (session.root / "work").read_text() == "no folder"


def test_a_read_only_work_folder_is_said(session: Session) -> None:
    with mounted(session.root / "work") as disk:
        remount(disk, "ro")
        workspace = session.start()
        assert workspace.path is None
        assert "Read-only file system" in workspace.message
        assert os.listdir(disk) == []


def test_a_full_work_folder_is_said_and_keeps_what_it_has(session: Session) -> None:
    with mounted(session.root / "work", size="64k") as disk:
        (disk / "mine.bin").write_bytes(b"x" * 65536)
        workspace = session.start()
        assert workspace.path is None
        assert "No space left" in workspace.message
        assert os.listdir(disk) == ["mine.bin"]


def test_a_broken_template_is_said_and_leaves_nothing(session: Session) -> None:
    session.template("broken", '{"cells": 1}')
    workspace = session.start("broken")
    assert "is broken" in workspace.message
    assert session.start() == Workspace("alpha", "work/alpha.ipynb")
    assert session.work == ["alpha.ipynb"]


def test_a_pipe_among_the_templates_does_not_hang_anything(session: Session) -> None:
    os.mkfifo(session.folder / "pipe.ipynb")
    assert "There is no template" in session.start("pipe").message
    assert list(FolderTemplates((session.folder,)).files()) == ["alpha"]


def test_sessions_that_start_at_the_same_moment_do_not_share_a_copy(session: Session) -> None:
    session.start()
    code = (
        "import sys; from pathlib import Path; from blackroad_nb.server.workspace import prepare\n"
        "from blackroad_nb.adapters.files import DiskNotebookFiles\n"
        "from blackroad_nb.adapters.templates import FolderTemplates\n"
        "root = Path(sys.argv[1]); files = DiskNotebookFiles((root,))\n"
        "templates = FolderTemplates((Path(sys.argv[2]),))\n"
        "for _ in range(20): print(prepare('alpha', True, root, files, templates).path)\n"
    )
    command = [sys.executable, "-c", code, os.fspath(session.root), os.fspath(session.folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    paths = [path for one in running for path in one.communicate(timeout=60)[0].split()]
    assert len(paths) == len(set(paths)) == 60
    assert len(session.work) == 61


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (None, False)),
        ({"BLACKROAD_TEMPLATE": ""}, (None, False)),
        ({"BLACKROAD_TEMPLATE": "a"}, ("a", False)),
        ({"BLACKROAD_TEMPLATE": "a", "BLACKROAD_TEMPLATE_ORIGINAL": "1"}, ("a", True)),
        ({"BLACKROAD_TEMPLATE": "a", "BLACKROAD_TEMPLATE_ORIGINAL": "0"}, ("a", False)),
    ],
)
def test_the_environment_says_what_is_wanted(
    environ: dict[str, str], expected: tuple[str | None, bool]
) -> None:
    assert wanted(environ) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ()),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, ("/templates",)),
        ({"BLACKROAD_TEMPLATES": "/a:/b", "JUPYTERHUB_SERVICE_PREFIX": "/"}, ("/a", "/b")),
        ({"BLACKROAD_TEMPLATES": ":"}, ()),
    ],
)
def test_the_operators_folders(environ: dict[str, str], expected: tuple[str, ...]) -> None:
    assert operator_templates(environ) == expected


def test_where_a_copy_goes_is_known_without_looking() -> None:
    assert work_path("alpha") == "work/alpha.ipynb"
    assert [path for path, _ in zip(free_paths("work/a.ipynb"), range(3), strict=False)] == [
        "work/a.ipynb",
        "work/a-2.ipynb",
        "work/a-3.ipynb",
    ]
    assert (landing(None), landing("{username}")) == ("/lab", "/blackroad/workspace")
    with pytest.raises(InvalidInput):
        work_path("../alpha")


# in a real server ----------------------------------------------------------------------


@pytest.fixture
def chosen(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, session: Session
) -> str:
    """The template the server is started with."""
    name = str(getattr(request, "param", "alpha"))
    monkeypatch.setenv("BLACKROAD_TEMPLATE", name)
    monkeypatch.setenv("BLACKROAD_TEMPLATES", os.fspath(session.folder))
    return name


async def location(jp_fetch: Callable[..., Any]) -> str:
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("blackroad", "workspace", follow_redirects=False)
    assert refused.value.code == 302
    return str(refused.value.response.headers["Location"])


async def test_the_server_opens_the_copy(
    chosen: str, app: Any, jp_fetch: Callable[..., Any], jp_root_dir: Path
) -> None:
    assert (jp_root_dir / "work" / "alpha.ipynb").is_file()
    assert await location(jp_fetch) == "/a%40b/lab/tree/work/alpha.ipynb"
    (jp_root_dir / "work" / "alpha.ipynb").unlink()
    assert await location(jp_fetch) == "/a%40b/lab"


async def test_without_a_template_the_server_opens_the_lab(
    app: Any, jp_fetch: Callable[..., Any], jp_root_dir: Path
) -> None:
    assert await location(jp_fetch) == "/a%40b/lab"
    assert os.listdir(jp_root_dir) == []


@pytest.mark.parametrize("chosen", ["<img src=x>"], indirect=True)
async def test_a_missing_copy_is_said_where_the_session_opens_and_in_health(
    chosen: str, app: Any, api: Api, jp_fetch: Callable[..., Any]
) -> None:
    page = (await jp_fetch("blackroad", "workspace")).body.decode()
    assert "&lt;img src=x&gt;" in page
    assert "<img" not in page
    assert "Open JupyterLab" in page
    health = (await api("GET", "health")).json
    assert health["status"] == "degraded"
    assert "is not in your work folder" in health["problems"][0]


async def test_a_stranger_learns_nothing(
    chosen: str, app: Any, jp_fetch: Callable[..., Any]
) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch(
            "blackroad",
            "workspace",
            follow_redirects=False,
            headers={"Authorization": "token wrong"},
        )
    assert refused.value.code == 302
    assert "/login" in refused.value.response.headers["Location"]


async def test_a_running_session_gets_the_original_beside_the_copy(
    chosen: str, app: Any, api: Api, jp_root_dir: Path
) -> None:
    asked = {"path": "work/alpha.ipynb", "free_name": True}
    first = await api("POST", "templates/alpha/copy", asked)
    again = await api("POST", "templates/alpha/copy", asked)
    assert [Path(reply.json["path"]).name for reply in (first, again)] == [
        "alpha-2.ipynb",
        "alpha-3.ipynb",
    ]
    refused = await api("POST", "templates/alpha/copy", {"path": "work/alpha.ipynb"})
    assert (refused.status, refused.json["code"]) == (409, "file_exists")
    assert sorted(os.listdir(jp_root_dir / "work")) == [
        "alpha-2.ipynb",
        "alpha-3.ipynb",
        "alpha.ipynb",
    ]
