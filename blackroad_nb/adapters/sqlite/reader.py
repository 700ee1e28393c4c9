"""Reading without asyncio, for commands whose whole cost is starting up."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from blackroad_nb.adapters.sqlite import reads
from blackroad_nb.adapters.sqlite.connection import BUSY_SECONDS
from blackroad_nb.adapters.sqlite.faults import told_plainly
from blackroad_nb.adapters.sqlite.reading import open_to_read
from blackroad_nb.adapters.sqlite.statements import statements
from blackroad_nb.core.execution import Execution
from blackroad_nb.core.history import HistoryQuery, Page, check_query
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.errors import NotebookNotFound, StoreError

T = TypeVar("T")


class SqliteReader:
    """The store's questions, answered at once; a file that does not exist holds nothing.

    A file of an older schema is migrated first, which is the only thing written.

    Args:
        busy_seconds: how long to wait for other processes before StoreBusy.

    Raises:
        StoreError: says what is wrong with the file and what to do.
    """

    def __init__(self, path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path.absolute()
        self._busy_seconds = busy_seconds
        with told_plainly(self._path):
            self._connection = open_to_read(self._path, busy_seconds)

    def __enter__(self) -> SqliteReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def get_notebook(self, notebook_id: str) -> Notebook:
        """Raises NotebookNotFound."""
        found = self._read(reads.get_notebook(notebook_id))
        if not found:
            raise NotebookNotFound(
                f"There is no notebook {notebook_id!r}; list the notebooks to see their ids."
            )
        return found[0]

    def find_notebook(self, path: str) -> Notebook | None:
        found = self._read(reads.find_notebook(path))
        return found[0] if found else None

    def list_notebooks(self, limit: int | None = None, cursor: str | None = None) -> Page[Notebook]:
        """Newest update first; no limit means all of them."""
        return reads.notebook_page(self._read(reads.list_notebooks(limit, cursor)), limit)

    def history(self, query: HistoryQuery) -> Page[Execution]:
        """One page, newest recorded first."""
        check_query(query)
        self._finish_left_behind()
        known = self._read(reads.known_words(query))
        return reads.history_page(self._read(reads.history(query, known)), query.limit)

    def _finish_left_behind(self) -> None:
        """Close the rows of processes that are gone, as any writer does when it opens the file.

        Where the file cannot be written they stay as they are.
        """
        with told_plainly(self._path):
            found = self._connection.execute(statements("executions")["open_processes"]).fetchall()
        if not found:
            return
        from blackroad_nb.adapters.sqlite.joining import join, leave
        from blackroad_nb.adapters.sqlite.process import is_alive

        if all(is_alive(name, self._path) for (name,) in found):
            return
        with contextlib.suppress(StoreError):
            leave(join(self._path, None, self._busy_seconds))

    def list_kernels(self) -> tuple[RegisteredKernel, ...]:
        return self._read(reads.list_kernels())

    def _read(self, read: reads.Read[T]) -> tuple[T, ...]:
        with told_plainly(self._path):
            found = self._connection.execute(read.sql, read.values).fetchall()
        return read.all(found)
