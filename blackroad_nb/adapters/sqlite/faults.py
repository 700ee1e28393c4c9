"""What SQLite and the file system say, said to a person in one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from blackroad_nb.adapters.sqlite.process import folder_of
from blackroad_nb.errors import (
    InvalidInput,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
)

ELSEWHERE = "choose another file with --db or NOTEBOOK_DB"
_ALMOST_NOTHING = 64 * 1024  # bytes; SQLite needs a few pages to do anything at all

_READ_ONLY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def primary_code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code. Source: https://www.sqlite.org/rescode.html"""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def store_error(
    error: sqlite3.Error | OSError, path: Path, elsewhere: str = ELSEWHERE
) -> StoreError:
    """Return the error of ours that fits one of SQLite's or of the file system's."""
    place = f"The database {str(path)!r}"
    if isinstance(error, OSError):
        return _file_error(error, path, elsewhere)
    if path.is_dir():
        return StoreError(f"{place} is a folder; {elsewhere}.")
    code = primary_code(error)
    if code in _BUSY:
        return StoreBusy(f"{place} is held by another process; try again in a moment.")
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _disk_is_full(path)):
        return StoreFull(
            f"{place} cannot grow: the disk is full. Free some space; nothing stored was lost."
        )
    if code in _READ_ONLY:
        return not_writable(path, elsewhere)
    if code in _CORRUPT:
        return StoreCorrupt(
            f"{place} is damaged or not a database ({error}); nothing was changed. Restore a"
            " backup, or move the file away and a new one is made."
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(path, elsewhere)
    return StoreError(f"{place} cannot be used: {error}.")


def not_writable(path: Path, elsewhere: str) -> StoreReadOnly:
    """Return the error of a file that may only be read."""
    return StoreReadOnly(
        f"The database {str(path)!r} cannot be written; change its permissions or {elsewhere}."
    )


def _file_error(error: OSError, path: Path, elsewhere: str) -> StoreError:
    place = f"The database {str(path)!r}"
    named = Path(os.fsdecode(error.filename)) if error.filename is not None else path
    if error.errno in (errno.EACCES, errno.EPERM) and named.parent == folder_of(path):
        return StoreReadOnly(
            f"{place} cannot be written: the folder {str(named.parent)!r} beside it belongs to"
            f" another user; give every user of the database the right to write there, or"
            f" {elsewhere}."
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreReadOnly(f"{place} cannot be written: {error.strerror}; {elsewhere}.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"{place} cannot be made: {error.strerror}. Free some space.")
    return StoreError(f"{place} cannot be used: {error.strerror}; {elsewhere}.")


def _cannot_open(path: Path, elsewhere: str) -> StoreError:
    place = f"The database {str(path)!r}"
    if _disk_is_full(path):
        return StoreFull(f"{place} cannot be opened: the disk is full. Free some space.")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return not_writable(path, elsewhere)
    return StoreError(f"{place} cannot be opened; {elsewhere}.")


def _disk_is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ALMOST_NOTHING


@contextlib.contextmanager
def told_plainly(path: Path, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Turn what SQLite raises inside the block into errors of ours."""
    try:
        yield
    except (sqlite3.DataError, OverflowError, UnicodeEncodeError) as error:
        raise InvalidInput(f"A value does not fit into the database: {error}.") from None
    except (sqlite3.Error, OSError) as error:
        raise store_error(error, path, elsewhere) from error
