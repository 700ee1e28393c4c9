"""The command line: `blackroad-nb` and `jupyter blackroad`.

Start-up is what a short command costs, so nothing is imported here that its one
command does not use, and only that command's parser is built.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended
SIGINT = 2  # `signal` costs a millisecond to import


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    Args:
        argv: the words after the program's name; None takes them from `sys.argv`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a narrow terminal shows an escape, not a crash
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        return _hush(BROKEN_PIPE)
    except KeyboardInterrupt as interruption:
        return _failed("interrupted", 128 + getattr(interruption, "number", SIGINT))
    except Exception as error:
        from blackroad_nb.cli.failures import explain

        return _failed(*explain(error))
    return code


def _run(words: list[str]) -> int:
    if words[:1] == ["singleuser"]:  # for spawners, so it is in no list of commands
        from blackroad_nb.cli.singleuser import serve

        return serve(words[1:])
    from blackroad_nb.cli.commands import find_command

    command, rest, database = find_command(words)
    if command is None:
        from blackroad_nb.cli.overview import answer

        return answer(rest)
    if command == "list" and not rest:  # the shortest of all: there is nothing to parse
        from blackroad_nb.cli.notebooks import print_registry

        return print_registry(database, None)
    from blackroad_nb.cli.parsing import parse

    arguments = parse(command, rest)
    if database is not None:
        if arguments.db is not None:
            from blackroad_nb.errors import InvalidInput

            raise InvalidInput("--db is given twice; give it once.")
        arguments.db = database
    return int(arguments.run(arguments))


def _failed(message: str, code: int) -> int:
    _hush(code)
    if sys.stderr is not None:
        line = f"blackroad-nb: {message}\n"
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except OSError:  # nobody listens there either; the exit code still tells
            return code
    return code


def _hush(code: int) -> int:
    """Show what was printed so far; what cannot be written must not fail again at exit."""
    if sys.stdout is None:
        return code
    try:
        sys.stdout.flush()
    except OSError:
        from blackroad_nb.cli.printing import drop_stdout

        drop_stdout()
    return code
