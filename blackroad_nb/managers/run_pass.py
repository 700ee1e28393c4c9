"""One run from its kernel's start to its last event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from time import monotonic
from typing import Any

from blackroad_nb.core.document import check_serializable, kernel_name
from blackroad_nb.core.execution import Status
from blackroad_nb.core.plan import Step
from blackroad_nb.core.run import CellResult, Run, RunStatus
from blackroad_nb.errors import BlackRoadError, NotebookNotFound
from blackroad_nb.managers.artefact import Artefact
from blackroad_nb.managers.recording import Missing
from blackroad_nb.managers.run_history import bare, stored_output, unfinished
from blackroad_nb.managers.run_log import RunLog
from blackroad_nb.managers.run_work import Assignment, CellRecording, Surroundings
from blackroad_nb.ports import CellOutcome, RunningKernel

TICK_SECONDS = 0.1  # how often changed outputs are told to watchers
ARRIVAL_SECONDS = 0.5  # until a cell that was sent has surely reached its kernel
STORED_SECONDS = 5.0  # how often a run's progress goes to the store, at most

log = logging.getLogger(__name__)

_RUN_STATUS = {
    Status.ERROR: RunStatus.ERROR,
    Status.ABORTED: RunStatus.ERROR,
    Status.TIMEOUT: RunStatus.TIMEOUT,
    Status.KILLED: RunStatus.KILLED,
}


class RunPass:
    """Carries an assignment out. Whatever happens, `drive` ends the run and its log.

    Attributes:
        target: the file it was to write, wherever its artefact ends up.
        stored: whether the store knows the run, however it stood then.
        kept: whether the store has the run as it ended.
    """

    def __init__(self, work: Assignment, artefact: Artefact, around: Surroundings) -> None:
        self.log = RunLog()
        self.artefact = artefact
        self.target = artefact.path
        self._work = work
        self._around = around
        self._run = work.run
        self._kernel = work.kernel
        self._results = {cell.index: cell for cell in work.plan.carried}
        cells = work.document["cells"]
        for step in work.plan.steps:
            cell_id = cells[step.index].get("id")
            self._results[step.index] = CellResult(step.index, cell_id, Status.PENDING)
        self._cancelled = asyncio.Event()
        self._notes = list(work.plan.notes)
        self._faulty = False  # a step of its end failed
        self._running: int | None = None
        self._stored_at = 0.0
        self._storing: asyncio.Task[None] | None = None
        self.stored = False
        self.kept = False

    # from outside --------------------------------------------------------------------

    def snapshot(self) -> Run:
        """Return the run as it stands now."""
        cells = tuple(self._results[index] for index in sorted(self._results))
        return replace(
            self._run,
            cells=cells,
            artefact=str(self.artefact.path),
            message=" ".join(self._notes) or None,
        )

    @property
    def cell_count(self) -> int:
        """How many cells the artefact has."""
        return len(self._work.document["cells"])

    @property
    def named_kernel(self) -> str | None:
        """The kernel that the notebook itself names, whichever one it ran on."""
        return kernel_name(self._work.document)

    def cancel(self) -> None:
        """Ask the run to stop; what it has done is kept."""
        self._cancelled.set()

    # the pass ------------------------------------------------------------------------

    async def drive(self) -> Run:
        """Run all steps and return the finished run."""
        # Set before there is a kernel: a run that gets none has its place in time too.
        self._run = replace(self._run, started_at=self._around.clock())
        try:
            status = await self._attempt()
        except BlackRoadError as error:
            self._notes.insert(0, error.message)
            status = RunStatus.CANCELLED if self._cancelled.is_set() else RunStatus.ERROR
            if status is RunStatus.ERROR:
                self._run = replace(self._run, code=error.code)
        except asyncio.CancelledError:
            status = RunStatus.CANCELLED
        except Exception as error:
            log.exception("run %s failed by a fault of this program", self._run.id)
            self._notes.insert(0, f"The run stopped by an internal fault: {error!r}.")
            status = RunStatus.ERROR
        try:
            await self._finish(status)
        finally:
            if not self._run.status.final:  # this task was cancelled before the end was reached
                self._run = replace(self._run, status=RunStatus.CANCELLED)
            self.log.end(self.snapshot())
        return self.snapshot()

    async def _attempt(self) -> RunStatus:
        cancelling = asyncio.create_task(self._cancelled.wait())
        try:
            if self._kernel is None:
                self._kernel = await self._start(cancelling)
            if self._kernel is None:
                return RunStatus.CANCELLED
            return await self._run_steps(self._kernel, cancelling)
        finally:
            cancelling.cancel()
            if self._storing is not None:  # the row of the run's end takes its place
                self._storing.cancel()
                await asyncio.gather(self._storing, return_exceptions=True)

    async def _start(self, cancelling: asyncio.Task[Any]) -> RunningKernel | None:
        work = self._work
        starting = asyncio.create_task(
            self._around.kernels.start(work.run.kernel, work.folder, work.title, warm=True)
        )
        self._store_soon()
        try:
            await asyncio.wait({starting, cancelling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        return None if starting.cancelled() else starting.result()

    async def _run_steps(self, kernel: RunningKernel, cancelling: asyncio.Task[Any]) -> RunStatus:
        self._run = replace(self._run, status=RunStatus.RUNNING, kernel_id=kernel.kernel_id)
        self.log.begin(self.snapshot(), len(self._work.plan.steps))
        if self.named_kernel in (None, self._run.kernel):  # another kernel changes no metadata
            self.artefact.set_metadata({"language_info": dict(await kernel.language_info())})
        beside = [asyncio.create_task(self.artefact.write_on()), asyncio.create_task(self._tell())]
        status = RunStatus.SUCCESS
        try:
            for step in self._work.plan.steps:
                if self._cancelled.is_set():
                    return RunStatus.CANCELLED
                result = await self._run_step(kernel, step, cancelling)
                if _passed(step, result):
                    continue
                if status is RunStatus.SUCCESS:
                    status = _RUN_STATUS[result.status]
                if not await self._goes_on(kernel, result):
                    break
            return RunStatus.CANCELLED if self._cancelled.is_set() else status
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _goes_on(self, kernel: RunningKernel, result: CellResult) -> bool:
        if not self._work.request.continue_on_error or result.status is Status.KILLED:
            return False
        return result.status is not Status.TIMEOUT or await kernel.is_alive()

    async def _run_step(
        self, kernel: RunningKernel, step: Step, cancelling: asyncio.Task[Any]
    ) -> CellResult:
        cell = self._work.document["cells"][step.index]
        self._running = step.index
        self.log.add("cell_started", {"index": step.index, "cell_id": cell.get("id")})
        recording = CellRecording(self._work, self._around, kernel.kernel_id, step.index)
        sent = monotonic()
        limits = replace(self._around.limits, timeout_seconds=step.timeout_seconds)
        sending = asyncio.create_task(
            kernel.run_cell(cell, step.index, limits, recording.begin, self.artefact.change)
        )
        try:
            await asyncio.wait({sending, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                await self._stop(kernel, sending, fresh=monotonic() - sent < ARRIVAL_SECONDS)
        finally:
            self._running = None
            recording.close()
            if not sending.done():
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        outcome = recording.lost_outcome() if sending.cancelled() else sending.result()
        return await self._note_outcome(step.index, recording, outcome)

    async def _stop(
        self, kernel: RunningKernel, sending: asyncio.Task[CellOutcome], fresh: bool
    ) -> None:
        """Interrupt the cell; a fresh one twice, for the kernel may not have begun it yet."""
        await kernel.interrupt()
        if fresh:
            await asyncio.wait({sending}, timeout=ARRIVAL_SECONDS)
            if not sending.done():
                await kernel.interrupt()
        await asyncio.wait({sending}, timeout=self._around.limits.grace_seconds)

    async def _note_outcome(
        self, index: int, recording: CellRecording, outcome: CellOutcome
    ) -> CellResult:
        cell = self._work.document["cells"][index]
        kept, output = await stored_output(cell["outputs"])
        if kept is not cell["outputs"]:
            cell["outputs"] = kept
            self.artefact.change(index)
        recording.end(outcome, output)
        result = self._results[index] = CellResult(
            index=index,
            cell_id=cell.get("id"),
            status=outcome.status,
            execution_id=recording.id,
            execution_count=outcome.execution_count,
            duration_ms=outcome.duration_ms,
            error=outcome.error,
            outputs=tuple(kept),
            started_at=outcome.started_at,
        )
        self.log.add_finished(result)
        return result

    # the end -------------------------------------------------------------------------

    async def _finish(self, status: RunStatus) -> None:
        finished_at = self._around.clock()  # what is waited for below is not the run's time
        if status is RunStatus.CANCELLED:
            self._notes.append("The run was cancelled; what was done is kept.")
        await self._end_step("The widgets could not be kept", self._keep_widgets())
        # A kernel takes its time to end; nothing else waits for it.
        ending = asyncio.create_task(self._let_go())
        missing, _ = await asyncio.gather(
            self._around.writer.settle(self._run.id),
            self._end_step("The notebook could not be written", self.artefact.save(durable=True)),
        )
        self._note_faults()
        if status is RunStatus.SUCCESS and (self._faulty or self.artefact.fault is not None):
            status = RunStatus.ERROR  # what was asked for is not there
        self._results = {cell.index: cell for cell in unfinished(tuple(self._results.values()))}
        self._run = replace(self._run, status=status, finished_at=finished_at)
        if missing is not None:
            self._note_missing(missing)
        await self._keep(wait=missing is None)
        told = len(self._notes)
        await ending
        if len(self._notes) > told:  # what is to be said of the kernel came after the run was kept
            self._around.writer.put_run(bare(self.snapshot()))

    async def _keep(self, wait: bool) -> None:
        """Store the run as it ended. What cannot be stored now is tried again later."""
        self._around.writer.put_run(bare(self.snapshot()))
        missing = await self._around.writer.settle(self._run.id) if wait else None
        self.kept = wait and missing is None
        if missing is not None:
            self._note_missing(missing)

    def _note_missing(self, missing: Missing) -> None:
        count = missing.executions
        rows = "1 row was" if count == 1 else f"{count} rows were"
        what = rows if count else "The run itself was"
        # On a server they may come later, so that is what can be said for good.
        self._notes.append(f"{what} not in the history when the run ended: {missing.reason}")
        deleted = missing.code == NotebookNotFound.code  # on purpose, so nothing failed
        if self._run.status is RunStatus.SUCCESS and not deleted:
            self._run = replace(self._run, code=missing.code)

    async def _end_step(self, failed: str, step: Awaitable[None]) -> None:
        """Take one step of the end; a fault in it is noted, and the other steps follow."""
        try:
            await step
        except Exception as error:
            log.exception("run %s: %s", self._run.id, failed)
            self._faulty = True
            self._notes.append(f"{failed}: {_reason(error)}")

    async def _keep_widgets(self) -> None:
        widgets = None if self._kernel is None else self._kernel.widgets()
        if widgets is not None:
            await asyncio.to_thread(check_serializable, widgets)
            self.artefact.set_metadata({"widgets": widgets})

    async def _let_go(self) -> None:
        """Close the kernel, or leave it running for a resume when that was asked for."""
        kernel, keep = self._kernel, False
        if kernel is None:
            return
        try:
            try:
                keep = self._work.request.keep_kernel and await kernel.is_alive()
            finally:
                await kernel.close(shutdown=not keep)
        except Exception as error:  # the run itself is over and must be reported as it was
            log.exception("the kernel of run %s was not closed cleanly", self._run.id)
            self._notes.append(f"Its kernel was not closed cleanly: {_reason(error)}")

    def _note_faults(self) -> None:
        if self.artefact.displaced is not None:
            self._notes.append(
                f"{self.artefact.displaced} The run is kept in {str(self.artefact.path)!r}."
            )
        if self.artefact.fault is not None:
            self._notes.append(f"The notebook could not be written: {self.artefact.fault}")

    # telling ---------------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._running is not None:
                outputs = self._work.document["cells"][self._running]["outputs"]
                self.log.add_outputs(self._running, outputs)
            if asyncio.get_running_loop().time() - self._stored_at > STORED_SECONDS:
                self._store_soon()

    def _store_soon(self) -> None:
        """Begin to store how the run stands; a busy database keeps nothing else waiting."""
        if self._storing is None or self._storing.done():
            self._stored_at = asyncio.get_running_loop().time()
            self._storing = asyncio.create_task(self._store())

    async def _store(self) -> None:
        """Store how it stands, without its cells: those that ended are in the history."""
        try:
            await self._around.store.put_run(replace(self.snapshot(), cells=()))
            self.stored = True
        except Exception as error:  # a broken store stops no run; or it was deleted meanwhile
            log.error("run %s could not be stored. %s", self._run.id, _reason(error))  # noqa: TRY400


def _passed(step: Step, result: CellResult) -> bool:
    return result.status is Status.SUCCESS or (step.may_raise and result.status is Status.ERROR)


def _reason(error: Exception) -> str:
    """Say why; of what nobody foresaw, with its type."""
    return error.message if isinstance(error, BlackRoadError) else f"{error!r}."
