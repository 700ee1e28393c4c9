"""Notebook servers of this user, found through the files Jupyter writes for them.

Source: jupyter_server.serverapp.list_running_servers; read here without its import,
which costs more than a whole command may.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One server as its runtime file describes it.

    Attributes:
        url: with the base path, ending in a slash.
        root: the folder it serves.
        socket: the path of its Unix socket, when it listens on none other.
    """

    url: str
    token: str
    root: str
    pid: int
    socket: str | None = None

    def serves(self, path: str) -> bool:
        """Tell whether the file lies in the server's folder."""
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root))


def running_servers() -> tuple[RunningServer, ...]:
    """Return the servers whose process is alive, in the order of their process ids."""
    folder = Path(jupyter_runtime_dir())
    found = [server for file in folder.glob("jpserver-*.json") for server in _read(file)]
    return tuple(sorted(found, key=lambda server: server.pid))


def _read(file: Path) -> Iterator[RunningServer]:
    try:
        described: Any = json.loads(file.read_bytes())
        server = RunningServer(
            url=str(described["url"]).rstrip("/") + "/",
            token=str(described.get("token") or ""),
            root=str(described["root_dir"]),
            pid=int(described["pid"]),
            socket=described.get("sock") or None,
        )
    except (OSError, ValueError, KeyError, TypeError):  # gone, half written, or not ours
        return
    if _is_alive(server.pid):
        yield server


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    if os.name == "nt":  # there, signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
