"""`execute` without a server: the engine in this process."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from blackroad_nb.adapters.kernels.early import EarlyKernel
from blackroad_nb.adapters.kernels.local import LocalKernelRunner
from blackroad_nb.adapters.lean_imports import (
    pause_collecting,
    resume_collecting,
    skip_unused_imports,
)
from blackroad_nb.cli.outcome import tell
from blackroad_nb.cli.parts import is_path, keep_log_quiet
from blackroad_nb.cli.progress import ProgressBar, RunReport
from blackroad_nb.cli.signals import INTERRUPT, Interrupted, endings
from blackroad_nb.core.run import Run, RunRequest
from blackroad_nb.errors import BlackRoadError
from blackroad_nb.local import LocalParts, local_parts, os_user


def execute_here(
    arguments: argparse.Namespace,
    wanted: Mapping[str, Any],
    early: EarlyKernel | None = None,
    noted: Sequence[int] = (),
) -> int:
    """Run the notebook, showing each cell as it ends.

    Args:
        early: its kernel, perhaps.
        noted: signals to end that have come, looked at when the run is about to begin.
    """
    skip_unused_imports()
    pause_collecting()
    keep_log_quiet()
    with ProgressBar() as bar:
        report = RunReport(bar, silent=arguments.json)
        record, received = asyncio.run(_run(arguments, wanted, report, early, noted))
    return tell(record, arguments.json, received, report.fault)


async def _run(
    arguments: argparse.Namespace,
    wanted: Mapping[str, Any],
    report: RunReport,
    early: EarlyKernel | None,
    noted: Sequence[int],
) -> tuple[dict[str, Any], int | None]:
    async with local_parts(arguments.db) as parts:
        parts.runner = LocalKernelRunner(early=early)
        chosen, new = arguments.notebook, False
        if noted:
            raise Interrupted(noted[0])
        if is_path(chosen):
            notebook, new = await parts.notebooks.at(chosen)
            chosen = notebook.id
        try:
            started = await parts.running.start(
                RunRequest(notebook_id=chosen, user=os_user(), **wanted)
            )
        except BlackRoadError:
            if new:
                await parts.notebooks.forget_unused(chosen)
            raise
        # From now on: what is read of an ended run later lacks what is too large for the history.
        ending = asyncio.ensure_future(parts.running.wait(started.id))
        stop = Stop(parts, started.id)
        with stop.listening(noted):
            async for event in parts.running.watch(started.id):
                if event.kind == "run_started":
                    resume_collecting()
                report.take(event.kind, await _whole(parts, ending, started.id, event.data))
            ended = await ending
        if new and ended.kernel_id is None:
            await parts.notebooks.forget_unused(chosen)
        from blackroad_nb.core.rendering import run_record

        return run_record(ended), stop.received


async def _whole(
    parts: LocalParts, ending: asyncio.Future[Run], run_id: str, data: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a finished cell's event with all outputs; events carry only so much of them."""
    outputs = data.get("outputs")
    if outputs is None or not (data.get("truncated") or any("truncated" in o for o in outputs)):
        return data
    run = parts.running.snapshot(run_id) or await ending
    (cell,) = (cell for cell in run.cells if cell.index == data["index"])
    return {**data, "outputs": cell.outputs, "truncated": False}


class Stop:
    """The first signal to end cancels the run; the second ends this process.

    Attributes:
        received: the signal that cancelled the run, if one did.
    """

    def __init__(self, parts: LocalParts, run_id: str) -> None:
        self._parts = parts
        self._run_id = run_id
        self._cancelling: asyncio.Task[object] | None = None
        self.received: int | None = None

    @contextmanager
    def listening(self, noted: Sequence[int]) -> Iterator[None]:
        """Take the signals for the length of a `with`, and those that came before."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in (INTERRUPT, *endings())}
        for number in before:
            loop.add_signal_handler(number, self._take, number)
        for number in noted[:1]:
            self._take(number)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _take(self, number: int) -> None:
        if self._cancelling is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.received = number
        self._cancelling = asyncio.ensure_future(self._parts.running.cancel(self._run_id))
