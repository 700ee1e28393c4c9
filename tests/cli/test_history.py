"""`history` and `search` in every form."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.cli.conftest import CommandLine, WriteNotebook


@pytest.fixture
def ran(cli: CommandLine, write_notebook: WriteNotebook) -> str:
    """A notebook of which three cells ran, the last with an error."""
    path = write_notebook("ran", "apples = 1", "print('pears', apples)", "raise KeyError('plums')")
    assert cli("execute", path).code == 1
    return path


def test_history_in_every_form(cli: CommandLine, ran: str) -> None:
    rows = cli("history", ran).json
    assert [row["source"] for row in rows] == [
        "raise KeyError('plums')",
        "print('pears', apples)",
        "apples = 1",
    ]
    assert cli("history", rows[0]["notebook_id"], "--limit", "1").json == rows[:1]
    assert cli("history", ran, "--cursor", str(rows[0]["seq"])).json == rows[1:]
    assert cli("history", ran, "--status", "error").json == rows[:1]
    assert cli("history", ran, "--user", "nobody-else").json == []
    assert cli("history", ran, "--since", "1h").json == rows
    assert cli("history", ran, "--until", "2020-01-01").json == []
    assert cli("history", "--all").json == rows

    lines = [json.loads(line) for line in cli("history", ran, "--format", "jsonl").out.splitlines()]
    assert lines == rows
    table = list(csv.DictReader(io.StringIO(cli("history", ran, "--format", "csv").out)))
    assert [line["source"] for line in table] == [row["source"] for row in rows]
    short = cli("history", ran, "--format", "csv", "--limit", "2").out
    assert len(list(csv.reader(io.StringIO(short)))) == 3
    notebook = cli("history", ran, "--format", "ipynb").json
    assert "".join(notebook["cells"][0]["source"]) == "apples = 1"
    script = cli("history", ran, "--format", "script").out
    compile(script, "script", "exec")
    assert script.index("apples = 1") < script.index("plums")


def test_search_finds_words_in_source_and_error(cli: CommandLine, ran: str) -> None:
    assert [row["source"] for row in cli("search", "pears").json] == ["print('pears', apples)"]
    assert [row["status"] for row in cli("search", "KeyErr*").json] == ["error"]
    assert len(cli("search", "apples", "--notebook", ran).json) == 2
    assert cli("search", "apples", "plums").json == []
    assert cli("search", "nowhere").json == []
    assert cli("search", "->", "pears").json == cli("search", "pears").json
    assert cli("search", "--status", "success", "apples", "--limit", "1").json


def test_deleting_takes_only_what_the_filters_choose(cli: CommandLine, ran: str) -> None:
    old = ("--delete", "--older-than", "2099-01-01")
    for missed in (("--user", "nobody-else"), ("--since", "2098-01-01"), ("--until", "2020-01-01")):
        assert cli("history", "--all", *old, *missed).json == {"deleted": 0}
    assert cli("history", "--all", *old, "--status", "error").json == {"deleted": 1}
    assert [row["status"] for row in cli("history", ran).json] == ["success", "success"]
    for unusable in (("--limit", "1"), ("--cursor", "9"), ("--format", "json")):
        refused = cli("history", "--all", *old, *unusable)
        assert (refused.code, unusable[0] in refused.err) == (2, True)
    assert len(cli("history", ran).json) == 2


def test_deleting_is_explicit(cli: CommandLine, ran: str) -> None:
    assert cli("history", ran, "--delete", "--older-than", "1d").json == {"deleted": 0}
    assert len(cli("history", ran).json) == 3
    assert cli("history", "nobody", "--delete", "--older-than", "0s").code == 3
    assert cli("history", ran, "--delete", "--older-than", "0s").json == {"deleted": 3}
    assert cli("history", "--all").json == []


def test_a_database_that_cannot_be_meant_is_refused(cli: CommandLine) -> None:
    """A typing mistake must not look like an empty history, nor a name like a file."""
    missing = str(cli.folder / "nowhere" / "x.db")
    for command in (["list"], ["history", "--all"], ["history", "--all", "--format", "csv"]):
        refused = cli(*command, "--db", missing)
        assert (refused.code != 0, refused.out) == (True, "")
        assert "its folder does not exist" in refused.err
        assert not (cli.folder / "nowhere").exists()
    for name in (":memory:", "file:x.db?mode=memory"):
        refused = cli("list", "--db", name)
        assert (refused.code, "is no file" in refused.err) == (2, True)
    assert cli("list", "--db", str(cli.folder / "new.db")).json == []
