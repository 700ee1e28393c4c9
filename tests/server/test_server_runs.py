"""Headless runs on a Jupyter server's own kernels: shown, counted, stopped, made ready."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import unlucky_kernel
from jupyter_server.utils import ensure_async

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.kernels import ServerKernelRunner
from blackroad_nb.adapters.kernels.host import KEPT
from blackroad_nb.adapters.kernels.server_host import ServerHost
from blackroad_nb.adapters.kernels.session import KernelSession
from blackroad_nb.adapters.kernels.warm import WarmKernels
from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.document import code_cell, new_document, serialize_document
from blackroad_nb.core.execution import Status
from blackroad_nb.core.run import Run, RunRequest, RunStatus
from blackroad_nb.local import utc_now
from blackroad_nb.managers.notebooks import NotebookManager
from blackroad_nb.managers.recording import RecordWriter
from blackroad_nb.managers.running import RunManager, RunSettings
from blackroad_nb.ports import CellLimits

WAIT = "print('on', flush=True)\nimport time\ntime.sleep(60)"


class Bench:
    """A run manager on a server's kernels."""

    def __init__(self, app: Any, root: Path, **options: Any) -> None:
        self.kernels = app.kernel_manager
        self.sessions = app.session_manager
        self.root = root
        self.store = MemoryStore()
        self.writer = RecordWriter(self.store, utc_now)
        self.files = DiskNotebookFiles([root])
        self.runner = ServerKernelRunner(
            app.kernel_manager, app.session_manager, root, **{"warm_kernels": 0, **options}
        )
        settings = RunSettings(
            server="s", user_source="os", cell_limits=CellLimits(grace_seconds=2.0)
        )
        self.running = RunManager(
            self.store, self.writer, self.files, self.runner, settings, utc_now
        )
        self.notebooks = NotebookManager(self.store, self.files, utc_now)

    async def notebook(self, *sources: str, name: str = "a") -> str:
        cells = [code_cell(source, f"c{index}") for index, source in enumerate(sources)]
        path = self.root / "sub folder" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(serialize_document({**new_document("python3", "x"), "cells": cells}))
        return (await self.notebooks.create(name, str(path), adopt=True)).id

    async def run(self, notebook_id: str, **request: Any) -> Run:
        started = await self.running.start(RunRequest(notebook_id, **request))
        return await self.running.wait(started.id)

    async def until_busy(self, run_id: str) -> dict[str, Any]:
        """Wait for the first output; return the only session there is."""
        async for event in self.running.watch(run_id):
            if event.kind == "output":
                break
        (session,) = await self.sessions.list_sessions()
        found: dict[str, Any] = session
        return found

    def ids(self) -> list[str]:
        return list(self.kernels.list_kernel_ids())


@pytest.fixture
def play(jp_serverapp: Any, jp_root_dir: Path, jp_asyncio_loop: Any) -> Callable[..., None]:
    @asynccontextmanager
    async def opened(options: dict[str, Any]) -> AsyncIterator[Bench]:
        bench = Bench(jp_serverapp, jp_root_dir, **options)
        try:
            yield bench
        finally:
            await bench.running.close()
            await bench.writer.close()

    def run(scenario: Callable[[Bench], Any], **options: Any) -> None:
        async def whole() -> None:
            async with asyncio.timeout(90), opened(options) as bench:
                await scenario(bench)

        jp_asyncio_loop.run_until_complete(whole())

    return run


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110, the server tells nobody
            await asyncio.sleep(0.02)


