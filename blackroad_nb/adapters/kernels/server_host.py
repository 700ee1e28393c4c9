"""One kernel of the Jupyter server around us, with the session that shows it to people."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from tornado.web import HTTPError

from blackroad_nb.adapters.kernels.host import ExitWatch, OomWatch, exit_reason
from blackroad_nb.adapters.kernels.lost_ports import ended_without_ports

if TYPE_CHECKING:
    from blackroad_nb.adapters.kernels.server import ServerKernelRunner

KILL_SECONDS = 5.0
TRIES, BETWEEN_SECONDS = 200, 0.05  # to shut a kernel down that is busy with a restart
WATCHED_TRIES, WATCHED_SECONDS = 100, 0.02
SESSION_TYPE = "console"  # what JupyterLab can list and open without taking it for the file


class ServerHost:
    """A kernel of the server, with the session that shows it."""

    def __init__(self, runner: ServerKernelRunner, kernel_id: str) -> None:
        self.kernel_id = kernel_id
        self.session_id: str | None = None
        self.title = ""
        self.refills = False
        self._stopped = False
        self._robbed = False
        self._found_dead = False
        self._runner = runner
        self._kernels, self._sessions = runner.managers
        self.manager = self._kernels.get_kernel(kernel_id)
        self.name = self.manager.kernel_name
        # Kept, because the manager forgets its process once that has ended.
        self._process = self._current_process()
        self._oom = OomWatch()
        self._watch = ExitWatch(getattr(self._process, "pid", None), self.alive)
        if hasattr(self.manager, "add_restart_callback"):
            self.manager.add_restart_callback(self._restarter_found_it_dead, "restart")

    @property
    def died(self) -> asyncio.Event:
        return self._watch.died

    async def show(self, title: str, note: str = "headless run") -> None:
        """Give the kernel its line in the server's list of sessions."""
        self.title = title
        name = f"{os.path.basename(title)} ({note})"
        path = self._runner.session_path(title)
        if self.session_id is None:
            model = await self._sessions.create_session(
                path=path, name=name, type=SESSION_TYPE, kernel_id=self.kernel_id
            )
            self.session_id = model["id"]
        else:
            await self._sessions.update_session(self.session_id, path=path, name=name)

    async def until_watched(self, greet: Callable[[], None]) -> None:
        """Wait until the server hears this kernel; it connects later than we do.

        A cell that had begun by then would look idle, and its kernel could be culled.
        """
        for _ in range(WATCHED_TRIES):
            if getattr(self.manager, "execution_state", "idle") != "starting":
                return
            greet()  # whatever the kernel says will do
            await asyncio.sleep(WATCHED_SECONDS)

    async def mind_ports(self) -> None:
        """End the kernel once it is seen that somebody else has taken a port of its."""
        self._robbed = await ended_without_ports(self._process, self.manager)

    def reason(self) -> str:
        if self._robbed:
            return "found one of its ports taken by another program"
        gone = self.kernel_id not in self._kernels or self.manager.shutting_down
        if not self._found_dead and (gone or self._current_process() is not self._process):
            return "was shut down or restarted from elsewhere, in JupyterLab for instance"
        return exit_reason(self._process.poll() if self._process else None, self._oom)

    def may_have_lost_its_ports(self) -> bool:
        """Tell whether it ended as one does whose port somebody else had taken.

        What it said of that went to the server's log, where nobody reads it.
        """
        code = self._process.poll() if self._process else None
        ended_so = self.died.is_set() and code == 1 and self.manager.transport == "tcp"
        return self._robbed or ended_so

    def _restarter_found_it_dead(self) -> None:
        """The server's own restarter says so before it acts: nobody asked for that."""
        self._found_dead = True

    async def alive(self) -> bool:
        if self._watch_is_over() or self.kernel_id not in self._kernels:
            return False
        return bool(await ensure_async(self.manager.is_alive()))

    async def interrupt(self) -> None:
        if not self.died.is_set() and self.kernel_id in self._kernels:
            await ensure_async(self._kernels.interrupt_kernel(self.kernel_id))

    async def kill(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end(now=True), KILL_SECONDS)

    async def stop(
        self,
        keep: bool,
        ask: Callable[[], None] | None = None,  # noqa: ARG002, the server has its own way
    ) -> None:
        if keep and await self.alive():
            with contextlib.suppress(HTTPError, KeyError):  # the user closed its session
                await self.show(self.title, "kept for resume")
            self._runner.keep(self)
        elif self._stopped:
            return
        else:
            self._stopped = True
            self._watch.close()
            # The server's manager looks for the end every 100 ms; no run waits for that.
            self._runner.later(self._end(now=self.died.is_set()))
        if self.refills:
            self._runner.refill()

    async def _end(self, now: bool) -> None:
        for _ in range(TRIES):
            if self.kernel_id not in self._kernels:
                break
            # A restart asked for in JupyterLab may be under way; two at once break it.
            if self.manager.ready.done():
                with contextlib.suppress(HTTPError, KeyError, asyncio.InvalidStateError):
                    await ensure_async(self._kernels.shutdown_kernel(self.kernel_id, now=now))
                    continue
            await asyncio.sleep(BETWEEN_SECONDS)
        if self.session_id is not None:
            # Its kernel is gone, so looking at the session removes it.
            with contextlib.suppress(HTTPError):
                await self._sessions.get_session(session_id=self.session_id)
            self.session_id = None

    def _current_process(self) -> Any:
        return getattr(getattr(self.manager, "provisioner", None), "process", None)

    def _watch_is_over(self) -> bool:
        watch = getattr(self, "_watch", None)  # asked while it is being made
        return watch is not None and watch.died.is_set()
