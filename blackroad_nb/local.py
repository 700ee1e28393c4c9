"""The parts put together for one process that has no notebook server around it."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.config import database_path, notebook_roots
from blackroad_nb.core.kinds import check_path
from blackroad_nb.managers.notebooks import NotebookManager

if TYPE_CHECKING:
    from blackroad_nb.adapters.exports import NbconvertExporter
    from blackroad_nb.managers.exporting import ExportManager
    from blackroad_nb.managers.history import HistoryManager
    from blackroad_nb.managers.kernels import KernelRegistry
    from blackroad_nb.managers.recording import RecordWriter
    from blackroad_nb.managers.running import RunManager
    from blackroad_nb.managers.templates import TemplateManager
    from blackroad_nb.ports import KernelRunner

# How long a run waits at its end for a store that cannot be written: a little longer than one
# attempt of the store on a busy file.
WRITE_SECONDS = 35.0


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(UTC)


def process_name() -> str:
    """Name this process among those that write to the store."""
    return f"{socket.gethostname()}:{os.getpid()}"


def os_user() -> str | None:
    """Who runs this process, or None where the system cannot tell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return None


class LocalParts:
    """The managers over one store; each is made, and imported, when first used."""

    def __init__(self, store: SqliteStore, files: DiskNotebookFiles) -> None:
        self.store = store
        self.files = files

    @cached_property
    def notebooks(self) -> NotebookManager:
        return NotebookManager(self.store, self.files, utc_now)

    @cached_property
    def runner(self) -> KernelRunner:
        from blackroad_nb.adapters.kernels import LocalKernelRunner

        return LocalKernelRunner()

    @cached_property
    def running(self) -> RunManager:
        from blackroad_nb.managers.running import RunManager, RunSettings

        settings = RunSettings(server=process_name(), user_source="os")
        return RunManager(self.store, self.writer, self.files, self.runner, settings, utc_now)

    @cached_property
    def writer(self) -> RecordWriter:
        from blackroad_nb.managers.recording import RecordWriter, WriterSettings

        return RecordWriter(self.store, utc_now, WriterSettings(close_seconds=WRITE_SECONDS))

    @cached_property
    def history(self) -> HistoryManager:
        from blackroad_nb.managers.history import HistoryManager

        return HistoryManager(self.store)

    @cached_property
    def exporter(self) -> NbconvertExporter:
        from blackroad_nb.adapters.exports import NbconvertExporter

        return NbconvertExporter()

    @cached_property
    def exports(self) -> ExportManager:
        from blackroad_nb.managers.exporting import ExportManager

        return ExportManager(self.store, self.files, self.exporter)

    @cached_property
    def templates(self) -> TemplateManager:
        from jupyter_core.paths import jupyter_path

        from blackroad_nb.adapters.templates import SHARED, FolderTemplates, template_folders
        from blackroad_nb.managers.templates import TemplateManager

        source = FolderTemplates(template_folders(jupyter_path(SHARED)))
        return TemplateManager(source, self.files, self.notebooks)

    @cached_property
    def kernels(self) -> KernelRegistry:
        from blackroad_nb.adapters.kernelspecs import JupyterKernelspecs
        from blackroad_nb.managers.kernels import KernelRegistry

        return KernelRegistry(self.store, JupyterKernelspecs(), self.runner, utc_now)

    async def close(self) -> None:
        """Cancel what still runs, keep what was done, and close the store."""
        try:
            if "running" in self.__dict__:
                await self.running.close()
                await self.writer.close()
            if "exporter" in self.__dict__:
                self.exporter.close()
        finally:
            await self.store.close()


def init_db(db: str | os.PathLike[str] | None = None) -> Path:
    """Create the database, or bring an older one up to date, and return where it is.

    Calling it is optional and may be repeated: whatever opens the database does the same.

    Args:
        db: the file; None takes `NOTEBOOK_DB`, else `~/.blackroad/notebooks.db`.

    Raises:
        StoreError: the file cannot be used; the message says why.
    """
    from blackroad_nb.adapters.sqlite.opening import prepare

    path = database_path(os.environ, None if db is None else check_path(db, "The database"))
    prepare(path)
    return path


async def open_parts(
    db: str | None = None,
    roots: Sequence[Path] | None = None,
    environ: Mapping[str, str] | None = None,
    reading: bool = False,
) -> LocalParts:
    """Open the store and put the managers over it; close them with `close`.

    Args:
        db: the database file; None takes `NOTEBOOK_DB`, else the default.
        roots: folders the notebooks may lie in; None takes `NOTEBOOK_ROOTS`, else all.
        reading: take a database that can only be read too; what writes is refused then.

    Raises:
        StoreError: the database cannot be used.
    """
    environment = os.environ if environ is None else environ
    path = database_path(environment, db)
    store = await SqliteStore.open(path, owner=process_name(), reading=reading)
    allowed = notebook_roots(environment) if roots is None else tuple(roots)
    return LocalParts(store, DiskNotebookFiles(allowed))


@asynccontextmanager
async def local_parts(
    db: str | None = None, roots: Sequence[Path] | None = None, reading: bool = False
) -> AsyncIterator[LocalParts]:
    """`open_parts` for the length of an `async with`."""
    parts = await open_parts(db, roots, reading=reading)
    try:
        yield parts
    finally:
        await parts.close()
