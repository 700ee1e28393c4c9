"""How a connection is opened, and which file it has in hand."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from blackroad_nb.core.search import holds
from blackroad_nb.errors import StoreError

OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
BUSY_SECONDS = 30.0

Identity = tuple[int, int]


def connect(
    path: Path,
    mode: str,
    busy_seconds: float = BUSY_SECONDS,
    any_thread: bool = False,
    exclusive: bool = False,
) -> sqlite3.Connection:
    """Open `path` in autocommit, transactions being begun by hand.

    Args:
        mode: `rwc` may create the file, `rw` may not, `ro` only reads.
        busy_seconds: how long a statement waits for other processes.
        any_thread: the caller sees to it that one thread at a time uses it.
        exclusive: keep everybody else out, and so do without memory to share with them.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old; install Python with {needed} or later."
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        # SQLite would wait at a pipe for ever, and take /dev/null for a busy file.
        raise StoreError(
            f"{str(path)!r} is a device or a pipe, which holds no database; choose another file."
        )
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=busy_seconds,
        check_same_thread=not any_thread,
    )
    try:
        connection.create_function("holds", 3, holds)
        if exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA foreign_keys = ON")
        # A batch is acknowledged only when it would survive a power failure.
        connection.execute("PRAGMA synchronous = FULL")
        # Deleted text is overwritten where its page is written anyway. Pages that are
        # free as a whole go when the file is shrunk.
        connection.execute("PRAGMA secure_delete = FAST")
        if mode == "rw":
            # A batch of rows passes a temporary table: a full /tmp must not fail it.
            connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def identity(path: Path) -> Identity | None:
    """Return which file this is, or None when there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def connect_to_nothing() -> sqlite3.Connection:
    """Open an empty database in memory, for asking where there is no file yet."""
    return sqlite3.connect(":memory:", isolation_level=None)


def log_of(path: Path) -> Path:
    """Return where the write-ahead log of a database lies, if it has one."""
    return Path(f"{path}-wal")


def log_size(path: Path) -> int:
    """Return how many bytes wait in the write-ahead log beside the file."""
    try:
        return os.stat(log_of(path)).st_size
    except FileNotFoundError:
        return 0


def remove_log(path: Path) -> None:
    """Remove the log of a file that is gone, which would be played into another in its place.

    Source: https://www.sqlite.org/howtocorrupt.html section 1.4.
    """
    for left in (log_of(path), Path(f"{path}-shm")):
        left.unlink(missing_ok=True)
