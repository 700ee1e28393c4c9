"""The reference is whole: every command, option, error, column and call is on its page."""

from __future__ import annotations

import argparse
import inspect
import re
import sqlite3
from importlib import import_module
from pathlib import Path

import pytest

from blackroad_nb import JupyterService, errors
from blackroad_nb.adapters.sqlite.opening import prepare
from blackroad_nb.adapters.sqlite.servers import SESSIONS
from blackroad_nb.cli.parsing import COMMANDS, Parser

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_with_its_options(command: str) -> None:
    parser = Parser(prog=command)
    module = import_module(f"blackroad_nb.cli.{COMMANDS[command][0]}")
    getattr(module, "add_" + command.replace(" ", "_"))(parser)
    section = re.search(rf"^## {command}$(.*?)(?=^## |\Z)", page("commands"), re.M | re.S)
    assert section, f"docs/reference/commands.md has no section on `{command}`"
    options = {
        word
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        for word in (*action.option_strings, action.metavar or "")
        if isinstance(word, str)
    }
    assert {word for word in options if word not in section[1]} == set()


def test_every_error_with_its_numbers() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if inspect.isclass(kind) and issubclass(kind, errors.BlackRoadError)
    ]
    rows = [f"| {k.__name__} | `{k.code}` | {k.status} | {k.exit_code} |" for k in kinds]
    assert [row for row in rows if row not in page("errors")] == []


def test_every_column_that_others_may_read(tmp_path: Path) -> None:
    prepare(tmp_path / "new.db")
    database = sqlite3.connect(tmp_path / "new.db")
    for table in ("notebooks", "executions", "kernels"):
        section = page("tables").split(f"## {table}\n")[1].split("\n## ")[0]
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        assert {column for column in columns if f"`{column}`" not in section} == set()
    database.close()


def test_every_column_of_sessions(tmp_path: Path) -> None:
    prepare(tmp_path / "new.db", schema=SESSIONS)
    database = sqlite3.connect(tmp_path / "new.db")
    section = page("tables").split("## sessions\n")[1].split("\n## ")[0]
    columns = {row[1] for row in database.execute("PRAGMA table_info(sessions)")}
    assert columns
    assert {column for column in columns if f"`{column}`" not in section} == set()
    database.close()


def test_every_call_of_the_service() -> None:
    calls = [name for name in vars(JupyterService) if not name.startswith("_")]
    assert [name for name in calls if f"`{name}(" not in page("python")] == []
