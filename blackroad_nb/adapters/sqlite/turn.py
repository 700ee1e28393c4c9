"""Taking turns at writing, between the processes that share a database.

SQLite alone would do: it lets one write at a time. But whoever must wait sleeps in
steps of up to a tenth of a second while the others go on, so that one of four busy
processes stands still for a second. And before 3.51.3 two processes that commit and
empty the log in the same instant can, very rarely, damage the file
(https://www.sqlite.org/wal.html). Here whoever has had a turn lets those go first
who wait. Where there are no such locks, SQLite's own remain.
"""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO

from blackroad_nb.adapters.sqlite.process import folder_of
from blackroad_nb.errors import StoreBusy

_PAUSE = 0.0005  # seconds between two tries; a usual commit takes about as long
_LONGEST_PAUSE = 0.002
_COURTESY = 0.004  # for whoever had the last turn while others wait for theirs


class WriteTurn:
    """One store's place in the queue; in any thread, but one at a time."""

    def __init__(self, database: Path, busy_seconds: float) -> None:
        folder = folder_of(database)
        folder.mkdir(mode=0o700, exist_ok=True)
        self._database = database
        self._busy_seconds = busy_seconds
        self._turn = (folder / "turn").open("a")
        try:
            self._queue = (folder / "queue").open("a")  # shared by all who wait
        except BaseException:
            self._turn.close()
            raise
        self._had_it = False

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for the turn and hold it. Raises StoreBusy."""
        for pause in self._pauses():
            await asyncio.sleep(pause)
        try:
            yield
        finally:
            self._give_back()

    @contextmanager
    def taken_now(self) -> Iterator[None]:
        """The same for a thread that may sleep."""
        for pause in self._pauses():
            time.sleep(pause)
        try:
            yield
        finally:
            self._give_back()

    def close(self) -> None:
        self._turn.close()
        self._queue.close()

    def _pauses(self) -> Iterator[float]:
        """Yield how long to wait before the next try, until the turn is ours."""
        if self._had_it and not self._is_free(self._queue):
            yield _COURTESY
        self._had_it = _lock(self._turn, fcntl.LOCK_EX)
        if self._had_it:
            return
        pause, deadline = _PAUSE, time.monotonic() + self._busy_seconds
        _lock(self._queue, fcntl.LOCK_SH)
        try:
            while not self._had_it:
                if time.monotonic() > deadline:
                    raise StoreBusy(
                        f"The database {str(self._database)!r} is held by another process;"
                        " try again in a moment."
                    )
                yield pause
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._had_it = _lock(self._turn, fcntl.LOCK_EX)
        finally:
            _unlock(self._queue)

    def _is_free(self, file: IO[str]) -> bool:
        free = _lock(file, fcntl.LOCK_EX)
        if free:
            _unlock(file)
        return free

    def _give_back(self) -> None:
        _unlock(self._turn)


def _lock(file: IO[str], how: int) -> bool:
    """Whether the lock could be had; where there are no such locks, it always can."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _unlock(file: IO[str]) -> None:
    with suppress(OSError):  # there are no such locks here
        fcntl.flock(file, fcntl.LOCK_UN)
