"""The registry follows files and folders that were moved."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from blackroad_nb.core.notebook import Notebook, name_for
from blackroad_nb.errors import NotebookExists, NotebookNotFound
from blackroad_nb.ports import Clock, Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rename:
    """A notebook, or a folder of them, has moved; in order with the rows around it."""

    old: str
    new: str
    folder: bool


async def move(store: Store, rename: Rename, clock: Clock) -> None:
    """Give the notebooks that moved their new paths, with their history."""
    for notebook in await _moved(store, rename):
        path = rename.new + notebook.path[len(rename.old) :]
        named_after_file = notebook.name == name_for(notebook.path)
        name = name_for(path) if named_after_file else notebook.name
        try:
            await store.move_notebook(notebook.id, path, name, clock())
        except (NotebookExists, NotebookNotFound) as error:
            _log.warning("The history of %r stays under its old path: %s", notebook.path, error)


async def _moved(store: Store, rename: Rename) -> list[Notebook]:
    found = await store.find_notebook(rename.old)
    if found is not None or not rename.folder:
        return [found] if found is not None else []
    every = (await store.list_notebooks()).items
    return [notebook for notebook in every if notebook.path.startswith(rename.old + "/")]
