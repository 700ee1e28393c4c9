"""How a run's cells reach the history, and how a run is read back from it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.outputs import encodable
from blackroad_nb.core.run import CellResult, Run
from blackroad_nb.errors import StoreBusy, StoreError
from blackroad_nb.ports import Store

BATCH = 200
GATHER_SECONDS = 0.05  # rows that come within this are written together
RETRY_SECONDS = (0.1, 0.5, 2.0)

log = logging.getLogger(__name__)


class RunHistory:
    """Writes executions in batches beside the run; a broken store never stops a cell.

    Attributes:
        lost: rows that could not be written; the artefact still has their outputs.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Execution] = []
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self.lost = 0
        self.fault: str | None = None

    def add(self, execution: Execution) -> None:
        """Take a row; it is written soon."""
        self._waiting.append(execution)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Return once everything taken is durable or given up."""
        self._hurry.set()
        while self._writer is not None and not (self._writer.done() and not self._waiting):
            await self._writer

    async def _write(self) -> None:
        while self._waiting:
            # A row each would cost a transaction each: a quarter of a small cell's time.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), GATHER_SECONDS)
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            for pause in (*RETRY_SECONDS, None):
                try:
                    await self._store.record(batch)
                    break
                except StoreError as error:
                    if pause is None or not isinstance(error, StoreBusy):
                        self.lost += len(batch)
                        self.fault = error.message
                        log.error("%d rows of a run were lost. %s", len(batch), error.message)  # noqa: TRY400
                        break
                    await asyncio.sleep(pause)


def storable(outputs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return the outputs and their JSON; what JSON cannot hold is replaced by a word on it."""
    try:
        return outputs, encodable(json.dumps(outputs, ensure_ascii=False))
    except (RecursionError, TypeError, ValueError) as error:
        text = f"[blackroad-nb] The outputs of this cell cannot be kept: {error}.\n"
        kept: list[dict[str, Any]] = [{"output_type": "stream", "name": "stderr", "text": text}]
        return kept, json.dumps(kept)


def bare(run: Run) -> Run:
    """Return the run without outputs: those are in the history already."""
    return replace(run, cells=tuple(replace(cell, outputs=()) for cell in run.cells))


async def completed(store: Store, run: Run) -> Run:
    """Give a stored run the outputs of its cells back, and cells it did not know of yet.

    A process that was killed leaves a run whose last cells are in the history alone.
    """
    cells = {cell.index: cell for cell in run.cells}
    async for execution in store.stream_history(HistoryQuery(run_id=run.id, limit=1000)):
        if execution.cell_index is not None:
            cells[execution.cell_index] = _result(execution, execution.cell_index)
    return replace(run, cells=tuple(cells[index] for index in sorted(cells)))


def _result(execution: Execution, index: int) -> CellResult:
    return CellResult(
        index=index,
        cell_id=execution.cell_id,
        status=execution.status,
        execution_id=execution.id,
        execution_count=execution.execution_count,
        duration_ms=execution.duration_ms,
        error=execution.error,
        outputs=_outputs(execution.output),
        started_at=execution.started_at,
    )


def _outputs(text: str | None) -> tuple[Mapping[str, Any], ...]:
    return tuple(json.loads(text)) if text else ()


def unfinished(cells: Sequence[CellResult]) -> tuple[CellResult, ...]:
    """Return the cells with `aborted` in place of what never came to an end."""
    return tuple(
        replace(cell, status=Status.ABORTED) if cell.status is Status.PENDING else cell
        for cell in cells
    )