def test_a_run_shows_in_the_list_and_goes_again(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        notebook_id = await bench.notebook("import os\nprint(os.getcwd())", WAIT)
        started = await bench.running.start(RunRequest(notebook_id))
        session = await bench.until_busy(started.id)
        assert session["name"] == "a.ipynb (headless run)"
        assert session["path"].startswith("sub folder/a.ipynb-run-")
        assert session["type"] == "console"
        run = await bench.running.get(started.id)
        assert session["kernel"]["id"] == run.kernel_id
        before = bench.kernels.last_kernel_activity
        ended = await bench.running.cancel(started.id)
        assert ended.status is RunStatus.CANCELLED
        assert bench.kernels.last_kernel_activity >= before
        assert ended.cells[0].outputs[0]["text"] == f"{bench.root / 'sub folder'}\n"
        await until(lambda: not bench.ids())
        assert await bench.sessions.list_sessions() == []

    play(scenario)


def test_the_kernel_counts_as_busy(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        started = await bench.running.start(RunRequest(await bench.notebook(WAIT)))
        session = await bench.until_busy(started.id)
        model = await ensure_async(bench.kernels.kernel_model(session["kernel"]["id"]))
        assert model["execution_state"] == "busy"

    play(scenario)


def test_interrupted_in_lab(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        started = await bench.running.start(RunRequest(await bench.notebook(WAIT, "1")))
        session = await bench.until_busy(started.id)
        await ensure_async(bench.kernels.interrupt_kernel(session["kernel"]["id"]))
        run = await bench.running.wait(started.id)
        assert run.status is RunStatus.ERROR
        assert (run.cells[0].error or "").startswith("KeyboardInterrupt")

    play(scenario)


@pytest.mark.parametrize("how", ["kernel", "session", "restart"])
def test_shut_down_in_lab(play: Callable[..., None], how: str) -> None:
    async def scenario(bench: Bench) -> None:
        started = await bench.running.start(RunRequest(await bench.notebook(WAIT, "1")))
        session = await bench.until_busy(started.id)
        kernel_id = session["kernel"]["id"]
        if how == "kernel":
            await ensure_async(bench.kernels.shutdown_kernel(kernel_id))
        elif how == "session":
            await bench.sessions.delete_session(session["id"])
        else:
            await ensure_async(bench.kernels.restart_kernel(kernel_id))
        run = await bench.running.wait(started.id)
        assert run.status is RunStatus.KILLED
        assert [cell.status for cell in run.cells] == [Status.KILLED, Status.ABORTED]
        assert "shut down or restarted from elsewhere" in (run.cells[0].error or "")
        await until(lambda: not bench.ids())

    play(scenario)


def test_a_kernel_that_dies_is_not_started_again(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        run = await bench.run(await bench.notebook("import os\nos._exit(7)", "1"))
        assert run.status is RunStatus.KILLED, (run.message, run.cells)
        assert "exited with code 7" in (run.cells[0].error or "")
        await until(lambda: not bench.ids())
        assert await bench.sessions.list_sessions() == []

    play(scenario)


def test_a_death_that_the_restarter_sees_first_is_told_as_it_was(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        started = await bench.running.start(RunRequest(await bench.notebook(WAIT, "1")))
        session = await bench.until_busy(started.id)
        manager = bench.kernels.get_kernel(session["kernel"]["id"])
        process = manager.provisioner.process
        os.kill(process.pid, signal.SIGKILL)
        process.wait()  # the event loop must not hear of it yet
        await manager._restarter.poll()
        run = await bench.running.wait(started.id)
        assert run.status is RunStatus.KILLED, run.message
        assert "was killed by signal 9 (SIGKILL, as when memory runs out)" in (
            run.cells[0].error or ""
        )
        await until(lambda: not bench.ids())

    play(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells whose port it is")
def test_a_kernel_that_hangs_without_its_port_starts_again(
    play: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = unlucky_kernel.install(tmp_path, monkeypatch)

    async def scenario(bench: Bench) -> None:
        async with asyncio.timeout(30):  # less than a kernel may take to answer
            kernel = await bench.runner.start(unlucky_kernel.NAME, tmp_path, "t")
        assert tries.read_text() == "xx"
        assert await kernel.is_alive()
        await kernel.close()
        await until(lambda: not bench.ids())

    play(scenario)


def test_kept_and_resumed(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        notebook_id = await bench.notebook("x = 1", "y", "print(x + y)")
        first = await bench.run(notebook_id, keep_kernel=True)
        assert first.status is RunStatus.ERROR
        (session,) = await bench.sessions.list_sessions()
        assert session["name"] == "a.ipynb (kept for resume)"
        path = bench.root / "sub folder" / "a.ipynb"
        content = json.loads(path.read_text())
        content["cells"][1]["source"] = "y = 2"
        path.write_text(json.dumps(content))
        second = await bench.run(notebook_id, resume=True)
        assert second.kernel_id == first.kernel_id
        assert second.cells[-1].outputs[0]["text"] == "3\n"
        await until(lambda: not bench.ids())

    play(scenario)


def test_a_kept_kernel_that_was_shut_down(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        notebook_id = await bench.notebook("x = 1", "1/0")
        first = await bench.run(notebook_id, keep_kernel=True)
        await ensure_async(bench.kernels.shutdown_kernel(first.kernel_id))
        second = await bench.run(notebook_id, resume=True)
        assert second.kernel_id != first.kernel_id
        assert "ran again" in (second.message or "")

    play(scenario)


LOOK = (
    "import os, sys\nprint(os.getpid(), os.getcwd(), os.environ['JPY_SESSION_NAME'], __session__, "
    "_dh, sorted(k for k in globals() if not k.startswith('_')), sep='|')"
)


def test_warm_kernels_are_used_once_and_look_new(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        assert bench.ids() == []  # an idle server pays nothing
        notebook_id = await bench.notebook(LOOK)
        texts = []
        for _ in range(3):
            run = await bench.run(notebook_id)
            assert run.status is RunStatus.SUCCESS
            assert run.cells[0].execution_count == 1
            texts.append(run.cells[0].outputs[0]["text"].split("|"))
            await until(lambda: bench.runner.warm == 1)
        pids = [text[0] for text in texts]
        assert len(set(pids)) == 3
        assert texts[0][1:] == texts[1][1:] == texts[2][1:]
        folder = str(bench.root / "sub folder")
        assert texts[1][1:4] == [folder, f"{folder}/a.ipynb", f"{folder}/a.ipynb"]

    play(scenario, warm_kernels=1)


def test_a_warm_kernel_that_was_shut_down_is_not_used(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        notebook_id = await bench.notebook("print(1)")
        first = await bench.run(notebook_id)
        await until(lambda: bench.runner.warm == 1)
        (warm,) = {*bench.ids()} - {first.kernel_id}
        await ensure_async(bench.kernels.shutdown_kernel(warm))
        run = await bench.run(notebook_id)
        assert run.status is RunStatus.SUCCESS

    play(scenario, warm_kernels=1)


def test_an_unused_warm_kernel_is_given_up(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.run(await bench.notebook("print(1)"))
        await until(lambda: bench.runner.warm == 1)
        await until(lambda: bench.runner.warm == 0 and not bench.ids())
        assert await bench.sessions.list_sessions() == []

    play(scenario, warm_kernels=1, warm_seconds=1.5)


def test_the_time_without_use_begins_when_a_kernel_is_ready() -> None:
    async def scenario() -> None:
        started = asyncio.Event()

        async def start() -> None:
            await started.wait()

        given_up = asyncio.Event()
        ending: list[asyncio.Future[None]] = []

        def later(work: Awaitable[None]) -> None:
            given_up.set()
            ending.append(asyncio.ensure_future(work))

        kernels = WarmKernels(start, 1, 0.05, later)
        kernels.fill()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(given_up.wait(), 0.5)
        started.set()
        await asyncio.wait_for(given_up.wait(), 20)
        assert kernels.count == 0
        await asyncio.gather(*ending)
        await kernels.close()

    asyncio.run(scenario())


HELD = {
    "its process has started": (ServerKernelRunner, "_launch"),
    "it is shown": (ServerHost, "show"),
    "it is connected": (KernelSession, "open"),
    "the server hears it": (ServerHost, "until_watched"),
    "a warm one moves into the folder": (KernelSession, "run_quietly"),
}


@pytest.mark.parametrize("moment", HELD)
def test_a_start_that_is_cancelled_leaves_no_kernel(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    async def scenario(bench: Bench) -> None:
        warm = moment == "a warm one moves into the folder"
        if warm:
            bench.runner.refill()
            await until(lambda: bench.runner.warm == 1)
        (owner, name), reached, go = HELD[moment], asyncio.Event(), asyncio.Event()
        real = getattr(owner, name)

        async def held(*given: Any, **named: Any) -> Any:
            found = await real(*given, **named)
            reached.set()
            await go.wait()
            return found

        monkeypatch.setattr(owner, name, held)
        start = asyncio.create_task(
            bench.runner.start("python3", bench.root, str(bench.root / "a.ipynb"), warm=warm)
        )
        await reached.wait()
        bench.runner.retire()
        start.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await start
        await until(lambda: not bench.ids())
        assert await bench.sessions.list_sessions() == []

    play(scenario, warm_kernels=1)


def test_kernels_that_are_kept_are_few(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        kernels = []
        for _ in range(KEPT + 1):
            kernel = await bench.runner.start("python3", bench.root, str(bench.root / "a.ipynb"))
            await kernel.close(shutdown=False)
            kernels.append(kernel.kernel_id)
        await until(lambda: sorted(bench.ids()) == sorted(kernels[1:]))
        assert await bench.runner.attach(kernels[0]) is None

    play(scenario)


def test_signal_handlers_of_the_server_stay(play: Callable[..., None]) -> None:
    async def scenario(bench: Bench) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        await bench.run(await bench.notebook("print(1)"))
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before

    play(scenario)


def test_closing_leaves_no_kernel(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.run(await bench.notebook("1", name="b"), keep_kernel=True)
        started = await bench.running.start(RunRequest(await bench.notebook(WAIT)))
        async for event in bench.running.watch(started.id):
            if event.kind == "output":
                break
        starts: list[Any] = []
        monkeypatch.setattr(bench.runner, "start_cold", lambda *given: starts.append(given))
        await bench.running.close()
        assert bench.ids() == []
        assert starts == []  # for a server that stops none is made ready
        assert (await bench.running.get(started.id)).status is RunStatus.CANCELLED

    play(scenario, warm_kernels=2)
