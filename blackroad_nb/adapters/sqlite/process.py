"""Which process wrote an unfinished row, and whether it still lives.

On one host the process table decides. A process in another container or on
another host cannot be seen, so each holds a lock on a file of its own beside the
database, and the system lets go of it however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

_PROC = Path("/proc")
_NAME_LENGTH = len(uuid4().hex)
_STALE_SECONDS = 3600.0
_ENDED = ("Z", "X")  # states of a process without threads: zombie, dead


class ProcessMark:
    """This store's name in the rows it has not finished, and its lock.

    Args:
        database: the database file; the lock files lie in a folder beside it.
        owner: written into the lock file, for a person who finds it.
    """

    def __init__(self, database: Path, owner: str | None = None) -> None:
        self.database = database
        instance = uuid4().hex
        self.name = "/".join((*_space(), str(os.getpid()), start_of(os.getpid()) or "", instance))
        self._path = folder_of(database) / instance
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = self._path.open("wb", buffering=0)
        try:
            self._file.write(f"{owner or 'blackroad-nb'} {self.name}\n".encode())
        except BaseException:
            self.release()
            raise
        _try_lock(self._file.fileno())

    def release(self) -> None:
        """Say that this process has finished all its rows."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def remove_stale(database: Path) -> None:
    """Remove the lock files of processes that were killed and left no rows behind."""
    for path in folder_of(database).iterdir():
        if len(path.name) != _NAME_LENGTH:
            continue
        with suppress(OSError), path.open("rb+") as file:
            # A fresh file may be about to be locked by its owner.
            old = time.time() - os.fstat(file.fileno()).st_mtime > _STALE_SECONDS
            if old and _try_lock(file.fileno()):
                path.unlink()


def is_alive(name: str, database: Path) -> bool:
    """Whether the process that left this name may still finish its rows."""
    host, space, pid, start, instance = name.split("/")
    if (host, space) == _space() and start:
        return start_of(int(pid)) == start
    path = folder_of(database) / instance
    try:
        with path.open("r+") as file:
            free = _try_lock(file.fileno())
    except FileNotFoundError:
        return False
    if free:
        path.unlink(missing_ok=True)
    return not free


def start_of(pid: int) -> str | None:
    """Return when a process began, in clock ticks since boot; None when it is gone.

    One that has ended and that nobody has waited for yet is gone too.
    Source: proc_pid_stat(5), fields 3 and 22; the name before them may hold spaces.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in _ENDED else fields[19]


def _space() -> tuple[str, str]:
    """Name the host and the table of processes that this process can see."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.stat(_PROC / "self/ns/pid").st_ino
    except OSError:
        return socket.gethostname(), ""
    return socket.gethostname(), f"{boot}:{namespace}"


def folder_of(database: Path) -> Path:
    """Return where the locks of a database lie."""
    return database.with_name(database.name + "-processes")


def _try_lock(descriptor: int) -> bool:
    """Whether the lock was free; a file system without locks cannot say, so: no."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
