"""The one parser that the command needs."""

from __future__ import annotations

import argparse
import os
from importlib import import_module

from blackroad_nb.cli.commands import COMMANDS, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def parse(command: str, words: list[str]) -> argparse.Namespace:
    """Build the command's parser, and parse its words.

    Raises:
        InvalidInput: the words do not fit the command.
    """
    for word in words:
        _check_text(word)
    module = import_module(f"blackroad_nb.cli.{COMMANDS[command][0]}")
    parser = Parser(
        prog=f"{program()} {command}",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.set_defaults(rest=[])
    getattr(module, "add_" + command.replace(" ", "_"))(parser)
    parser.add_argument("--db", metavar="PATH", help="the database file (else NOTEBOOK_DB)")
    if command == "kernels register" and "--" in words:
        cut = words.index("--")
        parser.set_defaults(rest=words[cut + 1 :])
        words = words[:cut]
    return parser.parse_args(words)


class Formatter(argparse.RawDescriptionHelpFormatter):
    """The text as it was written, at the terminal's width, found without an import."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line that names the help."""

    def error(self, message: str) -> NoReturn:
        from blackroad_nb.errors import InvalidInput

        raise InvalidInput(f"{message}; see `{self.prog} --help`.")


def _check_text(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        from blackroad_nb.errors import InvalidInput

        raise InvalidInput(f"{word!r} is not valid text in UTF-8.") from None


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 20:
        return int(columns)
    try:
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80
