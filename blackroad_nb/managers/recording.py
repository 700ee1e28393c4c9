"""Executions and runs on their way into the store: one writer, batches, a bounded queue.

The recorder of a server and headless runs share it. Nothing here can hold up a cell:
`put` only appends. When the store cannot be written the rows wait and are tried again;
when too many wait, the newest are refused, counted as lost and reported, because what
was accepted first is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blackroad_nb.core.execution import Execution
from blackroad_nb.core.run import Run
from blackroad_nb.errors import NotebookNotFound, StoreBusy, StoreError
from blackroad_nb.managers.renaming import Rename, move
from blackroad_nb.ports import Clock, Store

_log = logging.getLogger(__name__)
POURING = 4  # rows in one window that make the next window longer
_ROW_BYTES = 400  # what a row weighs beside its texts


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Bounds of the writer.

    Attributes:
        batch_rows, batch_bytes: what one transaction holds at most; a larger row goes alone.
        batch_seconds: how long a batch may gather.
        busy_seconds: the same while rows pour in; a transaction costs much, a row little.
        queue_rows, queue_bytes: what may wait; beyond it new rows are lost.
        retry_seconds: first pause after a failure; it doubles up to `retry_limit_seconds`.
        behind_seconds: a row that waits longer makes the state `behind`.
        close_seconds: how long `flush` and `close` may take.
    """

    batch_rows: int = 100
    batch_bytes: int = 8 * 1024 * 1024
    batch_seconds: float = 0.05
    busy_seconds: float = 0.4
    queue_rows: int = 20_000
    queue_bytes: int = 64 * 1024 * 1024
    retry_seconds: float = 0.2
    retry_limit_seconds: float = 5.0
    behind_seconds: float = 5.0
    close_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Missing:
    """What of a run is not in the store, and why.

    Attributes:
        executions: how many of its rows.
        run: whether the run's own row is not there as it ended.
        code: of the error that the store gave.
        reason: the error's sentence.
    """

    executions: int
    run: bool
    code: str
    reason: str


_Item = Execution | Run | Rename


