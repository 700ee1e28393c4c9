"""What the managers need of the world, as Protocols.

Adapters implement these; managers know nothing else of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from blackroad_nb.core.document import Document
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery, Page
from blackroad_nb.core.kernel import KernelInfo, RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import Run
from blackroad_nb.core.server import ServerRecord
from blackroad_nb.core.sessions import HubServer
from blackroad_nb.core.usage import UsageQuery, UsageTotal

Clock = Callable[[], datetime]


class Store(Protocol):
    """The one place where facts are kept. Every method may raise `StoreError`."""

    @property
    def notice(self) -> str | None:
        """What users should know of the store although it works."""
        ...

    # notebooks -----------------------------------------------------------------
    async def add_notebook(self, notebook: Notebook) -> None:
        """Raises NotebookExists when the path is registered already."""
        ...

    async def get_notebook(self, notebook_id: str) -> Notebook:
        """Raises NotebookNotFound."""
        ...

    async def find_notebook(self, path: str) -> Notebook | None: ...

    async def list_notebooks(
        self, limit: int | None = None, cursor: str | None = None, root: str | None = None
    ) -> Page[Notebook]:
        """Newest update first; no limit means all of them. `root` asks for those below it."""
        ...

    async def move_notebook(self, notebook_id: str, path: str, name: str, at: datetime) -> None:
        """Follow a file that was moved at that time.

        Raises NotebookNotFound, or NotebookExists when the new path is taken.
        """
        ...

    async def note_notebook(
        self,
        notebook_id: str,
        path: str,
        *,
        kernel: str | None = None,
        cell_count: int | None = None,
        at: datetime | None = None,
    ) -> None:
        """Note what the file at this path was seen to hold, and when it was worked on.

        None leaves a value as it is, and updated_at only moves forward. Nothing is noted when
        the notebook is gone, or was moved meanwhile.
        """
        ...

    async def delete_notebook(self, notebook_id: str) -> None:
        """Take the notebook with its runs and history. Raises NotebookNotFound."""
        ...

    async def check_idle(self, notebook_id: str) -> None:
        """Raises RunActive while another process that lives runs the notebook."""
        ...

    # executions ----------------------------------------------------------------
    async def record(self, executions: Sequence[Execution]) -> int:
        """Write a batch in one transaction, with its usage events.

        A row whose id is stored already is ignored, unless the stored one is still
        pending: then it is finished. A row that was counted and then deleted is ignored
        too. A row with a path and no notebook_id, or one that is gone, finds its
        notebook by path or registers it. Returns how many rows were new or finished.
        """
        ...

    async def history(self, query: HistoryQuery, most_bytes: int | None = None) -> Page[Execution]:
        """One page, newest recorded first; it ends early after about `most_bytes`."""
        ...

    async def output(self, execution_id: str) -> str | None:
        """Return the outputs of one execution, as JSON; None where there are none."""
        ...

    def stream_history(self, query: HistoryQuery) -> AsyncIterator[Execution]:
        """Every matching row, newest first, without holding them in memory."""
        ...

    async def delete_history(self, older_than: datetime, only: HistoryQuery) -> int:
        """Delete the finished executions that started before and that the filters match.

        The query's text, cursor and limit are not looked at. Returns how many went.
        """
        ...

    async def usage(self, query: UsageQuery) -> tuple[UsageTotal, ...]: ...

    # runs ----------------------------------------------------------------------
    async def put_run(self, run: Run) -> None:
        """Insert or replace."""
        ...

    async def get_run(self, run_id: str) -> Run:
        """Raises RunNotFound."""
        ...

    async def list_runs(
        self,
        notebook_id: str | None = None,
        limit: int = 50,
        cursor: int | None = None,
        root: str | None = None,
    ) -> Page[Run]:
        """One page, newest recorded first, whenever they started, if at all.

        Without a notebook, `root` asks for the runs of files below it.
        """
        ...

    # kernels -------------------------------------------------------------------
    async def add_kernel(self, kernel: RegisteredKernel) -> None:
        """Raises KernelExists when the name is registered."""
        ...

    async def list_kernels(self) -> tuple[RegisteredKernel, ...]: ...

    async def delete_kernel(self, name: str) -> None:
        """Raises KernelNotFound."""
        ...

    # life ----------------------------------------------------------------------
    async def check(self) -> None:
        """Read and write a little; raises the StoreError that users would meet."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """What a notebook file held when it was read."""

    path: Path
    document: Document
    digest: str


class NotebookFiles(Protocol):
    """Notebook files under the allowed roots; every path that goes in is resolved."""

    def resolve(self, path: str | Path) -> Path:
        """Follow links and return the real path. Raises PathNotAllowed or InvalidInput."""
        ...

    async def create(self, path: Path, document: Document) -> None:
        """Write a new notebook; as `write_new`, which says what it raises."""
        ...

    async def read(self, path: Path) -> NotebookFile:
        """Raises NotebookNotFound when the file is gone, InvalidNotebook when unreadable."""
        ...

    async def read_bytes(self, path: Path) -> bytes:
        """Return what the file holds, unchecked. Raises as `read` does for what is no file."""
        ...

    async def write(
        self, path: Path, content: bytes, expected: str | None, durable: bool = True
    ) -> str:
        """Replace the file's content and return its new digest.

        Owner, group, mode, attributes and links stay as they are. The file is whole at any
        moment, unless it has several names or its owner cannot be kept: then the content is
        written into it, with a copy next to it until that is done.

        `expected` is the digest of what may be replaced. Raises FileChanged, and
        writes nothing, when the file is no longer that; None skips the check.
        `durable` waits for the disk; without it the file survives a crash of this
        process, but maybe not one of the machine.
        """
        ...

    async def write_new(self, path: Path, content: bytes) -> None:
        """Write a new file of any kind, in a new folder if that is missing.

        Raises FileExists; never overwrites, also not in a race.
        """
        ...

    async def check_place(self, path: Path) -> None:
        """Refuse a place where a run could not write in the end, before work is done for it.

        Its folder must be there: none is made. Raises InvalidInput.
        """
        ...

    async def delete(self, path: Path) -> bool:
        """Remove the file, and tell whether there was one; one that is gone is no error."""
        ...


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What the kernel said of one cell; its outputs are in the cell itself."""

    status: Status
    msg_id: str
    started_at: datetime
    finished_at: datetime
    duration_ms: int
    execution_count: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CellLimits:
    """Bounds on one cell.

    Attributes:
        timeout_seconds: None for no limit.
        grace_seconds: how long an interrupted cell may take before its kernel is killed.
        output_bytes: outputs beyond this are dropped, with one line that says so.
    """

    timeout_seconds: float | None = 60.0
    grace_seconds: float = 5.0
    output_bytes: int = 64 * 1024 * 1024


