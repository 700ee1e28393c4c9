"""`export`: files, stdout, the list of formats, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, WriteNotebook


@pytest.fixture
def registered(cli: CommandLine, write_notebook: WriteNotebook) -> str:
    path = write_notebook("demo", "x = 1")
    cli("create", "Demo", path, "--adopt")
    return path


def test_a_file_beside_the_notebook_or_where_it_is_wanted(
    cli: CommandLine, registered: str
) -> None:
    done = cli("export", registered, "--format", "python")
    beside = cli.folder / "demo.py"
    assert done.out == (
        f"\N{CHECK MARK} Exported to {beside} [python] ({beside.stat().st_size} bytes)\n"
    )
    assert "x = 1" in beside.read_text()
    told = cli("export", registered, "--format", "html", "--output", "other.html", "--json").json
    assert told["format"] == "html"
    assert told["path"] == str(cli.folder / "other.html")
    assert told["bytes"] == Path(told["path"]).stat().st_size


def test_the_notebook_format_is_written_unless_another_is_named(
    cli: CommandLine, registered: str
) -> None:
    told = cli("export", registered, "--json").json
    assert (told["format"], told["path"]) == ("ipynb", str(cli.folder / "demo-export.ipynb"))
    refused = cli("export", registered, "--output", "other.html")
    assert "'other.html' does not end in .ipynb" in refused.complaint


def test_a_path_need_not_be_registered(cli: CommandLine, write_notebook: WriteNotebook) -> None:
    told = cli("export", write_notebook("stray", "x = 1"), "--format", "script", "--json").json
    assert (told["id"], told["path"]) == (None, str(cli.folder / "stray.py"))
    assert cli("list").json == []


def test_nothing_is_overwritten_unasked(cli: CommandLine, registered: str) -> None:
    there = cli.folder / "demo.py"
    there.write_text("mine")
    refused = cli("export", registered, "--format", "python")
    assert refused.code == 4
    assert "exists already" in refused.complaint
    assert there.read_text() == "mine"
    assert cli("export", registered, "--format", "python", "--overwrite").code == 0
    assert "x = 1" in there.read_text()


def test_stdout_gets_the_export_itself(cli: CommandLine, registered: str) -> None:
    done = cli("export", registered, "--format", "ipynb", "--stdout")
    assert json.loads(done.out)["cells"][0]["source"] in ("x = 1", ["x = 1"])
    assert len(list(cli.folder.glob("demo.*"))) == 1


def test_the_formats_say_what_is_missing(cli: CommandLine) -> None:
    formats = {known["name"]: known for known in cli("export", "--list-formats").json}
    assert {"ipynb", "html", "script"} <= {name for name in formats if formats[name]["available"]}
    assert all(known["available"] or known["reason"] for known in formats.values())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--format", "nosuch"], 2, "nosuch"),
        (["--format", "os.system"], 2, "os.system"),
        (["--format", "html", "--output", "demo.ipynb/demo.html"], 2, "demo.html"),
        (["--output", "."], 4, "exists already"),
    ],
)
def test_refusals(
    cli: CommandLine, registered: str, words: list[str], code: int, said: str
) -> None:
    refused = cli("export", registered, *words)
    assert said in refused.complaint
    assert refused.code == code
