"""`JupyterService`: notebooks, runs, history and kernels for synchronous Python.

from blackroad_nb import JupyterService

with JupyterService() as service:
    notebook = service.notebook_create("Demo", "demo.ipynb")
    run = service.notebook_execute(notebook.id, parameters={"window": 21})
    print(run.status, [cell.duration_ms for cell in run.cells])
    for execution in service.execution_history(notebook.id):
        print(execution.status, execution.source)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from blackroad_nb.background import Background
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.export import DEFAULT_FORMAT
from blackroad_nb.core.history import DEFAULT_LIMIT, HistoryQuery
from blackroad_nb.core.kernel import KernelInfo
from blackroad_nb.core.kinds import check_flag, check_mapping, check_path, check_text
from blackroad_nb.core.notebook import DEFAULT_KERNEL, Notebook, name_for
from blackroad_nb.core.run import Run, RunRequest, RunStatus
from blackroad_nb.errors import InvalidInput, error_class
from blackroad_nb.local import LocalParts, os_user
from blackroad_nb.ports import Exported, ExportFormat

T = TypeVar("T")
StrPath = str | os.PathLike[str]

KERNEL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LoadedNotebook(Notebook):
    """A registered notebook with the content of its file, as nbformat 4 has it."""

    content: Mapping[str, Any] = field(default_factory=dict)


class JupyterService:
    """A synchronous face over the asynchronous core.

    Calls may come from any thread, also from a cell of a running notebook. The work
    happens on one background thread, which starts with the first call and ends with
    `close`, with the `with` block, or with the interpreter. A forked child starts
    afresh. Ctrl-C during `notebook_execute` cancels the run and keeps what was done.

    Every method raises the errors of `blackroad_nb.errors`; each says in one sentence
    what is wrong and what to do.

    Args:
        db: the database file; None takes `NOTEBOOK_DB`, else `~/.blackroad/notebooks.db`.
        roots: the folder, or the folders, that notebooks must lie in; None takes
            `NOTEBOOK_ROOTS`, else all.

    Raises:
        InvalidInput: `db` or `roots` is no path.
    """

    def __init__(
        self, db: StrPath | None = None, roots: StrPath | Sequence[StrPath] | None = None
    ) -> None:
        file = None if db is None else check_path(db, "The database")
        self._background = Background(file, None if roots is None else _folders(roots))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what still runs, and let go of the database. May be called twice."""
        self._background.close()

    # notebooks -----------------------------------------------------------------
    def notebook_create(
        self,
        name: str,
        path: StrPath,
        kernel: str = DEFAULT_KERNEL,
        metadata: Mapping[str, Any] | None = None,
    ) -> Notebook:
        """Write an empty notebook and register it; an existing file is never overwritten.

        Raises:
            InvalidInput: the name or the path is not acceptable.
            FileExists: there is a file already; see `notebook_adopt`.
            NotebookExists: the path is registered already.
        """
        place = check_path(path, "The path")
        return self._call(
            lambda parts: parts.notebooks.create(name, place, kernel, metadata=metadata)
        )

    def notebook_adopt(self, path: StrPath, name: str | None = None) -> Notebook:
        """Register a notebook file that is there.

        Args:
            name: what to call it; None takes the file's name.

        Raises:
            NotebookNotFound: there is no such file.
            InvalidNotebook: the file is not a notebook.
            NotebookExists: it is registered already.
        """
        place = check_path(path, "The path")
        return self._call(
            lambda parts: parts.notebooks.create(
                name_for(place) if name is None else name, place, adopt=True
            )
        )

    def notebook_load(self, id: str) -> LoadedNotebook:
        """Return a notebook with its file's content. Raises NotebookNotFound."""

        _check_id(id)

        async def work(parts: LocalParts) -> LoadedNotebook:
            row, content = await parts.notebooks.load(id)
            fields = {name: getattr(row, name) for name in Notebook.__dataclass_fields__}
            return LoadedNotebook(**fields, content=content)

        return self._call(work)

    def notebook_list(self, limit: int | None = None) -> list[Notebook]:
        """Return the registered notebooks, newest update first.

        Args:
            limit: at most so many; None for all.
        """

        async def work(parts: LocalParts) -> list[Notebook]:
            return list((await parts.notebooks.list(limit)).items)

        return self._call(work)

    def notebook_delete(self, id: str, delete_file: bool = False) -> Notebook:
        """Forget a notebook with its history; the file goes only if asked.

        Returns:
            What was deleted.

        Raises:
            NotebookNotFound: no such notebook.
            RunActive: a run of it goes on in this process.
        """
        _check_id(id)
        check_flag(delete_file, "delete_file")

        async def work(parts: LocalParts) -> Notebook:
            parts.running.check_idle(id)
            return (await parts.notebooks.delete(id, delete_file))[0]

        return self._call(work)

    # runs ----------------------------------------------------------------------
    def notebook_execute(
        self,
        id: str,
        cell: int | None = None,
        timeout: float | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        with_predecessors: bool = False,
        resume: bool = False,
        continue_on_error: bool = False,
        output: StrPath | None = None,
        kernel: str | None = None,
    ) -> Run:
        """Run a notebook, or one cell of it, on a fresh kernel, and wait for its end.

        A cell that fails raises nothing: see the `status` of the run and of its cells.

        Args:
            cell: run only this one, counted from 0.
            timeout: seconds each cell may take; None leaves it to the cell's metadata,
                else 60; 0 for no limit.
            parameters: values for the cell tagged `parameters`; JSON-ready.
            with_predecessors: with `cell`, run the cells before it too.
            resume: go on with the first cell that did not succeed last time.
            continue_on_error: run the cells after a failed one too.
            output: write the executed notebook here; None writes in place.
            kernel: run on this one; None takes the one that the notebook names.

        Raises:
            NotebookNotFound: no such notebook, or its file is gone.
            InvalidInput: no such cell, or the parameters cannot be passed.
            RunActive: the notebook is running already.
            KernelNotFound, KernelStartFailed: the run got no kernel.
        """
        _check_id(id)
        request = RunRequest(
            notebook_id=id,
            cell=cell,
            with_predecessors=with_predecessors,
            timeout_seconds=timeout,
            parameters=dict(
                check_mapping({} if parameters is None else parameters, "The parameters")
            ),
            resume=resume,
            continue_on_error=continue_on_error,
            output=None
            if output is None
            else os.path.abspath(os.path.expanduser(check_path(output, "The path"))),
            kernel=kernel,
            user=os_user(),
        )

        async def work(parts: LocalParts) -> Run:
            started = await parts.running.start(request)
            try:
                ended = await parts.running.wait(started.id)
            except asyncio.CancelledError:
                await parts.running.cancel(started.id)
                await parts.running.wait(started.id)
                raise
            if ended.code is not None and ended.status is RunStatus.ERROR:
                raise error_class(ended.code)(ended.message or "The run failed.")
            return ended

        return self._call(work)

    # exports -------------------------------------------------------------------
    def notebook_export(
        self,
        id: str,
        fmt: str = DEFAULT_FORMAT,
        output: StrPath | None = None,
        overwrite: bool = False,
        trusted: bool = False,
    ) -> Path:
        """Write a notebook in another format and return where.

        Args:
            fmt: a name from `export_formats`.
            output: the file; None writes beside the notebook, under its name. An `ipynb`
                export gets `-export` into its name, so it is never the notebook itself.
            overwrite: replace a file that is there.
            trusted: keep scripts in HTML.

        Raises:
            InvalidInput: there is no such format.
            ExportUnavailable: the format needs something this machine lacks.
            FileExists: there is a file and `overwrite` is false.
        """
        _check_export(id, fmt, trusted)
        check_flag(overwrite, "overwrite")
        place = None if output is None else check_path(output, "The path")
        return self._call(
            lambda parts: parts.exports.export_file(id, fmt, place, overwrite, trusted)
        )

    def notebook_export_bytes(
        self, id: str, fmt: str = DEFAULT_FORMAT, trusted: bool = False
    ) -> Exported:
        """Return a notebook in another format; nothing is written.

        Takes `fmt` and `trusted`, and raises, as `notebook_export` does.
        """
        _check_export(id, fmt, trusted)
        return self._call(lambda parts: parts.exports.export(id, fmt, trusted))

    def export_formats(self) -> list[ExportFormat]:
        """Return the formats; those not available here say why."""

        async def work(parts: LocalParts) -> list[ExportFormat]:
            return list(await parts.exports.formats())

        return self._call(work)

    # history -------------------------------------------------------------------
    def execution_history(
        self,
        id: str | None = None,
        limit: int = DEFAULT_LIMIT,
        *,
        text: str | None = None,
        user: str | None = None,
        status: Status | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: int | None = None,
        outputs: bool = True,
    ) -> list[Execution]:
        """Return what ran, newest first.

        Args:
            id: the notebook; None for all of them.
            limit: at most so many, 1 to 1000.
            text: words that source or error must hold.
            since: from then on; aware.
            until: before then; aware.
            cursor: the `seq` of the row to go on after.
            outputs: read the outputs too, which can be large; `output` is None otherwise.

        Raises:
            NotebookNotFound: no such notebook.
            InvalidInput: a filter is not acceptable.
        """
        if id is not None:
            _check_id(id)
        wanted = None if status is None else _status(status)
        query = HistoryQuery(
            notebook_id=id, user=user, status=wanted, since=since, until=until,
            text=text, cursor=cursor, limit=limit, outputs=outputs,
        )  # fmt: skip

        async def work(parts: LocalParts) -> list[Execution]:
            if id is not None:
                await parts.notebooks.get(id)
            return list((await parts.history.search(query)).items)

        return self._call(work)

    # kernels -------------------------------------------------------------------
    def list_kernels(self) -> list[KernelInfo]:
        """Return the kernels of this machine; a registered one that is gone says so."""

        async def work(parts: LocalParts) -> list[KernelInfo]:
            return list(await parts.kernels.list())

        return self._call(work)

    def register_kernel(
        self,
        name: str,
        language: str,
        display_name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = KERNEL_SECONDS,
    ) -> KernelInfo:
        """Add a kernel from the command that starts it; JupyterLab sees it too.

        Args:
            argv: the command; without `{connection_file}` in it, `-f {connection_file}` is
                appended, as the result's `argv` shows.
            env: variables for the kernel. Jupyter replaces `$NAME` in a value when the
                kernel starts; `$$` stands for a `$`.
            check: start it and run one cell before it is added.
            timeout: seconds the check may take.

        Raises:
            InvalidInput: a field is not acceptable.
            KernelExists: the name is taken.
            KernelStartFailed: the check failed.
        """
        return self._call(
            lambda parts: parts.kernels.register(
                name, language, display_name, argv, env=env, check=check, timeout_seconds=timeout
            )
        )

    def unregister_kernel(self, name: str) -> None:
        """Remove a kernel that was registered. Raises KernelNotFound."""
        self._call(lambda parts: parts.kernels.unregister(name))

    def _call(self, work: Callable[[LocalParts], Awaitable[T]]) -> T:
        return self._background.call(work)


def _check_id(id: str) -> None:
    check_text(id, "The notebook's id")


def _check_export(id: str, fmt: str, trusted: bool) -> None:
    _check_id(id)
    check_text(fmt, "The format")
    check_flag(trusted, "trusted")


def _folders(roots: StrPath | Sequence[StrPath]) -> list[Path]:
    """Return the allowed folders; one path is one folder, and no list of letters."""
    if isinstance(roots, str | os.PathLike):
        roots = [roots]
    if isinstance(roots, bytes) or not isinstance(roots, Iterable):
        raise InvalidInput(f"The roots must be a folder or a list of folders, not {roots!r}.")
    return [Path(os.path.expanduser(check_path(root, "A root"))) for root in roots]


def _status(text: Status | str) -> Status:
    try:
        return Status(text)
    except ValueError:
        known = ", ".join(Status)
        raise InvalidInput(f"There is no status {text!r}; there are {known}.") from None
