"""`ports.Store` on an SQLite file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from blackroad_nb.adapters.sqlite import reads, rows
from blackroad_nb.adapters.sqlite.connection import BUSY_SECONDS
from blackroad_nb.adapters.sqlite.database import Database
from blackroad_nb.adapters.sqlite.joining import Membership, join, join_to_read, leave
from blackroad_nb.adapters.sqlite.process import is_alive
from blackroad_nb.adapters.sqlite.reads import Read
from blackroad_nb.adapters.sqlite.statements import statements
from blackroad_nb.adapters.sqlite.writes import recording
from blackroad_nb.core.execution import Execution
from blackroad_nb.core.history import HistoryQuery, Page, check_limit
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import Run
from blackroad_nb.core.usage import UsageQuery, UsageTotal
from blackroad_nb.errors import (
    KernelExists,
    KernelNotFound,
    NotebookExists,
    NotebookNotFound,
    RunActive,
    RunNotFound,
    StoreError,
)

_STREAM_ROWS = 1000  # at most; large rows are bounded by their bytes
_STREAM_BYTES = 4 * 1024 * 1024
_LARGE_TEXT = 64 * 1024  # characters of a batch whose words are looked for in a thread
_SLICE = 500  # rows deleted in one transaction, so that others get their turn
_MERGE_PAGES = 500  # of the text index, written in one transaction
_FREED_PAGES = 1000  # given back to the disk in one transaction

_KEYS = (
    "SQLITE_CONSTRAINT_UNIQUE",
    "SQLITE_CONSTRAINT_PRIMARYKEY",
    "SQLITE_CONSTRAINT_FOREIGNKEY",
)


class SqliteStore:
    """The store of servers and long commands; open it with `SqliteStore.open`."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._process = membership.mark.name if membership.mark else ""
        self._path = membership.path
        self._database = Database(membership)
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        owner: str | None = None,
        busy_seconds: float = BUSY_SECONDS,
        reading: bool = False,
    ) -> SqliteStore:
        """Make or migrate the file, and finish what dead processes left unfinished.

        Args:
            owner: who opens it, for a person reading the lock file; the store names
                the process by itself.
            busy_seconds: how long to wait for other processes before StoreBusy.
            reading: open a file that cannot be written too; writing is refused then.

        Raises:
            StoreError: says what is wrong with the file and what to do.
        """
        joining = join_to_read if reading else join
        return cls(await asyncio.to_thread(joining, path, owner, busy_seconds))

    @property
    def journal_mode(self) -> str:
        """`wal`, or `truncate` where several hosts share the file system."""
        return self._database.journal_mode

    @property
    def notice(self) -> str | None:
        """What users should know of the file although it can be used."""
        return self._database.notice

    # notebooks -----------------------------------------------------------------
    async def add_notebook(self, notebook: Notebook) -> None:
        values = rows.notebook_values(notebook)

        def unit(connection: sqlite3.Connection) -> None:
            with _taken(_registered(notebook.path)):
                connection.execute(statements("notebooks")["insert"], values)

        await self._database.write(unit)

    async def get_notebook(self, notebook_id: str) -> Notebook:
        found = await self._database.read(reads.get_notebook(notebook_id))
        if not found:
            raise _no_notebook(notebook_id)
        return found[0]

    async def find_notebook(self, path: str) -> Notebook | None:
        found = await self._database.read(reads.find_notebook(path))
        return found[0] if found else None

    async def list_notebooks(
        self, limit: int | None = None, cursor: str | None = None, root: str | None = None
    ) -> Page[Notebook]:
        if limit is not None:
            check_limit(limit)
        found = await self._database.read(reads.list_notebooks(limit, cursor, root))
        return reads.notebook_page(found, limit)

    async def move_notebook(self, notebook_id: str, path: str, name: str, at: datetime) -> None:
        values = {
            "id": notebook_id,
            "path": rows.text(path),
            "name": rows.text(name),
            "at": rows.moment_text(at),
        }

        def unit(connection: sqlite3.Connection) -> None:
            with _taken(_registered(path)):
                if not _changed(connection, statements("notebooks")["move"], values):
                    raise _no_notebook(notebook_id)

        await self._database.write(unit)

    async def note_notebook(
        self,
        notebook_id: str,
        path: str,
        *,
        kernel: str | None = None,
        cell_count: int | None = None,
        at: datetime | None = None,
    ) -> None:
        values = {
            "id": notebook_id,
            "path": rows.text(path),
            "kernel": rows.optional_text(kernel),
            "cell_count": cell_count,
            "at": rows.optional_moment_text(at),
        }
        sql = statements("notebooks")["note"]
        await self._database.write(lambda connection: _changed(connection, sql, values))

    async def delete_notebook(self, notebook_id: str) -> None:
        await self.get_notebook(notebook_id)
        while found := await self._database.read(reads.rows_of_notebook(notebook_id, _SLICE)):
            await self._delete_rows(found)

        def unit(connection: sqlite3.Connection) -> None:
            sql = statements("notebooks")["delete"]
            if not _changed(connection, sql, {"id": notebook_id}):
                raise _no_notebook(notebook_id)

        await self._database.write(unit)
        await self._shrink()

    async def check_idle(self, notebook_id: str) -> None:
        for name in await self._database.read(reads.processes_running(notebook_id)):
            if name != self._process and await asyncio.to_thread(is_alive, name, self._path):
                raise RunActive(
                    "Another process runs this notebook; wait until it has ended, or cancel it"
                    " there."
                )

    # executions ----------------------------------------------------------------
    async def record(self, executions: Sequence[Execution]) -> int:
        if not executions:
            return 0
        if sum(len(e.source) + len(e.error or "") for e in executions) > _LARGE_TEXT:
            batch = await asyncio.to_thread(recording, executions, self._process)
        else:
            batch = recording(executions, self._process)
        return await self._database.write(batch.store)

    async def history(self, query: HistoryQuery, most_bytes: int | None = None) -> Page[Execution]:
        read = await self._search(query)
        if most_bytes is not None:
            found, more = await self._database.read_part(read, most_bytes)
            return reads.history_page(found, query.limit, more)
        return reads.history_page(await self._database.read(read), query.limit)

    async def _search(self, query: HistoryQuery, most: int | None = None) -> Read[Execution]:
        known = await self._database.read(reads.known_words(query)) if query.text else ()
        return reads.history(query, known, most)

    async def output(self, execution_id: str) -> str | None:
        found = await self._database.read(reads.output(execution_id))
        return found[0] if found else None

    async def stream_history(self, query: HistoryQuery) -> AsyncIterator[Execution]:
        # Page by page, so that a slow reader never holds the log from being emptied.
        while True:
            read = await self._search(query, most=_STREAM_ROWS)
            found, _ = await self._database.read_part(read, _STREAM_BYTES)
            if not found:
                return
            for execution in found:
                yield execution
            query = replace(query, cursor=found[-1].seq)

    async def delete_history(self, older_than: datetime, only: HistoryQuery) -> int:
        total, after = 0, 0
        while True:
            # Found by a reader: looking for rows must not keep other writers waiting.
            found = await self._database.read(reads.deletable(older_than, only, after, _SLICE))
            total += await self._delete_rows(found)
            if len(found) < _SLICE:
                break
            after = found[-1]
        if total:
            await self._merge("executions")
            await self._forget_words()
            await self._shrink()
        return total

    async def _merge(self, noun: str) -> None:
        """Take what was deleted out of a text index, which else keeps its words for long.

        Source: https://www.sqlite.org/fts5.html section 6.8 (merge).
        """
        sql, pages = statements(noun)["merge"], -_MERGE_PAGES  # negative once: whatever there is
        while await self._database.write(partial(_merged, sql=sql, pages=pages)) > 1:
            pages = _MERGE_PAGES

    async def _forget_words(self) -> None:
        """Delete the words that no row holds any more; quick in an index just merged."""
        after: int | None = 0
        while after is not None:
            after = await self._database.write(partial(_forgotten, after=after))
        await self._merge("words")

    async def _shrink(self) -> None:
        """Give free pages back to the disk, some at a time, so that others get their turn."""
        left, before = 0, -1
        while left != before:  # it stays where it is in a file that cannot shrink
            before, left = left, await self._database.write_through(_freed)

    async def _delete_rows(self, found: Sequence[int]) -> int:
        values = {"found": json.dumps(found)}
        sql = statements("executions")["delete"]
        return await self._database.write(lambda connection: _changed(connection, sql, values))

    async def usage(self, query: UsageQuery) -> tuple[UsageTotal, ...]:
        return await self._database.read(reads.usage(query))

    # runs ----------------------------------------------------------------------
    async def put_run(self, run: Run) -> None:
        values = rows.run_values(run, self._process)

        def unit(connection: sqlite3.Connection) -> None:
            with _taken(_no_notebook(run.notebook_id)):
                connection.execute(statements("runs")["put"], values)

        await self._database.write(unit)

    async def get_run(self, run_id: str) -> Run:
        found = await self._database.read(reads.get_run(run_id))
        if not found:
            raise RunNotFound(f"There is no run {run_id!r}.")
        return found[0]

    async def list_runs(
        self,
        notebook_id: str | None = None,
        limit: int = 50,
        cursor: int | None = None,
        root: str | None = None,
    ) -> Page[Run]:
        found = await self._database.read(reads.list_runs(notebook_id, limit, cursor, root))
        return reads.run_page(found, limit)

    # kernels -------------------------------------------------------------------
    async def add_kernel(self, kernel: RegisteredKernel) -> None:
        values = rows.kernel_values(kernel)

        def unit(connection: sqlite3.Connection) -> None:
            with _taken(KernelExists(f"A kernel {kernel.name!r} is registered already.")):
                connection.execute(statements("kernels")["insert"], values)

        await self._database.write(unit)

    async def list_kernels(self) -> tuple[RegisteredKernel, ...]:
        return await self._database.read(reads.list_kernels())

    async def delete_kernel(self, name: str) -> None:
        def unit(connection: sqlite3.Connection) -> None:
            if not _changed(connection, statements("kernels")["delete"], {"name": name}):
                raise KernelNotFound(f"No kernel {name!r} was registered here.")

        await self._database.write(unit)

    # life ----------------------------------------------------------------------
    async def check(self) -> None:
        await self._database.read(reads.list_notebooks(1, None))

        def unit(connection: sqlite3.Connection) -> None:
            # Writing the version again changes nothing and still takes a page to the disk.
            version = _single(connection, "PRAGMA user_version")
            connection.execute(f"PRAGMA user_version = {version:d}")

        await self._database.write(unit)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._database.close()
        # What cannot be finished now, the next one to open the file finishes.
        with contextlib.suppress(StoreError):
            await asyncio.to_thread(leave, self._membership)


