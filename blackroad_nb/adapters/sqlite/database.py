"""One writer and a few readers on one file, for coroutines.

A shared connection is one shared transaction, so all writing goes through one
task. It takes whatever waits and commits it together: that is what makes single
rows from many coroutines as cheap as a batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import aiosqlite

from blackroad_nb.adapters.sqlite.connection import (
    Identity,
    connect,
    identity,
    log_of,
    remove_log,
)
from blackroad_nb.adapters.sqlite.faults import told_plainly
from blackroad_nb.adapters.sqlite.joining import Membership
from blackroad_nb.adapters.sqlite.opening import prepare
from blackroad_nb.adapters.sqlite.reading import open_to_read
from blackroad_nb.adapters.sqlite.reads import Read
from blackroad_nb.errors import StoreBusy, StoreError, StoreFull

log = logging.getLogger(__name__)

T = TypeVar("T")
Unit = Callable[[sqlite3.Connection], T]

_READERS = 3
_MOST_UNITS = 200  # in one transaction
_UNPREPARED = (-1, -1)  # no file's identity: the one that is there is still to be prepared


@dataclass(slots=True)
class _Waiting:
    unit: Unit[Any]
    done: asyncio.Future[Any]


class Database:
    """Connections to one prepared file, made again when the file or its disk was replaced."""

    def __init__(self, membership: Membership) -> None:
        self.path = path = membership.path
        self.journal_mode = membership.journal_mode
        self._busy_seconds = membership.busy_seconds
        self._turn = membership.turn
        self._refusal = membership.refusal
        self._identity: Identity | None = identity(path)
        self._log: Identity | None = None  # of the write-ahead log that our connections have
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._writer: aiosqlite.Connection | None = None
        self._idle: list[aiosqlite.Connection] = []
        self._reading = asyncio.Semaphore(_READERS)
        self._reopening = asyncio.Lock()
        self._generation = 0
        self._closing = False
        self._emptying = False
        self.notice: str | None = None  # what users should know although all works
        self._life = asyncio.create_task(self._live(), name="blackroad-store-writer")

    async def write(self, unit: Unit[T]) -> T:
        """Carry out `unit` within a transaction, in a thread; returns once it is durable."""
        if self._closing:
            raise StoreError("The database was closed.")
        if self._refusal is not None:
            raise self._refusal
        waiting = _Waiting(unit, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        done: T = await waiting.done
        return done

    async def write_through(self, unit: Unit[T]) -> T:
        """Carry out `unit`, then empty the log into the file as far as readers allow."""
        self._emptying = True
        return await self.write(unit)

    async def read(self, read: Read[T]) -> tuple[T, ...]:
        """Return all rows of a question."""
        with told_plainly(self.path):
            async with self._reader() as connection:
                return await _visit(connection, _all, read)

    async def read_part(self, read: Read[T], most_bytes: int) -> tuple[tuple[T, ...], bool]:
        """Return the first rows of a question, as many as about `most_bytes` hold.

        The second value tells whether more rows may follow.
        """
        with told_plainly(self.path):
            async with self._reader() as connection:
                return await _visit(connection, _part, read, most_bytes)

    async def close(self) -> None:
        """Finish what waits, then let go of the file. Can be repeated."""
        if not self._life.done():
            self._queue.put_nowait(None)
            await self._life

    async def _live(self) -> None:
        try:
            while (batch := await self._next_batch()) is not None:
                await self._commit(batch)
        finally:
            self._closing = True
            # aiosqlite's threads are not daemons: one left open would hang the exit.
            await self._let_go()
            while not self._queue.empty():
                late = self._queue.get_nowait()
                if late is not None:
                    _fail(late, StoreError("The database was closed."))

    async def _next_batch(self) -> list[_Waiting] | None:
        first = await self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _MOST_UNITS and not self._queue.empty():
            waiting = self._queue.get_nowait()
            if waiting is None:
                self._queue.put_nowait(None)  # close after this batch
                break
            batch.append(waiting)
        return [waiting for waiting in batch if not waiting.done.done()]

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            with told_plainly(self.path):
                results = await self._transaction([waiting.unit for waiting in batch])
        except asyncio.CancelledError:
            for waiting in batch:
                _fail(
                    waiting,
                    StoreError("The database was closed before this was known to be written."),
                )
            raise
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, StoreError):
                for waiting in batch:  # one of them was refused: find out which
                    await self._commit([waiting])
                return
            if isinstance(error, StoreError) and not isinstance(error, StoreBusy | StoreFull):
                await self._let_go()
            for waiting in batch:
                _fail(waiting, error)
        else:
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(result)

    async def _transaction(self, units: Sequence[Unit[Any]]) -> list[Any]:
        await self._follow_file()
        async with self._writing_turn():
            if self._writer is None:
                self._writer = await self._connect("rw")
            results = await _visit(self._writer, _in_transaction, units)
            if self._emptying:
                self._emptying = False
                await _visit(self._writer, _empty_log, self._busy_seconds)
            return results

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._reading:
            if self._closing:
                raise StoreError("The database was closed.")
            await self._follow_file()
            generation = self._generation
            connection = self._idle.pop() if self._idle else await self._connect("ro")
            usable = True
            try:
                yield connection
            except sqlite3.DatabaseError:
                usable = False
                raise
            finally:
                if usable and generation == self._generation and not self._closing:
                    self._idle.append(connection)
                else:
                    await connection.close()

    async def _follow_file(self) -> None:
        """Notice that the file was moved, deleted or restored, and open what is there now."""
        if identity(self.path) == self._identity or self._refusal is not None:
            return
        async with self._reopening:
            if identity(self.path) == self._identity:
                return
            left_behind = self._log is not None and identity(log_of(self.path)) == self._log
            await self._let_go()
            if left_behind:
                remove_log(self.path)
            if self._identity != _UNPREPARED:
                self._note_loss()
            # A new file may get the number of the one that we have just let go of.
            self._identity = _UNPREPARED
            self.journal_mode = await asyncio.to_thread(prepare, self.path, self._busy_seconds)
            self._identity = identity(self.path)

    def _note_loss(self) -> None:
        """Remember that the file was deleted, until it is put back."""
        self.notice = None
        if identity(self.path) is None:
            self.notice = (
                f"The database {str(self.path)!r} was deleted while it was in use, and a new one"
                " was made; what was recorded before is gone with it. Put a copy back, or"
                " start the server again to accept the new one."
            )
            log.error("%s", self.notice)

    def _writing_turn(self) -> AbstractAsyncContextManager[None]:
        assert self._turn is not None, "who only reads was let through to writing"
        return self._turn.taken()

    async def _connect(self, mode: str) -> aiosqlite.Connection:
        """Open a connection; whoever is cancelled meanwhile leaves none behind."""
        opened = partial(connect, self.path, mode, self._busy_seconds)
        if self._refusal is not None:
            opened = partial(open_to_read, self.path, self._busy_seconds)
        connection = aiosqlite.Connection(opened, iter_chunk_size=1)
        opening = asyncio.create_task(_opened(connection))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            with contextlib.suppress(sqlite3.Error, StoreError):
                await opening
                await connection.close()
            raise
        self._log = identity(log_of(self.path))
        return connection

    async def _let_go(self) -> None:
        self._generation += 1
        self._log = None  # once it is gone another file may get its number
        idle, self._idle = self._idle, []
        writer, self._writer = self._writer, None
        for connection in idle:
            with contextlib.suppress(sqlite3.Error):  # it is given up in any case
                await connection.close()
        if writer is not None:
            with contextlib.suppress(sqlite3.Error, StoreBusy):
                async with self._writing_turn():  # closing may empty the log
                    await writer.close()
            await writer.close()  # in its turn or not; a second time does nothing


async def _opened(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    return await connection


async def _visit(
    connection: aiosqlite.Connection, action: Callable[..., T], *arguments: object
) -> T:
    """Carry out an action as a whole in a connection's thread.

    The way there and back takes longer than most statements, so aiosqlite's own methods,
    which go there for each, would make a transaction of one row half as dear again.
    """
    return await connection._execute(action, connection._conn, *arguments)  # type: ignore[no-any-return, no-untyped-call]


def _all(connection: sqlite3.Connection, read: Read[T]) -> tuple[T, ...]:
    return read.all(connection.execute(read.sql, read.values).fetchall())


def _part(
    connection: sqlite3.Connection, read: Read[T], most_bytes: int
) -> tuple[tuple[T, ...], bool]:
    found: list[Any] = []
    size = 0
    with closing(connection.execute(read.sql, read.values)) as cursor:
        while size < most_bytes and (row := cursor.fetchone()) is not None:
            found.append(row)
            size += _size(row)
    return read.all(found), size >= most_bytes


def _in_transaction(connection: sqlite3.Connection, units: Sequence[Unit[Any]]) -> list[Any]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        results = [unit(connection) for unit in units]
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # SQLite may have rolled back by itself
            connection.execute("ROLLBACK")
    return results


def _empty_log(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Let the file take its size and cut the log, without waiting for readers."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError:
        pass  # a reader holds it; the next one who writes empties it
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")


def _size(row: Iterable[Any]) -> int:
    return sum(len(value) for value in row if isinstance(value, str))


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
