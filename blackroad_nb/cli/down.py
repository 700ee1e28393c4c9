"""`down`: stop the hub that `up` started, and everything it started."""

from __future__ import annotations

import argparse

from blackroad_nb.adapters.process_files import end
from blackroad_nb.cli.arguments import add_examples
from blackroad_nb.cli.hub_process import STOP_SECONDS, counted, end_all, listed, session_count
from blackroad_nb.cli.printing import write
from blackroad_nb.cli.up import add_state
from blackroad_nb.hub.up_state import find_state

_UP_SECONDS = STOP_SECONDS + 30


def add_down(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Stop the hub that `up` started, its proxy and its sessions, and whatever is left of\n"
        "them. Files of the work folders, the history and the settings stay."
    )
    add_examples(parser, "%(prog)s", "%(prog)s --state ~/another-hub")
    add_state(parser)
    parser.set_defaults(run=down)


def down(arguments: argparse.Namespace) -> int:
    """Ask the `up` that watches to end; then end what is left."""
    state = find_state(arguments.state)
    if state is None:
        write(f"There has never been a hub in {arguments.state}.\n")
        return 0
    sessions = session_count(state)
    watched = end(state.up_claim, _UP_SECONDS)
    stopped = end_all(state)
    if watched and not stopped:
        stopped = ["the hub", "its proxy", *counted(sessions)]
    write(f"Stopped {listed(stopped)}.\n" if stopped else f"Nothing is running in {state.path}.\n")
    return 0
