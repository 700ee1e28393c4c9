"""`kernels`: register, list, check, unregister, with good words and bad."""

from __future__ import annotations

import sys

import pytest

from tests.cli.conftest import CommandLine, WriteNotebook

ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
WORDS = ["--language", "python", "--display-name", "Spare Python"]


def test_a_registered_kernel_is_listed_runs_and_goes(
    cli: CommandLine, write_notebook: WriteNotebook
) -> None:
    added = cli("kernels", "register", "spare", *WORDS, "--env", "SPARE=yes=1", "--", *ARGV).json
    assert added["argv"] == ARGV
    listed = {kernel["name"]: kernel for kernel in cli("kernels").json}
    assert listed["spare"]["registered"] is True
    assert listed["python3"]["registered"] is False
    assert "spare" in cli("kernels", "register", "spare", *WORDS, "--", *ARGV).complaint
    made = cli("create", "Demo", "demo.ipynb", "--kernel", "spare").json
    path = write_notebook("demo", "import os\nprint(os.environ['SPARE'])")
    text = (cli.folder / "demo.ipynb").read_text().replace('"python3"', '"spare"')
    (cli.folder / "demo.ipynb").write_text(text)
    assert made["path"] == path
    assert "  yes=1\n" in cli("execute", path).out
    assert cli("kernels", "unregister", "spare").json == {"name": "spare", "unregistered": True}
    assert "spare" not in {kernel["name"] for kernel in cli("kernels").json}


def test_a_command_without_the_connection_file_gets_it(cli: CommandLine) -> None:
    done = cli("kernels", "register", "short", *WORDS, "--", *ARGV[:3])
    assert done.json["argv"] == ARGV
    assert done.err == "Note: the command got '-f {connection_file}' at its end.\n"
    assert cli("kernels", "unregister", "short").code == 0


def test_check_runs_a_cell(cli: CommandLine) -> None:
    assert cli("kernels", "check", "python3").json["status"] == "success"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["register", "sp ace", *WORDS, "--", *ARGV], 2),
        (["register", "x", *WORDS, "--", sys.executable, "-c", "1/0"], 5),
        (["register", "x", *WORDS, "--env", "NOVALUE", "--", *ARGV], 2),
        (["register", "x", *WORDS, "--", "/no/such/program", "{connection_file}"], 2),
        (["register", "x", *WORDS, "--timeout", "2", "--", "sleep", "60", "{connection_file}"], 5),
        (["check", "nosuch"], 3),
        (["unregister", "nosuch"], 3),
        (["unregister", "python3"], 4),
    ],
    ids=lambda words: " ".join(map(str, words[:2])) if isinstance(words, list) else str(words),
)
def test_refusals(cli: CommandLine, words: list[str], code: int) -> None:
    refused = cli("kernels", *words)
    assert refused.complaint
    assert refused.code == code
    assert not [kernel for kernel in cli("kernels").json if kernel["registered"]]
