"""What all commands share: help, usage errors, closed pipes, odd databases and encodings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from blackroad_nb import __version__
from blackroad_nb.cli.commands import COMMANDS, GROUPS
from tests.cli.conftest import SCRIPT, CommandLine, WriteNotebook


def test_help_names_every_command(cli: CommandLine) -> None:
    shown = cli("--help")
    assert shown.code == 0
    assert all(command in shown.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(cli: CommandLine, command: str) -> None:
    shown = cli(*command.split(), "--help")
    assert shown.code == 0
    assert shown.err == ""
    assert f"usage: blackroad-nb {command}" in shown.out
    assert "examples:" in shown.out
    assert f"  blackroad-nb {command}" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 100


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_lists_its_commands(cli: CommandLine, group: str) -> None:
    shown = cli(group, "--help")
    assert shown.code == 0
    for command in COMMANDS:
        if command.startswith(f"{group} "):
            assert command.split()[1] in shown.out


def test_version(cli: CommandLine) -> None:
    assert cli("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frobnicate"],
        ["--frobnicate"],
        ["--db"],
        ["list", "--frobnicate"],
        ["list", "extra"],
        ["list", "--limit"],
        ["list", "--limit", "ten"],
        ["list", "--limit", "0"],
        ["list", "--limit", "-3"],
        ["list", "--limit", "9" * 30],
        ["create", "only-a-name"],
        ["execute"],
        ["execute", "x.ipynb", "--cell", "-1"],
        ["execute", "x.ipynb", "--cell", "one"],
        ["execute", "x.ipynb", "--timeout", "-1"],
        ["execute", "x.ipynb", "--timeout", "nan"],
        ["execute", "x.ipynb", "--timeout", "soon"],
        ["execute", "x.ipynb", "--with-predecessors"],
        ["execute", "x.ipynb", "--resume", "--cell", "1"],
        ["execute", "x.ipynb", "--detach"],
        ["execute", "x.ipynb", "--keep-kernel"],
        ["execute", "x.ipynb", "--token", "x"],
        ["execute", "x.ipynb", "-p", "only-a-name"],
        ["execute", "--server", "x.ipynb"],
        ["execute", "x.ipynb", "--server", "ftp://host"],
        ["history"],
        ["history", "x", "--all"],
        ["history", "x", "--delete"],
        ["history", "x", "--older-than", "3d"],
        ["history", "x", "--since", "yesterday"],
        ["history", "x", "--limit", "1001"],
        ["history", "x", "--status", "fine"],
        ["history", "x", "--format", "xml"],
        ["search"],
        ["search", "..."],
        ["search", "->"],
        ["--db", "a.db", "list", "--db", "b.db"],
        ["export"],
        ["export", "x", "--stdout", "--json"],
        ["kernels", "frobnicate"],
        ["kernels", "register"],
        ["kernels", "register", "x", "--language", "python", "--display-name", "X"],
        ["executions"],
        ["executions", "watch"],
        ["executions", "frobnicate"],
        ["up", "--port", "99999999"],
        ["up", "--port", "http"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_refused_in_one_line(cli: CommandLine, words: list[str]) -> None:
    refused = cli(*words)
    assert refused.code == 2
    assert refused.complaint
    assert refused.out == ""
    assert os.listdir(cli.folder) == []


def test_words_that_are_no_text_are_refused(cli: CommandLine) -> None:
    refused = cli("create", "Demo", os.fsdecode(b"\xff.ipynb"))
    assert refused.code == 2
    assert "UTF-8" in refused.complaint


def test_it_is_a_jupyter_command_too(cli: CommandLine) -> None:
    jupyter = str(Path(sys.executable).parent / "jupyter")
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    inside = replace(cli, environment={"PATH": beside})
    assert inside("blackroad", "list", program=(jupyter,)).json == []
    assert inside("list", program=(sys.executable, "-m", "blackroad_nb")).json == []
    shown = inside("blackroad", "list", "--help", program=(jupyter,))
    assert "usage: jupyter blackroad list" in shown.out


@pytest.mark.parametrize("command", ["list", "kernels"])
def test_a_reader_that_goes_away_is_no_error(cli: CommandLine, command: str) -> None:
    pipe, end = os.pipe()
    os.close(pipe)
    process = cli.popen(command, stdout=end, stderr=subprocess.PIPE)
    os.close(end)
    _, complaint = process.communicate(timeout=30)
    assert complaint == ""
    assert process.returncode == 141


def test_a_closed_stdout_is_told(cli: CommandLine) -> None:
    done = cli("-c", f"exec {SCRIPT} list >&-", program=("bash",))
    assert done.code == 2
    assert "stdout is closed" in done.complaint


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which Linux has")
def test_a_full_disk_behind_stdout_is_told(cli: CommandLine) -> None:
    done = cli("-c", f"exec {SCRIPT} list > /dev/full", program=("bash",))
    assert done.code == 1
    assert "no space is left" in done.complaint


def test_a_folder_as_database(cli: CommandLine) -> None:
    for words in (["list"], ["create", "Demo", "demo.ipynb"]):
        refused = cli(*words, "--db", str(cli.folder))
        assert refused.code == 8
        assert "folder" in refused.complaint


@pytest.mark.parametrize("words", [["list"], ["create", "D", "d.ipynb"], ["search", "x"]])
def test_a_damaged_database(cli: CommandLine, words: list[str]) -> None:
    database = cli.folder / "notebooks.db"
    database.write_bytes(b"this is no database at all" * 100)
    refused = cli(*words)
    assert refused.code == 8
    assert "damaged or not a database" in refused.complaint
    assert database.read_bytes() == b"this is no database at all" * 100


def test_a_database_from_the_future(cli: CommandLine) -> None:
    cli("create", "Demo", "demo.ipynb")
    database = str(cli.folder / "notebooks.db")
    subprocess.run([sys.executable, "-c", FUTURE, database], check=True)
    refused = cli("list")
    assert refused.code == 8
    assert "upgrade" in refused.complaint


FUTURE = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 99')"


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere"
)
def test_a_folder_that_cannot_be_written(
    cli: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("locked")
    folder.chmod(0o555)
    program: tuple[str, ...] = (str(SCRIPT),)
    if os.geteuid() == 0:  # root without its power to pass over permissions
        program = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *program)
    refused = cli("create", "Demo", "demo.ipynb", "--db", str(folder / "n.db"), program=program)
    folder.chmod(0o755)
    assert refused.code == 8
    assert "cannot be written" in refused.complaint


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
    ids=["C", "ascii", "latin-1"],
)
def test_narrow_terminals_do_not_crash(
    cli: CommandLine, write_notebook: WriteNotebook, environment: dict[str, str]
) -> None:
    narrow = replace(cli, environment=environment)
    wide = "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN}"
    path = write_notebook("wide", f"print({wide!r})")
    assert cli("create", wide, path, "--adopt").code == 0
    assert narrow("list").json[0]["name"] == wide
    done = narrow("execute", path)
    assert done.code == 0, done.err
    assert "Cell 0 [success]" in done.out


def test_unexpected_faults_say_how_to_see_more(cli: CommandLine) -> None:
    broken = (sys.executable, "-c", BROKEN, "kernels")
    told = cli(program=broken)
    assert told.code == 1
    assert told.err.count("\n") == 1
    assert "BLACKROAD_DEBUG=1" in told.err
    shown = replace(cli, environment={"BLACKROAD_DEBUG": "1"})(program=broken)
    assert "Traceback" in shown.err


BROKEN = """
import sys
from blackroad_nb.cli import main, kernels
def fail(arguments):
    raise ZeroDivisionError("of ours")
kernels.list_kernels = fail
sys.exit(main())
"""
