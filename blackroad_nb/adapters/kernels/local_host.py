"""A kernel process that we started, or took over, and what it said when it died."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from blackroad_nb.adapters.kernels.early import EarlyKernel
from blackroad_nb.adapters.kernels.host import ExitWatch, OomWatch, exit_reason
from blackroad_nb.adapters.kernels.kernelspec import prepare_plain_kernel
from blackroad_nb.adapters.kernels.lost_ports import ended_without_ports
from blackroad_nb.errors import KernelStartFailed

STOP_SECONDS = 3.0  # what a kernel gets for its exit hooks
STDERR_BYTES = 4096


class LocalHost:
    """A kernel process that we started."""

    def __init__(self, manager: AsyncKernelManager, keep: Callable[[LocalHost], Any]) -> None:
        self.manager = manager
        self.name = manager.kernel_name
        self.kernel_id = ""
        self._keep = keep
        self._watch: ExitWatch | None = None
        self._oom = OomWatch()
        self._stderr = LastWords()
        self._robbed = False

    @property
    def died(self) -> asyncio.Event:
        assert self._watch is not None
        return self._watch.died

    async def launch(self, cwd: Path, environment: dict[str, str]) -> None:
        """Start the process. Raises KernelStartFailed."""
        # IPython's history file is one SQLite database for all kernels of a user: they
        # would wait for each other, and a headless run is no history of what she typed.
        arguments = ["--HistoryManager.hist_file=:memory:"] if self.manager.ipykernel else []
        try:
            await self.manager._async_start_kernel(
                extra_arguments=arguments,
                cwd=str(cwd),
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr.open(),
            )
        except asyncio.CancelledError:
            await self._take_back()
            raise
        except Exception as error:  # jupyter_client raises many kinds
            await self._take_back()
            raise KernelStartFailed(
                f"The kernel {self.manager.kernel_name!r} could not be started: {error}."
            ) from None
        finally:
            self._stderr.opened()
        self._watch_process()

    def adopt(self, early: EarlyKernel) -> None:
        """Take over a process that was started before there was a manager for it."""
        manager = self.manager
        prepare_plain_kernel(manager)
        manager.kernel_id = early.kernel_id
        manager.connection_file = early.connection_file
        manager.load_connection_file(early.connection_file)
        manager._connection_file_written = True  # so that it is removed in the end
        manager._launch_args = {}
        early.settled = True
        provisioner: Any = manager.provisioner
        provisioner.kernel_id = early.kernel_id
        provisioner.process = early.process
        provisioner.pid = provisioner.pgid = early.process.pid  # it leads its session
        provisioner.connection_info = manager.get_connection_info()
        manager._connect_control_socket()
        self._stderr.adopt(early.stderr)
        self._watch_process()

    def _watch_process(self) -> None:
        self.kernel_id = self.manager.kernel_id
        process = getattr(self.manager.provisioner, "process", None)
        self._watch = ExitWatch(getattr(process, "pid", None), self.alive)

    def reason(self) -> str:
        process = getattr(self.manager.provisioner, "process", None)
        if self._robbed:
            return "found one of its ports taken by another program"
        reason = exit_reason(process.poll() if process else None, self._oom)
        words = self._stderr.text()
        return f"{reason} ({words})" if words and reason.startswith("exited") else reason

    def lost_its_ports(self) -> bool:
        """Tell whether it ended because somebody else had taken one of its ports."""
        told = self.died.is_set() and os.strerror(errno.EADDRINUSE) in self._stderr.text()
        return self._robbed or told

    async def mind_ports(self) -> None:
        """End the kernel once it is seen that somebody else has taken a port of its."""
        process = getattr(self.manager.provisioner, "process", None)
        self._robbed = await ended_without_ports(process, self.manager)

    async def alive(self) -> bool:
        return bool(await self.manager._async_is_alive())

    async def interrupt(self) -> None:
        if not self.died.is_set():
            await self.manager._async_interrupt_kernel()

    async def kill(self) -> None:
        # Not the manager's own kill: that looks for the end every 100 ms.
        provisioner = self.manager.provisioner
        if provisioner is not None and not self.died.is_set():
            await provisioner.kill()
            await self._await_exit(STOP_SECONDS)

    async def stop(self, keep: bool, ask: Callable[[], None] | None = None) -> None:
        if keep and not self.died.is_set():
            await self._keep(self)
            return
        if not self.died.is_set():
            if ask is not None and self.manager.ipykernel:
                # On the control channel, which jupyter_client takes, ipykernel 7 answers
                # in a thread that waits for ever when another thread is quicker: 3 %.
                ask()
            else:
                await self.manager._async_request_shutdown()
            if not await self._await_exit(STOP_SECONDS):
                await self.kill()
        await self._clean_up()

    async def _await_exit(self, seconds: float) -> bool:
        # Not `asyncio.timeout`: in a cancelled task it takes its own end for that, before 3.11.4.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.died.wait(), seconds)
        return self.died.is_set()

    async def _take_back(self) -> None:
        """End a start half way: there may be a process that nobody watches yet."""
        provisioner = self.manager.provisioner
        if provisioner is not None and provisioner.has_process:
            await provisioner.kill()
            await provisioner.wait()
        await self._clean_up()

    async def _clean_up(self) -> None:
        """Reap the process, and remove its connection file and our ends of its pipes."""
        if self._watch is not None:
            self._watch.close()
        self._stderr.close()
        provisioner = self.manager.provisioner
        if provisioner is not None and provisioner.has_process:
            process = getattr(provisioner, "process", None)
            if process is None or process.poll() is not None:
                await provisioner.wait()
        await self.manager._async_cleanup_resources()


class LastWords:
    """The last of what a kernel wrote to its real stderr, for when it does not start."""

    def __init__(self) -> None:
        self._kept = b""
        self._read = -1
        self._write = -1

    def open(self) -> int:
        """Return the end for the child."""
        read, self._write = os.pipe()
        self.adopt(read)
        return self._write

    def adopt(self, read: int) -> None:
        """Listen at our end of a pipe."""
        self._read = read
        os.set_blocking(read, False)
        asyncio.get_running_loop().add_reader(read, self._take)

    def opened(self) -> None:
        """The child has its end; close ours."""
        os.close(self._write)

    def text(self) -> str:
        """Return the last line."""
        if self._read >= 0:
            self._take()
        lines = self._kept.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""

    def close(self) -> None:
        """Stop reading."""
        if self._read >= 0:
            asyncio.get_running_loop().remove_reader(self._read)
            os.close(self._read)
            self._read = -1

    def _take(self) -> None:
        try:
            data = os.read(self._read, 65536)
        except BlockingIOError:
            return
        self._kept = (self._kept + data)[-STDERR_BYTES:]
        if not data:
            self.close()
