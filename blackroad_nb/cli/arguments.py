"""The kinds of words that several commands take, read and checked in one place."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from datetime import datetime

_MOST = 2**63 - 1


def add_notebook(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Take the notebook a command is about, as `arguments.notebook`."""
    parser.add_argument(
        "notebook",
        metavar="ID",
        nargs="?" if optional else None,
        help="the notebook's id, or the path of its file",
    )


def add_server(parser: argparse._ActionsContainer, help: str) -> None:
    """Take `--server [URL]` and `--token`; `arguments.server` is "" without a URL."""
    parser.add_argument(
        "--server", metavar="URL", nargs="?", const="", type=server_address, help=help
    )
    parser.add_argument("--token", help="the server's token (else the one Jupyter wrote down)")


def whole_number(least: int = 0, most: int = _MOST) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise _wrong(f"{text[:40]!r} is not a whole number") from None
        if value < least:
            raise _wrong(f"{value} is too small; {least} is the least")
        if value > most:
            raise _wrong(f"{text[:40]} is too large; {most} is the most")
        return value

    return read


def seconds(text: str) -> float:
    """Read a number of seconds; 0 means no limit."""
    try:
        value = float(text)
    except ValueError:
        raise _wrong(f"{text[:40]!r} is not a number of seconds") from None
    if not 0 <= value <= 366 * 86_400:
        raise _wrong(f"{text[:40]} is not between 0 and 366 days")
    return value


def moment(text: str) -> datetime:
    """Read a time or an age, see `read_moment`."""
    from datetime import UTC, datetime

    from blackroad_nb.core.times import read_moment
    from blackroad_nb.errors import InvalidInput

    try:
        return read_moment(text, datetime.now(UTC))
    except InvalidInput as error:
        raise _wrong(error.message.rstrip(".")) from None


def server_address(text: str) -> str:
    """Read a server's address, with or without its token."""
    if text and not text.startswith(("http://", "https://")):
        raise _wrong(f"{text[:80]!r} is no address (http://...); a bare --server goes last")
    return text


def add_examples(parser: argparse.ArgumentParser, *examples: str) -> None:
    """Show the examples beneath the options; `%(prog)s` stands for the command."""
    parser.epilog = "\n".join(["examples:", *(f"  {example}" for example in examples)])


def _wrong(message: str) -> argparse.ArgumentTypeError:
    import argparse

    return argparse.ArgumentTypeError(message)
