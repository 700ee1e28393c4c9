"""Changes that take several statements, for whoever holds a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from posixpath import isabs
from uuid import uuid4

from blackroad_nb.adapters.sqlite import reads, rows
from blackroad_nb.adapters.sqlite.process import is_alive
from blackroad_nb.adapters.sqlite.statements import statements
from blackroad_nb.adapters.sqlite.turn import WriteTurn
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.notebook import DEFAULT_KERNEL, name_for
from blackroad_nb.core.search import vocabulary

LEFT_BEHIND = "The server or command that ran this cell ended before the cell did."
RUN_LEFT_BEHIND = "The server or command that carried out this run ended before the run did."
_MOST_ROWS = 64  # in one statement; older SQLite takes 32,766 values


@dataclass(frozen=True, slots=True)
class Recording:
    """A batch as the tables take it, worked out before anybody has to wait for the file.

    Attributes:
        words: those of its texts, for the vocabulary; JSON.
    """

    executions: Sequence[Execution]
    values: Sequence[rows.Values]
    words: str

    def store(self, connection: sqlite3.Connection) -> int:
        """Store the rows within an open transaction, and register their notebooks.

        Returns:
            How many rows were new, or finished one that was pending.
        """
        _register(connection, self.executions)
        connection.execute(statements("words")["learn"], {"words": self.words})
        stored, first = 0, 0
        while left := len(self.values) - first:
            count = min(1 << (left.bit_length() - 1), _MOST_ROWS)  # few texts, which stay prepared
            part = self.values[first : first + count]
            cursor = connection.execute(
                record_statement(tuple(part[0]), count),
                [value for row in part for value in row.values()],
            )
            stored += cursor.rowcount
            first += count
        return stored


def recording(executions: Sequence[Execution], process: str) -> Recording:
    """Work out what storing a batch takes; `process` names who writes."""
    values = [rows.execution_values(execution, process) for execution in executions]
    texts = (row[column] for row in values for column in ("source", "error") if row[column])
    return Recording(executions, values, json.dumps(list(vocabulary(texts))))


def _register(connection: sqlite3.Connection, executions: Sequence[Execution]) -> None:
    """Register notebooks that ran without it, and note when the others ran."""
    known: dict[str, str] = {}
    found: dict[tuple[str, str | None], str] = {}
    for execution in executions:
        at = rows.moment_text(execution.finished_at or execution.started_at)
        key = execution.notebook_id
        if key is not None:
            known[key] = max(at, known.get(key, at))
        if execution.path is not None and isabs(execution.path):
            place = rows.text(execution.path), key
            found[place] = max(at, found.get(place, at))
    sql = statements("notebooks")
    for (path, key), at in found.items():
        values = {
            "id": str(uuid4()),
            "name": name_for(path),
            "path": path,
            "kernel": DEFAULT_KERNEL,
            "at": at,
        }
        if key is None:
            connection.execute(sql["register"], values)
        else:
            connection.execute(sql["register_again"], {**values, "gone": key})
    for key, at in known.items():
        connection.execute(sql["touch"], {"id": key, "at": at})


@cache
def record_statement(columns: Sequence[str], count: int) -> str:
    """Return SQL that takes the values of `count` rows, each in the order of `columns`."""
    row = f"({', '.join('?' * len(columns))})"
    template = statements("executions")["record"]
    return template.format(columns=", ".join(columns), rows=", ".join([row] * count))


def close_left_behind(connection: sqlite3.Connection, path: Path, turn: WriteTurn) -> None:
    """Finish, as killed, the rows of processes that are gone.

    When such an execution ended is not known, so it gets no end and no duration.
    """
    names = connection.execute(statements("executions")["open_processes"]).fetchall()
    for (name,) in names:
        if not is_alive(name, path):
            with turn.taken_now():
                close_own(connection, name)


def close_own(connection: sqlite3.Connection, process: str) -> None:
    """Finish one process's rows as killed, in one transaction."""
    names = connection.execute(statements("executions")["open_processes"]).fetchall()
    if (process,) not in names:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _close_rows(connection, process)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _close_rows(connection: sqlite3.Connection, process: str) -> None:
    read = reads.open_executions(process)
    pending = read.all(connection.execute(read.sql, read.values).fetchall())
    killed = [replace(e, status=Status.KILLED, error=e.error or LEFT_BEHIND) for e in pending]
    recording(killed, process).store(connection)
    values = {"process": process, "message": RUN_LEFT_BEHIND}
    connection.execute(statements("runs")["close_open"], values)
