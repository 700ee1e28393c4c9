"""Which process does what, told by files that a living process keeps locked.

A process id alone proves nothing: ids are used again. A process that is *claimed* holds
an advisory lock on a small file from its birth, through a descriptor that is its own and
that the kernel closes when it ends, however it ends. So a claim that is locked has a
living process, and a claim that is not is left over. Works after kill -9 of whoever
started the process, and across restarts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PRIVATE = 0o600
_TICK_SECONDS = 0.02
_PROBE_SECONDS = 0.2
_PROBE_TICK_SECONDS = 0.002  # often, for whoever looks holds the lock for a moment


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that is ours to lock, open and locked.

    Attributes:
        descriptor: hand it to the child (`pass_fds`), then `release` it here; the lock
            lives as long as any process has it open.
    """

    path: Path
    descriptor: int

    def name_holder(self, pid: int) -> None:
        """Write down who holds it. Safe between fork and exec: it allocates little."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, b'{"pid": %d}' % pid, 0)

    def release(self) -> None:
        """Close this process's descriptor; a child that has it keeps the lock."""
        os.close(self.descriptor)


def claim(path: Path) -> Claim | None:
    """Lock the file for this process and its heirs; None when another holds it."""
    deadline = time.monotonic() + _PROBE_SECONDS  # somebody may only be looking
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            if _lock(descriptor) and _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)  # it names who held it before
                return Claim(path, descriptor)
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            return None
        time.sleep(_PROBE_TICK_SECONDS)


def holder(path: Path, *, tidy: bool = False) -> int | None:
    """Return the process that holds the claim; 0 when it is held by one not named yet.

    Args:
        tidy: remove a file that nobody holds.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Shared: who only looks must not be taken for a holder by another who looks.
        if not _lock(descriptor, fcntl.LOCK_SH):
            return _named(descriptor)
        if tidy and _lock(descriptor) and _is_still(path, descriptor):
            path.unlink(missing_ok=True)
        return None
    finally:
        os.close(descriptor)


def holders(folder: Path, pattern: str = "*") -> dict[str, int]:
    """Return the claims of a folder that are held, by name; what is left over is removed."""
    found = {path.name: holder(path, tidy=True) for path in sorted(folder.glob(pattern))}
    return {name: pid for name, pid in found.items() if pid is not None}


def end(path: Path, grace_seconds: float = 5.0, *, group: bool = False) -> bool:
    """End the process that holds the claim: asked first, then made to.

    Args:
        group: the process leads a group of its own, and all of it is to end.

    Returns:
        Whether there was one, and it is gone now.
    """
    asked = False
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        while (pid := holder(path)) is not None:
            if time.monotonic() > deadline:
                break
            if pid and (not asked or number is signal.SIGKILL):
                _send(pid, number, group)
                asked = True
            time.sleep(_TICK_SECONDS)
        else:
            holder(path, tidy=True)
            return asked
    return False


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the claim in this process for the block; yields whether it could be had."""
    own = claim(path)
    if own is None:
        yield False
        return
    try:
        own.name_holder(os.getpid())
        yield True
    finally:
        path.unlink(missing_ok=True)
        own.release()


def _lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the file is the one at this path: another may have tidied it up."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _named(descriptor: int) -> int:
    try:
        return int(json.loads(os.pread(descriptor, 64, 0))["pid"])
    except (ValueError, KeyError, TypeError):
        return 0


def _send(pid: int, number: signal.Signals, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if group and os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
