"""The history: searched, streamed, given back as a notebook, and deleted on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

from blackroad_nb.core.execution import Execution
from blackroad_nb.core.history import EVERYTHING, HistoryQuery, Page, check_query
from blackroad_nb.core.notebook import DEFAULT_KERNEL
from blackroad_nb.core.rendering import history_cell, history_frame, history_script
from blackroad_nb.errors import InvalidInput
from blackroad_nb.ports import Store

LARGE = 64 * 1024  # characters; outputs beyond this are written by a thread
MOST_CELLS = 10_000  # in a notebook that is given back; no editor opens more


class HistoryManager:
    """Use cases of the history over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def search(self, query: HistoryQuery, most_bytes: int | None = None) -> Page[Execution]:
        """Return one page, newest recorded first; it ends early after about `most_bytes`.

        Raises:
            InvalidInput: a filter, the limit or the cursor is not acceptable.
        """
        return await self._store.history(check_query(query), most_bytes)

    async def stream(self, query: HistoryQuery) -> AsyncIterator[Execution]:
        """Yield every matching row, newest first, whatever the query's limit.

        Rows recorded meanwhile are not seen. Raises InvalidInput.
        """
        async for execution in self._store.stream_history(check_query(query)):
            yield execution

    async def as_notebook(self, query: HistoryQuery, most: int | None = None) -> AsyncIterator[str]:
        """Yield what ran as a notebook of format 4.5, oldest first, piece by piece.

        The outputs of one cell are held at a time: all together may not fit into memory.

        Args:
            most: only the newest so many; None for all that match.

        Raises:
            InvalidInput: a filter is not acceptable, or more than 10,000 rows match.
        """
        executions = await self._oldest_first(query, most)
        before, after = history_frame(await self._kernel(query.notebook_id))
        for execution in executions:
            # Outputs are kept of headless runs alone: nothing to ask for otherwise.
            output = await self._store.output(execution.id) if execution.run_id else None
            whole = replace(execution, output=output)
            large = output is not None and len(output) > LARGE
            cell = await asyncio.to_thread(history_cell, whole) if large else history_cell(whole)
            yield before + cell
            before = ",\n  "
        yield after if executions else before + after

    async def as_script(self, query: HistoryQuery, most: int | None = None) -> str:
        """Return what ran as one script, oldest first; see `as_notebook`."""
        return history_script(await self._oldest_first(query, most))

    async def delete(self, older_than: datetime, only: HistoryQuery = EVERYTHING) -> int:
        """Delete finished executions that started before; what they used stays counted.

        Args:
            only: delete only what these filters match; it must not page or search text.

        Returns:
            How many were deleted.

        Raises:
            InvalidInput: the time has no zone, or a filter is not acceptable.
            NotebookNotFound: no such notebook.
        """
        if older_than.tzinfo is None:
            raise InvalidInput("The time needs a zone, such as 2026-01-31T12:00:00Z.")
        if only.text is not None or only.cursor is not None:
            raise InvalidInput("What is deleted is chosen by filters, not by text or cursor.")
        if only.notebook_id is not None:
            await self._store.get_notebook(only.notebook_id)
        return await self._store.delete_history(older_than, check_query(only))

    async def _oldest_first(self, query: HistoryQuery, most: int | None) -> list[Execution]:
        found: list[Execution] = []
        async for execution in self.stream(replace(query, outputs=False)):
            found.append(execution)
            if most is not None and len(found) >= most:
                break
            if len(found) > MOST_CELLS:
                raise InvalidInput(
                    f"More than {MOST_CELLS} executions match; narrow the search, or take"
                    " them as JSON or CSV."
                )
        found.reverse()
        return found

    async def _kernel(self, notebook_id: str | None) -> str:
        if notebook_id is None:
            return DEFAULT_KERNEL
        return (await self._store.get_notebook(notebook_id)).kernel
