"""A store that opens when it is first needed, and again after it could not be.

The extension must come up, record and say what is wrong also while the database cannot
be used. So the managers get this store: each call tries to open the real one until that
works, and raises the StoreError that says what to do until then.

Several servers may share one database. So this store also keeps to the server's own
folder: what belongs to files elsewhere is not listed, and is refused when asked for by id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from blackroad_nb.core.execution import Execution
from blackroad_nb.core.history import HistoryQuery, Page, is_below
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import Run
from blackroad_nb.core.usage import UsageQuery, UsageTotal
from blackroad_nb.errors import PathNotAllowed, StoreError
from blackroad_nb.ports import Store

log = logging.getLogger(__name__)


def _ignore(executions: Sequence[Execution]) -> None:
    """Nobody wants to know what was recorded."""


class OpeningStore:
    """`Store` over one that is still to be opened.

    Args:
        open: opens the real store, or raises StoreError and changes nothing.
        root: the server's root folder, with links followed.
        server: names this server, as in the rows that it records.

    Attributes:
        on_recorded: gets the rows of each batch once they are stored.
    """

    def __init__(
        self, open: Callable[[], Awaitable[Store]], root: str, server: Callable[[], str]
    ) -> None:
        self._open = open
        self._root = root
        self._server = server
        self.on_recorded: Callable[[Sequence[Execution]], None] = _ignore
        self._store: Store | None = None
        self._attempt: asyncio.Task[Store] | None = None
        self._closed = False

    async def opened(self) -> Store:
        """Return the real store; callers at the same time share one attempt.

        Raises:
            StoreError: it cannot be opened, or was closed.
        """
        if self._store is not None:
            return self._store
        if self._closed:
            raise StoreError("The server is stopping; its database is closed already.")
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._try())
        return await asyncio.shield(self._attempt)

    async def _try(self) -> Store:
        try:
            self._store = await self._open()
        except StoreError:
            raise
        except Exception as error:  # a fault of ours must be said in health, too
            log.exception("The database could not be opened.")
            raise StoreError(
                f"The database could not be opened ({type(error).__name__}: {error}); "
                "the server's log says more."
            ) from error
        finally:
            self._attempt = None
        return self._store

    @property
    def notice(self) -> str | None:
        return None if self._store is None else self._store.notice

    async def close(self) -> None:
        """Close the real store, also when it is just being opened."""
        self._closed = True
        if self._attempt is not None:
            await asyncio.wait({self._attempt})
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def check(self) -> None:
        await (await self.opened()).check()

    # notebooks -----------------------------------------------------------------
    async def add_notebook(self, notebook: Notebook) -> None:
        await (await self.opened()).add_notebook(notebook)

    async def get_notebook(self, notebook_id: str) -> Notebook:
        notebook = await (await self.opened()).get_notebook(notebook_id)
        self._check_below(notebook.path)
        return notebook

    async def find_notebook(self, path: str) -> Notebook | None:
        return await (await self.opened()).find_notebook(path)

    async def list_notebooks(
        self, limit: int | None = None, cursor: str | None = None, root: str | None = None
    ) -> Page[Notebook]:
        return await (await self.opened()).list_notebooks(limit, cursor, root or self._root)

    async def move_notebook(self, notebook_id: str, path: str, name: str, at: datetime) -> None:
        await (await self.opened()).move_notebook(notebook_id, path, name, at)

    async def note_notebook(
        self,
        notebook_id: str,
        path: str,
        *,
        kernel: str | None = None,
        cell_count: int | None = None,
        at: datetime | None = None,
    ) -> None:
        store = await self.opened()
        await store.note_notebook(notebook_id, path, kernel=kernel, cell_count=cell_count, at=at)

    async def delete_notebook(self, notebook_id: str) -> None:
        await self.get_notebook(notebook_id)
        await (await self.opened()).delete_notebook(notebook_id)

    async def check_idle(self, notebook_id: str) -> None:
        await (await self.opened()).check_idle(notebook_id)

    # executions ----------------------------------------------------------------
    async def record(self, executions: Sequence[Execution]) -> int:
        new = await (await self.opened()).record(executions)
        try:
            self.on_recorded(executions)
        except Exception:  # the rows are stored, and must not be counted as lost
            log.exception("What was recorded could not be told.")
        return new

    async def history(self, query: HistoryQuery, most_bytes: int | None = None) -> Page[Execution]:
        return await (await self.opened()).history(self._below(query), most_bytes)

    async def output(self, execution_id: str) -> str | None:
        return await (await self.opened()).output(execution_id)

    async def stream_history(self, query: HistoryQuery) -> AsyncIterator[Execution]:
        async for execution in (await self.opened()).stream_history(self._below(query)):
            yield execution

    async def delete_history(self, older_than: datetime, only: HistoryQuery) -> int:
        return await (await self.opened()).delete_history(older_than, self._below(only))

    async def usage(self, query: UsageQuery) -> tuple[UsageTotal, ...]:
        return await (await self.opened()).usage(replace(query, root=self._root))

    # runs ----------------------------------------------------------------------
    async def put_run(self, run: Run) -> None:
        await (await self.opened()).put_run(run)

    async def get_run(self, run_id: str) -> Run:
        run = await (await self.opened()).get_run(run_id)
        self._check_below(run.path)
        return run

    async def list_runs(
        self,
        notebook_id: str | None = None,
        limit: int = 50,
        cursor: int | None = None,
        root: str | None = None,
    ) -> Page[Run]:
        store = await self.opened()
        return await store.list_runs(notebook_id, limit, cursor, root or self._root)

    # kernels -------------------------------------------------------------------
    async def add_kernel(self, kernel: RegisteredKernel) -> None:
        await (await self.opened()).add_kernel(kernel)

    async def list_kernels(self) -> tuple[RegisteredKernel, ...]:
        return await (await self.opened()).list_kernels()

    async def delete_kernel(self, name: str) -> None:
        await (await self.opened()).delete_kernel(name)

    # the server's folder ---------------------------------------------------------
    def _below(self, query: HistoryQuery) -> HistoryQuery:
        return replace(query, root=self._root, server=self._server())

    def _check_below(self, path: str) -> None:
        if not is_below(path, self._root):
            raise PathNotAllowed(f"{path!r} lies outside the server's folder {self._root!r}.")
