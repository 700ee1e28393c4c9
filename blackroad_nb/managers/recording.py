"""Executions on their way into the store: one writer, batches, a bounded queue.

Nothing here can hold up a cell: `put` only appends. When the store cannot be
written the rows wait and are tried again; when too many wait, the newest are
refused, counted as lost and reported, because what was accepted first is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from blackroad_nb.core.execution import Execution
from blackroad_nb.core.notebook import Notebook, name_for
from blackroad_nb.errors import NotebookExists, NotebookNotFound, StoreBusy, StoreError
from blackroad_nb.ports import Clock, Store

_log = logging.getLogger(__name__)
POURING = 4  # rows in one window that make the next window longer
_ROW_BYTES = 400  # what a row weighs beside its texts


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Bounds of the writer.

    Attributes:
        batch_rows: rows in one transaction at most.
        batch_seconds: how long a batch may gather.
        busy_seconds: the same while rows pour in; a transaction costs much, a row little.
        queue_rows, queue_bytes: what may wait; beyond it new rows are lost.
        retry_seconds: first pause after a failure; it doubles up to `retry_limit_seconds`.
        behind_seconds: a row that waits longer makes the state `behind`.
        close_seconds: how long `flush` and `close` may take.
    """

    batch_rows: int = 100
    batch_seconds: float = 0.05
    busy_seconds: float = 0.4
    queue_rows: int = 20_000
    queue_bytes: int = 64 * 1024 * 1024
    retry_seconds: float = 0.2
    retry_limit_seconds: float = 5.0
    behind_seconds: float = 5.0
    close_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class _Rename:
    """A notebook, or a folder of them, has moved; in order with the rows around it."""

    old: str
    new: str
    folder: bool


