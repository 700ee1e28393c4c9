"""What is looked up and decided before a run can begin."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from blackroad_nb.core.document import Document, code_cell, kernel_name, repair_ids
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.parameters import (
    INJECTED_TAG,
    from_json,
    inject,
    speaks_python,
    tags,
    unknown_names,
)
from blackroad_nb.core.plan import Earlier, Plan, Step, make_plan
from blackroad_nb.core.run import Run, RunRequest
from blackroad_nb.errors import FileExists, InvalidInput, InvalidNotebook, NotebookNotFound
from blackroad_nb.managers.run_history import completed
from blackroad_nb.ports import NotebookFile, NotebookFiles, RunningKernel, Store

MARK = "blackroad"  # in the metadata of an artefact: whose run wrote it
SUFFIX = ".ipynb"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run writes; `expected` is the digest of the file that may be replaced."""

    path: Path
    expected: str | None
    beside: Path


def inherited(request: RunRequest, earlier: Run) -> RunRequest:
    """A resumed run keeps the parameters, the output and the kernel of the one before."""
    parameters = earlier.requested.get("parameters") or {}
    output = request.output or earlier.requested.get("output")
    kernel = earlier.requested.get("kernel")
    return replace(request, parameters=from_json(parameters), output=output, kernel=kernel)


def _holds_values(document: Document, step: Step) -> bool:
    return INJECTED_TAG in tags(document["cells"][step.index])


def used_again(index: int) -> str:
    """Return what is to be known of a run without parameters that takes those of an earlier one.

    The cell stays: papermill's own notebooks have one on purpose, or its author changed it.
    """
    return (
        f"Cell {index} holds the parameters of an earlier run, and they were used again; give "
        "parameters to replace them, or delete that cell to use the defaults."
    )


class Preparation:
    """Decides where a run writes and what it runs; nothing is changed here.

    Args:
        new_id: gives a fresh UUIDv4.
    """

    def __init__(self, store: Store, files: NotebookFiles, new_id: Callable[[], str]) -> None:
        self._store = store
        self._files = files
        self._new_id = new_id

    async def earlier(self, request: RunRequest, active: Container[str]) -> Run | None:
        """Return the newest run of the whole notebook, which a resume goes on with."""
        if not request.resume:
            return None
        cursor: int | None = None
        while True:
            page = await self._store.list_runs(request.notebook_id, cursor=cursor)
            for run in page.items:
                if run.requested.get("cell") is None and run.id not in active:
                    return await completed(self._store, run)
            if page.next_cursor is None:
                return None
            cursor = int(page.next_cursor)

    async def plan(
        self,
        request: RunRequest,
        file: NotebookFile,
        notebook: Notebook,
        earlier: Run | None,
        kernel: RunningKernel | None,
    ) -> tuple[Document, Plan]:
        document, injected, notes = file.document, None, []
        repair_ids(document)
        if request.parameters:
            name = request.kernel or kernel_name(document) or notebook.kernel
            await self._check_language(document, name)
            unknown = unknown_names(document["cells"], request.parameters)
            if unknown:
                named = ", ".join(unknown)
                notes.append(f"No default in the cell tagged `parameters`: {named}.")
            new = code_cell("", self._new_id()[:8])
            if document["nbformat_minor"] < 5:  # before 4.5 a cell has no id
                del new["id"]
            cells, injected, moved = inject(document["cells"], request.parameters, new)
            if request.cell is not None and not request.resume and request.cell >= injected:
                request = replace(request, cell=request.cell + moved)
            document = {**document, "cells": cells}
        past = None if earlier is None else Earlier(earlier, kernel is not None)
        plan = make_plan(document["cells"], request, injected, past)
        if injected is None:
            notes += [
                used_again(step.index) for step in plan.steps if _holds_values(document, step)
            ]
        return document, replace(plan, notes=(*notes, *plan.notes))

    async def _check_language(self, document: Document, name: str) -> None:
        registered = {kernel.name: kernel.language for kernel in await self._store.list_kernels()}
        if not speaks_python(document["metadata"], name, registered.get(name)):
            raise InvalidInput(
                f"Parameters can be written for Python notebooks only; this run is on the "
                f"kernel {name!r}."
            )

    def target_path(self, request: RunRequest, path: Path) -> Path:
        if request.output is None:
            return path
        target = self._files.resolve(request.output)
        if target.suffix != SUFFIX:
            raise InvalidInput(f"The output must end in {SUFFIX}; {target.name!r} does not.")
        return target

    async def target(self, path: Path, file: NotebookFile, notebook_id: str, run_id: str) -> Target:
        beside = path.with_name(f"{path.stem}.run-{run_id[:8]}{SUFFIX}")
        await self._files.check_place(path)
        if path == file.path:
            return Target(path, file.digest, beside)
        try:
            there = await self._files.read(path)
        except NotebookNotFound:
            return Target(path, None, beside)
        except InvalidNotebook:
            there = None
        mark = there.document["metadata"].get(MARK) if there is not None else None
        if there is None or not isinstance(mark, Mapping) or mark.get("notebook_id") != notebook_id:
            raise FileExists(
                f"{str(path)!r} exists and is no earlier output of this notebook; "
                "choose another path or move it away."
            )
        return Target(path, there.digest, beside)
