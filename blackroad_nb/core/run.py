"""A headless run: what was asked, how it stands, what it tells its watchers.

A run is one pass over a notebook's cells on one kernel. Each cell that it
sends to the kernel becomes one `Execution`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from blackroad_nb.core.execution import Status

DEFAULT_TIMEOUT_SECONDS = 60.0


class RunStatus(StrEnum):
    """How a run stands. The last five are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    KILLED = "killed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self not in (RunStatus.PENDING, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks of one run.

    Attributes:
        notebook_id: the registered notebook.
        cell: run this zero-based cell only; None runs all.
        with_predecessors: with `cell`, run every code cell before it too.
        timeout_seconds: the call's limit per cell; None leaves it to the cell's own
            metadata, else 60 s. Zero or less means no limit.
        parameters: values injected after the cell tagged `parameters`.
        resume: start at the first cell that did not succeed last time.
        continue_on_error: go on after a failed cell.
        keep_kernel: leave the kernel running, so that a resume finds its state.
        output: write the executed notebook here (absolute path); None writes in place.
        kernel: run on this kernel; None takes the one that the notebook names.
        user: who asked.
    """

    notebook_id: str
    cell: int | None = None
    with_predecessors: bool = False
    timeout_seconds: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resume: bool = False
    continue_on_error: bool = False
    keep_kernel: bool = False
    output: str | None = None
    kernel: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class CellResult:
    """How one cell of a run ended; `outputs` are nbformat output objects.

    Attributes:
        started_at: when it was sent to the kernel; None when it never was.
    """

    index: int
    cell_id: str | None
    status: Status
    execution_id: str | None = None
    execution_count: int | None = None
    duration_ms: int | None = None
    error: str | None = None
    outputs: tuple[Mapping[str, Any], ...] = ()
    started_at: datetime | None = None

    @property
    def started_at_ts(self) -> float | None:
        """`started_at` in seconds since 1970-01-01 UTC, as `time.time()` counts them."""
        return None if self.started_at is None else self.started_at.timestamp()


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the store and the API show it; iterating over it yields its cells.

    Attributes:
        code: of the error that no cell is to blame for: the run got no kernel, say, or all
            cells succeeded but rows are missing in the history. None when there is none.
        seq: its place among the stored ones, which grows; None while it is not stored.
    """

    id: str
    notebook_id: str
    status: RunStatus
    requested: Mapping[str, Any]
    path: str
    kernel: str
    user: str | None = None
    kernel_id: str | None = None
    artefact: str | None = None
    cells: tuple[CellResult, ...] = ()
    message: str | None = None
    code: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    owner: str | None = None
    seq: int | None = field(default=None, compare=False)

    def __iter__(self) -> Iterator[CellResult]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def __bool__(self) -> bool:
        """A run without cells is a run all the same."""
        return True


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One line of a run's progress, numbered from 1 without gaps.

    `kind` is one of `run_started, cell_started, output, cell_finished,
    run_finished`; `data` is JSON-ready.
    """

    number: int
    kind: str
    data: Mapping[str, Any]