@contextlib.contextmanager
def _taken(error: Exception) -> Iterator[None]:
    """Say what a key that is taken, or one that is missing, means here."""
    try:
        yield
    except sqlite3.IntegrityError as refused:
        if refused.sqlite_errorname not in _KEYS:
            raise
        raise error from None


def _changed(connection: sqlite3.Connection, sql: str, values: rows.Values) -> int:
    cursor = connection.execute(sql, values)
    return cursor.rowcount


def _merged(connection: sqlite3.Connection, sql: str, pages: int) -> int:
    """Merge some of a text index; a return below 2 says that nothing is left to do."""
    before = connection.total_changes
    connection.execute(sql, {"pages": pages})
    return connection.total_changes - before


def _forgotten(connection: sqlite3.Connection, after: int) -> int | None:
    """Go through some words behind `after`; returns the last one, None behind the end."""
    sql = statements("words")
    values = {"after": after, "most": _SLICE}
    (row,) = connection.execute(sql["slice_end"], values)
    if row[0] is not None:
        connection.execute(sql["forget"], {"after": after, "end": row[0]})
    return None if row[0] is None else int(row[0])


def _freed(connection: sqlite3.Connection) -> int:
    """Free some pages and return how many are left."""
    connection.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()
    return int(_single(connection, "PRAGMA freelist_count"))


def _single(connection: sqlite3.Connection, sql: str) -> Any:
    (row,) = connection.execute(sql)
    return row[0]


def _registered(path: str) -> NotebookExists:
    return NotebookExists(f"{path!r} is registered already; list the notebooks to see its id.")


def _no_notebook(notebook_id: str) -> NotebookNotFound:
    return NotebookNotFound(
        f"There is no notebook {notebook_id!r}; list the notebooks to see their ids."
    )