class RunningKernel(Protocol):
    """A started kernel with one client of ours."""

    kernel_id: str

    async def run_cell(
        self,
        cell: dict[str, Any],
        index: int,
        limits: CellLimits,
        on_request: Callable[[str], None],
        on_output: Callable[[int], None],
    ) -> CellOutcome:
        """Send one cell and wait until the kernel is idle again.

        `cell` is an nbformat 4 code cell; its outputs and execution_count change in
        place as messages come. `on_output` is called after each change with the index
        of the cell that changed: a display can be updated from a later cell. Until the
        cell has finished, the text of a stream may be a list of strings.
        `on_request` gets the msg_id before any message about it is read.
        A time-out interrupts, then kills: the outcome says `timeout` either way.
        A dead kernel gives the outcome `killed`. Cancelling the awaiting task leaves
        the kernel running; call `interrupt` or `shutdown`.
        """
        ...

    async def interrupt(self) -> None: ...

    async def is_alive(self) -> bool: ...

    async def language_info(self) -> Mapping[str, Any]: ...

    def widgets(self) -> Mapping[str, Any] | None:
        """What belongs into the notebook's `metadata.widgets`, None when there are none."""
        ...

    async def close(self, shutdown: bool = True) -> None:
        """Let go of the client; `shutdown` stops the kernel too."""
        ...


