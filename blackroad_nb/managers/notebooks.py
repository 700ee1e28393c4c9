"""The registry: notebooks are created, adopted, found and let go here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from blackroad_nb.core.document import kernel_name, new_document
from blackroad_nb.core.history import HistoryQuery, Page
from blackroad_nb.core.kernel import check_kernel_name
from blackroad_nb.core.notebook import (
    DEFAULT_KERNEL,
    Notebook,
    check_metadata,
    check_name,
    name_for,
)
from blackroad_nb.errors import BlackRoadError, InvalidInput, NotebookExists, StoreError
from blackroad_nb.ports import Clock, NotebookFiles, Store

SUFFIX = ".ipynb"


class NotebookManager:
    """Use cases of the registry over a store and the notebook files.

    Args:
        new_id: gives a fresh UUIDv4; a parameter for tests.
    """

    def __init__(
        self,
        store: Store,
        files: NotebookFiles,
        clock: Clock,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._new_id = new_id

    async def create(
        self,
        name: str,
        path: str,
        kernel: str | None = None,
        adopt: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> Notebook:
        """Register a notebook and write its file, or adopt the file that is there.

        Args:
            kernel: of a new file, or of an adopted one that names none. A file that names
                another one keeps it, since nothing here changes an adopted file.

        Raises:
            InvalidInput: the name, path, kernel or metadata is not acceptable.
            PathNotAllowed: the path leads outside the allowed roots.
            NotebookExists: the path is registered already.
            FileExists: there is a file and `adopt` is false.
        """
        name, metadata = check_name(name), check_metadata(metadata or {})
        if kernel is not None:
            check_kernel_name(kernel)
        resolved = self._files.resolve(path)
        if resolved.suffix != SUFFIX:
            raise InvalidInput(f"The path must end in {SUFFIX}; {str(resolved)!r} does not.")
        if await self.find(resolved):
            raise NotebookExists(
                f"{str(resolved)!r} is registered already; list the notebooks to see its id."
            )
        if adopt:
            document = (await self._files.read(resolved)).document
            _check_same_kernel(resolved, kernel_name(document), kernel)
        else:
            document = new_document(kernel or DEFAULT_KERNEL, self._new_id()[:8])
            await self._files.create(resolved, document)
        now = self._clock()
        notebook = Notebook(
            id=self._new_id(),
            name=name,
            path=str(resolved),
            kernel=kernel_name(document) or kernel or DEFAULT_KERNEL,
            created_at=now,
            updated_at=now,
            cell_count=len(document["cells"]),
            metadata=metadata,
        )
        try:
            await self._store.add_notebook(notebook)
        except StoreError:
            if not adopt:  # leave nothing half done: the next try must not meet our file
                await self._files.delete(resolved)
            raise
        return notebook

    async def get(self, notebook_id: str) -> Notebook:
        """Return one notebook. Raises NotebookNotFound."""
        return await self._store.get_notebook(notebook_id)

    async def find(self, path: Path) -> Notebook | None:
        """Return the notebook registered at a resolved path, if there is one."""
        return await self._store.find_notebook(str(path))

    async def at(self, path: str) -> tuple[Notebook, bool]:
        """Return the notebook registered at a path; a file that is not is adopted.

        The second value tells whether it was adopted just now; `forget_unused` undoes that.

        Raises:
            NotebookNotFound, InvalidNotebook, PathNotAllowed: no notebook to be had there.
        """
        resolved = self._files.resolve(path)
        found = await self.find(resolved)
        if found is not None:
            return found, False
        try:
            return await self.create(name_for(str(resolved)), str(resolved), adopt=True), True
        except NotebookExists:  # somebody registered it between the two looks
            found = await self.find(resolved)
            if found is None:
                raise
            return found, False

    async def forget_unused(self, notebook_id: str) -> None:
        """Forget a notebook that was registered for a run which then got no kernel.

        One in which anything ran stays. Nothing is raised: the failed run is what counts.
        """
        with suppress(BlackRoadError):
            if not (await self._store.history(HistoryQuery(notebook_id, limit=1))).items:
                await self.delete(notebook_id)

    async def load(self, notebook_id: str) -> tuple[Notebook, dict[str, Any]]:
        """Return the row, brought up to date with the file, and the file's content.

        Raises:
            NotebookNotFound: no such row, or its file is gone.
            InvalidNotebook: the file cannot be read as a notebook.
        """
        notebook = await self._store.get_notebook(notebook_id)
        document = (await self._files.read(self._files.resolve(notebook.path))).document
        now = replace(
            notebook,
            cell_count=len(document["cells"]),
            kernel=kernel_name(document) or notebook.kernel,
        )
        if now != notebook:
            await self._store.note_notebook(
                notebook_id, notebook.path, kernel=now.kernel, cell_count=now.cell_count
            )
        return now, document

    async def list(self, limit: int | None = None, cursor: str | None = None) -> Page[Notebook]:
        """Return notebooks, the newest update first."""
        return await self._store.list_notebooks(limit, cursor)

    async def delete(self, notebook_id: str, delete_file: bool = False) -> tuple[Notebook, bool]:
        """Forget a notebook and its history; the file goes only when asked.

        The registration goes first: when the database cannot be written, nothing is lost.

        Returns:
            What was forgotten, and whether there was a file that was deleted.

        Raises:
            NotebookNotFound: no such notebook.
            RunActive: another process runs it.
            InvalidInput: the file cannot be deleted; the notebook is forgotten all the same.
        """
        notebook = await self._store.get_notebook(notebook_id)
        path = self._files.resolve(notebook.path) if delete_file else None
        await self._store.check_idle(notebook_id)
        await self._store.delete_notebook(notebook_id)
        if path is None:
            return notebook, False
        try:
            return notebook, await self._files.delete(path)
        except InvalidInput as error:
            raise InvalidInput(
                f"The notebook and its history were deleted, but its file was not. {error.message}"
            ) from None


def _check_same_kernel(path: Path, named: str | None, kernel: str | None) -> None:
    """Refuse to promise a kernel that the runs of an adopted file would not take."""
    if kernel is not None and named is not None and kernel != named:
        raise InvalidInput(
            f"{str(path)!r} names the kernel {named!r}, and an adopted file is not changed: "
            f"adopt it without a kernel, and ask for {kernel!r} when you run it."
        )
