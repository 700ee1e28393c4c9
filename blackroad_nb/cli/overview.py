"""What the program says when no command was given: help, the version, a pointer."""

from __future__ import annotations

from collections.abc import Sequence

from blackroad_nb import __version__
from blackroad_nb.cli.commands import COMMANDS, GROUPS, program
from blackroad_nb.errors import InvalidInput

OVERVIEW = """usage: {program} [--db PATH] COMMAND [ARGUMENTS]

Create, run, search and export notebooks; every cell that runs is recorded.

commands:
{commands}

  {program} COMMAND --help explains one command with examples.

options:
  --db PATH      the database file (else NOTEBOOK_DB, else ~/.blackroad/notebooks.db)
  --version      print the version
  -h, --help     print this

A notebook is named by its id or by its path. Results are JSON on stdout, but
`execute` and `export` print their progress and take --json. The exit code is 0
when all went well; otherwise one line on stderr says what to do.

first steps:
  {program} up                            open a hub of sessions, for you alone
  {program} create Demo ./demo.ipynb      register a new notebook
  {program} execute ./demo.ipynb          run it
  {program} history ./demo.ipynb          see what ran
"""


def answer(words: Sequence[str]) -> int:
    """Print what was asked for. Raises InvalidInput for anything else."""
    if not words:
        raise InvalidInput(f"say which command; `{program()} --help` lists them.")
    if words[0] in ("-h", "--help", "help"):
        print(OVERVIEW.format(program=program(), commands=_table(list(COMMANDS))), end="")
        return 0
    if words[0] == "--version":
        print(__version__)
        return 0
    if words[0] in GROUPS and words[1:2] in (["-h"], ["--help"]):
        group = [name for name in COMMANDS if name.split()[0] == words[0]]
        print(f"usage: {program()} {words[0]} COMMAND [ARGUMENTS]\n\ncommands:\n{_table(group)}")
        return 0
    raise InvalidInput(_complaint(words))


def _table(names: Sequence[str]) -> str:
    return "\n".join(f"  {name:<20} {COMMANDS[name][1]}" for name in names)


def _complaint(words: Sequence[str]) -> str:
    if words[0].startswith("-"):
        return f"{words[0]!r} is no option here; see `{program()} --help`."
    if words[0] in GROUPS:
        known = ", ".join(name.split()[1] for name in COMMANDS if name.startswith(words[0] + " "))
        return f"say what to do with {words[0]}: {known}."
    return f"there is no command {words[0]!r}; `{program()} --help` lists them."
