"""Changes that take several statements, as values that any connection can carry out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
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

LEFT_BEHIND = "The process that watched this execution ended before it did."
RUN_LEFT_BEHIND = "The process that carried out this run ended before it did."


@dataclass(frozen=True, slots=True)
class Write:
    """One statement and the rows it is carried out for."""

    sql: str
    values: list[rows.Values]


@dataclass(frozen=True, slots=True)
class Recording:
    """What recording a batch takes, in this order; `executions` counts what was new."""

    notebooks: tuple[Write, ...]
    words: Write
    executions: Write


def recording(executions: Sequence[Execution], process: str) -> Recording:
    """Plan one transaction for a batch, notebooks that are not registered included."""
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
    notebooks = statements("notebooks")
    registered = [_registration(path, at) for (path, key), at in found.items() if key is None]
    again = [
        {**_registration(path, at), "gone": key}
        for (path, key), at in found.items()
        if key is not None
    ]
    touched = [{"id": key, "at": at} for key, at in known.items()]
    values = [rows.execution_values(execution, process) for execution in executions]
    texts = (row[column] for row in values for column in ("source", "error") if row[column])
    return Recording(
        notebooks=(
            Write(notebooks["register"], registered),
            Write(notebooks["register_again"], again),
            Write(notebooks["touch"], touched),
        ),
        words=Write(statements("words")["learn"], [{"words": json.dumps(list(vocabulary(texts)))}]),
        executions=Write(statements("executions")["record"], values),
    )


def _registration(path: str, at: str) -> rows.Values:
    return {
        "id": str(uuid4()),
        "name": name_for(path),
        "path": path,
        "kernel": DEFAULT_KERNEL,
        "at": at,
    }


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
    plan = recording(killed, process)
    for write in (plan.words, plan.executions):
        connection.executemany(write.sql, write.values)
    values = {"process": process, "message": RUN_LEFT_BEHIND}
    connection.execute(statements("runs")["close_open"], values)
