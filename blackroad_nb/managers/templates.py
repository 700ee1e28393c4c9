"""Notebooks to start from: listed, and copied without ever overwriting anything."""

from __future__ import annotations

from pathlib import Path

from blackroad_nb.core.document import Document
from blackroad_nb.core.notebook import Notebook, check_name
from blackroad_nb.core.template import MOST_COPIES, Template, free_paths, template_of
from blackroad_nb.errors import BlackRoadError, FileExists, InvalidInput
from blackroad_nb.managers.notebooks import SUFFIX, NotebookManager
from blackroad_nb.ports import NotebookFiles, TemplateSource


class TemplateManager:
    """Use cases of templates over their source, the files and the registry."""

    def __init__(
        self, source: TemplateSource, files: NotebookFiles, notebooks: NotebookManager
    ) -> None:
        self._source = source
        self._files = files
        self._notebooks = notebooks

    async def list(self) -> tuple[Template, ...]:
        """Return the templates by name; one that cannot be read says so."""
        found = []
        for name in await self._source.names():
            try:
                found.append(template_of(name, await self._source.read(name)))
            except BlackRoadError as error:
                found.append(Template(name, name, error.message))
        return tuple(found)

    async def copy(
        self, template: str, path: str, name: str | None = None, free_name: bool = False
    ) -> Notebook:
        """Write a copy and register it.

        Args:
            path: where the copy goes; it must end in `.ipynb`.
            name: what the notebook is called; None takes the template's title.
            free_name: when something is at the path already, take the next free name
                beside it.

        Raises:
            TemplateNotFound: there is no such template.
            FileExists: something is at the path already, or at every name tried.
            InvalidInput: the path or the name is not acceptable.
        """
        document = await self._source.read(template)
        title = check_name(name or template_of(template, document).title)
        resolved = self._files.resolve(path)
        if resolved.suffix != SUFFIX:
            raise InvalidInput(f"The path must end in {SUFFIX}; {resolved.name!r} does not.")
        resolved = await self._create(resolved, document, free_name)
        known = await self._notebooks.find(resolved)
        if known:  # its file had been removed by hand; the history stays with the path
            return known
        try:
            return await self._notebooks.create(title, str(resolved), adopt=True)
        except BlackRoadError:
            await self._files.delete(resolved)  # ours: it was created a moment ago
            raise

    async def _create(self, path: Path, document: Document, free_name: bool) -> Path:
        if not free_name:
            await self._files.create(path, document)
            return path
        for candidate in map(Path, free_paths(str(path))):
            try:
                await self._files.create(candidate, document)
            except FileExists:
                continue
            return candidate
        raise FileExists(
            f"{str(path)!r} and the {MOST_COPIES} names after it are taken; choose another path."
        )
