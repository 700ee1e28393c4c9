"""The registry at a glance: `list`, and where an id is, in the time that Python takes to start.

Only the plain case is done here, with sqlite3 and nothing else imported. Whatever
is not plain (no file, another schema, a fault) is left to `SqliteReader`, which
knows what to do and what to say.
"""

from __future__ import annotations

import os
import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

APPLICATION_ID = 0x42524E42
_HERE = os.path.dirname(__file__)
_BUSY_SECONDS = 1.0  # a reader waits only while a log is being recovered
_FROM_NEWEST = "9"  # in the cursor's terms
_RECORDS = """
SELECT json_object(
    'id', id, 'name', name, 'path', path, 'kernel', kernel, 'created_at', created_at,
    'updated_at', updated_at, 'cell_count', cell_count, 'metadata', json(metadata))
FROM ({rows})
ORDER BY updated_at DESC, id
"""


def notebook_records(path: str, limit: int | None) -> list[str] | None:
    """Return the records of the statement `list`, each as JSON; None is no plain case."""
    values = {
        "updated_at": _FROM_NEWEST,
        "id": "",
        "limit": -1 if limit is None else limit,
        "below": None,
        "beyond": None,
    }
    return _column(path, _RECORDS.format(rows=_statement()), values)


def notebook_path(path: str, notebook_id: str) -> str | None:
    """Return where a notebook's file is; None when that is not known so quickly."""
    found = _column(path, "SELECT path FROM notebooks WHERE id = :id", {"id": notebook_id})
    return found[0] if found else None


def _column(path: str, sql: str, values: dict[str, Any]) -> list[str] | None:
    if not (os.path.isfile(path) and os.access(path, os.W_OK)):
        return None
    try:
        connection = sqlite3.connect(
            f"file:{_quoted(path)}?mode=ro", uri=True, timeout=_BUSY_SECONDS
        )
        try:
            if not _is_plain(connection):
                return None
            return [value for (value,) in connection.execute(sql, values)]
        finally:
            connection.close()
    except (sqlite3.Error, OSError):
        return None


def _is_plain(connection: sqlite3.Connection) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    migrations = os.listdir(os.path.join(_HERE, "migrations"))
    current = sum(name.endswith(".sql") for name in migrations)
    return bool(application == APPLICATION_ID and version == current)


def _statement() -> str:
    with open(os.path.join(_HERE, "sql", "notebooks.sql"), encoding="utf-8") as file:
        _, _, after = file.read().partition("-- name: list\n")
    return after.partition("-- name:")[0]


def _quoted(path: str) -> str:
    """Quote what means something in a URI. Source: https://www.sqlite.org/uri.html"""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
