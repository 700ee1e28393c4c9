"""Kernels of the Jupyter server around us: its own manager starts, shows and culls them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import zmq.asyncio
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, NoSuchKernel
from jupyter_core.utils import ensure_async

from blackroad_nb.adapters.kernels.channel import client_context, fresh_session
from blackroad_nb.adapters.kernels.host import KEPT, START_TRIES
from blackroad_nb.adapters.kernels.server_host import ServerHost
from blackroad_nb.adapters.kernels.session import KernelSession
from blackroad_nb.adapters.kernels.warm import WarmKernels, is_ipython, start_arguments
from blackroad_nb.errors import KernelFailed, KernelNotFound, KernelStartFailed
from blackroad_nb.ports import Clock, RunningKernel

START_SECONDS = 60.0
WARM_SECONDS = 600.0  # a kernel that nobody used for so long is given up

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
                try:
                    await host.show(title)
                except BaseException:
                    await ready.close()
                    raise
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
        while self._closing:
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
            host = ServerHost(self, await self._launched(kernel, cwd, title))
            host.refills = refills
            try:
                return await self._introduce(host, title)
            except KernelStartFailed as error:
                if not (tries_left and host.may_have_lost_its_ports()):
                    raise
                log.warning("%s It is started again with other ports.", error.message)
        raise AssertionError("the last try returns or raises")

    async def _introduce(self, host: ServerHost, title: str) -> KernelSession:
        """Show a kernel that was just started and connect to it; stop it if that fails."""
        minding = asyncio.create_task(host.mind_ports())
        session = None
        try:
            await host.show(title)
            session = await self._connect(host)
            await host.until_watched(session.greet)
        except BaseException:
            await (host.stop(keep=False) if session is None else session.close())
            raise
        finally:
            minding.cancel()
        return session

    async def _launched(self, kernel: str, cwd: Path, title: str) -> str:
        """Start a kernel's process; when cancelled meanwhile, stop it as soon as it is there.

        A start that is cancelled half way leaves a process that no manager knows.
        """
        launch = asyncio.ensure_future(self._launch(kernel, cwd, title))
        try:
            return await asyncio.shield(launch)
        except asyncio.CancelledError:
            self.later(self._shut_down_launched(launch))
            raise

    async def _shut_down_launched(self, launch: asyncio.Future[str]) -> None:
        with contextlib.suppress(KernelFailed, KernelNotFound):
            kernel_id = await launch
            await ensure_async(self._manager.shutdown_kernel(kernel_id, now=True))

    async def _launch(self, kernel: str, cwd: Path, title: str) -> str:
        try:
            # Asked first: what `start_kernel` raises is in the server's log with a traceback.
            await ensure_async(self._manager.kernel_spec_manager.get_kernel_spec(kernel))
            kernel_id: str = await ensure_async(
                self._manager.start_kernel(
                    kernel_name=kernel,
                    cwd=str(cwd),
                    env={**os.environ, "JPY_SESSION_NAME": title},
                    **start_arguments(kernel),
                )
            )
        except NoSuchKernel:
            raise KernelNotFound(
                f"There is no kernel named {kernel!r} on this server; JupyterLab lists them, and"
                " --kernel NAME runs a notebook on another."
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
        """Remember a kernel for a resume; the oldest of too many is stopped."""
        self._kept[host.kernel_id] = host
        if len(self._kept) > KEPT:
            self.later(self._kept.pop(next(iter(self._kept))).stop(keep=False))

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
