"""Adapters and managers, put together for one Jupyter Server. Only this module does it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado import web

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.templates import SHARED, FolderTemplates, template_folders
from blackroad_nb.config import operator_templates
from blackroad_nb.core.execution import Execution
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.errors import BlackRoadError, NotebookNotFound, StoreError
from blackroad_nb.managers.notebooks import NotebookManager
from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.managers.templates import TemplateManager
from blackroad_nb.managers.upkeep import NotebookUpkeep
from blackroad_nb.ports import Store
from blackroad_nb.server.health import health_record
from blackroad_nb.server.names import Names
from blackroad_nb.server.opening import OpeningStore
from blackroad_nb.server.settings import ServerSettings
from blackroad_nb.server.workspace import Workspace, prepare, wanted

if TYPE_CHECKING:
    from blackroad_nb.adapters.exports import NbconvertExporter
    from blackroad_nb.adapters.kernels import ServerKernelRunner
    from blackroad_nb.managers.exporting import ExportManager
    from blackroad_nb.managers.history import HistoryManager
    from blackroad_nb.managers.kernels import KernelRegistry
    from blackroad_nb.managers.running import RunManager
    from blackroad_nb.server.recorder import ServerRecorder

ACTIVITY = "blackroad_nb"
ACTIVITY_SECONDS = 15.0
TEMPLATE_FAULT = "The template could not be copied"
CLOSE_SECONDS = 10.0  # for each part; a server that is told to stop must stop

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The clock of the server."""
    return datetime.now(UTC)


