"""The real `blackroad-nb up` in a folder of its own, with whatever it starts."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener, urlopen

from blackroad_nb.adapters.process_files import holder, holders
from blackroad_nb.hub.up_state import Settings, StateFolder

SCRIPT = Path(sys.executable).parent / "blackroad-nb"
SECONDS = 60.0
LINK = re.compile(r"http://127\.0\.0\.1:\d+/hub/link\?token=[\w-]+")


def until(reached: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Return what `reached` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.03)
    return found


def _hear_signals() -> None:
    """Undo `nohup` and a shell's `&`, under which the tests may run."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@dataclass
class Up:
    """One state folder, and the `up` of it that was started last."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.folder / "home" / ".blackroad" / "hub")

    @property
    def settings(self) -> Settings:
        settings = self.state.settings()
        assert settings is not None
        return settings

    @property
    def variables(self) -> dict[str, str]:
        own = {
            "HOME": str(self.folder / "home"),
            "NOTEBOOK_DB": str(self.folder / "notebooks.db"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
        }
        return {**os.environ, **own, **self.environment}

    @property
    def text(self) -> str:
        path = self.folder / "up.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def link(self) -> str:
        return str(LINK.findall(self.text)[-1])

    @property
    def log(self) -> str:
        return self.state.log.read_text(errors="replace")

    def run(self, *words: str, program: str = "up") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        more = ("--no-browser",) if program == "up" else ()
        return subprocess.run(
            [SCRIPT, *program.split(), *more, *words],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
        )

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `up` without waiting for anything."""
        (self.folder / "home").mkdir(exist_ok=True)
        with (self.folder / "up.txt").open("wb") as out:
            self.process = subprocess.Popen(
                [SCRIPT, "up", "--no-browser", *words],
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_hear_signals,  # noqa: PLW1509 - the tests start no threads
            )
        return self.process

    def open(self, *words: str) -> str:
        """Start `up` and return its link."""
        process = self.begin(*words)
        until(lambda: LINK.search(self.text) or process.poll() is not None)
        assert process.poll() is None, self.text + self.log
        return self.link

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def claim(self, name: str) -> int:
        """Return the process that holds a claim; 0 for none."""
        return holder(self.state.claims / name) or 0

    def sessions(self) -> dict[str, int]:
        """Return the processes of sessions by claim."""
        return holders(self.state.claims, "session-*")

    def processes(self) -> list[int]:
        """Return every process that was started here, by its environment."""
        mark = os.fsencode(str(self.folder))
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def end(self) -> None:
        """Kill what is left of it, and only that."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.wait(SECONDS)

    # What a user or a program asks.

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask with the token that `up` left for other commands."""
        told = json.loads((self.state.path / "hub.json").read_text())
        request = Request(
            f"{told['url']}/{path.lstrip('/')}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {told['token']}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urlopen(request, timeout=SECONDS) as reply:
                return reply.status, _read(reply.read())
        except HTTPError as error:
            with error:
                return error.code, _read(error.read())

    def start_session(self, name: str = "", **options: Any) -> int:
        """Ask for a session; return the hub's status."""
        path = f"hub/api/users/{self.settings.owner}/server"
        path = f"{path}s/{name}" if name else path
        return self.call("POST", path, options)[0]

    def stop_session(self, name: str = "") -> int:
        path = f"hub/api/users/{self.settings.owner}/server"
        return self.call("DELETE", f"{path}s/{name}" if name else path)[0]

    def servers(self) -> dict[str, Any]:
        status, user = self.call("GET", f"hub/api/users/{self.settings.owner}")
        assert status == 200, user
        return dict(user["servers"])

    def wait_session(self, name: str = "") -> str:
        """Wait until it answers; return its path."""
        until(lambda: self.servers().get(name, {}).get("ready"))
        return f"user/{self.settings.owner}/{name}".rstrip("/") + "/"

    def asks(self, path: str) -> tuple[int, Any]:
        """Ask as `call` does; 0 when nobody answers."""
        try:
            return self.call("GET", path)
        except OSError:
            return 0, None


@contextmanager
def up_in(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Give a place for `up`, and end what is left of it."""
    up = Up(folder, environment or {})
    try:
        yield up
    finally:
        up.end()


def visitor() -> OpenerDirector:
    """Return a browser without a window: it keeps cookies."""
    return build_opener(HTTPCookieProcessor(http.cookiejar.CookieJar()))


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
