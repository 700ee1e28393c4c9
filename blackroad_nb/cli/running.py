"""`execute`: a run by this process, or handed to a notebook server."""

from __future__ import annotations

import argparse
import os

from blackroad_nb.cli.arguments import (
    add_examples,
    add_notebook,
    add_server,
    seconds,
    whole_number,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def add_execute(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a notebook on a fresh kernel and write the outputs into it (or into --output).\n"
        "A path that is not registered yet is registered by its first run. Each cell may\n"
        "take 60 s, or what its metadata or --timeout says. Ctrl-C cancels and keeps what was\n"
        "done; a second one ends at once. The exit code is 0 only if every cell succeeded."
    )
    add_examples(
        parser,
        "%(prog)s work/alpha.ipynb",
        "%(prog)s work/alpha.ipynb -p window 21 -p shift=-1e-5 --output run.ipynb",
        "%(prog)s work/alpha.ipynb --cell 3 --with-predecessors",
        "%(prog)s work/alpha.ipynb --resume",
        "%(prog)s work/alpha.ipynb --kernel torch",
        "%(prog)s work/alpha.ipynb --json --server",
    )
    add_notebook(parser)
    _add_cells(parser)
    _add_values(parser)
    _add_place(parser)
    parser.add_argument("--json", action="store_true", help="print the finished run as JSON")
    parser.set_defaults(run=execute)


def _add_cells(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which cells")
    group.add_argument("--cell", metavar="N", type=whole_number(), help="only this one, from 0")
    group.add_argument(
        "--with-predecessors", action="store_true", help="with --cell: those before it too"
    )
    group.add_argument(
        "--timeout", metavar="S", type=seconds, help="seconds each cell may take; 0 for no limit"
    )
    group.add_argument(
        "--resume", action="store_true", help="go on with the first cell that failed last time"
    )
    group.add_argument("--continue-on-error", action="store_true", help="run the cells after too")


def _add_values(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("parameters, for the cell tagged `parameters`")
    group.add_argument(
        "-p",
        "--parameter",
        metavar="NAME VALUE",
        action="append",
        default=[],
        help="a number, True, False, None or JSON ([1, 2], true), else text; also NAME=VALUE",
    )
    group.add_argument(
        "-r",
        "--parameter-raw",
        metavar="NAME VALUE",
        action="append",
        default=[],
        help="a text, whatever it looks like; also NAME=VALUE",
    )
    group.add_argument("--parameters-file", metavar="F", help="a file that holds a JSON object")


def _add_place(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where")
    group.add_argument(
        "--output", metavar="PATH", help="write the executed notebook here, not in place"
    )
    group.add_argument("--kernel", metavar="K", help="run on this one, not on the notebook's own")
    add_server(group, "run on this notebook server; without URL, on the one that serves the file")
    group.add_argument(
        "--detach", action="store_true", help="with --server: start the run and do not wait"
    )
    group.add_argument(
        "--keep-kernel", action="store_true", help="with --server: keep its state for --resume"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run a notebook; the exit code tells whether all went well."""
    from blackroad_nb.errors import InvalidInput

    if arguments.server is None:
        for option in ("detach", "keep_kernel", "token"):
            if getattr(arguments, option):
                raise InvalidInput(f"--{option.replace('_', '-')} needs --server.")
    if arguments.with_predecessors and arguments.cell is None:
        raise InvalidInput("--with-predecessors needs --cell N.")
    if arguments.resume and arguments.cell is not None:
        raise InvalidInput("--resume and --cell exclude each other.")
    if arguments.resume and arguments.kernel is not None:
        raise InvalidInput("--resume keeps the kernel of the run before; leave --kernel out.")
    wanted = _wanted(arguments)
    if arguments.server is None:
        return _execute_here(arguments, wanted)
    from blackroad_nb.cli.following import execute_there

    return execute_there(arguments, wanted)


def _execute_here(arguments: argparse.Namespace, wanted: dict[str, Any]) -> int:
    from blackroad_nb.cli.early_kernel import begin
    from blackroad_nb.cli.signals import INTERRUPT, endings, noting

    with noting((INTERRUPT, *endings())) as noted:
        # It boots while the rest is imported.
        early = begin(arguments.notebook, arguments.db, arguments.kernel)
        try:
            from blackroad_nb.cli.local_run import execute_here

            return execute_here(arguments, wanted, early, noted)
        finally:
            if early is not None:
                early.discard()


def _wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a run request that were given; the rest keep their defaults."""
    wanted: dict[str, Any] = {
        "cell": arguments.cell,
        "timeout_seconds": arguments.timeout,
        "with_predecessors": arguments.with_predecessors,
        "resume": arguments.resume,
        "continue_on_error": arguments.continue_on_error,
        "keep_kernel": arguments.keep_kernel,
        "parameters": _parameters(arguments),
        "output": _absolute(arguments.output),
        "kernel": arguments.kernel,
    }
    return {name: value for name, value in wanted.items() if _is_given(value)}


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value != {}


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(os.path.expanduser(path))


def _parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    from blackroad_nb.core.parameters import value_of

    values: dict[str, Any] = {}
    if arguments.parameters_file:
        values.update(_read_object(arguments.parameters_file))
    values.update({name: value_of(text) for name, text in map(_pair, arguments.parameter)})
    values.update(map(_pair, arguments.parameter_raw))
    return values


def _pair(word: str) -> tuple[str, str]:
    from blackroad_nb.errors import InvalidInput

    name, separator, value = word.partition("=")
    if not separator:
        raise InvalidInput(f"the parameter {name!r} has no value; give NAME VALUE or NAME=VALUE.")
    return name, value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _read_object(file: str) -> dict[str, Any]:
    import json

    from blackroad_nb.errors import InvalidInput

    try:
        with open(file, encoding="utf-8") as opened:
            values = json.load(opened, parse_constant=_no_constant)
    except OSError as error:
        raise InvalidInput(f"{file!r} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file!r} is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise InvalidInput(f"{file!r} must hold one JSON object of names and values.")
    return values
