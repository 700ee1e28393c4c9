"""What a run tells its watchers: numbered events, kept within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from blackroad_nb.core.execution import Status
from blackroad_nb.core.outputs import brief
from blackroad_nb.core.run import CellResult, Run, RunEvent

ERROR_CHARACTERS = 10_000  # of a cell's error
OUTPUT_CHARACTERS = 4_000  # what an event shows of one output
CELL_CHARACTERS = 40_000  # of its outputs shown when a cell finishes: the last ones
CELL_OUTPUTS = 1_000  # and at most so many
CELL_EVENTS = 40  # output events of one cell; the end of the cell shows the rest
BUDGET_CHARACTERS = 4_000_000  # for all outputs in the events of one run


class RunLog:
    """The events of one run, for any number of watchers at any time.

    Events are never taken back, so that a watcher may come late or come again; what
    is bounded is how much of the outputs they carry. The artefact has them whole.
    """

    def __init__(self) -> None:
        self._events: list[RunEvent] = []
        self._ended = False
        self._grown = asyncio.Event()
        self._left = BUDGET_CHARACTERS
        self._cell = -1
        self._cell_events = 0
        self._seen: list[tuple[int, int]] = []

    @property
    def last(self) -> int:
        """The number of the last event so far."""
        return len(self._events)

    def add(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append an event."""
        self._events.append(RunEvent(len(self._events) + 1, kind, data))
        self._grown.set()
        self._grown = asyncio.Event()

    def begin(self, run: Run, total: int) -> None:
        """Append the first event; `total` cells are to be run."""
        data = {
            "run_id": run.id,
            "notebook_id": run.notebook_id,
            "path": run.path,
            "artefact": run.artefact,
            "kernel": run.kernel,
            "kernel_id": run.kernel_id,
            "total": total,
            "message": run.message,
        }
        self.add("run_started", data)

    def end(self, run: Run) -> None:
        """Append the last event."""
        self._ended = True
        data = {
            "run_id": run.id,
            "status": run.status.value,
            "code": run.code,
            "artefact": run.artefact,
            "message": run.message,
        }
        self.add("run_finished", data)

    @property
    def is_full(self) -> bool:
        """Whether the events hold as much output as they may."""
        return self._left <= 0

    def replay(self, cell: CellResult) -> None:
        """Append the events of a cell that is over, as far as they can be known."""
        if cell.status is not Status.ABORTED:
            self.add("cell_started", {"index": cell.index, "cell_id": cell.cell_id})
            self.add_finished(cell)

    def add_finished(self, result: CellResult) -> None:
        """Tell how a cell ended."""
        shown, whole = self._shown(result.outputs)
        whole = whole and not (self.is_full and not result.outputs)
        data = {
            "index": result.index,
            "cell_id": result.cell_id,
            "status": result.status.value,
            "execution_id": result.execution_id,
            "execution_count": result.execution_count,
            "duration_ms": result.duration_ms,
            "error": None if result.error is None else result.error[:ERROR_CHARACTERS],
            "outputs": shown,
        }
        self.add("cell_finished", data if whole else {**data, "truncated": True})

    async def watch(self, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield the events after number `after`, then those to come, to the last."""
        place = max(after, 0)
        while True:
            grown = self._grown
            while place < len(self._events):
                yield self._events[place]
                place += 1
            if self._ended:
                return
            await grown.wait()

    def add_outputs(self, index: int, outputs: Sequence[Mapping[str, Any]]) -> None:
        """Tell what changed in the outputs of the running cell since the last call."""
        if index != self._cell:
            self._cell, self._cell_events, self._seen = index, 0, []
        if self._cell_events >= CELL_EVENTS:
            return  # the outputs may be very many, and are looked through at every call
        marks = [_mark(output) for output in outputs]
        before, self._seen = self._seen, marks
        if len(marks) < len(before):  # cleared
            before = []
            self._add_output(index, None, None, len(marks))
        for position, mark in enumerate(marks):
            if position >= len(before) or before[position] != mark:
                self._add_output(index, position, outputs[position], len(marks))

    def _shown(self, outputs: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """Return the last outputs, as far as they may be shown, and whether these are all."""
        shown: list[dict[str, Any]] = []
        room = CELL_CHARACTERS
        for output in reversed(outputs[-CELL_OUTPUTS:]):
            limit = room if output["output_type"] == "stream" else OUTPUT_CHARACTERS
            short = self._afford(output, limit) if room > 0 else None
            if short is None:
                break
            shown.append(short)
            room -= len(repr(short))
        return shown[::-1], len(shown) == len(outputs)

    def _add_output(
        self, index: int, position: int | None, output: Mapping[str, Any] | None, count: int
    ) -> None:
        if self._cell_events >= CELL_EVENTS:  # reached within one call
            return
        short = None if output is None else self._afford(output)
        if output is not None and short is None:
            return
        self._cell_events += 1
        data = {"index": index, "position": position, "count": count, "output": short}
        self.add("output", data)

    def _afford(
        self, output: Mapping[str, Any], limit: int = OUTPUT_CHARACTERS
    ) -> dict[str, Any] | None:
        if self._left <= 0:
            return None
        short = brief(output, limit)
        self._left -= len(repr(short))
        return short


def _mark(output: Mapping[str, Any]) -> tuple[int, int]:
    """Return what changes when an output does."""
    if output["output_type"] != "stream":
        return id(output.get("data")), 0
    text = output["text"]
    return (len(text), len(text[-1]) if text else 0) if isinstance(text, list) else (-1, len(text))
