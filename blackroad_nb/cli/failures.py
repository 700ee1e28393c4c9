"""From an exception to the one line and the exit code a user meets."""

from __future__ import annotations

import errno
import os
import traceback

from blackroad_nb import __version__
from blackroad_nb.errors import BlackRoadError

DEBUG_VARIABLE = "BLACKROAD_DEBUG"


class Failed(BlackRoadError):
    """The command did its work, and the work did not succeed.

    Args:
        exit_code: what the process exits with.
    """

    code = "failed"

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # this one differs by instance


def explain(error: Exception) -> tuple[str, int]:
    """Return one line for stderr and the exit code; never a traceback unless asked."""
    if os.environ.get(DEBUG_VARIABLE):
        return "".join(traceback.format_exception(error)).rstrip(), _exit_code(error)
    if isinstance(error, BlackRoadError):
        message = error.message
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        message = "no space is left where the output goes."
    elif isinstance(error, OSError) and error.strerror:
        place = f"{error.filename!r}: " if error.filename else ""
        message = f"{place}{error.strerror}."
    else:
        message = (
            f"unexpected {type(error).__name__}: {error} "
            f"(a fault of blackroad-nb {__version__}; report it with what "
            f"{DEBUG_VARIABLE}=1 shows)"
        )
    return one_line(message), _exit_code(error)


def one_line(message: str) -> str:
    """Return the message without line breaks and without what could steer a terminal."""
    text = " ".join(message.split())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
                   for character in text)  # fmt: skip


def _exit_code(error: Exception) -> int:
    return error.exit_code if isinstance(error, BlackRoadError) else 1
