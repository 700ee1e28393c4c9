"""`create`, `list` and `delete`, with good input and bad."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from store_rows import fill_up, mounted, remount

from blackroad_nb.adapters.sqlite import glance, opening
from tests.cli.conftest import CommandLine, WriteNotebook


def test_create_prints_id_name_and_path(cli: CommandLine) -> None:
    made = cli("create", "Demo", "demo.ipynb").json
    assert set(made) == {"id", "name", "path"}
    assert UUID(made["id"]).version == 4
    assert made["path"] == str(cli.folder / "demo.ipynb")
    assert json.loads((cli.folder / "demo.ipynb").read_text())["nbformat_minor"] == 5


def test_list_shows_the_newest_first(cli: CommandLine) -> None:
    for name in ("one", "two", "three"):
        cli("create", name, f"{name}.ipynb")
    listed = cli("list").json
    assert [row["name"] for row in listed] == ["three", "two", "one"]
    assert set(listed[0]) == {
        "id", "name", "path", "kernel", "created_at", "updated_at", "cell_count", "metadata",
    }  # fmt: skip
    assert cli("list", "--limit", "2").json == listed[:2]


def test_a_new_notebook_gets_its_folder(cli: CommandLine) -> None:
    made = cli("create", "My First Notebook", "notebooks/demo.ipynb").json
    assert made["path"] == str(cli.folder / "notebooks" / "demo.ipynb")
    assert Path(made["path"]).is_file()
    outside = replace(cli, environment={"NOTEBOOK_ROOTS": str(cli.folder / "notebooks")})
    assert outside("create", "Out", "elsewhere/demo.ipynb").code == 2
    assert not (cli.folder / "elsewhere").exists()


def test_the_glance_and_the_careful_reader_agree(cli: CommandLine, tmp_path: Path) -> None:
    cli("create", 'q"uo\u2028te \N{SNOWMAN}', "a.ipynb")
    cli("create", "b", "b.ipynb", "--kernel", "other")
    quick = cli("list").json
    with closing(sqlite3.connect(tmp_path / "notebooks.db")) as connection, connection:
        # Another program's mark makes the glance step back, and the reader refuse.
        connection.execute("PRAGMA application_id = 1")
    assert glance.notebook_records(str(tmp_path / "notebooks.db"), None) is None
    assert "another program" in cli("list").complaint
    with closing(sqlite3.connect(tmp_path / "notebooks.db")) as connection, connection:
        connection.execute(f"PRAGMA application_id = {opening.APPLICATION_ID}")
    from blackroad_nb.adapters.sqlite.reader import SqliteReader
    from blackroad_nb.core.rendering import notebook_record

    with SqliteReader(tmp_path / "notebooks.db") as reader:
        assert [notebook_record(row) for row in reader.list_notebooks().items] == quick


def test_the_glance_knows_the_mark_of_our_files() -> None:
    assert glance.APPLICATION_ID == opening.APPLICATION_ID


def test_list_of_nothing_creates_nothing(cli: CommandLine) -> None:
    assert cli("list").json == []
    assert cli("list", "--limit", "3").json == []
    assert os.listdir(cli.folder) == []


@pytest.mark.parametrize("place", ["before", "after", "joined"])
def test_the_database_can_be_named_before_and_after_the_command(
    cli: CommandLine, place: str
) -> None:
    other = str(cli.folder / "other.db")
    words = ["create", "Demo", "demo.ipynb"]
    if place == "before":
        cli("--db", other, *words)
    elif place == "after":
        cli(*words, "--db", other)
    else:
        cli(f"--db={other}", *words)
    assert len(cli("list", "--db", other).json) == 1
    assert cli("list").json == []


def test_create_never_overwrites(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    path = write_notebook("mine", "print(1)")
    before = Path(path).read_bytes()
    refused = cli("create", "Mine", path)
    assert refused.code == 4
    assert "exists already" in refused.complaint
    assert cli("create", "Mine", path, "--adopt").json["path"] == path
    assert Path(path).read_bytes() == before
    assert "registered already" in cli("create", "Mine", path, "--adopt").complaint


@pytest.mark.parametrize(
    "name",
    ["it's", 'say "hi"', "100%", "\N{GRINNING FACE} \N{CJK UNIFIED IDEOGRAPH-4E2D}", "a" * 200],
)
def test_names_come_back_as_they_were_given(cli: CommandLine, name: str) -> None:
    assert cli("create", name, "demo.ipynb").json["name"] == name
    assert cli("list").json[0]["name"] == name


@pytest.mark.parametrize(
    ("name", "path", "code", "said"),
    [
        ("", "demo.ipynb", 2, "name"),
        ("two\nlines", "demo.ipynb", 2, "line break"),
        ("x" * 201, "demo.ipynb", 2, "201"),
        ("Demo", "demo.txt", 2, ".ipynb"),
        ("Demo", "", 2, "path"),
        ("Demo", "missing/folder/demo.ipynb", 2, "cannot be written"),
        ("Demo", "/", 2, "must end in .ipynb; '/' does not"),
        ("Demo", f"{'x' * 300}.ipynb", 2, "too long"),
    ],
)
def test_bad_names_and_paths_are_refused(
    cli: CommandLine, name: str, path: str, code: int, said: str
) -> None:
    refused = cli("create", name, path)
    assert refused.code == code
    assert said in refused.complaint
    assert cli("list").json == []
    assert not list(cli.folder.glob("*.ipynb"))


@pytest.mark.parametrize("path", ["../out.ipynb", "in/../../out.ipynb", "link/out.ipynb"])
def test_paths_that_lead_out_of_the_roots_are_refused(cli: CommandLine, path: str) -> None:
    inside = cli.folder / "inside"
    (inside / "in").mkdir(parents=True)
    (inside / "link").symlink_to(cli.folder)
    confined = replace(cli, folder=inside, environment={"NOTEBOOK_ROOTS": str(inside)})
    refused = confined("create", "Demo", path)
    assert refused.code == 2
    assert "outside" in refused.complaint
    assert not (cli.folder / "out.ipynb").exists()


def test_delete_keeps_the_file_unless_asked(cli: CommandLine) -> None:
    first = cli("create", "one", "one.ipynb").json
    cli("create", "two", "two.ipynb")
    gone = cli("delete", first["id"]).json
    assert gone == {"id": first["id"], "path": first["path"], "file_deleted": False}
    assert (cli.folder / "one.ipynb").exists()
    assert cli("delete", "two.ipynb", "--file").json["file_deleted"] is True
    assert not (cli.folder / "two.ipynb").exists()
    assert cli("list").json == []
    cli("create", "three", "three.ipynb")
    (cli.folder / "three.ipynb").unlink()
    assert cli("delete", "three.ipynb", "--file").json["file_deleted"] is False


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_what_only_reads_works_where_nothing_can_be_written(
    cli: CommandLine, write_notebook: WriteNotebook, tmp_path: Path, how: str
) -> None:
    path = write_notebook("a", "print('needle')")
    assert cli("execute", path).code == 0
    with mounted(tmp_path / "disk") as disk:
        for file in tmp_path.glob("notebooks.db*"):
            if file.is_file():
                shutil.copy(file, disk / file.name)
        if how == "full":
            fill_up(disk)
        else:
            remount(disk, "ro")
        there = CommandLine(cli.folder, {"NOTEBOOK_DB": str(disk / "notebooks.db")})
        assert there("list").json[0]["path"] == path
        assert there("history", path).json[0]["source"] == "print('needle')"
        assert "needle" in there("history", "--all", "--format", "csv").out
        assert len(there("search", "needle").json) == 1
        assert "needle" in there("search", "needle", "--format", "script").out
        assert there("executions", "list").json[0]["status"] == "success"
        assert "python3" in {kernel["name"] for kernel in there("kernels").json}
        assert "needle" in there("export", path, "--format", "script", "--stdout").out
        refused = there("delete", path)
        assert refused.code == 8
        assert str(disk) in refused.complaint


@pytest.mark.parametrize(
    "named", ["nobody", "no/body.ipynb", "00000000-0000-4000-8000-000000000000"]
)
@pytest.mark.parametrize("command", [["delete"], ["history"], ["export"], ["execute"]])
def test_unknown_notebooks_are_refused(cli: CommandLine, command: list[str], named: str) -> None:
    cli("create", "Demo", "demo.ipynb")
    refused = cli(*command, named)
    assert refused.code == 3
    assert named.rsplit("/", maxsplit=1)[-1] in refused.complaint
    assert len(cli("list").json) == 1
