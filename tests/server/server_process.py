"""A `jupyter server` process of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

DEADLINE = 30.0
STOP_SECONDS = 15.0
TOKEN = "only-for-this-test"
AUTHORIZATION = {"Authorization": f"token {TOKEN}"}


@dataclass
class Server:
    """A server with the extension on; `root` is its root folder."""

    process: subprocess.Popen[bytes]
    root: Path
    database: Path
    url: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {**AUTHORIZATION, "Content-Type": "application/json"}
        content = json.dumps(body).encode() if body is not None else None
        request = Request(f"{self.url}blackroad/{path}", content, headers, method=method)
        with urlopen(request, timeout=DEADLINE) as reply:
            return json.loads(reply.read())

    def stop(self, number: int) -> float:
        """Send a signal; return how long the process took to go."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)
        return time.monotonic() - begun


def until(reached: Callable[[], Any]) -> Any:
    """Return what `reached` finds, once it finds something."""
    deadline = time.monotonic() + DEADLINE
    while not (found := reached()):
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.05)
    return found


@contextmanager
def running_server(folder: Path, *options: str) -> Iterator[Server]:
    """Start a server in `folder` and wait until it answers; kill it at the end."""
    root = folder / "root"
    root.mkdir()
    database, runtime = folder / "notebooks.db", folder / "runtime"
    environment = {
        **os.environ,
        "NOTEBOOK_DB": str(database),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_TOKEN": TOKEN,
    }
    extensions = {"blackroad_nb": True, "jupyterlab": False}
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--port=0"]
    command += [f"--ServerApp.root_dir={root}", f"--ServerApp.jpserver_extensions={extensions}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    server = Server(process, root, database)

    def answers() -> bool:
        for file in runtime.glob("jpserver-*.json"):
            try:
                server.url = json.loads(file.read_text())["url"]
                return bool(server.call("GET", "health"))
            except (URLError, ConnectionError, ValueError):
                continue
        assert process.poll() is None, (folder / "log").read_text()
        return False

    try:
        until(answers)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
