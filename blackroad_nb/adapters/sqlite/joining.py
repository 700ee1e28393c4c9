"""Joining those who work on a file, and leaving it in order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from blackroad_nb.adapters.sqlite.connection import connect
from blackroad_nb.adapters.sqlite.faults import told_plainly
from blackroad_nb.adapters.sqlite.opening import prepare
from blackroad_nb.adapters.sqlite.process import ProcessMark
from blackroad_nb.adapters.sqlite.turn import WriteTurn
from blackroad_nb.adapters.sqlite.writes import close_left_behind, close_own


@dataclass(frozen=True, slots=True)
class Membership:
    """What a store holds while it works on a file."""

    path: Path
    busy_seconds: float
    journal_mode: str
    mark: ProcessMark
    turn: WriteTurn


def join(path: Path, owner: str | None, busy_seconds: float) -> Membership:
    """Prepare the file, and finish what processes that are gone left unfinished."""
    path = path.absolute()
    mode = prepare(path, busy_seconds)
    with told_plainly(path):
        turn = WriteTurn(path, busy_seconds)
        mark = ProcessMark(path, owner)
        try:
            with closing(connect(path, "rw", busy_seconds)) as connection:
                close_left_behind(connection, path, turn)
        except BaseException:
            mark.release()
            turn.close()
            raise
    return Membership(path, busy_seconds, mode, mark, turn)


def leave(membership: Membership) -> None:
    """Finish one's own rows and let go. The last one out empties the log."""
    path, turn = membership.path, membership.turn
    try:
        with (
            told_plainly(path),
            turn.taken_now(),
            closing(connect(path, "rw", membership.busy_seconds)) as connection,
        ):
            close_own(connection, membership.mark.name)
    finally:
        membership.mark.release()
        turn.close()
