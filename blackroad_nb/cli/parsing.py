"""The one parser that the command needs."""

from __future__ import annotations

import argparse
import os
from importlib import import_module

from blackroad_nb.cli.commands import COMMANDS, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


_PAIRS = {
    "-p": "--parameter",
    "--parameter": "--parameter",
    "-r": "--parameter-raw",
    "--parameter-raw": "--parameter-raw",
}


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
    if command == "execute":
        words = _joined_pairs(words)
    if command == "search":
        words = [_as_text(word) for word in words]
    return parser.parse_args(words)


def _joined_pairs(words: list[str]) -> list[str]:
    """Write `-p NAME VALUE` as the one word `--parameter=NAME=VALUE`, and `-r` likewise.

    argparse takes a value that begins with `-` for an option. After `-p`, a word with `=`
    is NAME=VALUE; otherwise it is the name, and the next word the value, whatever it is.
    """
    joined, place = [], 0
    while place < len(words):
        option, given = _PAIRS.get(words[place]), words[place + 1 : place + 3]
        if option is None or not given:
            joined.append(words[place])
            place += 1
        elif "=" in given[0]:
            joined.append(f"{option}={given[0]}")
            place += 2
        else:
            joined.append(f"{option}={'='.join(given)}")
            place += 3
    return joined


def _as_text(word: str) -> str:
    """Keep argparse from taking `->` for an option; search leaves the space out."""
    name = word.lstrip("-")
    return word if name == word or not name or name[0].isalnum() else f" {word}"


class Formatter(argparse.RawDescriptionHelpFormatter):
    """The text as it was written, at the terminal's width, found without an import."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class Once(argparse._StoreAction):
    """An option with one value, refused when it is given twice: which one counts is unclear."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given = vars(namespace).setdefault("given_once", set())
        if option_string is not None and self.dest in given:
            parser.error(f"{'/'.join(self.option_strings)} is given twice; give it once")
        given.add(self.dest)
        super().__call__(parser, namespace, values, option_string)


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line that names the help."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("action", None, Once)

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