class RecordWriter:
    """Writes executions into a store, in the order they come.

    Args:
        store: where the rows go.
        clock: tells when something was written or went wrong.
        settings: bounds; the defaults suit one server.
    """

    def __init__(self, store: Store, clock: Clock, settings: WriterSettings | None = None) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings or WriterSettings()
        self._queue: deque[tuple[Execution | _Rename, int, float]] = deque()
        self._bytes = 0
        self._window = self._settings.batch_seconds
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._flushing = 0
        self._written = 0
        self._lost = 0
        self._refused_logged_at: float | None = None
        self._failures = 0
        self._failure: StoreError | None = None
        self._last_error: str | None = None
        self._last_error_at: datetime | None = None
        self._last_written_at: datetime | None = None

    async def start(self) -> None:
        """Begin to write; what was put before is written too."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="blackroad-record-writer")

    def put(self, execution: Execution) -> None:
        """Take one execution. Never raises, never waits; call it on the event loop."""
        size = _ROW_BYTES + len(execution.source) + len(execution.error or "")
        size += len(execution.output or "")
        self._append(execution, size)

    def rename(self, old: str, new: str, folder: bool = False) -> None:
        """Let the registry follow a moved file or folder (absolute paths)."""
        self._append(_Rename(old, new, folder), _ROW_BYTES)

    async def flush(self) -> bool:
        """Write all that was put so far; False when that took too long."""
        self._flushing += 1
        self._wake.set()
        try:
            await asyncio.wait_for(self._settled.wait(), self._settings.close_seconds)
        except TimeoutError:
            return False
        finally:
            self._flushing -= 1
        return True

    async def close(self) -> None:
        """Write what is left within the bound, then stop; the rest is lost and counted."""
        self._closed = True
        if self._task is None:
            return
        await self.flush()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        unwritten = len(self._queue)
        if unwritten:
            self._lost += unwritten
            self._queue.clear()
            _log.error(
                "The history lost %d executions at shutdown: %s", unwritten, self._last_error
            )

    def health(self) -> dict[str, Any]:
        """Say how the writer stands; JSON-ready.

        `state` is `ok`, `behind` (rows wait longer than they should) or `broken`
        (the store refuses them); `written` counts rows that are durable.
        """
        oldest = time.monotonic() - self._queue[0][2] if self._queue else 0.0
        state, reason = "ok", None
        if self._failure is not None:
            state = "behind" if isinstance(self._failure, StoreBusy) else "broken"
            reason = self._failure.message
        elif oldest > self._settings.behind_seconds:
            state, reason = "behind", "The database takes longer than rows keep coming."
        return {
            "state": state,
            "reason": reason,
            "queued": len(self._queue),
            "queued_bytes": self._bytes,
            "oldest_seconds": round(oldest, 3),
            "written": self._written,
            "lost": self._lost,
            "last_written_at": _iso(self._last_written_at),
            "last_error": self._last_error,
            "last_error_at": _iso(self._last_error_at),
        }

    # the queue -------------------------------------------------------------------

    def _append(self, item: Execution | _Rename, size: int) -> None:
        settings, queue = self._settings, self._queue
        if (
            self._closed
            or len(queue) >= settings.queue_rows
            or self._bytes + size > settings.queue_bytes
        ):
            self._refuse()
            return
        queue.append((item, size, time.monotonic()))
        self._bytes += size
        if len(queue) == 1:
            self._settled.clear()
            asyncio.get_running_loop().call_later(self._window, self._wake.set)
        elif len(queue) == settings.batch_rows:
            self._wake.set()

    def _refuse(self) -> None:
        self._lost += 1
        now = time.monotonic()
        if self._refused_logged_at is None or now - self._refused_logged_at > 60:
            self._refused_logged_at = now
            _log.error(
                "The history queue is full (%d rows wait): %d executions lost so far. %s",
                len(self._queue),
                self._lost,
                self._last_error or "",
            )

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= self._queue.popleft()[1]
        if not self._queue:
            self._settled.set()

    # the writer ------------------------------------------------------------------

    async def _run(self) -> None:
        settings = self._settings
        while True:
            await self._wake.wait()
            self._wake.clear()
            full = len(self._queue) >= POURING
            self._window = (
                min(self._window * 2, settings.busy_seconds) if full else settings.batch_seconds
            )
            while self._queue:
                await self._write_first()
                if len(self._queue) < settings.batch_rows and not self._flushing:
                    break
            if self._queue:
                asyncio.get_running_loop().call_later(self._window, self._wake.set)

    async def _write_first(self) -> None:
        """Write the rows at the head of the queue, or wait a little after a failure."""
        head = self._queue[0][0]
        batch: list[Execution] = []
        for item, _, _ in self._queue:
            if isinstance(item, _Rename) or len(batch) >= self._settings.batch_rows:
                break
            batch.append(item)
        try:
            if isinstance(head, _Rename):
                await self._move(head)
            else:
                await self._store.record(batch)
        except StoreError as error:
            await self._failed(error)
            return
        except Exception as error:  # a row the store cannot take must not stop the others
            self._note(f"{type(error).__name__}: {error}")
            _log.exception("The store could not take a batch; its rows are tried singly.")
            if batch:
                await self._write_singly(batch)
            else:
                self._drop(1)
            return
        self._succeeded(len(batch))
        self._drop(len(batch) or 1)

    async def _write_singly(self, batch: Sequence[Execution]) -> None:
        for execution in batch:
            try:
                await self._store.record([execution])
            except StoreError as error:
                await self._failed(error)
                return
            except Exception as error:  # as above: count it, say it, go on
                self._lost += 1
                self._note(f"{type(error).__name__}: {error}")
                _log.error("Execution %s cannot be stored: %s", execution.id, error)
            else:
                self._succeeded(1)
            self._drop(1)

    async def _move(self, rename: _Rename) -> None:
        for notebook in await self._moved(rename):
            suffix = notebook.path[len(rename.old) :]
            path = rename.new + suffix
            named_after_file = notebook.name == name_for(notebook.path)
            name = name_for(path) if named_after_file else notebook.name
            moved = replace(notebook, path=path, name=name, updated_at=self._clock())
            try:
                await self._store.update_notebook(moved)
            except (NotebookExists, NotebookNotFound) as error:
                _log.warning("The history of %r stays under its old path: %s", notebook.path, error)

    async def _moved(self, rename: _Rename) -> list[Notebook]:
        found = await self._store.find_notebook(rename.old)
        if found is not None or not rename.folder:
            return [found] if found is not None else []
        every = (await self._store.list_notebooks()).items
        return [notebook for notebook in every if notebook.path.startswith(rename.old + "/")]

    async def _failed(self, error: StoreError) -> None:
        if type(error) is not type(self._failure):
            _log.error("The history cannot be written, rows wait: %s", error)
        self._failure = error
        self._failures += 1
        self._note(error.message)
        pause = self._settings.retry_seconds * 2 ** min(self._failures - 1, 10)
        await asyncio.sleep(min(pause, self._settings.retry_limit_seconds))

    def _succeeded(self, rows: int) -> None:
        self._written += rows
        self._last_written_at = self._clock()
        if self._failure is not None:
            _log.warning("The history is written again; %d rows waited.", len(self._queue))
        self._failure, self._failures = None, 0

    def _note(self, error: str) -> None:
        self._last_error, self._last_error_at = error, self._clock()


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
