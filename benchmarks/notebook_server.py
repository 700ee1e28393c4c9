"""A real Jupyter Server in a process of its own, and a client for its REST routes."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

TOKEN = "benchmark"  # the server listens on loopback and is gone in a minute
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class NotebookServer:
    """A running server."""

    address: str
    process: psutil.Popen
    database: Path

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call a REST route; raises OSError when the server does not answer well."""
        return call(self.address, method, path, body)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads, in nanoseconds' grain where Linux tells."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        try:
            stats = [path.read_text() for path in tasks.glob("*/schedstat")]
        except OSError:
            stats = []
        if not stats:
            times = self.process.cpu_times()
            return times.user + times.system
        return sum(int(stat.split()[0]) for stat in stats) / 1e9


def start_server(
    home: Path, extensions: Mapping[str, bool], options: Sequence[str] = ()
) -> NotebookServer:
    """Start a server that keeps everything it writes below `home`."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = home / "notebooks.db"
    environ = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "NOTEBOOK_DB": str(database),
        "JUPYTER_TOKEN": TOKEN,
        "PYTHONPATH": os.pathsep.join([str(HERE), *os.environ.get("PYTHONPATH", "").split()]),
    }
    command = [
        sys.executable, "-m", "jupyter_server", f"--port={port}", "--ip=127.0.0.1",
        f"--ServerApp.root_dir={home}", "--ServerApp.open_browser=False", "--allow-root",
        "--log-level=ERROR", f"--ServerApp.jpserver_extensions={dict(extensions)}", *options,
    ]  # fmt: skip
    with (home / "server.log").open("ab") as log:
        process = psutil.Popen(command, env=environ, cwd=home, stdout=log, stderr=log)
    server = NotebookServer(f"127.0.0.1:{port}", process, database)
    _await_answer(server)
    return server


@contextmanager
def running_server(
    home: Path, extensions: Mapping[str, bool], options: Sequence[str] = ()
) -> Iterator[NotebookServer]:
    """Run a server for the time of a `with` block."""
    server = start_server(home, extensions, options)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


@contextmanager
def server(variant: str, folder: Path) -> Iterator[tuple[str, psutil.Popen]]:
    """Run a `stock` server, or one with the extension `on`; gives address and process."""
    extensions = {"blackroad_nb": variant == "on", "jupyterlab": False}
    with running_server(folder / variant, extensions) as running:
        yield running.address, running.process


def call(address: str, method: str, path: str, body: object = None) -> Any:
    """Call a REST route of a server started here; raises OSError when it refuses."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    request = Request(f"http://{address}/{path}", data, headers, method=method)
    with urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def _await_answer(server: NotebookServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.call("GET", "api")
        except OSError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
