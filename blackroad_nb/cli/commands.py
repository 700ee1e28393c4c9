"""Which commands there are, and which one was asked for.

To add a command, add its row to `COMMANDS` and, in the module it names, a function
`add_<command>(parser)` that ends with `parser.set_defaults(run=...)`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "create": ("notebooks", "create a notebook, or adopt a file that is there"),
    "list": ("notebooks", "list the registered notebooks, newest update first"),
    "delete": ("notebooks", "forget a notebook and its history"),
    "execute": ("running", "run a notebook, or one cell of it"),
    "export": ("exporting", "write a notebook as html, script and other formats"),
    "history": ("history", "show what ran in a notebook, or delete old rows"),
    "search": ("history", "find executed code and errors by their words"),
    "kernels": ("kernels", "list the kernels that can be started here"),
    "kernels register": ("kernels", "add a kernel from its command line"),
    "kernels check": ("kernels", "start a kernel and run one cell on it"),
    "kernels unregister": ("kernels", "remove a kernel that was registered here"),
    "executions list": ("following", "list runs, newest first"),
    "executions watch": ("following", "follow a run on a notebook server"),
    "executions cancel": ("following", "cancel a run on a notebook server"),
    "sessions list": ("sessions", "list the sessions of a hub"),
    "sessions start": ("sessions", "start a session on a hub, and wait until it runs"),
    "sessions stop": ("sessions", "stop a session"),
    "sessions status": ("sessions", "show a session, and why it ended"),
    "up": ("up", "open a JupyterHub on this machine, for you alone"),
    "down": ("down", "stop the hub that `up` opened, and its sessions"),
}
GROUPS = ("kernels", "executions", "sessions")


def program() -> str:
    """Return the name the user typed: there are two for the same program."""
    called = os.path.basename(sys.argv[0] or "")
    return "jupyter blackroad" if called.startswith("jupyter-") else "blackroad-nb"


def find_command(words: Sequence[str]) -> tuple[str | None, list[str], str | None]:
    """Split the words into the command, its own words and `--db` from before it.

    No command is found when the user asked for help, the version or nothing.
    """
    rest, database = list(words), None
    while rest and rest[0].startswith("--db"):
        option, separator, value = rest.pop(0).partition("=")
        if option != "--db" or not (separator or rest):
            break
        database = value if separator else rest.pop(0)
    if not rest or rest[0].startswith("-"):
        return None, rest, database
    two = " ".join(rest[:2])
    if two in COMMANDS:
        return two, rest[2:], database
    if rest[0] in COMMANDS:
        return rest[0], rest[1:], database
    return None, rest, database
