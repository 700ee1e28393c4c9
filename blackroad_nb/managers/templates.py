"""Notebooks to start from: listed, and copied without ever overwriting anything."""

from __future__ import annotations

from blackroad_nb.core.notebook import Notebook, check_name
from blackroad_nb.core.template import Template, template_of
from blackroad_nb.errors import BlackRoadError, InvalidInput
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

    async def copy(self, template: str, path: str, name: str | None = None) -> Notebook:
        """Write a copy and register it.

        Args:
            path: where the copy goes; it must end in `.ipynb`.
            name: what the notebook is called; None takes the template's title.

        Raises:
            TemplateNotFound: there is no such template.
            FileExists: something is at the path already.
            InvalidInput: the path or the name is not acceptable.
        """
        document = await self._source.read(template)
        title = check_name(name or template_of(template, document).title)
        resolved = self._files.resolve(path)
        if resolved.suffix != SUFFIX:
            raise InvalidInput(f"The path must end in {SUFFIX}; {resolved.name!r} does not.")
        await self._files.create(resolved, document)
        known = await self._notebooks.find(resolved)
        if known:  # its file had been removed by hand; the history stays with the path
            return known
        try:
            return await self._notebooks.create(title, str(resolved), adopt=True)
        except BlackRoadError:
            await self._files.delete(resolved)  # ours: it was created a moment ago
            raise
