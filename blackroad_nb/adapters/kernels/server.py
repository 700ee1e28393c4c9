"""Kernels of the Jupyter server around us: its own manager starts, shows and culls them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import zmq.asyncio
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, NoSuchKernel
from tornado.web import HTTPError

from blackroad_nb.adapters.kernels.channel import client_context, fresh_session
from blackroad_nb.adapters.kernels.host import START_TRIES, ExitWatch, OomWatch, exit_reason
from blackroad_nb.adapters.kernels.lost_ports import ended_without_ports
from blackroad_nb.adapters.kernels.session import KernelSession
from blackroad_nb.adapters.kernels.warm import WarmKernels, is_ipython, start_arguments
from blackroad_nb.errors import KernelNotFound, KernelStartFailed
from blackroad_nb.ports import Clock, RunningKernel

START_SECONDS = 60.0
KILL_SECONDS = 5.0
TRIES, BETWEEN_SECONDS = 200, 0.05  # to shut a kernel down that is busy with a restart
WARM_SECONDS = 600.0  # a kernel that nobody used for so long is given up
WATCHED_TRIES, WATCHED_SECONDS = 100, 0.02
SESSION_TYPE = "console"  # what JupyterLab can list and open without taking it for the file


log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class ServerKernelRunner:
    """`KernelRunner` on a Jupyter server's kernel and session managers.

    Each kernel has a session of its own, under a path that no notebook has, so that
    JupyterLab lists it by name and never takes it for the kernel of the open notebook.

    Args:
        kernel_manager: the server's `MappingKernelManager`.
        session_manager: the server's `SessionManager`.
        root: the server's root folder.
        warm_kernels: kernels of the default kernelspec kept ready, from the first run
            on; 0 switches that off. A kernel serves one run only.
        warm_seconds: how long one is kept without being used.
        clock: tells when cells started.
    """

    def __init__(
        self,
        kernel_manager: Any,
        session_manager: Any,
        root: Path,
        warm_kernels: int = 1,
        warm_seconds: float = WARM_SECONDS,
        clock: Clock = _now,
    ) -> None:
        self._manager = kernel_manager
        self._sessions = session_manager
        self.root = Path(root)
        self._clock = clock
        self._context: zmq.asyncio.Context | None = None
        self._kept: dict[str, ServerHost] = {}
        self._closing: set[asyncio.Future[None]] = set()
        self._warm = WarmKernels(self._start_ready, warm_kernels, warm_seconds, self.later)

    @property
    def warm(self) -> int:
        """How many kernels are ready for the next run."""
        return self._warm.count

    async def start(self, kernel: str, cwd: Path, title: str, warm: bool = False) -> RunningKernel:
        # Kernel managers start ipykernel's own for `python`; kernelspecs know only its full name.
        kernel = NATIVE_KERNEL_NAME if kernel == "python" else kernel
        if warm and kernel == self._manager.default_kernel_name:
            ready = await self._warm.take(cwd, title)
            if ready is not None:
                host = ready.host
                assert isinstance(host, ServerHost)
                host.refills = True
                await host.show(title)
                return ready
        return await self.start_cold(kernel, cwd, title, refills=warm)

    async def attach(self, kernel_id: str) -> RunningKernel | None:
        host = self._kept.pop(kernel_id, None)
        if host is None:
            return None
        if not await host.alive():
            await host.stop(keep=False)
            return None
        return await self._connect(host)

    def retire(self) -> None:
        self._warm.wanted = 0

    async def close(self) -> None:
        await self._warm.close()
        while self._kept:
            _, host = self._kept.popitem()
            await host.stop(keep=False)
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    async def start_cold(
        self, kernel: str, cwd: Path, title: str, refills: bool = False
    ) -> KernelSession:
        """Start a kernel in a fresh process and connect to it.

        With `refills`, its end is the time to make kernels ready for later.
        """
        for tries_left in reversed(range(START_TRIES)):
            host = ServerHost(self, await self._launch(kernel, cwd, title))
            host.refills = refills
            await host.show(title)
            minding = asyncio.create_task(host.mind_ports())
            try:
                session = await self._connect(host)
            except KernelStartFailed as error:
                if not (tries_left and host.may_have_lost_its_ports()):
                    raise
                log.warning("%s It is started again with other ports.", error.message)
                continue
            finally:
                minding.cancel()
            await host.until_watched(session.greet)
            return session
        raise AssertionError("the last try returns or raises")

    async def _launch(self, kernel: str, cwd: Path, title: str) -> str:
        try:
            # Asked first: what `start_kernel` raises is in the server's log with a traceback.
            await _awaited(self._manager.kernel_spec_manager.get_kernel_spec(kernel))
            kernel_id: str = await _awaited(
                self._manager.start_kernel(
                    kernel_name=kernel,
                    cwd=str(cwd),
                    env={**os.environ, "JPY_SESSION_NAME": title},
                    **start_arguments(kernel),
                )
            )
        except NoSuchKernel:
            raise KernelNotFound(
                f"There is no kernel named {kernel!r} on this server; JupyterLab lists them."
            ) from None
        except Exception as error:  # kernel managers raise many kinds
            raise KernelStartFailed(
                f"The server could not start the kernel {kernel!r}: {error}."
            ) from None
        return kernel_id

    async def _start_ready(self) -> KernelSession | None:
        name = self._manager.default_kernel_name
        if not is_ipython(name):
            return None  # what makes it look new is known for IPython only
        return await self.start_cold(name, self.root, "ready for the next run")

    async def _connect(self, host: ServerHost) -> KernelSession:
        if self._context is None or self._context.closed:
            self._context = client_context()
        manager = host.manager
        client = manager.client(session=fresh_session(manager.session), context=self._context)
        session = KernelSession(client, host, self._clock)
        try:
            await session.open(START_SECONDS)
        except BaseException:
            await session.close()
            raise
        return session

    # for the hosts -----------------------------------------------------------------

    @property
    def managers(self) -> tuple[Any, Any]:
        """The server's kernel manager and session manager."""
        return self._manager, self._sessions

    def session_path(self, title: str) -> str:
        """Return a path for a session about the file `title`, which no file has."""
        with contextlib.suppress(ValueError):
            title = Path(title).relative_to(self.root).as_posix()
        return f"{title}-run-{uuid4().hex[:8]}"

    def keep(self, host: ServerHost) -> None:
        """Remember a kernel for a resume."""
        self._kept[host.kernel_id] = host

    def later(self, work: Awaitable[None]) -> None:
        """Let something end without anybody waiting for it; `close` does."""
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A kernel was not shut down cleanly.", exc_info=task.exception())

    def refill(self) -> None:
        """A run has let its kernel go: now is the time to make the next one ready."""
        self._warm.fill()


class ServerHost:
    """A kernel of the server, with the session that shows it."""

    def __init__(self, runner: ServerKernelRunner, kernel_id: str) -> None:
        self.kernel_id = kernel_id
        self.session_id: str | None = None
        self.title = ""
        self.refills = False
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
        return bool(await _awaited(self.manager.is_alive()))

    async def interrupt(self) -> None:
        if not self.died.is_set() and self.kernel_id in self._kernels:
            await _awaited(self._kernels.interrupt_kernel(self.kernel_id))

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
        else:
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
                    await _awaited(self._kernels.shutdown_kernel(self.kernel_id, now=now))
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


async def _awaited(value: Any) -> Any:
    """Wait where this server's manager is an asynchronous one."""
    return await value if inspect.isawaitable(value) else value