class KernelRunner(Protocol):
    """Where kernels come from: this process's own, or the server's manager."""

    async def start(self, kernel: str, cwd: Path, title: str, warm: bool = False) -> RunningKernel:
        """Start a kernel that works in `cwd`; `title` is its `JPY_SESSION_NAME`.

        With `warm` it may be one that was started before, as long as it looks new.
        Raises KernelNotFound or KernelStartFailed.
        """
        ...

    async def attach(self, kernel_id: str) -> RunningKernel | None:
        """The kept kernel of an earlier run, or None when it is gone."""
        ...

    def retire(self) -> None:
        """Make no more kernels ready: the runs that end now are the last."""
        ...

    async def close(self) -> None:
        """Stop the kernels that were kept or made ready; running ones are their runs'."""
        ...


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One way to export; `reason` says why it is not available here."""

    name: str
    extension: str
    mime_type: str
    available: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported notebook with the files that go beside it."""

    body: bytes
    extension: str
    mime_type: str
    resources: Mapping[str, bytes] = field(default_factory=dict)


class Exporter(Protocol):
    """Turns a notebook file's content into another format."""

    async def formats(self) -> tuple[ExportFormat, ...]: ...

    async def export(
        self, content: bytes, name: str, format: str, trusted: bool, folder: Path | None = None
    ) -> Exported:
        """Convert it; pictures that it names may come from `folder`, where it lies.

        Raises InvalidInput, InvalidNotebook, ExportUnavailable or ExportFailed.
        """
        ...

    def close(self) -> None:
        """Stop what was started for exports, also in the middle of one."""
        ...


class Kernelspecs(Protocol):
    """The kernelspec folders that Jupyter itself reads."""

    async def list(self) -> tuple[KernelInfo, ...]: ...

    async def install(self, kernel: RegisteredKernel, env: Mapping[str, str]) -> None:
        """Write the kernelspec atomically. Raises KernelExists or InvalidInput."""
        ...

    async def remove(self, name: str) -> None:
        """Raises KernelNotFound."""
        ...

    async def remove_broken(self, name: str) -> None:
        """Remove what is left of a kernelspec of ours that Jupyter cannot read any more."""
        ...


class TemplateSource(Protocol):
    """Where notebooks to start from lie."""

    async def names(self) -> tuple[str, ...]: ...

    async def read(self, name: str) -> Document:
        """Raises TemplateNotFound, or InvalidNotebook when the template is broken."""
        ...


class ServerLog(Protocol):
    """Sessions, those that run and those that ended. Every method may raise `StoreError`.

    Synchronous, because a hub writes a row a launch; one process writes, others read.
    """

    def put(self, record: ServerRecord) -> None:
        """Insert or replace."""
        ...

    def get(self, server_id: str) -> ServerRecord:
        """Raises SessionNotFound."""
        ...

    def last(self, user: str, server_name: str) -> ServerRecord | None:
        """The newest session of this server, whatever became of it."""
        ...

    def list(
        self, user: str | None = None, ended: bool | None = None, limit: int = 50
    ) -> tuple[ServerRecord, ...]:
        """Newest first."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LaunchProgress:
    """One line of what the hub does to bring a session up.

    Attributes:
        percent: 0 to 100.
        message: what is being done, or why it failed.
        ready, failed: at most one is true, and then it is the last line.
    """

    percent: int
    message: str
    ready: bool = False
    failed: bool = False


class HubClient(Protocol):
    """A hub as the owner of one token may use it; what is allowed, the hub decides.

    Every method may raise HubUnreachable, or LaunchRefused when the token is not enough.
    """

    async def servers(self) -> tuple[HubServer, ...]:
        """Every active server that the token may see."""
        ...

    async def servers_of(self, user: str) -> tuple[HubServer, ...]:
        """The active servers of one user. Raises SessionNotFound: no such user for us."""
        ...

    async def start(self, user: str, name: str, options: Mapping[str, Any]) -> None:
        """Ask for a server; returns when it runs or after the hub's short patience.

        Raises:
            LaunchRefused, LimitReached: with the hub's own sentence.
            SessionActive: it runs, starts or stops already.
            SessionFailed: it did not come up.
            SessionNotFound: no such user.
            InvalidInput: the hub cannot do this with such options or such a name.
        """
        ...

    async def stop(self, user: str, name: str) -> None:
        """Ask a server to end; one that has ended is no error.

        Raises SessionNotFound, SessionFailed or LaunchRefused.
        """
        ...

    def progress(self, user: str, name: str) -> AsyncIterator[LaunchProgress]:
        """Follow a start to its end; yields nothing when nothing is starting."""
        ...
