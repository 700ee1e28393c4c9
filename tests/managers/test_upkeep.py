"""Notebooks that registered themselves: their kernel and their number of cells."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.managers.upkeep import NotebookUpkeep
from blackroad_nb.ports import NotebookFile

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def save(path: Path, cells: int, kernel: str | None) -> None:
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "x"}
    metadata = {} if kernel is None else {"kernelspec": {"name": kernel, "display_name": "K"}}
    document = {"cells": [cell] * cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document))


async def after(path: Path, kernel: str | None, known: Notebook | None = None) -> Notebook:
    """Record a cell of this notebook, and return the row once it was looked at."""
    store = MemoryStore()
    if known is not None:
        await store.add_notebook(known)
    await store.record([Execution("e", Status.SUCCESS, "x", NOON, NOON, 1, path=str(path))])
    upkeep = NotebookUpkeep(store, DiskNotebookFiles((path.parent,)))
    upkeep.note(str(path), kernel)
    await upkeep.close()
    found = await store.find_notebook(str(path))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("running", "saved", "expected"),
    [
        ("ir", None, "ir"),
        ("ir", "python3", "ir"),
        (None, "julia", "julia"),
        (None, None, "python3"),
    ],
)
def test_kernel_and_cells_are_the_true_ones(tmp_path, running, saved, expected):
    path = tmp_path.resolve() / "a.ipynb"
    save(path, 4, saved)
    found = asyncio.run(after(path, running))
    assert (found.kernel, found.cell_count) == (expected, 4)


def test_a_kernel_that_was_chosen_stays(tmp_path):
    path = tmp_path.resolve() / "a.ipynb"
    save(path, 2, "ir")
    known = Notebook("n", "A", str(path), "julia", NOON, NOON)
    found = asyncio.run(after(path, "ir", known))
    assert (found.kernel, found.cell_count) == ("julia", 2)


@pytest.mark.parametrize("content", [None, "no notebook"])
def test_a_file_that_cannot_be_read_changes_no_count(tmp_path, content):
    path = tmp_path.resolve() / "a.ipynb"
    if content is not None:
        path.write_text(content)
    found = asyncio.run(after(path, "ir"))
    assert (found.kernel, found.cell_count) == ("ir", 0)


def test_a_notebook_that_is_renamed_while_its_file_is_read_keeps_its_new_path(tmp_path):
    path = tmp_path.resolve() / "a.ipynb"
    save(path, 3, "ir")
    store = MemoryStore()

    class Renaming(DiskNotebookFiles):
        async def read(self, path: Path) -> NotebookFile:
            found = await super().read(path)
            await store.move_notebook("n", "/new.ipynb", "new", NOON)
            return found

    async def story() -> Notebook:
        await store.add_notebook(Notebook("n", "a", str(path), "python3", NOON, NOON))
        upkeep = NotebookUpkeep(store, Renaming((path.parent,)))
        upkeep.note(str(path), "ir")
        await upkeep.close()
        return await store.get_notebook("n")

    found = asyncio.run(story())
    assert (found.path, found.name) == ("/new.ipynb", "new")


def test_a_file_that_fails_unforeseen_leaves_the_others_looked_at(tmp_path, caplog):
    paths = [tmp_path.resolve() / name for name in ("a.ipynb", "b.ipynb")]
    store = MemoryStore()

    class Failing(DiskNotebookFiles):
        async def read(self, path: Path) -> NotebookFile:
            if path == paths[0]:
                raise RuntimeError("unforeseen")
            return await super().read(path)

    async def story() -> Notebook | None:
        upkeep = NotebookUpkeep(store, Failing((tmp_path.resolve(),)))
        for number, path in enumerate(paths):
            save(path, 2, "ir")
            row = Execution(str(number), Status.SUCCESS, "x", NOON, NOON, 1, path=str(path))
            await store.record([row])
            upkeep.note(str(path), "ir")
        await upkeep.close()
        return await store.find_notebook(str(paths[1]))

    found = asyncio.run(story())
    assert found is not None
    assert found.cell_count == 2
    assert "a.ipynb could not be looked at" in caplog.text


class CountedFiles(DiskNotebookFiles):
    """Says when a file was read."""

    def __init__(self, root: Path) -> None:
        super().__init__((root,))
        self.reads: asyncio.Queue[Path] = asyncio.Queue()

    async def read(self, path: Path) -> NotebookFile:
        found = await super().read(path)
        self.reads.put_nowait(path)
        return found


def test_files_are_looked_at_again_after_a_pause_only(tmp_path):
    path = tmp_path.resolve() / "a.ipynb"
    save(path, 1, "ir")

    async def looks(pause: float) -> int:
        files = CountedFiles(path.parent)
        upkeep = NotebookUpkeep(MemoryStore(), files, 0.0, pause)
        await upkeep._store.record(
            [Execution("e", Status.SUCCESS, "x", NOON, NOON, 1, path=str(path))]
        )
        upkeep.note(str(path), None)
        await asyncio.wait_for(files.reads.get(), 30)
        for _ in range(100):
            upkeep.note(str(path), None)
        if not pause:
            await asyncio.wait_for(files.reads.get(), 30)
        await upkeep.close()
        upkeep.note(str(path), None)  # what comes after the end is not looked at
        return files.reads.qsize()

    assert asyncio.run(looks(0.0)) == 0
    assert asyncio.run(looks(3600.0)) == 1  # the last one, at the end
