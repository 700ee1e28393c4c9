"""Runs over a fake kernel and an in-memory store: what is decided, told and kept."""

from __future__ import annotations

import asyncio
import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from run_bench import RunBench, run_bench

from blackroad_nb.adapters.fake_kernels import FakeKernelRunner
from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.execution import Execution, Status, execution_id
from blackroad_nb.core.rendering import run_record
from blackroad_nb.core.run import Run, RunRequest, RunStatus
from blackroad_nb.errors import (
    FileExists,
    InvalidInput,
    NotebookNotFound,
    PathNotAllowed,
    RunActive,
    RunNotFound,
    StoreBusy,
    StoreError,
    StoreFull,
)
from blackroad_nb.managers.recording import WriterSettings
from blackroad_nb.managers.run_history import OUTPUT_BYTES, bare, stored_output
from blackroad_nb.ports import CellLimits, RunningKernel

OK, ERROR, ABORTED = Status.SUCCESS, Status.ERROR, Status.ABORTED
NOBODY = 65534
SLEEP = "time.sleep(30)"


def statuses(run: Run) -> list[Status]:
    return [cell.status for cell in run.cells]


def play(folder: Path, scenario: Callable[[RunBench], Any], **parts: Any) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), run_bench(folder, **parts) as bench:
            await scenario(bench)

    asyncio.run(whole())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110, files tell nobody that they changed
            await asyncio.sleep(0.01)


def test_a_whole_run(tmp_path: Path) -> None:
    markdown = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# hi"}

    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("x = 1\nprint('a')", markdown, "", "print(x + 1)")
        started = await bench.running.start(RunRequest(notebook_id, user="ann"))
        assert started.status is RunStatus.PENDING
        assert bench.running.active == 1
        run = await bench.running.wait(started.id)
        assert bench.running.active == 0
        assert (run.status, run.message, run.user) == (RunStatus.SUCCESS, None, "ann")
        assert run.artefact == run.path == str(bench.path)
        assert [(cell.index, cell.status) for cell in run.cells] == [(0, OK), (3, OK)]
        assert bench.texts() == ["a\n", "", "", "2\n"]
        assert run.cells[1].outputs[0]["text"] == "2\n"
        assert run.started_at is not None
        assert run.finished_at is not None
        kernel, cwd, title = bench.kernels.started[0]
        assert (kernel, cwd, title) == ("python3", tmp_path, str(bench.path))
        assert bench.kernels.live == {}

        rows = await bench.rows(run.id)
        assert [(row.cell_index, row.cell_id, row.status) for row in rows] == [
            (0, "c0", OK),
            (3, "c3", OK),
        ]
        assert [row.id for row in rows] == [execution_id(*request) for request in bench.requests]
        assert [row.id for row in rows] == [cell.execution_id for cell in run.cells]
        for row in rows:
            assert (row.origin, row.user, row.user_source, row.server, row.path) == (
                "run",
                "ann",
                "os",
                "here:1",
                str(bench.path),
            )
            assert row.notebook_id == notebook_id
        assert json.loads(rows[0].output or "")[0]["text"] == "a\n"
        assert await bench.running.get(run.id) == run

    play(tmp_path, scenario)


