"""Joining those who work on a file, and leaving it in order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from blackroad_nb.adapters.sqlite.connection import connect
from blackroad_nb.adapters.sqlite.faults import told_plainly
from blackroad_nb.adapters.sqlite.opening import prepare
from blackroad_nb.adapters.sqlite.process import ProcessMark, remove_stale
from blackroad_nb.adapters.sqlite.reading import open_to_read
from blackroad_nb.adapters.sqlite.turn import WriteTurn
from blackroad_nb.adapters.sqlite.writes import close_left_behind, close_own
from blackroad_nb.errors import StoreError, StoreFull, StoreReadOnly


@dataclass(frozen=True, slots=True)
class Membership:
    """What a store holds while it works on a file.

    Attributes:
        refusal: what writing is answered with, where the file can only be read.
    """

    path: Path
    busy_seconds: float
    journal_mode: str
    mark: ProcessMark | None
    turn: WriteTurn | None
    refusal: StoreError | None = None


def join(path: Path, owner: str | None, busy_seconds: float) -> Membership:
    """Prepare the file, and finish what processes that are gone left unfinished."""
    path = path.absolute()
    mode = prepare(path, busy_seconds)
    with told_plainly(path):
        turn = WriteTurn(path, busy_seconds)
        try:
            mark = ProcessMark(path, owner)
        except BaseException:
            turn.close()
            raise
        try:
            with closing(connect(path, "rw", busy_seconds)) as connection:
                close_left_behind(connection, path, turn)
            remove_stale(path)
        except BaseException:
            mark.release()
            turn.close()
            raise
    return Membership(path, busy_seconds, mode, mark, turn)


def join_to_read(path: Path, owner: str | None, busy_seconds: float) -> Membership:
    """Join as ever, or where nothing can be written, as one who only reads."""
    try:
        return join(path, owner, busy_seconds)
    except (StoreReadOnly, StoreFull) as error:
        path = path.absolute()
        with told_plainly(path), closing(open_to_read(path, busy_seconds)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        return Membership(path, busy_seconds, str(mode), None, None, error)


def leave(membership: Membership) -> None:
    """Finish one's own rows and let go. The last one out empties the log."""
    path, mark, turn = membership.path, membership.mark, membership.turn
    if mark is None or turn is None:
        return
    try:
        with (
            told_plainly(path),
            turn.taken_now(),
            closing(connect(path, "rw", membership.busy_seconds)) as connection,
        ):
            close_own(connection, mark.name)
    finally:
        mark.release()
        turn.close()
