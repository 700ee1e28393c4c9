"""Notebooks in other formats: as bytes for a download, or as files beside the notebook."""

from __future__ import annotations

from pathlib import Path

from blackroad_nb.core.document import digest
from blackroad_nb.core.export import DEFAULT_FORMAT, default_file_name
from blackroad_nb.errors import (
    FileChanged,
    FileExists,
    InvalidInput,
    InvalidNotebook,
    NotebookExists,
)
from blackroad_nb.ports import Exported, Exporter, ExportFormat, NotebookFiles, Store

SUFFIX = ".ipynb"


class ExportManager:
    """Use cases of export over the registry, the files and an exporter."""

    def __init__(self, store: Store, files: NotebookFiles, exporter: Exporter) -> None:
        self._store = store
        self._files = files
        self._exporter = exporter

    async def formats(self) -> tuple[ExportFormat, ...]:
        """Return all formats; those that are not available here say why."""
        return await self._exporter.formats()

    async def export(
        self, notebook: str | Path, format: str = DEFAULT_FORMAT, trusted: bool = False
    ) -> Exported:
        """Return the notebook, as its file is now, in another format.

        Args:
            notebook: its id, or the path of a file, which need not be registered.
            trusted: keep scripts and whatever else outputs may do. HTML that is not
                trusted runs nothing and fetches nothing.

        Raises:
            NotebookNotFound: no such notebook, or its file is gone.
            InvalidNotebook: the file is no valid notebook.
            InvalidInput: no such format.
            ExportUnavailable: this machine lacks what the format needs.
            ExportFailed: the converter gave up on this notebook.
        """
        return await self._export(await self._source(notebook), format, trusted)

    async def export_file(
        self,
        notebook: str | Path,
        format: str = DEFAULT_FORMAT,
        destination: str | None = None,
        overwrite: bool = False,
        trusted: bool = False,
    ) -> Path:
        """Write an export and the files that go with it; return where.

        Each file appears whole or not at all, the document after what it refers to.

        Args:
            notebook: its id, or the path of a file, which need not be registered.
            destination: a file under the allowed roots; None for one beside the
                notebook, named like it.
            overwrite: replace earlier exports at the same place.

        Raises:
            FileExists: something is there already and `overwrite` is false.
            PathNotAllowed: the destination leads outside the allowed roots.
            NotebookExists: the destination is a registered notebook, or this one.
            InvalidInput: the destination cannot be written, or what `export` raises.
        """
        source = await self._source(notebook)
        if destination is not None:  # refused before the work, not after it
            place = self._files.resolve(destination)
            await self._check_destination(place, source, format)
            await self._files.check_place(place)
        exported = await self._export(source, format, trusted)
        target = self._files.resolve(
            destination or source.with_name(default_file_name(source.stem, exported.extension))
        )
        await self._check_destination(target, source, format)
        files = {
            self._files.resolve(target.parent / name): content
            for name, content in exported.resources.items()
        }
        for path, content in files.items():
            # Formats share the pictures of a notebook: the same one again is no quarrel.
            await self._put(path, content, overwrite, same=digest(content))
        await self._put(target, exported.body, overwrite)
        return target

    def close(self) -> None:
        """Stop the exporter, also in the middle of an export."""
        self._exporter.close()

    async def _source(self, notebook: str | Path) -> Path:
        if isinstance(notebook, str):
            notebook = Path((await self._store.get_notebook(notebook)).path)
        return self._files.resolve(notebook)

    async def _export(self, path: Path, format: str, trusted: bool) -> Exported:
        # Only the exporter's own process parses it: a large notebook would hold up the server.
        content = await self._files.read_bytes(path)
        try:
            return await self._exporter.export(content, path.stem, format, trusted, path.parent)
        except InvalidNotebook as error:
            raise InvalidNotebook(f"{str(path)!r} is not a readable notebook. {error}") from None

    async def _check_destination(self, target: Path, source: Path, format: str) -> None:
        suffix, is_notebook = target.suffix.lower(), format in ("ipynb", "notebook")
        if suffix == SUFFIX and not is_notebook:
            raise InvalidInput(
                f"A {format} export must not be named {target.name!r}; end it otherwise."
            )
        if suffix not in ("", SUFFIX) and is_notebook:
            raise InvalidInput(
                f"{target.name!r} does not end in {SUFFIX}, as a {format} export must; "
                "name the format that you want, or end it so."
            )
        if target == source or await self._store.find_notebook(str(target)):
            raise NotebookExists(
                f"{str(target)!r} is a notebook of yours and is never replaced by an export; "
                "choose another file."
            )

    async def _put(
        self, path: Path, content: bytes, overwrite: bool, same: str | None = None
    ) -> None:
        try:
            await self._files.write_new(path, content)
        except FileExists:
            try:
                if not overwrite and same is None:
                    raise
                await self._files.write(path, content, None if overwrite else same)
            except (FileExists, FileChanged):
                raise FileExists(
                    f"{str(path)!r} exists already; name another file (--output), or replace"
                    " it (--overwrite)."
                ) from None