def test_events_are_numbered_and_can_be_had_late(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')", "raise ValueError('no')", "1")
        started = await bench.running.start(RunRequest(notebook_id))
        live = await bench.events(started.id)
        assert [event.number for event in live] == list(range(1, len(live) + 1))
        assert [event.kind for event in live if event.kind != "output"] == [
            "run_started",
            "cell_started",
            "cell_finished",
            "cell_started",
            "cell_finished",
            "run_finished",
        ]
        assert live[0].data["total"] == 3
        first = next(event for event in live if event.kind == "cell_finished")
        assert first.data["outputs"][0]["text"] == "a\n"
        assert live[-1].data["status"] == "error"
        for event in live:
            json.dumps(event.data)
        assert await bench.events(started.id) == live
        assert await bench.events(started.id, after=3) == live[3:]
        assert await bench.events(started.id, after=999) == []
        # forgotten: made up from what is stored
        bench.running._logs.clear()
        replayed = await bench.events(started.id)
        for after in (len(replayed), 50):  # as counted before this process
            late = await bench.events(started.id, after)
            assert [event.kind for event in late] == ["run_finished"]
        assert [event.kind for event in replayed] == [
            event.kind for event in live if event.kind != "output"
        ]
        assert [e.data for e in replayed if e.kind == "cell_finished"] == [
            e.data for e in live if e.kind == "cell_finished"
        ]

    play(tmp_path, scenario)


def test_an_error_ends_the_run_and_the_rest_is_aborted(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1", "1/0", "2", "3")
        run = await bench.run(notebook_id)
        assert run.status is RunStatus.ERROR
        assert statuses(run) == [OK, ERROR, ABORTED, ABORTED]
        assert (run.cells[1].error or "").startswith("ZeroDivisionError")
        assert run.cells[2].execution_id is None
        assert len(await bench.rows(run.id)) == 2
        assert [cell["execution_count"] for cell in bench.cells()] == [1, 2, None, None]

    play(tmp_path, scenario)


def test_continue_on_error(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1/0", "print('on')", "raise KeyError(1)")
        run = await bench.run(notebook_id, continue_on_error=True)
        assert run.status is RunStatus.ERROR
        assert statuses(run) == [ERROR, OK, ERROR]

    play(tmp_path, scenario)


def test_a_cell_that_says_it_raises_is_no_failure(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        raises = {
            "cell_type": "code",
            "id": "r",
            "metadata": {"tags": ["raises-exception"]},
            "source": "1/0",
            "outputs": [],
            "execution_count": None,
        }
        notebook_id = await bench.notebook("1", raises, "2")
        run = await bench.run(notebook_id)
        assert run.status is RunStatus.SUCCESS
        assert statuses(run) == [OK, ERROR, OK]
        with pytest.raises(InvalidInput, match="nothing to resume"):
            await bench.running.start(RunRequest(notebook_id, resume=True))

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("source", "status", "cell"),
    [
        ("import os\nos._exit(1)", RunStatus.KILLED, Status.KILLED),
        ("import time\n" + SLEEP, RunStatus.TIMEOUT, Status.TIMEOUT),
    ],
)
@pytest.mark.parametrize("go_on", [False, True])
def test_death_and_time_out(
    tmp_path: Path, source: str, status: RunStatus, cell: Status, go_on: bool
) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1", source, "2")
        run = await bench.run(notebook_id, timeout_seconds=0.2, continue_on_error=go_on)
        assert run.status is status
        goes_on = go_on and cell is Status.TIMEOUT  # a dead kernel runs nothing more
        assert statuses(run) == [OK, cell, OK if goes_on else ABORTED]

    play(tmp_path, scenario)


def test_a_cells_own_time_out_counts_before_the_calls(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook(
            {
                "cell_type": "code",
                "id": "a",
                "metadata": {"blackroad": {"timeout": 0.1}},
                "source": SLEEP,
                "outputs": [],
                "execution_count": None,
            }
        )
        run = await bench.run(notebook_id, timeout_seconds=60)
        assert run.status is RunStatus.TIMEOUT
        assert "0.1 s" in (run.cells[0].error or "")

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("request_", "sources", "ran"),
    [
        ({"cell": 1}, ["print(1)", "print(2)", "print(3)"], [1]),
        ({"cell": 1, "with_predecessors": True}, ["x = 1", "print(x)", "print(3)"], [0, 1]),
        ({"cell": 0, "parameters": {"x": 5}}, ["print(x)", "1"], [0, 1]),
    ],
)
def test_one_cell(
    tmp_path: Path, request_: dict[str, Any], sources: Sequence[str], ran: list[int]
) -> None:
    async def scenario(bench: RunBench) -> None:
        run = await bench.run(await bench.notebook(*sources), **request_)
        assert run.status is RunStatus.SUCCESS
        assert [cell.index for cell in run.cells] == ran

    play(tmp_path, scenario)


def test_parameters_are_injected_and_replaced(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        tagged = {
            "cell_type": "code",
            "id": "p",
            "metadata": {"tags": ["parameters"]},
            "source": "a = 1\nb = 'x'",
            "outputs": [],
            "execution_count": None,
        }
        notebook_id = await bench.notebook("", tagged, "print(a, b)")
        run = await bench.run(notebook_id, parameters={"a": 2, "c": None})
        assert run.status is RunStatus.SUCCESS
        assert run.message == "No default in the cell tagged `parameters`: c."
        assert run.cells[-1].outputs[0]["text"] == "2 x\n"
        cells = bench.cells()
        assert [cell["metadata"].get("tags") for cell in cells] == [
            None,
            ["parameters"],
            ["injected-parameters"],
            None,
        ]
        assert (await bench.store.get_notebook(notebook_id)).cell_count == 4
        again = await bench.run(notebook_id, parameters={"a": 3})
        assert again.cells[-1].outputs[0]["text"] == "3 x\n"
        assert len(bench.cells()) == 4

    play(tmp_path, scenario)


def test_parameters_left_in_the_notebook_are_not_used_again_silently(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print(a)")
        assert (await bench.run(notebook_id, parameters={"a": 2})).message is None
        before = bench.cells()[0]["source"]
        run = await bench.run(notebook_id)
        assert (run.status, bench.texts()[-1]) == (RunStatus.SUCCESS, "2\n")
        assert (run.message or "").startswith("Cell 0 holds the parameters of an earlier run")
        assert bench.cells()[0]["source"] == before
        assert (await bench.run(notebook_id, parameters={"a": 3})).message is None
        single = await bench.run(notebook_id, cell=1)  # that cell does not run
        assert (single.status, single.message) == (RunStatus.ERROR, None)
        with_others = await bench.run(notebook_id, cell=1, with_predecessors=True)
        assert "an earlier run" in (with_others.message or "")

    play(tmp_path, scenario)


def test_parameters_need_python(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        content = json.loads(bench.path.read_text())
        content["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
        bench.path.write_text(json.dumps(content))
        with pytest.raises(InvalidInput, match=r"Python notebooks only.*'ir'"):
            await bench.running.start(RunRequest(notebook_id, parameters={"a": 1}))

    play(tmp_path, scenario)


def test_output_elsewhere(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('x')")
        before = bench.path.read_bytes()
        target = tmp_path / "out.ipynb"
        run = await bench.run(notebook_id, output=str(target))
        assert run.artefact == str(target)
        assert bench.texts(target) == ["x\n"]
        assert bench.path.read_bytes() == before
        mark = json.loads(target.read_text())["metadata"]["blackroad"]
        assert mark == {"notebook_id": notebook_id, "run_id": run.id}
        again = await bench.run(notebook_id, output=str(target))  # an earlier output of it
        assert again.status is RunStatus.SUCCESS

    play(tmp_path, scenario)


def test_output_never_replaces_anything_else(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        one = await bench.notebook("1")
        await bench.notebook("2", name="b")
        other, text = tmp_path / "b.ipynb", tmp_path / "t.ipynb"
        text.write_text("not a notebook")
        for path in (other, text):
            before = path.read_bytes()
            with pytest.raises(FileExists, match="no earlier output"):
                await bench.running.start(RunRequest(one, output=str(path)))
            assert path.read_bytes() == before
        with pytest.raises(PathNotAllowed):
            await bench.running.start(RunRequest(one, output=str(tmp_path / ".." / "o.ipynb")))
        with pytest.raises(InvalidInput, match="must end in"):
            await bench.running.start(RunRequest(one, output=str(tmp_path / "o.txt")))
        assert bench.kernels.started == []

    play(tmp_path, scenario)


def test_a_file_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')", "import time\ntime.sleep(0.3)", "1")
        started = await bench.running.start(RunRequest(notebook_id))
        bench.path.write_text(bench.path.read_text() + "\n")  # somebody saves it
        theirs = bench.path.read_bytes()
        run = await bench.running.wait(started.id)
        assert run.status is RunStatus.SUCCESS
        assert bench.path.read_bytes() == theirs
        beside = tmp_path / f"a.run-{run.id[:8]}.ipynb"
        assert run.artefact == str(beside)
        assert "changed on disk" in (run.message or "")
        assert str(beside) in (run.message or "")
        assert bench.texts(beside)[0] == "a\n"

    play(tmp_path, scenario)


def test_a_file_deleted_meanwhile_is_kept_beside(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')")
        started = await bench.running.start(RunRequest(notebook_id))
        bench.path.unlink()
        run = await bench.running.wait(started.id)
        assert not bench.path.exists()
        assert bench.texts(Path(run.artefact or ""))[0] == "a\n"

    play(tmp_path, scenario)


def test_output_reaches_the_artefact_while_the_cell_runs(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('early')\nimport time\n" + SLEEP)
        started = await bench.running.start(RunRequest(notebook_id))
        await until(lambda: bench.texts() == ["early\n"])
        assert (await bench.running.get(started.id)).status is RunStatus.RUNNING
        await bench.running.cancel(started.id)
        events = await bench.events(started.id)
        shown = [event for event in events if event.kind == "output"]
        assert shown[0].data["output"]["text"] == "early\n"

    play(tmp_path, scenario)


def test_a_long_cell_is_recorded_before_it_ends(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("import time\n" + SLEEP)
        started = await bench.running.start(RunRequest(notebook_id))
        async with asyncio.timeout(10):
            while not (rows := await bench.rows(started.id)):  # noqa: ASYNC110, as above
                await asyncio.sleep(0.05)
        assert rows[0].status is Status.PENDING
        await bench.running.cancel(started.id)
        (row,) = await bench.rows(started.id)
        assert row.status is ERROR

    play(tmp_path, scenario)


def test_cancel_interrupts_and_keeps_what_was_done(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')", "print('b')\n" + SLEEP, "print('c')")
        started = await bench.running.start(RunRequest(notebook_id))
        await until(lambda: bench.texts()[:2] == ["a\n", "b\n"])
        run = await bench.running.cancel(started.id)
        assert run.status is RunStatus.CANCELLED
        assert statuses(run) == [OK, ERROR, ABORTED]
        assert (run.cells[1].error or "").startswith("KeyboardInterrupt")
        assert "cancelled" in (run.message or "")
        assert bench.texts() == ["a\n", "b\n", ""]
        assert bench.kernels.live == {}
        assert await bench.running.cancel(started.id) == await bench.running.get(started.id)

    play(tmp_path, scenario)


class StubbornRunner(FakeKernelRunner):
    """Its kernels do not react to an interrupt."""

    async def start(self, *arguments: Any, **more: Any) -> Any:
        kernel = await super().start(*arguments, **more)

        async def ignore() -> None:
            return None

        kernel.interrupt = ignore  # type: ignore[method-assign]
        return kernel


def test_cancel_kills_what_does_not_react(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("import time\n" + SLEEP)
        started = await bench.running.start(RunRequest(notebook_id))
        await until(lambda: bench.requests)
        run = await bench.running.cancel(started.id)
        assert run.status is RunStatus.CANCELLED
        assert statuses(run) == [Status.KILLED]
        assert "did not react" in (run.cells[0].error or "")
        assert bench.kernels.live == {}

    play(tmp_path, scenario, kernels=StubbornRunner(), limits=CellLimits(grace_seconds=0.2))


class SlowRunner(FakeKernelRunner):
    """Its kernels never come up."""

    async def start(self, *arguments: Any, **more: Any) -> Any:
        await asyncio.Event().wait()


def test_cancel_while_the_kernel_starts(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        started = await bench.running.start(RunRequest(notebook_id))
        run = await bench.running.cancel(started.id)
        assert run.status is RunStatus.CANCELLED
        assert statuses(run) == [ABORTED]

    play(tmp_path, scenario, kernels=SlowRunner())


def test_a_kernel_that_does_not_exist(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        before = bench.path.read_bytes()
        run = await bench.run(notebook_id)
        assert run.status is RunStatus.ERROR
        assert "no kernel named 'python3'" in (run.message or "")
        assert bench.path.read_bytes() == before
        events = await bench.events(run.id)
        assert events[-1].kind == "run_finished"
        assert events[-1].data["code"] == run.code == "kernel_not_found"
        bench.running._logs.clear()  # forgotten: made up from what is stored
        replayed = await bench.events(run.id)
        assert replayed[-1].data == events[-1].data

    play(tmp_path, scenario, kernels=FakeKernelRunner(names=()))


def test_a_run_that_got_no_kernel_is_not_the_newest_for_ever(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("a = 1", "raise ValueError('no')", "print('c')")
        text = bench.path.read_text()
        bench.path.write_text(text.replace("python3", "absent"))
        without = await bench.run(notebook_id)
        assert without.kernel == "absent"
        bench.path.write_text(text)
        failed = await bench.run(notebook_id, keep_kernel=True)
        assert [r.id for r in (await bench.running.list()).items] == [failed.id, without.id]
        bench.path.write_text(bench.path.read_text().replace("raise ValueError('no')", "print()"))
        resumed = await bench.run(notebook_id, resume=True, keep_kernel=True)
        assert "Resumed at cell 1" in (resumed.message or "")

    play(tmp_path, scenario)


def test_close_cancels_what_is_active(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')\nimport time\n" + SLEEP)
        started = await bench.running.start(RunRequest(notebook_id))
        await until(lambda: bench.texts() == ["a\n"])
        await bench.running.close()
        assert (await bench.running.get(started.id)).status is RunStatus.CANCELLED
        with pytest.raises(RunActive, match="stopping"):
            await bench.running.start(RunRequest(notebook_id))

    play(tmp_path, scenario)


@pytest.mark.parametrize("method", ["read", "attach"])
def test_a_run_that_is_just_starting_does_not_start_after_close(
    tmp_path: Path, method: str
) -> None:
    """Also one that goes on in a kept kernel, which must not outlive the manager."""

    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("x = 1", "y")
        await bench.run(notebook_id, keep_kernel=True)
        assert len(bench.kernels.live) == 1
        held, go_on = asyncio.Event(), asyncio.Event()
        owner: Any = bench.files if method == "read" else bench.kernels
        original = getattr(owner, method)

        async def slowly(*arguments: Any) -> Any:
            held.set()
            await go_on.wait()
            return await original(*arguments)

        setattr(owner, method, slowly)
        starting = asyncio.create_task(bench.running.start(RunRequest(notebook_id, resume=True)))
        await held.wait()
        closing = asyncio.create_task(bench.running.close())
        await asyncio.sleep(0)
        go_on.set()
        await closing
        with pytest.raises(RunActive, match="stopping"):
            await starting
        assert bench.running.active == 0
        assert len(bench.kernels.started) == 1
        assert bench.kernels.live == {}

    play(tmp_path, scenario)


def test_one_run_at_a_time_writes_a_file(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("import time\n" + SLEEP)
        first = await bench.running.start(RunRequest(notebook_id))
        with pytest.raises(RunActive, match="writing"):
            await bench.running.start(RunRequest(notebook_id))
        other = await bench.running.start(RunRequest(notebook_id, output=str(tmp_path / "o.ipynb")))
        await bench.running.cancel(first.id)
        await bench.running.cancel(other.id)
        again = await bench.running.start(RunRequest(notebook_id))
        await bench.running.cancel(again.id)

    play(tmp_path, scenario)


def test_two_requests_at_once_are_one_run(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        answers = await asyncio.gather(
            *(bench.running.start(RunRequest(notebook_id)) for _ in range(5)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, Run) for answer in answers) == 1
        assert sum(isinstance(answer, RunActive) for answer in answers) == 4

    play(tmp_path, scenario)


class SlowToEnd(FakeKernelRunner):
    """Kernels that take their time to end, until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = asyncio.Event()

    async def start(self, kernel: str, cwd: Path, title: str, warm: bool = False) -> Any:
        started = await super().start(kernel, cwd, title, warm)
        closed = started.close

        async def close(shutdown: bool = True) -> None:
            await self.may_end.wait()
            await closed(shutdown)

        started.close = close  # type: ignore[method-assign]
        return started


def test_whoever_saw_a_run_end_may_start_the_next(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        first = await bench.running.start(RunRequest(notebook_id))
        async with asyncio.timeout(10):
            while not (await bench.running.get(first.id)).status.final:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        starting = asyncio.create_task(bench.running.start(RunRequest(notebook_id)))
        await asyncio.sleep(0.05)
        bench.kernels.may_end.set()
        second = await bench.running.wait((await starting).id)
        assert second.status is RunStatus.SUCCESS

    play(tmp_path, scenario, kernels=SlowToEnd())


def test_the_number_of_runs_is_bounded(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        ids = [await bench.notebook("import time\n" + SLEEP, name=f"n{i}") for i in range(3)]
        runs = [await bench.running.start(RunRequest(ids[i])) for i in range(2)]
        with pytest.raises(RunActive, match="2 runs are active"):
            await bench.running.start(RunRequest(ids[2]))
        listed = (await bench.running.list()).items
        assert {run.id for run in listed} == {run.id for run in runs}
        await bench.running.cancel(runs[0].id)
        await bench.running.start(RunRequest(ids[2]))

    play(tmp_path, scenario, max_active=2)


def test_no_run_that_is_not_stored_is_left_out_of_the_pages(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        stored = await bench.run(await bench.notebook("1", name="stored"))
        bench.store.full = True
        others = [await bench.notebook("1", name=f"n{number}") for number in range(3)]
        unstored = [await bench.run(notebook_id) for notebook_id in others]
        first = await bench.running.list(limit=2)
        assert {run.id for run in first.items} == {run.id for run in unstored}
        second = await bench.running.list(limit=2, cursor=int(first.next_cursor or 0))
        assert [run.id for run in second.items] == [stored.id]

    play(tmp_path, scenario, store=NoRoomForRuns())


def test_pages_of_runs_show_active_ones_as_they_stand(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        busy = await bench.notebook("print('on')\nimport time\n" + SLEEP, name="busy")
        quick = await bench.notebook("1")
        active = await bench.running.start(RunRequest(busy))
        await until(lambda: bench.requests)
        ended = [await bench.run(quick) for _ in range(3)]
        first = await bench.running.list(limit=2)
        assert [run.id for run in first.items] == [ended[2].id, ended[1].id]
        second = await bench.running.list(limit=2, cursor=int(first.next_cursor or 0))
        assert [run.id for run in second.items] == [ended[0].id, active.id]
        assert second.items[1].status is RunStatus.RUNNING
        assert second.items[1].cells
        assert second.next_cursor is None

    play(tmp_path, scenario)


class NoRoomForRuns(MemoryStore):
    """A store on a disk that is full, from some moment on."""

    full = False

    async def put_run(self, run: Run) -> None:
        if self.full:
            raise StoreFull("The disk is full.")
        await super().put_run(run)


class HeldStore(MemoryStore):
    """Keeps whoever stores an unfinished run waiting, as a busy database does."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()

    async def put_run(self, run: Run) -> None:
        if not run.status.final:
            await self.free.wait()
        await super().put_run(run)


def test_a_busy_store_delays_neither_the_cells_nor_what_is_told_of_them(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')\nimport time\n" + SLEEP)
        started = await bench.running.start(RunRequest(notebook_id))
        try:
            async with asyncio.timeout(10):
                async for event in bench.running.watch(started.id):
                    if event.kind == "output":
                        break
        finally:
            bench.store.free.set()
        run = await bench.running.cancel(started.id)
        assert await bench.store.get_run(run.id) == bare(run)

    play(tmp_path, scenario, store=HeldStore())


def test_a_run_that_ended_and_could_not_be_stored_stays_in_the_list(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        quick, other = await bench.notebook("1"), await bench.notebook("2", name="b")
        stored = await bench.run(quick)
        bench.store.full = True
        ended = await bench.run(quick)
        listed = [run.id for run in (await bench.running.list()).items]
        assert listed == [ended.id, stored.id]
        assert (await bench.running.list(other)).items == ()

        bench.store.full = False
        assert await bench.writer.flush()
        listed = [run.id for run in (await bench.running.list()).items]
        assert listed == [ended.id, stored.id]

        bench.store.full = True
        await bench.run(quick)
        await bench.store.delete_notebook(quick)
        assert (await bench.running.list()).items == ()

    play(tmp_path, scenario, store=NoRoomForRuns(), writing=IMPATIENT)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_a_run_that_could_not_be_stored_is_listed_while_it_goes_on(
    tmp_path: Path, limit: int
) -> None:
    async def scenario(bench: RunBench) -> None:
        busy = await bench.notebook("import time\n" + SLEEP, name="busy")
        quick = await bench.notebook("1")
        ended = [(await bench.run(quick)).id for _ in range(3)]
        bench.store.full = True
        active = await bench.running.start(RunRequest(busy))
        page = await bench.running.list(limit=limit)
        expected = [active.id, *reversed(ended)]
        assert [run.id for run in page.items] == expected[:limit]
        if limit < 4:
            rest = await bench.running.list(cursor=int(page.next_cursor or 0))
            assert [run.id for run in rest.items] == expected[limit:]
        else:
            assert page.next_cursor is None

    play(tmp_path, scenario, store=NoRoomForRuns())


def test_resume_in_the_kept_kernel(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("x = 20", "print(x)", "y", "print(x + y)")
        first = await bench.run(notebook_id, keep_kernel=True)
        assert statuses(first) == [OK, OK, ERROR, ABORTED]
        content = json.loads(bench.path.read_text())
        content["cells"][2]["source"] = "y = 22"
        bench.path.write_text(json.dumps(content))
        second = await bench.run(notebook_id, resume=True, keep_kernel=True)
        assert second.status is RunStatus.SUCCESS
        assert "Resumed at cell 2" in (second.message or "")
        assert second.kernel_id == first.kernel_id
        assert statuses(second) == [OK] * 4
        assert [row.cell_index for row in await bench.rows(second.id)] == [2, 3]
        assert bench.texts()[1] == "20\n"  # kept from before
        assert bench.texts()[3] == "42\n"
        assert len(bench.kernels.started) == 1

    play(tmp_path, scenario)


def test_resume_without_the_kernel_runs_all_again_and_says_so(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("x = 20", "y", "print(x)")
        await bench.run(notebook_id)
        content = json.loads(bench.path.read_text())
        content["cells"][1]["source"] = "y = 22"
        bench.path.write_text(json.dumps(content))
        second = await bench.run(notebook_id, resume=True)
        assert second.status is RunStatus.SUCCESS
        assert "ran again" in (second.message or "")
        assert [row.cell_index for row in await bench.rows(second.id)] == [0, 1, 2]

    play(tmp_path, scenario)


def test_resume_finds_the_earlier_run_behind_many_of_single_cells(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("x = 20", "1/0")
        first = await bench.run(notebook_id)
        assert first.status is RunStatus.ERROR
        for number in range(120):
            single = replace(first, id=f"single-{number}", requested={"cell": 0})
            await bench.store.put_run(single)
        second = await bench.run(notebook_id, resume=True)
        assert statuses(second) == [OK, ERROR]

    play(tmp_path, scenario)


@pytest.mark.parametrize(("value", "shown"), [(7, "7\n"), (math.nan, "nan\n")])
def test_resume_keeps_parameters_and_output(tmp_path: Path, value: object, shown: str) -> None:
    async def scenario(bench: RunBench) -> None:
        target = tmp_path / "out.ipynb"
        notebook_id = await bench.notebook("print(n)", "1/0")
        first = await bench.run(notebook_id, parameters={"n": value}, output=str(target))
        json.dumps(run_record(first), allow_nan=False)
        assert first.status is RunStatus.ERROR
        content = json.loads(bench.path.read_text())
        content["cells"][1]["source"] = "print('fixed')"
        bench.path.write_text(json.dumps(content))
        second = await bench.run(notebook_id, resume=True)
        assert second.artefact == str(target)
        assert bench.texts(target)[1:] == [shown, "fixed\n"]

    play(tmp_path, scenario)


def names_kernel(bench: RunBench, name: str) -> dict[str, Any]:
    """Let the notebook name this kernel; return its metadata."""
    content = json.loads(bench.path.read_text())
    content["metadata"] = {"kernelspec": {"name": name, "display_name": name}}
    bench.path.write_text(json.dumps(content))
    return dict(content["metadata"])


@pytest.mark.parametrize("output", [False, True])
def test_a_run_on_another_kernel_leaves_the_notebooks_own(tmp_path: Path, output: bool) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print(1)")
        metadata = names_kernel(bench, "nosuch")
        target = tmp_path / "out.ipynb" if output else bench.path
        more = {"output": str(target)} if output else {}
        run = await bench.run(notebook_id, kernel="python3", parameters={"n": 1}, **more)
        assert (run.status, run.kernel) == (RunStatus.SUCCESS, "python3")
        assert run.requested["kernel"] == "python3"
        assert bench.kernels.started[0][0] == "python3"
        written = json.loads(target.read_text())["metadata"]
        written.pop("blackroad", None)
        assert written == metadata
        stored = await bench.notebooks.get(notebook_id)
        assert stored.kernel == ("python3" if output else "nosuch")  # what the file names

    play(tmp_path, scenario)


def test_a_resumed_run_keeps_its_kernel(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1", "1 / 0")
        names_kernel(bench, "nosuch")
        assert statuses(await bench.run(notebook_id, kernel="python3")) == [OK, ERROR]
        again = await bench.run(notebook_id, resume=True)
        assert (again.kernel, statuses(again)) == ("python3", [OK, ERROR])
        with pytest.raises(InvalidInput, match="keeps the kernel it began with"):
            await bench.running.start(RunRequest(notebook_id, resume=True, kernel="python3"))

    play(tmp_path, scenario)


def test_a_notebook_of_another_format_runs_and_keeps_its_cells(tmp_path: Path) -> None:
    future = {"cell_type": "future cell", "metadata": {"tags": ["parameters"]}, "key": "value"}

    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print(n)")
        content = json.loads(bench.path.read_text())
        del content["cells"][0]["id"]
        content["cells"].append(future)
        del content["nbformat_minor"]
        bench.path.write_text(json.dumps(content))
        assert statuses(await bench.run(notebook_id, cell=0, parameters={"n": 7})) == [OK, OK]
        cells = json.loads(bench.path.read_text())["cells"]
        assert cells[1] == future
        assert [cell.get("id") for cell in cells] == [None, None, None]

    play(tmp_path, scenario)


def test_a_run_repairs_ids_and_a_resume_knows_them_again(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("x = 1", "1 / 0")
        content = json.loads(bench.path.read_text())
        for cell in content["cells"]:
            cell["id"] = "same"
        bench.path.write_text(json.dumps(content))
        target = tmp_path / "out.ipynb"
        first = await bench.run(notebook_id, output=str(target), keep_kernel=True)
        assert [cell.cell_id for cell in first.cells] == ["same", "cell-1"]
        assert [cell["id"] for cell in bench.cells(target)] == ["same", "cell-1"]
        second = await bench.run(notebook_id, resume=True)
        assert "Resumed at cell 1" in (second.message or "")

    play(tmp_path, scenario)


@pytest.mark.parametrize("kernel", ["no such", "", 5])
def test_a_kernel_that_cannot_be_one_is_refused(tmp_path: Path, kernel: Any) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        with pytest.raises(InvalidInput, match="kernel name"):
            await bench.running.start(RunRequest(notebook_id, kernel=kernel))

    play(tmp_path, scenario)


@pytest.mark.parametrize("kept", [True, False])
def test_a_refused_resume_keeps_the_kernel(tmp_path: Path, kept: bool) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        with pytest.raises(InvalidInput, match="no earlier run"):
            await bench.running.start(RunRequest(notebook_id, resume=True))
        await bench.run(notebook_id, keep_kernel=kept)
        for _ in range(2):
            with pytest.raises(InvalidInput, match="nothing to resume"):
                await bench.running.start(RunRequest(notebook_id, resume=True))
        assert len(bench.kernels.live) == int(kept)

    play(tmp_path, scenario)


def test_what_does_not_exist(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        with pytest.raises(NotebookNotFound):
            await bench.running.start(RunRequest("no-such-notebook"))
        for use in (bench.running.get, bench.running.wait, bench.running.cancel, bench.events):
            with pytest.raises(RunNotFound):
                await use("no-such-run")
        notebook_id = await bench.notebook("1")
        bench.path.unlink()
        with pytest.raises(NotebookNotFound):
            await bench.running.start(RunRequest(notebook_id))
        assert bench.running.active == 0

    play(tmp_path, scenario)


def test_a_run_of_another_process_cannot_be_cancelled_here(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        run = Run("r1", notebook_id, RunStatus.RUNNING, {}, str(bench.path), "python3")
        await bench.store.put_run(run)
        with pytest.raises(RunActive, match="another process"):
            await bench.running.cancel("r1")

    play(tmp_path, scenario)


IMPATIENT = WriterSettings(retry_seconds=0.01, retry_limit_seconds=0.02, close_seconds=0.3)


class BrokenStore(MemoryStore):
    """Refuses rows and finished runs while `failures` last."""

    def __init__(self, failures: int, error: StoreError) -> None:
        super().__init__()
        self.failures = failures
        self.error = error

    def _fail(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise self.error

    async def record(self, executions: Sequence[Execution]) -> int:
        self._fail()
        return await super().record(executions)

    async def put_run(self, run: Run) -> None:
        if run.status.final:
            self._fail()
        await super().put_run(run)


FULL, BUSY = StoreFull("The disk is full."), StoreBusy("The database is busy.")


@pytest.mark.parametrize("error", [FULL, BUSY])
def test_a_store_that_recovers_in_time_loses_nothing(tmp_path: Path, error: StoreError) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print(1)", "print(2)")
        run = await bench.run(notebook_id)
        assert (run.status, run.message, run.code) == (RunStatus.SUCCESS, None, None)
        assert [row.status for row in await bench.rows(run.id)] == [OK, OK]
        assert await bench.store.get_run(run.id) == bare(run)

    play(tmp_path, scenario, store=BrokenStore(3, error))


@pytest.mark.parametrize(
    ("cells", "error", "said"),
    [
        (1, FULL, "1 row was not in the history when the run ended: The disk is full."),
        (2, BUSY, "2 rows were not in the history when the run ended: The database is busy."),
    ],
)
def test_a_broken_store_stops_no_cell_and_is_tried_again_after_the_run(
    tmp_path: Path, cells: int, error: StoreError, said: str
) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook(*["print(1)"] * cells)
        run = await bench.run(notebook_id)
        assert (run.status, run.message, run.code) == (RunStatus.SUCCESS, said, error.code)
        assert bench.texts() == ["1\n"] * cells
        assert await bench.rows(run.id) == []
        assert await bench.running.get(run.id) == bare(run)
        assert (await bench.running.list()).items == (bare(run),)
        assert not (await bench.store.get_run(run.id)).status.final

        bench.store.failures = 0
        assert await bench.writer.flush()
        assert len(await bench.rows(run.id)) == cells
        assert await bench.store.get_run(run.id) == bare(run)

    play(tmp_path, scenario, store=BrokenStore(10**9, error), writing=IMPATIENT)


def test_an_error_of_a_cell_is_not_hidden_by_one_of_the_store(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        run = await bench.run(await bench.notebook("1/0"))
        assert (run.status, run.code) == (RunStatus.ERROR, None)
        assert "1 row was not in the history" in (run.message or "")

    play(tmp_path, scenario, store=BrokenStore(10**9, FULL), writing=IMPATIENT)


def test_the_history_keeps_so_much_output_and_says_what_it_left_out(tmp_path: Path) -> None:
    large = f"print('x' * {OUTPUT_BYTES})"

    async def scenario(bench: RunBench) -> None:
        failing = "print('small')\nimport sys\nprint('y' * 2_000_000, file=sys.stderr)\n1/0"
        notebook_id = await bench.notebook(large, "print('small')", failing)
        run = await bench.run(notebook_id)
        texts = [len(output["text"]) for output in run.cells[0].outputs]
        assert texts == [OUTPUT_BYTES + 1]
        assert len(bench.texts()[0]) == OUTPUT_BYTES + 1
        rows = await bench.rows(run.id)
        assert max(len((row.output or "").encode()) for row in rows) <= OUTPUT_BYTES
        kept = [json.loads(row.output or "") for row in rows]
        assert [[output["output_type"] for output in outputs] for outputs in kept] == [
            ["stream"],
            ["stream"],
            ["stream", "error", "stream"],
        ]
        assert "1 output of this cell was too large for the history (1.0 MB)" in kept[0][0]["text"]
        assert "the notebook that the run wrote has everything" in kept[0][0]["text"]
        assert kept[1][0]["text"] == "small\n"
        assert "(2.0 MB)" in kept[2][2]["text"]
        assert kept[2][1]["ename"] == "ZeroDivisionError"
        again = await bench.running.get(run.id)
        assert [list(cell.outputs) for cell in again.cells] == kept

    play(tmp_path, scenario)


def test_output_that_just_fits_is_kept_whole() -> None:
    text = "x" * (OUTPUT_BYTES - len(json.dumps([_stream("")])))
    kept, stored = asyncio.run(stored_output([_stream(text)]))
    assert json.loads(stored) == kept == [_stream(text)]
    assert len(stored.encode()) <= OUTPUT_BYTES
    _, stored = asyncio.run(stored_output([_stream(text + "xxx")]))
    assert json.loads(stored) != [_stream(text + "xxx")]


def _stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


class FaultyKernels(FakeKernelRunner):
    """Its kernels fail in one method, in a way that nobody foresaw."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    async def start(self, *arguments: Any, **options: Any) -> RunningKernel:
        kernel = await super().start(*arguments, **options)
        setattr(kernel, self.method, _failing if self.method == "widgets" else _failing_later)
        return kernel


def _failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError("nobody foresaw this")


async def _failing_later(*_: Any, **__: Any) -> Any:
    raise RuntimeError("nobody foresaw this")


async def check_that_it_ends(bench: RunBench, **request: Any) -> Run:
    """Run a notebook whose watchers must see an end, and whose file must be free again."""
    notebook_id = await bench.notebook("print('a')")
    started = await bench.running.start(RunRequest(notebook_id, **request))
    ending = asyncio.ensure_future(bench.running.wait(started.id))
    events = await bench.events(started.id)
    run = await ending
    assert events[-1].kind == "run_finished"
    assert events[-1].data["status"] == run.status
    assert run.status.final
    assert run.finished_at is not None
    assert bench.kernels.live == {}
    again = await bench.running.start(RunRequest(notebook_id))
    assert (await bench.running.wait(again.id)).status.final
    return run


@pytest.mark.parametrize("method", ["widgets", "is_alive", "language_info", "run_cell"])
def test_a_kernel_that_fails_unforeseen_still_ends_the_run(tmp_path: Path, method: str) -> None:
    async def scenario(bench: RunBench) -> None:
        run = await check_that_it_ends(bench, keep_kernel=method == "is_alive")
        assert (run.status is RunStatus.ERROR) == (method != "is_alive")
        assert "nobody foresaw this" in (run.message or "")
        assert await bench.store.get_run(run.id) == bare(run)
        if method in ("widgets", "is_alive"):
            assert bench.texts() == ["a\n"]

    play(tmp_path, scenario, kernels=FaultyKernels(method))


def test_a_kernel_that_ends_badly_after_the_run_was_kept_is_told_in_the_store(
    tmp_path: Path,
) -> None:
    class Late(FakeKernelRunner):
        async def start(self, *arguments: Any, **options: Any) -> RunningKernel:
            kernel = await super().start(*arguments, **options)

            async def close(shutdown: bool = True) -> None:
                while not (await bench.store.list_runs()).items[0].status.final:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                self.live.clear()
                raise OSError("nobody foresaw this")

            kernel.close = close  # type: ignore[method-assign]
            return kernel

    async def scenario(opened: RunBench) -> None:
        nonlocal bench
        bench = opened
        run = await check_that_it_ends(bench)
        assert run.status is RunStatus.SUCCESS
        assert "nobody foresaw this" in (run.message or "")
        await bench.writer.flush()
        assert await bench.store.get_run(run.id) == bare(run)

    bench: RunBench
    play(tmp_path, scenario, kernels=Late())


@pytest.mark.parametrize("method", ["put_run", "record", "note_notebook"])
def test_a_store_that_fails_unforeseen_still_ends_the_run(tmp_path: Path, method: str) -> None:
    async def scenario(bench: RunBench) -> None:
        setattr(bench.store, method, _failing_later)
        await check_that_it_ends(bench)
        assert bench.texts() == ["a\n"]

    play(tmp_path, scenario)


def test_files_that_fail_unforeseen_still_end_the_run(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        bench.files.write = _failing_later  # type: ignore[method-assign]
        run = await check_that_it_ends(bench)
        assert run.status is RunStatus.ERROR
        assert "could not be written" in (run.message or "")

    play(tmp_path, scenario)


class OddWidgets(FakeKernelRunner):
    """A comm whose id is a number: JSON has no such name."""

    async def start(self, *arguments: Any, **options: Any) -> RunningKernel:
        kernel = await super().start(*arguments, **options)
        kernel.widgets = lambda: {"state": {5: {}, "a": {}}}  # type: ignore[method-assign]
        return kernel


def test_widgets_that_json_cannot_hold_cost_only_themselves(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        run = await check_that_it_ends(bench)
        assert run.status is RunStatus.ERROR
        assert "widgets" in (run.message or "")
        assert bench.texts() == ["a\n"]

    play(tmp_path, scenario, kernels=OddWidgets())


def test_a_clock_set_back_does_not_make_durations_negative(tmp_path: Path) -> None:
    times = iter(datetime(2026, 1, 2, tzinfo=UTC) - timedelta(hours=hour) for hour in range(99))

    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("import time\ntime.sleep(0.05)")
        run = await bench.run(notebook_id)
        assert (run.cells[0].duration_ms or 0) >= 40
        (row,) = await bench.rows(run.id)
        assert row.finished_at is not None
        assert row.finished_at > row.started_at

    back = FakeKernelRunner(clock=lambda: next(times))
    play(tmp_path, scenario, kernels=back, clock=lambda: next(times))


def test_five_thousand_cells_take_linear_time(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        loop = asyncio.get_running_loop()
        spent = []
        for count in (500, 5000):
            notebook_id = await bench.notebook(
                *(f"print({index})" for index in range(count)), name=f"n{count}"
            )
            begun = loop.time()
            run = await bench.run(notebook_id)
            spent.append(loop.time() - begun)
            assert run.status is RunStatus.SUCCESS
            assert len(run.cells) == count
            assert bench.texts(tmp_path / f"n{count}.ipynb")[-1] == f"{count - 1}\n"
        assert spent[1] < spent[0] * 10 * 3

    play(tmp_path, scenario)


def test_a_notebook_renamed_while_its_kernel_ends_keeps_its_new_path(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("1")
        started = await bench.running.start(RunRequest(notebook_id))
        await until(lambda: (bench.running.snapshot(started.id) or started).status.final)
        moved = str(bench.folder / "moved.ipynb")
        await bench.store.move_notebook(notebook_id, moved, "moved", datetime.now(UTC))
        bench.kernels.may_end.set()
        await bench.running.wait(started.id)
        now = await bench.store.get_notebook(notebook_id)
        assert (now.path, now.name) == (moved, "moved")

    play(tmp_path, scenario, kernels=SlowToEnd())


def test_a_notebook_deleted_meanwhile_breaks_nothing(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')\nimport time\ntime.sleep(0.2)")
        started = await bench.running.start(RunRequest(notebook_id))
        await bench.store.delete_notebook(notebook_id)
        run = await bench.running.wait(started.id)
        assert (run.status, run.code) == (RunStatus.SUCCESS, None)
        assert "There is no notebook" in (run.message or "")
        assert bench.texts() == ["a\n"]

    play(tmp_path, scenario)


def test_an_output_that_cannot_be_written_is_refused_before_a_cell_runs(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')")
        for place in ("no/such/out.ipynb", "new/out.ipynb", "a.ipynb/out.ipynb"):
            request = RunRequest(notebook_id, output=str(tmp_path / place))
            with pytest.raises(InvalidInput, match=r"folder does not exist|real file"):
                await bench.running.start(request)
        assert bench.kernels.started == []
        assert os.listdir(tmp_path) == ["a.ipynb"]
        (tmp_path / "new").mkdir()
        run = await bench.run(notebook_id, output=str(tmp_path / "new" / "out.ipynb"))
        assert run.status is RunStatus.SUCCESS
        assert bench.texts(tmp_path / "new" / "out.ipynb") == ["a\n"]

    play(tmp_path, scenario)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_read_only_folder_is_refused_before_a_cell_runs(earlier: bool) -> None:
    """In place, and also for the output of an earlier run."""

    async def scenario(bench: RunBench) -> None:
        folder = bench.folder / "closed"
        folder.mkdir()
        notebook_id = await bench.notebook("print('a')", name="closed/a")
        request = RunRequest(notebook_id, output=str(folder / "out.ipynb") if earlier else None)
        if earlier:
            await bench.running.wait((await bench.running.start(request)).id)
        started = len(bench.kernels.started)
        folder.chmod(0o555)
        os.seteuid(NOBODY if os.geteuid() == 0 else os.geteuid())
        try:
            with pytest.raises(InvalidInput, match="folder is read-only"):
                await bench.running.start(request)
        finally:
            os.seteuid(os.getuid())
            folder.chmod(0o755)
        assert len(bench.kernels.started) == started

    # Strangers cannot walk down to pytest's folder.
    with tempfile.TemporaryDirectory(prefix="blackroad-") as name:
        os.chmod(name, 0o755)
        play(Path(name).resolve(), scenario)


def test_a_disk_that_fills_up_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("print('a')")

        async def refuse(*_: Any, **__: Any) -> str:
            raise InvalidInput("'a.ipynb' cannot be written: No space left on device.")

        bench.files.write = refuse  # type: ignore[method-assign]
        run = await bench.run(notebook_id)
        assert run.status is RunStatus.ERROR  # its cells ran, but the notebook is not there
        assert statuses(run) == [OK]
        assert "No space left" in (run.message or "")
        assert run.cells[0].outputs[0]["text"] == "a\n"

    play(tmp_path, scenario)
