"""Kernels without processes, for tests of everything above them.

A fake kernel runs Python statements in this process. Of what takes time or ends a
kernel it knows `time.sleep(...)`, `os._exit(...)`, `os.kill(os.getpid(), 9)` and
`input()`; the same cells therefore behave alike here and on a real kernel.
"""

from __future__ import annotations

import ast
import asyncio
import io
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from blackroad_nb.core.execution import Status
from blackroad_nb.core.outputs import dropped_text, error_output, error_text
from blackroad_nb.errors import KernelNotFound
from blackroad_nb.ports import CellLimits, CellOutcome, Clock, RunningKernel


class FakeKernelRunner:
    """`KernelRunner` whose kernels interpret Python in this process.

    Attributes:
        started: the (kernel, cwd, title) of each start, in order.
        live: kernels that have not been shut down, by id.
    """

    def __init__(
        self,
        names: tuple[str, ...] = ("python3",),
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self.started: list[tuple[str, Path, str]] = []
        self.live: dict[str, FakeKernel] = {}
        self._names = names
        self._clock = clock
        self._kept: set[str] = set()

    async def start(
        self,
        kernel: str,
        cwd: Path,
        title: str,
        warm: bool = False,  # noqa: ARG002, every fake kernel is ready at once
    ) -> RunningKernel:
        if kernel not in self._names:
            raise KernelNotFound(f"There is no kernel named {kernel!r} here.")
        self.started.append((kernel, cwd, title))
        fake = FakeKernel(self, self._clock)
        self.live[fake.kernel_id] = fake
        return fake

    async def attach(self, kernel_id: str) -> RunningKernel | None:
        if kernel_id not in self._kept:
            return None
        self._kept.discard(kernel_id)
        return self.live.get(kernel_id)

    def retire(self) -> None:
        """There is none that is made ready."""

    async def close(self) -> None:
        for kernel_id in self._kept:
            self.live.pop(kernel_id, None)
        self._kept.clear()

    def let_go(self, kernel: FakeKernel, shutdown: bool) -> None:
        """Called by a kernel that is closed."""
        if shutdown or kernel.dead:
            self.live.pop(kernel.kernel_id, None)
        else:
            self._kept.add(kernel.kernel_id)


class FakeKernel:
    """One namespace, and the few statements that take time or end it."""

    def __init__(self, runner: FakeKernelRunner, clock: Clock) -> None:
        self.kernel_id = str(uuid4())
        self.dead: str | None = None  # why, once it is
        self._runner = runner
        self._clock = clock
        self._namespace: dict[str, Any] = {"__name__": "__main__"}
        self._count = 0
        self._interrupted = asyncio.Event()

    async def run_cell(
        self,
        cell: dict[str, Any],
        index: int,
        limits: CellLimits,
        on_request: Callable[[str], None],
        on_output: Callable[[int], None],
    ) -> CellOutcome:
        msg_id = str(uuid4())
        cell["outputs"], cell["execution_count"] = [], None
        on_request(msg_id)
        started_at, begun = self._clock(), monotonic()
        self._interrupted.clear()
        status, error = await self._limited(cell, index, limits, on_output)
        if status is not Status.KILLED:
            self._count += 1
            cell["execution_count"] = self._count
        on_output(index)
        spent = monotonic() - begun
        return CellOutcome(
            status=status,
            msg_id=msg_id,
            started_at=started_at,
            finished_at=started_at + timedelta(seconds=spent),
            duration_ms=round(spent * 1000),
            execution_count=cell["execution_count"],
            error=error,
        )

    async def interrupt(self) -> None:
        self._interrupted.set()

    async def is_alive(self) -> bool:
        return self.dead is None

    async def language_info(self) -> Mapping[str, Any]:
        return {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}

    def widgets(self) -> Mapping[str, Any] | None:
        return None

    async def close(self, shutdown: bool = True) -> None:
        self._runner.let_go(self, shutdown)

    async def _limited(
        self,
        cell: dict[str, Any],
        index: int,
        limits: CellLimits,
        on_output: Callable[[int], None],
    ) -> tuple[Status, str | None]:
        outputs = _Outputs(cell["outputs"], limits.output_bytes, lambda: on_output(index))
        timer = None
        late = asyncio.Event()
        if limits.timeout_seconds is not None:
            loop = asyncio.get_running_loop()

            def stop() -> None:
                late.set()
                self._interrupted.set()

            timer = loop.call_later(limits.timeout_seconds, stop)
        try:
            error = await self._interpret(cell["source"], outputs)
        finally:
            if timer is not None:
                timer.cancel()
        if self.dead is not None:
            cell["outputs"].append(error_output("KernelDied", f"The kernel {self.dead}."))
            return Status.KILLED, error_text("KernelDied", f"The kernel {self.dead}.")
        if late.is_set():
            value = f"The cell ran longer than {limits.timeout_seconds:g} s and was interrupted."
            cell["outputs"].append(error_output("CellTimeout", value))
            return Status.TIMEOUT, error_text("CellTimeout", value)
        return (Status.SUCCESS, None) if error is None else (Status.ERROR, error)

    async def _interpret(self, source: str, outputs: _Outputs) -> str | None:
        try:
            for statement in ast.parse(source).body:
                if self.dead is not None:
                    return None
                if not await self._special(statement):
                    self._execute(statement, outputs)
                await asyncio.sleep(0)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            lines = traceback.format_exception_only(error)
            name, value = type(error).__name__, str(error)
            outputs.items.append({**error_output(name, value), "traceback": lines})
            outputs.changed()
            return error_text(name, value, lines)
        return None

    async def _special(self, statement: ast.stmt) -> bool:
        """Carry out what would stop this process, and tell whether it was that."""
        if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
            return False
        called = ast.unparse(statement.value.func)
        if called == "time.sleep":
            seconds = eval(ast.unparse(statement.value.args[0]), self._namespace)  # noqa: S307
            await self._sleep(seconds)
        elif called == "os._exit":
            self.dead = f"exited with code {ast.unparse(statement.value.args[0])}"
        elif called == "os.kill":
            self.dead = "was killed by signal 9 (SIGKILL, as when memory runs out)"
        elif called == "input":
            raise RuntimeError("input is not possible in a headless run")
        else:
            return False
        return True

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                if self.dead is None:
                    await self._interrupted.wait()
        except TimeoutError:
            return
        raise KeyboardInterrupt

    def _execute(self, statement: ast.stmt, outputs: _Outputs) -> None:
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = compile(ast.Module([statement], []), "<cell>", "exec")
                exec(code, self._namespace)  # noqa: S102
        finally:
            outputs.stream("stdout", out.getvalue())
            outputs.stream("stderr", err.getvalue())


class _Outputs:
    def __init__(
        self, items: list[dict[str, Any]], limit: int, changed: Callable[[], None]
    ) -> None:
        self.items = items
        self.changed = changed
        self._limit = limit
        self._held = 0

    def stream(self, name: str, text: str) -> None:
        if not text:
            return
        kept = text[: max(0, self._limit - self._held)]
        self._held += len(kept)
        if self.items and self.items[-1].get("name") == name:
            self.items[-1]["text"] += kept
        elif kept:
            self.items.append({"output_type": "stream", "name": name, "text": kept})
        if len(kept) < len(text):
            note = dropped_text(self._limit, len(text) - len(kept))
            self.items.append({"output_type": "stream", "name": "stderr", "text": note})
        self.changed()