class RecordWriter:
    """Writes executions and runs into a store, in the order they come.

    Args:
        store: where the rows go.
        clock: tells when something was written or went wrong.
        settings: bounds; the defaults suit one server.
    """

    def __init__(self, store: Store, clock: Clock, settings: WriterSettings | None = None) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings or WriterSettings()
        self._queue: deque[tuple[_Item, int, float]] = deque()
        self._bytes = 0
        self._window = self._settings.batch_seconds
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._hurry = asyncio.Event()
        self._progress = asyncio.Event()
        self._taken = 0  # items that were ever put into the queue
        self._left = 0  # items that ever left it
        self._lost_of: dict[str, set[str]] = {}  # run id -> ids of its rows that were lost
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._given_up = False
        self._flushing = 0
        self._written = 0
        self._lost = 0
        self._refused_logged_at: float | None = None
        self._failures = 0
        self._failure: StoreError | None = None
        self._last_error: str | None = None
        self._last_code = StoreError.code
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

    def put_run(self, run: Run) -> None:
        """Take one run without outputs; it is stored after the rows that were put before."""
        self._append(run, _ROW_BYTES * (1 + len(run.cells)))

    def write_now(self) -> None:
        """Let what was put gather no longer."""
        if self._queue:
            self._wake_after(0)

    def rename(self, old: str, new: str, folder: bool = False) -> None:
        """Let the registry follow a moved file or folder (absolute paths)."""
        self._append(Rename(old, new, folder), _ROW_BYTES)

    async def flush(self) -> bool:
        """Write all that was put so far; False when that took too long."""
        goal = self._taken
        self._flushing += 1
        self._wake.set()
        self._hurry.set()
        try:
            await asyncio.wait_for(self._reach(goal), self._settings.close_seconds)
        except TimeoutError:
            self._given_up = True
            return False
        finally:
            self._flushing -= 1
        return True

    async def _reach(self, goal: int) -> None:
        while self._left < goal:
            await self._progress.wait()

    async def settle(self, run_id: str) -> Missing | None:
        """Wait within the bound until a run is stored; say what is missing then, if anything is.

        What still waits is tried again all the same, as long as this process lives.
        """
        await self.flush()
        lost = self._lost_of.pop(run_id, set())
        missing = lost | {_ids(item)[1] for item, _, _ in self._queue if _ids(item)[0] == run_id}
        if not missing:
            return None
        code, reason = StoreBusy.code, "The database takes too long."
        if self._failure is not None or lost:
            code, reason = self._last_code, self._last_error or reason
        return Missing(len(missing - {run_id}), run_id in missing, code, reason)

    async def close(self) -> None:
        """Write what is left within the bound, then stop; the rest is lost and counted."""
        self._closed = True
        if self._task is None:
            return
        if not self._given_up:  # else nothing was written since a wait was in vain
            await self.flush()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        unwritten = len(self._queue)
        if unwritten:
            self._lost += unwritten
            self._queue.clear()
            _log.error("The history lost %d rows at shutdown: %s", unwritten, self._last_error)

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
            state, reason = "behind", "Rows come faster than the database takes them."
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

    def _append(self, item: _Item, size: int) -> None:
        settings, queue = self._settings, self._queue
        if (
            self._closed
            or len(queue) >= settings.queue_rows
            or self._bytes + size > settings.queue_bytes
        ):
            self._refuse(item)
            return
        queue.append((item, size, time.monotonic()))
        self._bytes += size
        self._taken += 1
        if len(queue) == 1:
            self._wake_after(self._window)
        elif len(queue) == settings.batch_rows:
            self._wake.set()

    def _wake_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)

    def _refuse(self, item: _Item) -> None:
        self._lose(item)
        now = time.monotonic()
        if self._refused_logged_at is None or now - self._refused_logged_at > 60:
            self._refused_logged_at = now
            _log.error(
                "The history queue is full (%d rows wait): %d rows lost so far. %s",
                len(self._queue),
                self._lost,
                self._last_error or "",
            )

    def _lose(self, item: _Item) -> None:
        self._lost += 1
        run_id, id_ = _ids(item)
        if run_id is not None:
            self._lost_of.setdefault(run_id, set()).add(id_)

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= self._queue.popleft()[1]
        self._left += count
        self._progress.set()
        self._progress = asyncio.Event()

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
                self._wake_after(self._window)

    async def _write_first(self) -> None:
        """Write the rows at the head of the queue, or wait a little after a failure."""
        head = self._queue[0][0]
        batch = self._batch()
        try:
            if isinstance(head, Rename):
                await move(self._store, head, self._clock)
            elif isinstance(head, Run):
                await self._store.put_run(head)
            else:
                await self._store.record(batch)
        except StoreError as error:
            await self._failed(error)
            return
        except NotebookNotFound as error:  # deleted with its runs while this one went on
            self._note(error.message, error.code)
            self._lose(head)
            self._drop(1)
            return
        except Exception as error:  # a row the store cannot take must not stop the others
            self._note(f"{type(error).__name__}: {error}")
            _log.exception("The store could not take a batch; its rows are tried singly.")
            if batch:
                await self._write_singly(batch)
            else:
                self._lose(head)
                self._drop(1)
            return
        self._succeeded(len(batch))
        self._drop(len(batch) or 1)

    def _batch(self) -> list[Execution]:
        """Return the executions at the head of the queue, as many as one transaction holds."""
        batch: list[Execution] = []
        room = self._settings.batch_bytes
        for item, size, _ in self._queue:
            room -= size
            full = len(batch) >= self._settings.batch_rows or (batch and room < 0)
            if full or not isinstance(item, Execution):
                break
            batch.append(item)
        return batch

    async def _write_singly(self, batch: Sequence[Execution]) -> None:
        for execution in batch:
            try:
                await self._store.record([execution])
            except StoreError as error:
                await self._failed(error)
                return
            except Exception as error:  # as above: count it, say it, go on
                self._lose(execution)
                self._note(f"{type(error).__name__}: {error}")
                _log.error("Execution %s cannot be stored: %s", execution.id, error)
            else:
                self._succeeded(1)
            self._drop(1)

    async def _failed(self, error: StoreError) -> None:
        if type(error) is not type(self._failure):
            _log.error("The history cannot be written, rows wait: %s", error)
        self._failure = error
        self._failures += 1
        self._note(error.message, error.code)
        pause = self._settings.retry_seconds
        if not self._flushing:  # else somebody waits
            pause *= 2 ** min(self._failures - 1, 10)
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                self._hurry.wait(), min(pause, self._settings.retry_limit_seconds)
            )

    def _succeeded(self, rows: int) -> None:
        self._written += rows
        self._last_written_at = self._clock()
        if self._failure is not None:
            _log.warning("The history is written again; %d rows waited.", len(self._queue))
        self._failure, self._failures, self._given_up = None, 0, False

    def _note(self, error: str, code: str = StoreError.code) -> None:
        self._last_error, self._last_code, self._last_error_at = error, code, self._clock()


def _ids(item: _Item) -> tuple[str | None, str]:
    """Return the run an item belongs to, and the item's own id."""
    if isinstance(item, Run):
        return item.id, item.id
    return (item.run_id, item.id) if isinstance(item, Execution) else (None, "")


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
