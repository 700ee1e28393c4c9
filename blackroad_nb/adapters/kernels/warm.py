"""Kernels that are ready before anybody asks for one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from blackroad_nb.adapters.kernels.session import KernelSession
from blackroad_nb.errors import KernelFailed, KernelNotFound

log = logging.getLogger(__name__)


class WarmKernels:
    """A few kernels started before they are asked for; each is used once.

    Nothing is started before the first run has ended: an idle server pays nothing.

    Attributes:
        wanted: how many; none are started any more once it is 0.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[KernelSession | None]],
        wanted: int,
        seconds: float,
        later: Callable[[Awaitable[None]], None],
    ) -> None:
        self._start = start
        self.wanted = wanted
        self._seconds = seconds
        self._later = later
        self._ready: list[asyncio.Future[KernelSession | None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """How many are ready now."""
        return sum(task.done() for task in self._ready)

    def fill(self) -> None:
        """Start what is missing, and count the idle time anew."""
        while len(self._ready) < self.wanted:
            task = asyncio.ensure_future(self._start())
            task.add_done_callback(self._count_idle_time)
            self._ready.append(task)
        self._count_idle_time()

    async def take(self, cwd: Path, title: str) -> KernelSession | None:
        """Return a kernel that looks as if it had just been started for this notebook."""
        while self._ready:
            task = self._ready.pop(0)
            session = await _started(task)
            if session is None:
                continue
            try:
                if await session.is_alive() and await session.run_quietly(_settling(cwd, title)):
                    return session
            except BaseException:
                await session.close()
                raise
            await session.close()
        return None

    async def close(self) -> None:
        """Stop those that are ready."""
        self.wanted = 0
        if self._timer is not None:
            self._timer.cancel()
        ready, self._ready = self._ready, []
        for task in ready:
            await _discard(task)

    def _count_idle_time(self, _: object = None) -> None:
        """One that is still starting is not idle, however long that takes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ready and self.count == len(self._ready):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._give_up)

    def _give_up(self) -> None:
        ready, self._ready = self._ready, []
        for task in ready:
            self._later(_discard(task))


async def _started(task: asyncio.Future[KernelSession | None]) -> KernelSession | None:
    try:
        return await task
    except (KernelFailed, KernelNotFound) as error:
        log.warning("A kernel could not be made ready. %s", error.message)
        return None


async def _discard(task: asyncio.Future[KernelSession | None]) -> None:
    session = await _started(task)
    if session is not None:
        await session.close()


def _settling(cwd: Path, title: str) -> str:
    """Return code that moves a kernel into a folder and leaves no name behind.

    IPython keeps the folders a user has been in as `_dh`, and ipykernel the title as
    `__session__`.
    """
    folder = str(cwd)
    return "\n".join(
        [
            f"__import__('os').chdir({folder!r})",
            f"__import__('os').environ['JPY_SESSION_NAME'] = {title!r}",
            f"get_ipython().user_ns['__session__'] = {title!r}",
            "get_ipython().user_ns['_dh'][:] = "
            f"[type(_)({folder!r}) for _ in get_ipython().user_ns['_dh'][:1]]",
        ]
    )


def is_ipython(kernel: str) -> bool:
    """Tell whether a kernelspec is ipykernel's own, which jupyter_client knows by name."""
    return kernel in ("python", "python3")


def start_arguments(kernel: str) -> dict[str, Any]:
    """Return what a kernel is started with besides its kernelspec.

    One history file for all IPython kernels would make them wait for each other.
    """
    if is_ipython(kernel):
        return {"extra_arguments": ["--HistoryManager.hist_file=:memory:"]}
    return {}
