"""Which notebook a kernel belongs to, known without asking at every cell.

Jupyter's session manager keeps that in an SQLite table of its own. The connection
counts its changes, so one look at a number tells whether to read the table again.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.utils import to_os_path

from blackroad_nb.core.witness import storable

_SHARED_PREFIX = "RTC:"  # how collaboration names a document that is open in several browsers


class SessionPaths:
    """The notebook's path for each kernel.

    A path is absolute with links followed when the contents are local files under
    the server's root; otherwise it stays as the contents API names it.
    """

    def __init__(self, session_manager: Any, contents_manager: Any) -> None:
        self._sessions = session_manager
        self._root: Path | None = None
        if isinstance(contents_manager, FileManagerMixin):
            self._root = Path(os.path.realpath(contents_manager.root_dir))  # type: ignore[attr-defined]
        self._changes = -1
        self._api_paths: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self._moved: dict[str, tuple[str, str]] = {}

    def of(self, kernel_id: str) -> str | None:
        """Return the path of the kernel's notebook, or None when it has none."""
        connection = getattr(self._sessions, "connection", None)
        if connection is not None and connection.total_changes != self._changes:
            self._changes = connection.total_changes
            self._read(connection)
        return self._paths.get(kernel_id)

    def rename(self, old: str, new: str) -> tuple[str, str] | None:
        """Note that a file or folder of the contents moved, before its session tells.

        Returns the absolute paths before and after, or None without local files.
        """
        old, new = old.strip("/"), new.strip("/")
        for kernel_id, api_path in list(self._api_paths.items()):
            if api_path == old or api_path.startswith(f"{old}/"):
                moved = new + api_path[len(old) :]
                self._moved[kernel_id] = (api_path, moved)
                self._api_paths[kernel_id] = moved
                self._paths[kernel_id] = self.resolve(moved)
        before, after = self.resolve(old), self.resolve(new)
        return (before, after) if os.path.isabs(before) and os.path.isabs(after) else None

    def resolve(self, api_path: str) -> str:
        """Return the file behind a path of the contents API, when it is one of ours."""
        if self._root is None or "\0" in api_path:
            return storable(api_path)
        real = Path(os.path.realpath(to_os_path(api_path, str(self._root))))  # type: ignore[arg-type]
        return storable(str(real) if real.is_relative_to(self._root) else api_path)

    def _read(self, connection: sqlite3.Connection) -> None:
        try:
            rows = connection.execute(
                "SELECT kernel_id, path FROM session WHERE type = 'notebook' ORDER BY rowid DESC"
            ).fetchall()
        except sqlite3.Error:  # no session was ever made: there is no table yet
            rows = []
        api_paths: dict[str, str] = {}
        for kernel_id, path in rows:  # of two notebooks on one kernel the first counts
            if isinstance(kernel_id, str) and isinstance(path, str) and path:
                api_paths[kernel_id] = path.removeprefix(_SHARED_PREFIX).strip("/")
        for kernel_id, (before, after) in list(self._moved.items()):
            if api_paths.get(kernel_id) == before:
                api_paths[kernel_id] = after
            else:
                del self._moved[kernel_id]
        known = {
            kernel_id: self._paths[kernel_id]
            for kernel_id, path in api_paths.items()
            if self._api_paths.get(kernel_id) == path and kernel_id in self._paths
        }
        self._paths = {k: known.get(k) or self.resolve(path) for k, path in api_paths.items()}
        self._api_paths = api_paths
