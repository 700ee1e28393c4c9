"""An event loop on a thread of its own, with the parts of one process in it.

An aiosqlite connection has a thread that is no daemon: unclosed, it keeps the
interpreter from ending. So whatever is open is closed before threads are joined.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread  # first: its hook at exit must run after ours
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from blackroad_nb.errors import InvalidInput
from blackroad_nb.local import LocalParts, open_parts

T = TypeVar("T")

_CANCEL_SECONDS = 30.0  # a cell gets its grace and its kernel is stopped in less


class Background:
    """Starts the loop at the first call, and again in a forked child.

    Args:
        db: the database file, or None for the default.
        roots: the allowed folders, or None for the default.
    """

    def __init__(self, db: str | None, roots: Sequence[Path] | None) -> None:
        self._open = lambda: open_parts(db, roots)
        self._lock = threading.Lock()
        self._host: _Host | None = None
        self._inherited: list[_Host | None] = []
        self._pid = os.getpid()
        self._closed = False

    def call(self, work: Callable[[LocalParts], Awaitable[T]]) -> T:
        """Await the work in the loop and return what it does.

        Raises:
            InvalidInput: it was closed.
        """
        return self._started().call(work)

    def close(self) -> None:
        """End the loop; a second time does nothing."""
        self._notice_fork()
        with self._lock:
            self._closed = True
            host, self._host = self._host, None
        if host is not None:
            host.close()

    def _started(self) -> _Host:
        self._notice_fork()
        with self._lock:
            if self._closed:
                raise InvalidInput("This JupyterService is closed; make a new one.")
            if self._host is None:
                host = _Host(self._open)
                weakref.finalize(self, host.close).atexit = False
                self._host = host
            return self._host

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            # Threads do not survive a fork, and a lock may be held by one of them. The
            # parent's connections stay referenced: closing them here would not be ours.
            self._inherited.append(self._host)
            self._host, self._lock, self._pid = None, threading.Lock(), os.getpid()


class _Host:
    """A running loop with opened parts."""

    def __init__(self, open: Callable[[], Awaitable[LocalParts]]) -> None:
        self._pid = os.getpid()
        self._ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parts: LocalParts | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(
            target=self._run, args=(open,), name="blackroad-nb", daemon=True
        )
        self._thread.start()
        self._ready.result()
        _open_hosts.add(self)

    def call(self, work: Callable[[LocalParts], Awaitable[T]]) -> T:
        assert self._loop is not None
        parts, ended = self._parts, threading.Event()
        assert parts is not None

        async def guarded() -> T:
            try:
                return await work(parts)
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(guarded(), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            ended.wait(_CANCEL_SECONDS)
            raise

    def close(self) -> None:
        if self._pid != os.getpid() or self._loop is None or self._stop is None:
            return
        _open_hosts.discard(self)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            if threading.current_thread() is not self._thread:
                self._thread.join()

    def _run(self, open: Callable[[], Awaitable[LocalParts]]) -> None:
        """Do as `asyncio.run` does, which ends by starting a thread: 3.12 refuses one at exit."""
        loop = asyncio.new_event_loop()
        workers = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="blackroad-nb")
        loop.set_default_executor(workers)
        try:
            loop.run_until_complete(self._live(open))
            loop.run_until_complete(_cancel_rest())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            workers.shutdown()
            loop.close()

    async def _live(self, open: Callable[[], Awaitable[LocalParts]]) -> None:
        try:
            self._parts = await open()
        except BaseException as error:
            self._ready.set_exception(error)
            return
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set_result(None)
        try:
            await self._stop.wait()
        finally:
            await self._parts.close()


async def _cancel_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


_open_hosts: weakref.WeakSet[_Host] = weakref.WeakSet()


def _close_all() -> None:
    for host in list(_open_hosts):
        host.close()


# `atexit` comes too late: by then the interpreter waits for aiosqlite's threads.
threading._register_atexit(_close_all)  # type: ignore[attr-defined]
