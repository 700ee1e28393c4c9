"""The registry: notebooks are created, adopted, found and let go here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from blackroad_nb.core.document import kernel_name, new_document
from blackroad_nb.core.history import Page
from blackroad_nb.core.kernel import check_kernel_name
from blackroad_nb.core.notebook import (
    DEFAULT_KERNEL,
    Notebook,
    check_metadata,
    check_name,
    name_for,
)
from blackroad_nb.errors import InvalidInput, NotebookExists, StoreError
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
            raise InvalidInput(f"The path must end in {SUFFIX}; {resolved.name!r} does not.")
        if await self.find(resolved):
            raise NotebookExists(f"{str(resolved)!r} is registered already; see `list`.")
        if adopt:
            document = (await self._files.read(resolved)).document
        else:
            document = new_document(kernel or DEFAULT_KERNEL, self._new_id()[:8])
            await self._files.create(resolved, document)
        now = self._clock()
        notebook = Notebook(
            id=self._new_id(),
            name=name,
            path=str(resolved),
            kernel=kernel or kernel_name(document) or DEFAULT_KERNEL,
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

    async def at(self, path: str) -> Notebook:
        """Return the notebook registered at a path; a file that is not is adopted.

        Raises:
            NotebookNotFound, InvalidNotebook, PathNotAllowed: no notebook to be had there.
        """
        resolved = self._files.resolve(path)
        found = await self.find(resolved)
        if found is not None:
            return found
        try:
            return await self.create(name_for(str(resolved)), str(resolved), adopt=True)
        except NotebookExists:  # somebody registered it between the two looks
            found = await self.find(resolved)
            if found is None:
                raise
            return found

    async def load(self, notebook_id: str) -> tuple[Notebook, dict[str, Any]]:
        """Return the row, its cell count brought up to date, and the file's content.

        Raises:
            NotebookNotFound: no such row, or its file is gone.
            InvalidNotebook: the file cannot be read as a notebook.
        """
        notebook = await self._store.get_notebook(notebook_id)
        document = (await self._files.read(self._files.resolve(notebook.path))).document
        if notebook.cell_count != len(document["cells"]):
            notebook = replace(notebook, cell_count=len(document["cells"]))
            await self._store.update_notebook(notebook)
        return notebook, document

    async def list(self, limit: int | None = None, cursor: str | None = None) -> Page[Notebook]:
        """Return notebooks, the newest update first."""
        return await self._store.list_notebooks(limit, cursor)

    async def delete(self, notebook_id: str, delete_file: bool = False) -> Notebook:
        """Forget a notebook and its history; the file goes only when asked.

        Raises:
            NotebookNotFound: no such notebook.
            RunActive: another process runs it.
        """
        notebook = await self._store.get_notebook(notebook_id)
        await self._store.check_idle(notebook_id)
        if delete_file:
            await self._files.delete(self._files.resolve(notebook.path))
        await self._store.delete_notebook(notebook_id)
        return notebook
