"""A run manager over fakes or real things, and notebooks to run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blackroad_nb.adapters.fake_kernels import FakeKernelRunner
from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.document import code_cell, new_document, serialize_document
from blackroad_nb.core.execution import Execution
from blackroad_nb.core.history import HistoryQuery
from blackroad_nb.core.run import Run, RunEvent, RunRequest
from blackroad_nb.managers.notebooks import NotebookManager
from blackroad_nb.managers.recording import RecordWriter, WriterSettings
from blackroad_nb.managers.running import RunManager, RunSettings
from blackroad_nb.ports import CellLimits


def utc_now() -> datetime:
    return datetime.now(UTC)


class RunBench:
    """Everything a test of runs needs.

    Attributes:
        requests: the (kernel id, message id) of each request, as a recorder hears them.
    """

    def __init__(
        self,
        folder: Path,
        store: Any = None,
        kernels: Any = None,
        limits: CellLimits | None = None,
        clock: Callable[[], datetime] = utc_now,
        max_active: int = 8,
        writing: WriterSettings | None = None,
    ) -> None:
        self.folder = folder
        self.store = MemoryStore() if store is None else store
        self.kernels = FakeKernelRunner() if kernels is None else kernels
        self.files = DiskNotebookFiles([folder])
        self.requests: list[tuple[str, str]] = []
        self.notebooks = NotebookManager(self.store, self.files, clock)
        settings = RunSettings(
            server="here:1",
            user_source="os",
            cell_limits=limits or CellLimits(grace_seconds=1.0),
            max_active=max_active,
        )
        self.writer = RecordWriter(self.store, clock, writing)
        self.running = RunManager(
            self.store,
            self.writer,
            self.files,
            self.kernels,
            settings,
            clock,
            on_request=lambda kernel, message: self.requests.append((kernel, message)),
        )

    @property
    def path(self) -> Path:
        return self.folder / "a.ipynb"

    async def notebook(self, *sources: str | dict[str, Any], name: str = "a") -> str:
        """Write and register a notebook; return its id."""
        cells = [
            {**code_cell(source, f"c{index}")} if isinstance(source, str) else source
            for index, source in enumerate(sources)
        ]
        document = {**new_document("python3", "x"), "cells": cells}
        path = self.folder / f"{name}.ipynb"
        path.write_bytes(serialize_document(document))
        return (await self.notebooks.create(name, str(path), adopt=True)).id

    async def run(self, notebook_id: str, **request: Any) -> Run:
        """Run to the end."""
        started = await self.running.start(RunRequest(notebook_id, **request))
        return await self.running.wait(started.id)

    async def events(self, run_id: str, after: int = 0) -> list[RunEvent]:
        return [event async for event in self.running.watch(run_id, after)]

    async def rows(self, run_id: str) -> list[Execution]:
        """The run's history, oldest first."""
        page = await self.store.history(HistoryQuery(run_id=run_id, limit=1000))
        return list(reversed(page.items))

    def cells(self, path: Path | None = None) -> list[dict[str, Any]]:
        """The cells of an artefact as it is on disk."""
        found: list[dict[str, Any]] = json.loads((path or self.path).read_bytes())["cells"]
        return found

    def texts(self, path: Path | None = None) -> list[str]:
        """What each cell printed."""
        return [
            "".join("".join(o.get("text", "")) for o in cell.get("outputs", ()))
            for cell in self.cells(path)
        ]


@asynccontextmanager
async def run_bench(folder: Path, **parts: Any) -> AsyncIterator[RunBench]:
    """A bench that is closed at the end."""
    bench = RunBench(folder, **parts)
    try:
        yield bench
    finally:
        await bench.running.close()
        await bench.writer.close()
        await bench.store.close()
