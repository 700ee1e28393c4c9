"""The sessions of a hub in one SQLite file: the hub writes a row a launch, others read.

Synchronous: a row takes less than a millisecond, which is less than handing it to a
thread. Nothing is opened before it is needed, and what was lost is opened again, so a
hub with a damaged file starts, says so, and goes on when the file is mended.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from blackroad_nb.adapters.sqlite.connection import Identity, connect, identity
from blackroad_nb.adapters.sqlite.faults import told_plainly
from blackroad_nb.adapters.sqlite.opening import Schema, check, migrations, prepare
from blackroad_nb.adapters.sqlite.rows import moment_text, optional_moment_text, text
from blackroad_nb.adapters.sqlite.statements import statements
from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.errors import SessionNotFound, StoreCorrupt, StoreError

SESSIONS = Schema(
    0x42525353,  # "BRSS" in the file's header
    "session_migrations",
    "choose another state folder",
)
_BUSY_SECONDS = 2.0  # the hub serves nobody while it waits


class SqliteServerLog:
    """`ports.ServerLog` on a file.

    Args:
        path: the database file; its folder is made when something is written.
        read_only: never write, not even to make the file; a missing file is empty.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, busy_seconds: float = _BUSY_SECONDS
    ) -> None:
        self.path = path.absolute()
        self._read_only = read_only
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._turn = threading.RLock()

    def put(self, record: ServerRecord) -> None:
        """Insert or replace; a single statement, so whole or not at all."""
        self._ask("put", _values(record))

    def get(self, server_id: str) -> ServerRecord:
        """Raises SessionNotFound."""
        found = self._ask("get", {"id": server_id})
        if not found:
            raise SessionNotFound(f"There is no session {server_id[:80]!r}.")
        return found[0]

    def last(self, user: str, server_name: str) -> ServerRecord | None:
        """The newest session of this server, whatever became of it."""
        found = self._ask("last", {"user": user, "server_name": server_name})
        return found[0] if found else None

    def list(
        self, user: str | None = None, ended: bool | None = None, limit: int = 50
    ) -> tuple[ServerRecord, ...]:
        """Newest first."""
        values = {"user": user, "ended": ended, "limit": max(limit, 0)}
        if ended is False:  # few among many, with an index of their own
            return self._ask("list_open", values)
        return self._ask("list" if user is None else "list_of_user", values)

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _ask(self, name: str, values: dict[str, Any]) -> tuple[ServerRecord, ...]:
        with self._turn, told_plainly(self.path, SESSIONS.elsewhere):
            connection = self._opened()
            if connection is None:
                return ()
            try:
                rows = connection.execute(statements("sessions")[name], values).fetchall()
            except sqlite3.DatabaseError as error:
                if not _passes(error):
                    self.close()
                raise
        try:
            return tuple(map(_record, rows))
        except (ValueError, TypeError) as error:
            raise StoreCorrupt(
                f"The database {str(self.path)!r} holds what no session is ({error}); restore a"
                " backup, or move the file away and a new one is made."
            ) from None

    def _opened(self) -> sqlite3.Connection | None:
        """Return a connection to the file that lies there now; None when there is none."""
        found = identity(self.path)
        if self._connection is not None and found is not None and found == self._identity:
            return self._connection
        self.close()
        if self._read_only:
            if found is None:
                return None
            self._connection = self._for_reading()
        else:
            mode = prepare(self.path, self._busy_seconds, SESSIONS)
            self._connection = connect(self.path, "rw", self._busy_seconds, any_thread=True)
            if mode == "wal":
                # A power failure ends the sessions too; what a kill leaves is whole.
                self._connection.execute("PRAGMA synchronous = NORMAL")
        self._identity = identity(self.path)
        return self._connection

    def _for_reading(self) -> sqlite3.Connection | None:
        connection = connect(self.path, "ro", self._busy_seconds, any_thread=True)
        try:
            version = check(connection, self.path, SESSIONS)
        except BaseException:
            connection.close()
            raise
        if version == 0:  # its writer is about to make the tables
            connection.close()
            return None
        if version < len(migrations(SESSIONS)):
            connection.close()
            raise StoreError(
                f"The database {str(self.path)!r} has the older schema {version}; start the hub"
                " of this version once, it brings it up to date."
            )
        return connection


def _passes(error: sqlite3.Error) -> bool:
    """Whether the connection stays good after this."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CONSTRAINT,
    )


def _values(record: ServerRecord) -> dict[str, Any]:
    return {
        **asdict(record),
        "state": record.state.value,
        "reason": text(record.reason),
        "message": text(record.message),
        "started_at": moment_text(record.started_at),
        "ready_at": optional_moment_text(record.ready_at),
        "ended_at": optional_moment_text(record.ended_at),
    }


def _record(row: tuple[Any, ...]) -> ServerRecord:
    moments = [None if text is None else datetime.fromisoformat(text) for text in row[6:9]]
    id_, user, server_name, profile, template, state = row[:6]
    started_at, ready_at, ended_at = moments
    assert started_at is not None
    reason, message, exit_code = row[9:]
    return ServerRecord(
        id=id_,
        user=user,
        server_name=server_name,
        profile=profile,
        template=template,
        state=ServerState(state),
        started_at=started_at,
        ready_at=ready_at,
        ended_at=ended_at,
        reason=reason,
        message=message,
        exit_code=exit_code,
    )