class Parts:
    """The managers over one store; each is made, and imported, when first used.

    Args:
        settings: what the operator chose.
        serverapp: the running `ServerApp`, which has Jupyter's own managers.
        root: the server's root folder; notebooks must lie below it.
        misconfigured: why the settings are not what the operator meant; nothing is
            stored then, since it might go to the wrong place.
    """

    def __init__(
        self, settings: ServerSettings, serverapp: Any, root: Path, misconfigured: str | None = None
    ) -> None:
        self.settings = settings
        self.root = root
        self.serverapp = serverapp
        self.store = OpeningStore(
            self._open_store,
            os.path.realpath(root),
            lambda: self.names.server(self.serverapp.port),
        )
        self.files = DiskNotebookFiles((root,))
        self.names = Names(os.environ)
        self.upkeep = NotebookUpkeep(self.store, self.files)
        self.store.on_recorded = self._note_notebooks
        self._misconfigured = misconfigured
        self.faults: dict[str, str] = {}
        self.workspace = Workspace()
        self._stamping: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None

    async def _open_store(self) -> Store:
        if self._misconfigured is not None:
            raise StoreError(
                f"BlackRoadApp is configured wrongly, so nothing is stored: {self._misconfigured}"
                " Correct the configuration and start the server again."
            )
        from blackroad_nb.adapters.sqlite.store import SqliteStore
        from blackroad_nb.local import process_name

        return await SqliteStore.open(self.settings.database, owner=process_name())

    # the managers ----------------------------------------------------------------
    @cached_property
    def notebooks(self) -> NotebookManager:
        return NotebookManager(self.store, self.files, utc_now)

    @cached_property
    def template_source(self) -> FolderTemplates:
        from jupyter_core.paths import jupyter_path

        folders = (*operator_templates(os.environ), *jupyter_path(SHARED))
        return FolderTemplates(template_folders(folders))

    @cached_property
    def templates(self) -> TemplateManager:
        return TemplateManager(self.template_source, self.files, self.notebooks)

    @cached_property
    def history(self) -> HistoryManager:
        from blackroad_nb.managers.history import HistoryManager

        return HistoryManager(self.store)

    @cached_property
    def exporter(self) -> NbconvertExporter:
        from blackroad_nb.adapters.exports import NbconvertExporter

        return NbconvertExporter()

    def warm_exporter(self) -> None:
        """Start an export process when the first export seems near."""
        if self.settings.warm_exports and self._warming is None:
            self._warming = asyncio.create_task(self._warm_exporter(), name="blackroad-warm")

    async def _warm_exporter(self) -> None:
        try:
            await self.exporter.warm()
        except BlackRoadError as error:  # the first export will meet it again and say so
            log.warning("An export process could not be started ahead. %s", error.message)

    @cached_property
    def exports(self) -> ExportManager:
        from blackroad_nb.managers.exporting import ExportManager

        return ExportManager(self.store, self.files, self.exporter)

    @cached_property
    def runner(self) -> ServerKernelRunner:
        from blackroad_nb.adapters.kernels import ServerKernelRunner

        app = self.serverapp
        warm = self.settings.warm_kernels
        return ServerKernelRunner(app.kernel_manager, app.session_manager, self.root, warm)

    @cached_property
    def kernels(self) -> KernelRegistry:
        from blackroad_nb.adapters.kernelspecs import JupyterKernelspecs
        from blackroad_nb.managers.kernels import KernelRegistry

        return KernelRegistry(self.store, JupyterKernelspecs(), self.runner, utc_now)

    @cached_property
    def running(self) -> RunManager:
        from blackroad_nb.managers.running import RunManager, RunSettings

        settings = RunSettings(
            server=self.names.server(self.serverapp.port),
            user_source=self.names.source(self.serverapp.identity_provider),
            cell_limits=self.settings.cell_limits,
            max_active=self.settings.max_active_runs,
        )
        return RunManager(
            self.store,
            self.writer,
            self.files,
            self.runner,
            settings,
            utc_now,
            on_request=self.recorder.claim,
        )

    @cached_property
    def writer(self) -> RecordWriter:
        return RecordWriter(self.store, utc_now)

    @cached_property
    def recorder(self) -> ServerRecorder:
        from blackroad_nb.server.recorder import RecorderOptions, ServerRecorder

        options = RecorderOptions(
            enabled=self.settings.record,
            nodelay=self.settings.nodelay,
            sparing_activity=self.settings.sparing_activity,
        )
        return ServerRecorder(self.serverapp, options=options)

    # what handlers need beside the managers ----------------------------------------
    def below_root(self, path: str) -> str:
        """Read a path of the API: relative ones start at the server's root folder."""
        return str(self.root / path)

    async def registered(self, path: str) -> Notebook:
        """Return the notebook registered for a path of the API. Raises NotebookNotFound."""
        resolved = str(self.files.resolve(self.below_root(path)))
        found = await self.store.find_notebook(resolved)
        if found is None:
            raise NotebookNotFound(f"{resolved!r} is not registered, so it has no runs.")
        return found

    async def health(self) -> dict[str, Any]:
        """Say what works and what does not."""
        return await health_record(self)

    def recorder_health(self) -> dict[str, Any]:
        """Say how the recorder stands."""
        return self.recorder.health()

    @property
    def warm_kernels(self) -> int:
        """How many kernels wait for a run."""
        return self.runner.warm if "runner" in self.__dict__ else 0

    @property
    def active_runs(self) -> int:
        """How many runs go on; asking does not import what runs need."""
        return self.running.active if "running" in self.__dict__ else 0

    def _note_notebooks(self, executions: Sequence[Execution]) -> None:
        """Have the notebooks looked at that registered themselves by being run."""
        for execution in executions:
            path = execution.path
            if execution.origin == "interactive" and path is not None and os.path.isabs(path):
                self.upkeep.note(path, self._kernel_name(execution.kernel_id))

    def _kernel_name(self, kernel_id: str | None) -> str | None:
        try:
            return str(self.serverapp.kernel_manager.get_kernel(kernel_id).kernel_name)
        except (KeyError, web.HTTPError):  # it ended a moment ago
            return None

    def note_activity(self) -> None:
        """Keep the server from being stopped as idle."""
        self.serverapp.web_app.settings["last_activity_times"][ACTIVITY] = utc_now()

    # life ------------------------------------------------------------------------
    def attach(self, settings: dict[str, Any]) -> None:
        """Hook the recorder into the server's websockets, before the first opens.

        Without it the server still runs notebooks, so a fault here is only reported.
        """
        try:
            self.recorder.wrap_websocket(settings)
        except Exception as error:
            self._fault("Recording could not be attached", error)

    def prepare_workspace(self) -> None:
        """Copy the template that the session was started with, before anybody can look.

        A session without its template is worth more than none: what went wrong is said
        where it opens, and in health.
        """
        template, original = wanted(os.environ)
        try:
            self.workspace = prepare(
                template, original, self.root, self.files, self.template_source
            )
        except Exception as error:
            self._fault(TEMPLATE_FAULT, error)
            self.workspace = Workspace(template, message=self.faults[TEMPLATE_FAULT])
        if self.workspace.message:
            log.warning("%s", self.workspace.message)

    def workspace_file_exists(self) -> bool:
        """Tell whether the template's copy is still where it was put."""
        path = self.workspace.path
        return path is not None and (self.root / path).exists()

    async def start(self) -> None:
        """Open the store and begin to record; troubles are logged and shown in health."""
        self._stamping = asyncio.create_task(self._stamp_activity(), name="blackroad-activity")
        try:
            await self.store.opened()
        except StoreError as error:
            log.error("The history is not available. %s", error.message)  # noqa: TRY400
        try:
            await self.recorder.start(self.writer)
        except Exception as error:
            self._fault("Recording could not be started", error)

        if self.settings.warm_imports:
            try:
                await asyncio.to_thread(_import_ahead)
            except Exception as error:
                self._fault("Headless runs could not be loaded", error)

    def _fault(self, what: str, error: Exception) -> None:
        log.error("%s; notebooks run without it.", what, exc_info=error)
        self.faults[what] = f"{type(error).__name__}: {error}; the server's log says more."

    async def _stamp_activity(self) -> None:
        while True:
            await asyncio.sleep(ACTIVITY_SECONDS)
            if self.active_runs:
                self.note_activity()

    async def close(self) -> None:
        """End runs, write what was recorded and close the store, each within a bound.

        A second call waits for the first.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="blackroad-close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for task in (self._stamping, self._warming):
            if task is not None:
                task.cancel()
        if "running" in self.__dict__:
            await _bounded("The headless runs", self.running.close())
        elif "runner" in self.__dict__:
            await _bounded("The kernels", self.runner.close())
        await _bounded("The recorder", self.recorder.stop())
        await _bounded("The registry's upkeep", self.upkeep.close())
        await _bounded("The writer", self.writer.close())  # runs use it without a recorder too
        if "exporter" in self.__dict__:
            self.exporter.close()
        await _bounded("The database", self.store.close())


def _import_ahead() -> None:
    """Load what a run needs (20 ms, 1 MB), so that the first need not wait for it."""
    import_module("blackroad_nb.managers.running")
    import_module("blackroad_nb.adapters.kernels.server")


async def _bounded(what: str, closing: Awaitable[None]) -> None:
    try:
        await asyncio.wait_for(closing, CLOSE_SECONDS)
    except TimeoutError:
        log.error("%s did not close within %d s.", what, CLOSE_SECONDS)  # noqa: TRY400
    except Exception:  # the other parts still have to be closed
        log.exception("%s did not close cleanly.", what)
