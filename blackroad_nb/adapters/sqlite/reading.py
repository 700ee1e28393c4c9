"""Opening a file to read it where it cannot be written: full disk, read-only folder, no right.

SQLite in WAL mode reads with the help of shared memory in a file beside the database,
which may not be there and may not be made. Source: https://www.sqlite.org/wal.html
section 5.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from blackroad_nb.adapters.sqlite.connection import (
    connect,
    connect_to_nothing,
    log_size,
)
from blackroad_nb.adapters.sqlite.faults import primary_code
from blackroad_nb.adapters.sqlite.opening import check, migrate, migrations, prepare

_NO_SHARED_MEMORY = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
)


def open_to_read(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open a file of any schema that was released; one that is not there holds nothing.

    A file of an older schema is migrated first, which is the only thing written.
    """
    if not path.exists() or _is_empty(path):
        connection = connect_to_nothing()
        migrate(connection, path)
        return connection
    connection, version = _recognised(path, busy_seconds)
    if version == len(migrations()):
        return connection
    connection.close()
    prepare(path, busy_seconds)
    return connect(path, "ro", busy_seconds)


def _is_empty(path: Path) -> bool:
    """Whether a database was only begun, on a disk that was full for one."""
    return path.is_file() and path.stat().st_size == 0 and not log_size(path)


def _recognised(path: Path, busy_seconds: float) -> tuple[sqlite3.Connection, int]:
    alone = not os.path.exists(f"{path}-shm") and not log_size(path)
    if alone and not os.access(path, os.W_OK):
        # A reader's own shared memory would lock out whoever may write the file.
        return _opened(path, "ro&immutable=1", busy_seconds)
    try:
        return _opened(path, "ro", busy_seconds)
    except sqlite3.OperationalError as error:
        if primary_code(error) not in _NO_SHARED_MEMORY or not path.is_file():
            raise
        if log_size(path):
            if primary_code(error) == sqlite3.SQLITE_READONLY or not os.access(path, os.W_OK):
                raise
            return _opened(path, "rw", busy_seconds, exclusive=True)
    # Where nothing is left in a log, nobody can be writing: the file alone is enough.
    return _opened(path, "ro&immutable=1", busy_seconds)


def _opened(
    path: Path, mode: str, busy_seconds: float, exclusive: bool = False
) -> tuple[sqlite3.Connection, int]:
    connection = connect(path, mode, busy_seconds, exclusive=exclusive)
    try:
        return connection, check(connection, path)
    except BaseException:
        connection.close()
        raise
