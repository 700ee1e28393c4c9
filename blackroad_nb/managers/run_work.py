"""What one run is to do, what all runs share, and the history rows of a run's cells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from blackroad_nb.core.document import Document
from blackroad_nb.core.execution import Execution, Status, execution_id
from blackroad_nb.core.outputs import encodable
from blackroad_nb.core.plan import Plan
from blackroad_nb.core.run import Run, RunRequest
from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.ports import CellLimits, CellOutcome, Clock, KernelRunner, RunningKernel, Store

PENDING_SECONDS = 1.0  # a cell that runs longer is recorded before it ends


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every run of a manager shares."""

    store: Store
    writer: RecordWriter
    kernels: KernelRunner
    clock: Clock
    limits: CellLimits
    server: str
    user_source: str | None
    on_request: Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What this run is to do.

    Attributes:
        folder: where the kernel works.
        title: how the kernel shows in lists, and its `JPY_SESSION_NAME`.
        kernel: a kept kernel to go on with, or None to start one.
    """

    run: Run
    request: RunRequest
    plan: Plan
    document: Document
    folder: Path
    title: str
    kernel: RunningKernel | None = None


class CellRecording:
    """The history row of one cell: `pending` when it takes long, then as it ended."""

    def __init__(
        self,
        work: Assignment,
        around: Surroundings,
        kernel_id: str,
        index: int,
    ) -> None:
        self.id = ""
        self._work = work
        self._around = around
        self._kernel_id = kernel_id
        self._index = index
        self._row: Execution | None = None
        self._begun = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, msg_id: str) -> None:
        """The request with this id is about to be sent."""
        self.id = execution_id(self._kernel_id, msg_id)
        self._around.on_request(self._kernel_id, msg_id)
        row = self._row = self._pending()
        loop = asyncio.get_running_loop()
        self._begun = loop.time()
        self._timer = loop.call_later(PENDING_SECONDS, self._around.writer.put, row)

    def close(self) -> None:
        """The cell has ended, or was never sent."""
        if self._timer is not None:
            self._timer.cancel()

    def end(self, outcome: CellOutcome, output: str) -> None:
        """Record how it ended; `output` is JSON."""
        assert self._row is not None
        self._around.writer.put(
            replace(
                self._row,
                status=outcome.status,
                started_at=outcome.started_at,
                finished_at=outcome.finished_at,
                duration_ms=outcome.duration_ms,
                execution_count=outcome.execution_count,
                output=output,
                error=None if outcome.error is None else encodable(outcome.error),
            )
        )

    def lost_outcome(self) -> CellOutcome:
        """Return the outcome of a cell that did not react when the run was cancelled."""
        assert self._row is not None
        spent = asyncio.get_running_loop().time() - self._begun
        return CellOutcome(
            status=Status.KILLED,
            msg_id="",
            started_at=self._row.started_at,
            finished_at=self._row.started_at + timedelta(seconds=spent),
            duration_ms=round(spent * 1000),
            error="RunCancelled: The cell did not react to an interrupt; its kernel was killed.",
        )

    def _pending(self) -> Execution:
        run, cell = self._work.run, self._work.document["cells"][self._index]
        return Execution(
            id=self.id,
            status=Status.PENDING,
            source=encodable(cell["source"]),
            started_at=self._around.clock(),
            notebook_id=run.notebook_id,
            path=run.path,
            cell_index=self._index,
            cell_id=cell.get("id"),
            origin="run",
            run_id=run.id,
            kernel_id=self._kernel_id,
            user=run.user,
            user_source=self._around.user_source,
            server=self._around.server,
        )
