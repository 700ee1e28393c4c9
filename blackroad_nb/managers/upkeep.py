"""Keeps what the registry says of notebooks that registered themselves by being run.

A cell that ran tells the path of its notebook and the kernel, but not how many cells the
file has. So the file is read, soon after and then now and again while cells run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from blackroad_nb.core.document import kernel_name
from blackroad_nb.core.notebook import DEFAULT_KERNEL
from blackroad_nb.errors import BlackRoadError
from blackroad_nb.ports import NotebookFiles, Store

FIRST_SECONDS = 1.0
PAUSE_SECONDS = 30.0  # between two looks at the files: reading a large one costs a second

log = logging.getLogger(__name__)


class NotebookUpkeep:
    """Reads the files of notebooks in which cells ran, and corrects their rows.

    Args:
        first_seconds: how long to wait for more cells before the first look.
        pause_seconds: how long to wait between two looks.
    """

    def __init__(
        self,
        store: Store,
        files: NotebookFiles,
        first_seconds: float = FIRST_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._files = files
        self._first_seconds = first_seconds
        self._pause_seconds = pause_seconds
        self._due: dict[str, str | None] = {}
        self._hurry = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def note(self, path: str, kernel: str | None) -> None:
        """Take note that a cell of this notebook ran on this kernel."""
        if self._hurry.is_set():
            return  # closed
        self._due[path] = kernel or self._due.get(path)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run(), name="blackroad-upkeep")

    async def close(self) -> None:
        """Look at the files once more, then stop."""
        self._hurry.set()
        if self._work is not None:
            await self._work

    async def _run(self) -> None:
        await self._wait(self._first_seconds)
        while self._due:
            due, self._due = self._due, {}
            for path, kernel in due.items():
                try:
                    await self._correct(path, kernel)
                except BlackRoadError as error:  # the next cell brings another try
                    log.debug("The notebook %s could not be looked at. %s", path, error.message)
                except Exception:  # one notebook must not stop the work on the others
                    log.exception("The notebook %s could not be looked at.", path)
            await self._wait(self._pause_seconds)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)

    async def _correct(self, path: str, kernel: str | None) -> None:
        cells: int | None = None
        with contextlib.suppress(BlackRoadError):  # the file is not saved yet, or broken
            document = (await self._files.read(self._files.resolve(path))).document
            cells, kernel = len(document["cells"]), kernel or kernel_name(document)
        notebook = await self._store.find_notebook(path)
        if notebook is None:
            return
        if notebook.kernel != DEFAULT_KERNEL or kernel == DEFAULT_KERNEL:
            kernel = None  # somebody chose another for the notebook, or it is known
        if kernel is not None or cells not in (None, notebook.cell_count):
            await self._store.note_notebook(notebook.id, path, kernel=kernel, cell_count=cells)
