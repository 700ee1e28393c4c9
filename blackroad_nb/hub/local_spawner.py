"""Sessions as plain processes of this machine, for one trusted user or a trial."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub.utils import random_port
from traitlets import default

from blackroad_nb.core.container import slug
from blackroad_nb.core.server import LastWords
from blackroad_nb.errors import SessionFailed
from blackroad_nb.hub.policy_mixin import PolicyMixin

MARK = "BLACKROAD_SESSION"  # tells our process from another with the same number
LOGS = "session-logs"
MOST_LOG = 10_000  # bytes of a log that are read for its last line
PROC = Path("/proc")
_PROGRAM = "import sys; from blackroad_nb.cli.singleuser import serve; serve(sys.argv[1:])"


class LocalSpawner(PolicyMixin, SimpleLocalProcessSpawner):  # type: ignore[misc]
    """Starts a session as a process. It isolates nothing, and the pages say so."""

    isolates = False

    @default("cmd")
    def _own_command(self) -> list[str]:
        # -P: a file in somebody's work folder must not be taken for one of our modules.
        return [sys.executable, "-P", "-c", _PROGRAM]

    @default("term_timeout")
    def _shorter_than_the_spare_time(self) -> int:
        return 10  # what does not come up in time is ended before the hub gives up waiting

    @property
    def folder(self) -> Path:
        """Where this user's work lies; whatever the name, it is one folder of its own."""
        return Path(self.workspaces or Path(self.state_folder) / "workspaces") / slug(
            self.user.name
        )

    @property
    def log_file(self) -> Path:
        return Path(self.state_folder) / LOGS / f"{slug(self.user.name)}--{slug(self.name)}.log"

    async def launch(self) -> Any:
        self.step("start", "Starting JupyterLab as a process of this machine")
        work = self.folder / "work"
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home_dir = str(self.folder)
        # JupyterHub fills this in with `str.format`; braces of the path stay as they are.
        self.notebook_dir = str(self.folder).replace("{", "{{").replace("}", "}}")
        self.port = random_port()
        self.save_state()
        descriptor = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as log:
            self.popen_kwargs = self.process_options(log)
            url = await SimpleLocalProcessSpawner.start(self)
        self.popen_kwargs = {}
        self.save_state()
        return url

    def process_options(self, log: Any) -> dict[str, Any]:
        """Return what the process gets besides its command and its environment."""
        return {"stdout": log, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}

    def get_args(self) -> list[str]:
        args: list[str] = super().get_args()
        # Jupyter Server refuses to run as root; here root is who runs the hub.
        return [*args, "--allow-root"] if os.geteuid() == 0 else args

    def session_environment(self) -> dict[str, str]:
        env = super().session_environment()
        paths = [env["PYTHONPATH"], os.environ.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        env["BLACKROAD_TEMPLATES"] = os.pathsep.join(self.templates)
        if self.record:
            env[MARK] = self.record.id
        return env

    def explain(self, error: Exception) -> SessionFailed:
        if isinstance(error, OSError) and error.strerror:
            place = f" {error.filename}" if error.filename else ""
            return SessionFailed(
                f"The process could not be started:{place} {error.strerror}.", "failed"
            )
        return super().explain(error)

    async def last_words(self) -> LastWords:
        code = self.proc.returncode if self.proc is not None else None
        if code is None:
            return LastWords(None, "exited", "The session's process is not there any more.")
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return LastWords(code, "killed", f"The session's process was ended by {name}.")
        return LastWords(
            code,
            "exited",
            f"The session's process ended by itself with exit code {code}{self._last_line()}.",
        )

    def _last_line(self) -> str:
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(os.fstat(log.fileno()).st_size - MOST_LOG, 0))
                lines = log.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return f"; the last it said is {said[-1][:200]!r}" if said else ""

    async def get_url(self) -> str:
        # Asked when the hub comes back: one that was killed half-way has saved none itself.
        if self.record is None or not self.port:
            return str(await super().get_url())
        return f"http://{self.ip or '127.0.0.1'}:{self.port}{self.server.base_url}"

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "port": self.port}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.port = int(state.get("port") or 0)
        if not self.record:
            return
        # A hub that was killed may not have saved the number.
        pid = int(state.get("pid") or find_process(self.record.id))
        self.pid = pid if is_session(pid, self.record.id) else 0

    async def _signal(self, sig: int) -> bool:
        if self.proc is None and self.record and not is_session(self.pid, self.record.id):
            return False
        return bool(await super()._signal(sig))


def is_session(pid: int, server_id: str) -> bool:
    """Tell whether a process is this session and lives.

    After a restart of the machine the number may be somebody else's process, which
    must not be taken for a session, let alone be stopped. Where there is no /proc,
    the number is all there is.
    """
    if not pid or not PROC.is_dir():
        return bool(pid)
    try:
        state = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[0]
        environment = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return state not in b"ZX" and f"{MARK}={server_id}".encode() in environment


def find_process(server_id: str) -> int:
    """Return the number of the process that is this session; 0 when there is none."""
    numbers = (int(entry.name) for entry in PROC.glob("[0-9]*"))
    return next((pid for pid in numbers if is_session(pid, server_id)), 0)
