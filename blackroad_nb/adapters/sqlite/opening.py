"""Before anything else: is this file ours, whole, and of our schema?

Nothing here writes before the file has been recognised.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from blackroad_nb.adapters.sqlite.connection import BUSY_SECONDS, connect, log_size
from blackroad_nb.adapters.sqlite.faults import (
    ELSEWHERE,
    not_writable,
    primary_code,
    told_plainly,
)
from blackroad_nb.core.search import search_parts, vocabulary
from blackroad_nb.errors import StoreCorrupt, StoreError, StoreTooNew

APPLICATION_ID = 0x42524E42  # "BRNB" in the file's header
_MOUNTS = Path("/proc/self/mountinfo")
# Where shared memory between hosts cannot work, so neither can WAL.
# Source: https://www.sqlite.org/wal.html section 2, point 2.
_NETWORK = re.compile(r"nfs\d*|cifs|smb\d*|smbfs|afs|9p|ceph|lustre|glusterfs|gpfs|fuse\..*")
_OCTAL = re.compile(r"\\([0-7]{3})")  # how mountinfo writes a space
_RETRY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Schema:
    """One kind of database file of ours.

    Attributes:
        application_id: stands in the file's header and tells our kinds apart.
        folder: where its migrations lie, beside this module.
        elsewhere: how a person chooses another file, as the end of a sentence.
    """

    application_id: int
    folder: str
    elsewhere: str


NOTEBOOKS = Schema(APPLICATION_ID, "migrations", ELSEWHERE)


@cache
def migrations(schema: Schema = NOTEBOOKS) -> tuple[str, ...]:
    """Return the migrations in order; the first one makes schema 1."""
    folder = Path(__file__).parent / schema.folder
    return tuple(path.read_text("utf-8") for path in sorted(folder.glob("[0-9]*.sql")))


def prepare(path: Path, busy_seconds: float = BUSY_SECONDS, schema: Schema = NOTEBOOKS) -> str:
    """Make the file what this version needs, and return its journal mode.

    Raises:
        StoreTooNew: a later version wrote it.
        StoreCorrupt: it is damaged, or not a database.
        StoreReadOnly: it needs writing and cannot be written.
        StoreFull, StoreBusy, StoreError: as the words say.
    """
    with told_plainly(path, schema.elsewhere):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_file() and not os.access(path, os.W_OK):
            # SQLite would open it for reading, and put files of ours in its owner's way.
            raise not_writable(path, schema.elsewhere)
        connection = connect(path, "rwc", busy_seconds)
        try:
            if check(connection, path, schema) == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # new files only
            mode = _set_journal(connection, path, busy_seconds)
            if migrate(connection, path, schema):
                _make_shrinkable(connection)
        finally:
            connection.close()
    return mode


def check(connection: sqlite3.Connection, path: Path, schema: Schema = NOTEBOOKS) -> int:
    """Return the file's schema version; refuse what is not ours or not whole."""
    version = recognise(connection, path, schema)
    _check_length(connection, path)
    return version


def recognise(connection: sqlite3.Connection, path: Path, schema: Schema = NOTEBOOKS) -> int:
    """Return the schema version, 0 for a new file; refuse what is not ours or too new."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    ours = application == schema.application_id
    if not ours and (application or version or _has_tables(connection)):
        raise StoreError(f"{str(path)!r} is another program's database; {schema.elsewhere}.")
    if version > len(migrations(schema)):
        raise StoreTooNew(
            f"The database {str(path)!r} has schema {version}, this version knows up to"
            f" {len(migrations(schema))}; upgrade blackroad-nb, or {schema.elsewhere}."
        )
    return int(version)


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _check_length(connection: sqlite3.Connection, path: Path) -> None:
    """A file cut short is refused before anything is written into what is left."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    if log_size(path):
        return  # the missing pages may be in there
    if path.stat().st_size < pages * page_size:
        raise StoreCorrupt(
            f"The database {str(path)!r} was cut short; nothing was changed. Restore a backup,"
            " or move the file away and a new one is made."
        )


def _set_journal(connection: sqlite3.Connection, path: Path, busy_seconds: float) -> str:
    """Ask for WAL where it can work; SQLite answers with what it really uses.

    Changing the mode needs the file alone and does not wait for it, so we do.
    """
    mounts = _MOUNTS.read_text() if _MOUNTS.exists() else ""
    wanted = "truncate" if on_network(path.parent.resolve(), mounts) else "wal"
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return str(mode)


def on_network(folder: Path, mountinfo: str) -> bool:
    """Whether the folder lies on a file system shared between hosts.

    Args:
        mountinfo: the text of /proc/self/mountinfo.
    """
    best, kind = "", ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return bool(_NETWORK.fullmatch(kind))


def _make_shrinkable(connection: sqlite3.Connection) -> None:
    """Give the space that a migration left back, and let the file shrink from now on.

    SQLite can switch that on only by writing the whole file again. Where the disk has no
    room for a copy, the file stays as it is, and works.
    """
    (kind,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if kind == 0:
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")


def migrate(connection: sqlite3.Connection, path: Path, schema: Schema = NOTEBOOKS) -> bool:
    """Apply what is missing, in one transaction; returns whether there was anything."""
    if recognise(connection, path, schema) == len(migrations(schema)):
        return False
    # Source: https://www.sqlite.org/lang_altertable.html section 7, steps 1 and 12.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.create_function("search_parts", 2, search_parts)
    connection.create_function("vocabulary", 2, _vocabulary)
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = recognise(connection, path, schema)  # somebody else may have been faster
        for number, script in enumerate(migrations(schema)[done:], done + 1):
            for statement in split_statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {schema.application_id}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("PRAGMA foreign_keys = ON")
    return True


def _vocabulary(source: str, error: str | None) -> str:
    return json.dumps(list(vocabulary((source, error or ""))))


def split_statements(script: str) -> Iterator[str]:
    """Cut a script where statements end; triggers hold semicolons of their own."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(text):
            yield text
            text = ""
