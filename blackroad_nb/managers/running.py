"""Headless runs: started, watched, cancelled, and found again."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from blackroad_nb.core.document import kernel_name
from blackroad_nb.core.history import Page
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.parameters import as_json
from blackroad_nb.core.plan import check_request
from blackroad_nb.core.run import CellResult, Run, RunEvent, RunRequest, RunStatus
from blackroad_nb.errors import NotebookNotFound, RunActive, RunNotFound, StoreError
from blackroad_nb.managers.artefact import Artefact
from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.managers.run_history import bare, completed, with_outputs
from blackroad_nb.managers.run_log import RunLog
from blackroad_nb.managers.run_pass import RunPass
from blackroad_nb.managers.run_preparation import MARK, Preparation, inherited
from blackroad_nb.managers.run_work import Assignment, Surroundings
from blackroad_nb.ports import (
    CellLimits,
    Clock,
    KernelRunner,
    NotebookFiles,
    RunningKernel,
    Store,
)

log = logging.getLogger(__name__)

REMEMBERED = 32  # finished runs whose events can still be watched as they came


def _ignore(kernel_id: str, msg_id: str) -> None:
    """Nobody else records this kernel."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the operator decides about runs.

    Attributes:
        server: which process records, as the history shows it.
        user_source: how the users of requests are known.
        cell_limits: grace and output limits; time-outs come with request and cell.
        max_active: runs at one time.
    """

    server: str
    user_source: str | None
    cell_limits: CellLimits = field(default_factory=CellLimits)
    max_active: int = 8


class RunManager:
    """Use cases of headless runs. A run outlives whoever asked for it.

    Args:
        writer: takes the runs and their executions; its owner closes it.
        new_id: gives a fresh UUIDv4; a parameter for tests.
        on_request: gets kernel id and message id of each request before it is sent.
    """

    def __init__(
        self,
        store: Store,
        writer: RecordWriter,
        files: NotebookFiles,
        kernels: KernelRunner,
        settings: RunSettings,
        clock: Clock,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        on_request: Callable[[str, str], None] = _ignore,
    ) -> None:
        self._store = store
        self._writer = writer
        self._files = files
        self._kernels = kernels
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._around = Surroundings(
            store=store,
            writer=writer,
            kernels=kernels,
            clock=clock,
            limits=settings.cell_limits,
            server=settings.server,
            user_source=settings.user_source,
            on_request=on_request,
        )
        self._preparation = Preparation(store, files, new_id)
        self._active: dict[str, tuple[RunPass, asyncio.Task[Run]]] = {}
        self._taken: set[Path] = set()
        self._starting = 0
        self._none_starting = asyncio.Event()
        self._none_starting.set()
        self._logs: OrderedDict[str, RunLog] = OrderedDict()
        self._unkept: dict[str, Run] = {}  # ended, and not in the store as they ended
        self._closing = False

    @property
    def active(self) -> int:
        """How many runs go on now."""
        return len(self._active)

    def check_idle(self, notebook_id: str) -> None:
        """Refuse to take a notebook from under a run of this process.

        Its history would go on without it. Raises RunActive.
        """
        for run, _ in self._active.values():
            now = run.snapshot()
            if now.notebook_id == notebook_id:
                raise RunActive(f"The run {now.id} of this notebook goes on; wait or cancel it.")

    # use cases -------------------------------------------------------------------------

    async def start(self, request: RunRequest) -> Run:
        """Begin a run and return it at once; it goes on by itself.

        Raises:
            NotebookNotFound: no such notebook, or its file is gone.
            InvalidNotebook: the file cannot be read.
            InvalidInput, PathNotAllowed: the request cannot be carried out.
            FileExists: `output` names a file that no run of this notebook wrote.
            RunActive: a run writes that file already, or too many runs are active.
        """
        check_request(request)
        self._check_open()
        if len(self._active) + self._starting >= self._settings.max_active:
            raise RunActive(
                f"{self._settings.max_active} runs are active, which is the limit; "
                "wait for one to end or cancel one."
            )
        self._starting += 1
        self._none_starting.clear()
        try:
            await self._writer.start()
            return await self._start(request)
        finally:
            self._starting -= 1
            if not self._starting:
                self._none_starting.set()

    def _check_open(self) -> None:
        if self._closing:
            raise RunActive("This process is stopping and starts no more runs.")

    def snapshot(self, run_id: str) -> Run | None:
        """Return a run of this process as it stands; None when it has ended, or never was."""
        return self._active[run_id][0].snapshot() if run_id in self._active else None

    async def get(self, run_id: str, outputs: bool = True) -> Run:
        """Return a run as it stands. Raises RunNotFound.

        Args:
            outputs: with the outputs of its cells, which can be hundreds of megabytes.
        """
        now = self.snapshot(run_id)
        if now is not None:
            return now
        ended = self._unkept.get(run_id)
        try:
            stored = ended or await self._store.get_run(run_id)
            return await completed(self._store, stored, outputs)
        except StoreError:
            if ended is None:
                raise
            return ended

    async def whole(self, cell: CellResult) -> CellResult:
        """Return a cell of a run with its outputs: those of a whole run may be too large."""
        return await with_outputs(self._store, cell)

    async def check_exists(self, run_id: str) -> None:
        """Raises RunNotFound."""
        if run_id not in self._active and run_id not in self._unkept:
            await self._store.get_run(run_id)

    async def list(
        self, notebook_id: str | None = None, limit: int = 50, cursor: int | None = None
    ) -> Page[Run]:
        """Return runs without outputs, the newest first.

        What the store does not know yet, or cannot take, stands on the first page, which
        grows for it if it must: the next page begins in the store.
        """
        fresh = () if cursor is not None else await self._not_stored(notebook_id)
        page = await self._store.list_runs(notebook_id, limit, cursor)
        known = {run.id for run in page.items}
        first = tuple(run for run in fresh if run.id not in known)
        room = max(limit - len(first), 0)
        kept = tuple(self._as_it_stands(run) for run in page.items[:room])
        following = page.next_cursor
        if len(kept) < len(page.items):
            following = str((page.items[len(kept)].seq or 0) + 1)
        return Page((*first, *kept), following)

    async def _not_stored(self, notebook_id: str | None) -> tuple[Run, ...]:
        active = [run for run, _ in reversed(self._active.values()) if not run.stored]
        now = [bare(run.snapshot()) for run in active]
        now += [run for run in reversed(self._unkept.values()) if await self._is_unknown(run)]
        return tuple(run for run in now if notebook_id in (None, run.notebook_id))

    async def _is_unknown(self, run: Run) -> bool:
        """Tell whether the store has the notebook of a run, but not the run."""
        try:
            await self._store.get_notebook(run.notebook_id)
            await self._store.get_run(run.id)
        except RunNotFound:
            return True
        except NotebookNotFound:  # deleted, and its runs with it
            return False
        return False

    def _as_it_stands(self, run: Run) -> Run:
        if run.id in self._active:
            return replace(bare(self._active[run.id][0].snapshot()), seq=run.seq)
        return replace(self._unkept.get(run.id, run), seq=run.seq)

    async def watch(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent]:
        """Yield a run's events after number `after`, then those to come, to its end.

        Of a run that ended long ago, or in another process, the events are made up
        again from what was stored. They are fewer and numbered anew: whoever saw more of
        the first ones still gets the last. Raises RunNotFound.
        """
        log = self._logs.get(run_id)
        if log is None:
            log = await self._replayed(run_id)
            after = min(after, log.last - 1)
        async for event in log.watch(after):
            yield event

    async def _replayed(self, run_id: str) -> RunLog:
        """Make the events of a run from what was stored, with as much output as events carry."""
        run = await self.get(run_id, outputs=False)
        log = RunLog()
        log.begin(run, len(run.cells))
        for cell in run.cells:
            log.replay(cell if log.is_full else await self.whole(cell))
        log.end(run)
        return log

    async def wait(self, run_id: str) -> Run:
        """Return the run once it has ended. Raises RunNotFound."""
        if run_id in self._active:
            return await asyncio.shield(self._active[run_id][1])
        return await self.get(run_id)

    async def cancel(self, run_id: str) -> Run:
        """Stop a run and return it as it ended; a finished one stays as it is.

        The running cell is interrupted; if it does not react, its kernel is killed.

        Raises:
            RunNotFound: no such run.
            RunActive: it goes on in another process, which alone can stop it.
        """
        if run_id in self._active:
            self._active[run_id][0].cancel()
            return await self.wait(run_id)
        run = await self.get(run_id)
        if not run.status.final:
            raise RunActive(f"The run {run_id} belongs to another process; cancel it there.")
        return run

    async def close(self) -> None:
        """Cancel what is active, keep what was done, and stop kept kernels."""
        self._closing = True
        self._kernels.retire()
        for run, _ in list(self._active.values()):
            run.cancel()
        await asyncio.gather(*(task for _, task in self._active.values()), return_exceptions=True)
        await self._none_starting.wait()
        await self._kernels.close()

    # starting --------------------------------------------------------------------------

    async def _start(self, request: RunRequest) -> Run:
        notebook = await self._store.get_notebook(request.notebook_id)
        path = self._files.resolve(notebook.path)
        earlier = await self._preparation.earlier(request, self._active)
        if earlier is not None:
            request = inherited(request, earlier)
        run_id = self._new_id()
        target_path = self._preparation.target_path(request, path)
        await self._let_end(target_path)
        if target_path in self._taken:
            raise RunActive(f"A run is writing {str(target_path)!r} already; wait or cancel it.")
        self._taken.add(target_path)
        try:
            return await self._begin(request, notebook, run_id, target_path, earlier)
        except BaseException:
            self._taken.discard(target_path)
            raise

    async def _let_end(self, target_path: Path) -> None:
        """Wait for a run that has told its end and has yet to let go of the file."""
        for run, task in list(self._active.values()):
            if run.target == target_path and run.snapshot().status.final:
                await asyncio.wait({task})

    async def _begin(
        self,
        request: RunRequest,
        notebook: Notebook,
        run_id: str,
        target_path: Path,
        earlier: Run | None,
    ) -> Run:
        path = self._files.resolve(notebook.path)
        file = await self._files.read(path)
        target = await self._preparation.target(target_path, file, notebook.id, run_id)
        kernel = await self._kept_kernel(earlier)
        try:
            document, plan = await self._preparation.plan(request, file, notebook, earlier, kernel)
            self._check_open()  # from here on nothing is waited for until it is active
        except BaseException:
            if kernel is not None:
                await kernel.close(shutdown=False)  # it stays kept
            raise
        if target.path != path:
            document["metadata"][MARK] = {"notebook_id": notebook.id, "run_id": run_id}
        run = Run(
            id=run_id,
            notebook_id=notebook.id,
            status=RunStatus.PENDING,
            requested=_requested(request),
            path=str(path),
            kernel=request.kernel or kernel_name(document) or notebook.kernel,
            user=request.user,
            owner=self._settings.server,
        )
        work = Assignment(run, request, plan, document, path.parent, str(path), kernel)
        artefact = Artefact(self._files, target.path, document, target.expected, target.beside)
        return self._launch(RunPass(work, artefact, self._around))

    def _launch(self, run: RunPass) -> Run:
        started = run.snapshot()
        task = asyncio.create_task(self._drive(run), name=f"run-{started.id}")
        self._active[started.id] = (run, task)
        self._logs[started.id] = run.log
        return started

    async def _drive(self, run: RunPass) -> Run:
        run_id = run.snapshot().id
        try:
            ended = await run.drive()
            if not run.kept:
                self._unkept[run_id] = bare(ended)
            await self._touch(run)
            return ended
        finally:
            del self._active[run_id]
            self._taken.discard(run.target)
            while len(self._logs) > REMEMBERED + len(self._active):
                forgotten = next(key for key in self._logs if key not in self._active)
                del self._logs[forgotten]
                self._unkept.pop(forgotten, None)

    async def _touch(self, run: RunPass) -> None:
        """Say in the registry that the notebook was worked on."""
        try:
            await self._store.note_notebook(
                run.snapshot().notebook_id,
                str(run.artefact.path),
                kernel=run.named_kernel,
                cell_count=run.cell_count,
                at=self._clock(),
            )
        except StoreError:
            return  # which the run has told of
        except Exception:  # the run is over, and whoever waits for it must get it
            log.exception("the notebook of run %s could not be updated", run.snapshot().id)

    # what a run needs before it can begin --------------------------------------------

    async def _kept_kernel(self, earlier: Run | None) -> RunningKernel | None:
        if earlier is None or earlier.kernel_id is None:
            return None
        return await self._kernels.attach(earlier.kernel_id)


def _requested(request: RunRequest) -> dict[str, Any]:
    values = {**asdict(request), "parameters": as_json(request.parameters)}
    for name in ("notebook_id", "user"):
        del values[name]
    return values
