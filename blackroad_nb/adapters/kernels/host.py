"""The process behind a kernel: how it is stopped, and how we learn that it died."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

START_TRIES = 3  # a kernel's ports are chosen first and bound later: others may come between
KEPT = 4  # kernels kept for a resume at one time; the oldest goes first
POLL_SECONDS = 0.25  # where the operating system cannot tell us of an exit


class KernelHost(Protocol):
    """Whoever started the kernel and may interrupt, kill and stop it."""

    kernel_id: str
    name: str

    @property
    def died(self) -> asyncio.Event:
        """Set once the process that was there at the beginning is gone."""
        ...

    def reason(self) -> str:
        """Why the kernel died, in words that follow `The kernel`."""
        ...

    async def alive(self) -> bool: ...

    async def interrupt(self) -> None: ...

    async def kill(self) -> None:
        """End the process at once and wait until it is gone, a few seconds at most."""
        ...

    async def stop(self, keep: bool, ask: Callable[[], None] | None = None) -> None:
        """Shut the kernel down, or with `keep` leave it.

        `ask` sends it the request to shut down as one of its client's; it is given when
        the kernel is idle, and a host may prefer to ask in a way of its own.
        """
        ...


class ExitWatch:
    """Sets an event when a process ends; where possible without polling.

    Args:
        alive: asked every quarter of a second when there is no process id, or no
            pidfd on this system.
    """

    def __init__(self, pid: int | None, alive: Callable[[], Awaitable[bool]]) -> None:
        self.died = asyncio.Event()
        self._alive = alive
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None
        self._task: asyncio.Task[None] | None = None
        opener = getattr(os, "pidfd_open", None)  # Linux 5.3 or newer
        if pid is not None and opener is not None:
            with contextlib.suppress(OSError):
                self._descriptor = opener(pid)
        if self._descriptor is not None:
            self._loop.add_reader(self._descriptor, self._exited)
        else:
            self._task = asyncio.create_task(self._poll())

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _exited(self) -> None:
        self.died.set()
        self.close()

    async def _poll(self) -> None:
        while await self._alive():  # noqa: ASYNC110, there is nothing that could tell us
            await asyncio.sleep(POLL_SECONDS)
        self.died.set()


class OomWatch:
    """Tells whether the system killed a process of our memory group since `__init__`.

    Reads `oom_kill` of cgroup v2's `memory.events` or v1's `memory.oom_control`.
    """

    def __init__(self) -> None:
        self._before = _oom_kills()

    def happened(self) -> bool:
        """True when the counter of our own group has grown."""
        now = _oom_kills()
        return now is not None and self._before is not None and now > self._before


def exit_reason(code: int | None, oom: OomWatch | None = None) -> str:
    """Say how a process ended, from what `subprocess` calls its return code."""
    if code is None:
        return "died"
    if code >= 0:
        return f"exited with code {code}"
    if -code == signal.SIGKILL and oom is not None and oom.happened():
        return "was killed by the system: out of memory"
    if -code == signal.SIGKILL:
        return f"was killed by signal {-code} (SIGKILL, as when memory runs out)"
    try:
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed by signal {-code}"


def _oom_kills() -> int | None:
    for path in _event_files():
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.isdigit():
                return int(count)
    return None


def _event_files() -> list[Path]:
    mount = Path("/sys/fs/cgroup")
    files = []
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in groups:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            files += [mount / path.lstrip("/") / "memory.events", mount / "memory.events"]
        elif "memory" in controllers.split(","):
            v1 = mount / "memory"
            files += [v1 / path.lstrip("/") / "memory.oom_control", v1 / "memory.oom_control"]
    return files
