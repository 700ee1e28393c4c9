"""Kernels of this process's own: started first, so that imports happen while they boot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import zmq.asyncio
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_core.utils import ensure_dir_exists

from blackroad_nb.adapters.kernels.channel import client_context, fresh_session
from blackroad_nb.adapters.kernels.early import EarlyKernel, private_sockets
from blackroad_nb.adapters.kernels.host import KEPT, START_TRIES
from blackroad_nb.adapters.kernels.kernelspec import prepare_plain_kernel
from blackroad_nb.adapters.kernels.local_host import LocalHost
from blackroad_nb.adapters.kernels.session import KernelSession
from blackroad_nb.core.kernel import NAME
from blackroad_nb.errors import KernelNotFound, KernelStartFailed
from blackroad_nb.ports import Clock, RunningKernel

START_SECONDS = 60.0


def _now() -> datetime:
    return datetime.now(UTC)


class LocalKernelRunner:
    """`KernelRunner` that starts and owns its kernels.

    Args:
        clock: tells when cells started.
        start_seconds: how long a kernel may take until it answers.
        environment: added to the environment of each kernel.
        early: a kernel whose process has been started already, in the hope that the first
            run wants it; `close` ends it when no run did.
    """

    def __init__(
        self,
        clock: Clock = _now,
        start_seconds: float = START_SECONDS,
        environment: Mapping[str, str] | None = None,
        early: EarlyKernel | None = None,
    ) -> None:
        self._clock = clock
        self._start_seconds = start_seconds
        self._environment = dict(environment or {})
        self._early = early
        self._context: zmq.asyncio.Context | None = None
        self._kept: dict[str, LocalHost] = {}

    async def start(
        self,
        kernel: str,
        cwd: Path,
        title: str,
        warm: bool = False,  # noqa: ARG002, a process that lives for one run has none
    ) -> RunningKernel:
        early, self._early = self._early, None
        if early is not None:
            if (early.kernel, early.cwd, early.title) == (kernel, str(cwd), title):
                host = LocalHost(self._bare_manager(kernel), self._keep)
                host.adopt(early)
                return await self._connect(host)
            early.discard()
        environment = {**os.environ, **self._environment, "JPY_SESSION_NAME": title}
        for tries_left in reversed(range(START_TRIES)):
            host = LocalHost(self._manager(kernel), self._keep)
            await host.launch(cwd, environment)
            minding = asyncio.create_task(host.mind_ports())
            try:
                return await self._connect(host)
            except KernelStartFailed:
                if not (tries_left and host.lost_its_ports()):
                    raise
            finally:
                minding.cancel()
        raise AssertionError("the last try returns or raises")

    async def attach(self, kernel_id: str) -> RunningKernel | None:
        host = self._kept.pop(kernel_id, None)
        if host is None:
            return None
        if host.died.is_set():
            await host.stop(keep=False)
            return None
        return await self._connect(host)

    def retire(self) -> None:
        """There is none that is made ready."""

    async def close(self) -> None:
        if self._early is not None:
            self._early.discard()
            self._early = None
        while self._kept:
            _, host = self._kept.popitem()
            await host.stop(keep=False)
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    def _bare_manager(self, kernel: str) -> AsyncKernelManager:
        if self._context is None or self._context.closed:
            self._context = client_context()
        return AsyncKernelManager(kernel_name=kernel, context=self._context)

    def _manager(self, kernel: str) -> AsyncKernelManager:
        unknown = (
            f"There is no kernel named {kernel!r} here; `blackroad-nb kernels` lists them, and"
            " --kernel NAME runs a notebook on another."
        )
        if not NAME.fullmatch(kernel):
            raise KernelNotFound(unknown)
        manager = self._bare_manager(kernel)
        try:
            _ = prepare_plain_kernel(manager) or manager.kernel_spec
        except NoSuchKernel:
            raise KernelNotFound(unknown) from None
        except Exception as error:  # whatever can be wrong in somebody's kernel.json
            raise KernelStartFailed(
                f"The kernelspec of {kernel!r} cannot be read: {error}."
            ) from None
        _keep_private(manager)
        return manager

    async def _connect(self, host: LocalHost) -> RunningKernel:
        manager = host.manager
        client = manager.client(session=fresh_session(manager.session), context=self._context)
        session = KernelSession(client, host, self._clock)
        try:
            await session.open(self._start_seconds)
        except BaseException:
            await session.close()
            raise
        return session

    async def _keep(self, host: LocalHost) -> None:
        self._kept[host.kernel_id] = host
        while len(self._kept) > KEPT:
            oldest = self._kept.pop(next(iter(self._kept)))
            await oldest.stop(keep=False)


def _keep_private(manager: AsyncKernelManager) -> None:
    """See to it that nobody else on this machine can read along.

    Sockets in the runtime folder, which is ours alone, where the kernel is known to take
    them; they are faster too. Otherwise loopback, encrypted where the kernel can.
    """
    folder = jupyter_runtime_dir()
    try:
        ensure_dir_exists(folder, 0o700)
    except OSError as error:
        raise KernelStartFailed(
            f"Jupyter's runtime folder {folder!r} cannot be made: {error.strerror}; "
            "set JUPYTER_RUNTIME_DIR to a folder of yours."
        ) from None
    manager.kernel_id = manager.kernel_id or str(uuid4())
    manager.connection_file = os.path.join(folder, f"kernel-{manager.kernel_id}.json")
    sockets = private_sockets(folder, manager.kernel_id)
    if os.name == "posix" and sockets is not None and manager.ipykernel:
        manager.transport, manager.ip = "ipc", sockets
    elif manager.has_trait("transport_encryption"):  # jupyter_client 8.10 or newer
        manager.transport_encryption = "auto"
