"""Runs with real kernels, real files and a real database, to the end or to kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import pytest
import unlucky_kernel
from jupyter_core.paths import jupyter_runtime_dir
from run_bench import RunBench, run_bench

from blackroad_nb.adapters.kernels import LocalKernelRunner
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.document import code_cell, new_document, serialize_document
from blackroad_nb.core.execution import Status
from blackroad_nb.core.run import RunRequest, RunStatus
from blackroad_nb.ports import CellLimits

HERE = Path(__file__).parent


def play(folder: Path, scenario: Callable[[RunBench], Any], **parts: Any) -> None:
    async def whole() -> None:
        store = await SqliteStore.open(folder / "h.db", owner="test")
        work = folder / "work"
        work.mkdir(exist_ok=True)
        async with run_bench(work, store=store, kernels=LocalKernelRunner(), **parts) as bench:
            await scenario(bench)

    asyncio.run(whole())


def children() -> set[int]:
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in listed.split()}


def alive(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_run_leaves_nothing_behind(tmp_path: Path) -> None:
    runtime = Path(jupyter_runtime_dir())
    before = children()
    files = set(runtime.glob("*")) if runtime.exists() else set()

    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("import os\nprint(os.getpid(), os.getcwd())")
        run = await bench.run(notebook_id)
        assert run.status is RunStatus.SUCCESS, run.message
        pid, cwd = bench.texts()[0].split()
        assert cwd == str(bench.folder)
        assert not alive(pid)
        nbformat.validate(nbformat.read(bench.path, as_version=4))
        assert nbformat.read(bench.path, as_version=4).metadata.language_info.name == "python"
        failed = await bench.run(await bench.notebook("import os\nos._exit(1)", name="b"))
        assert failed.status is RunStatus.KILLED

    play(tmp_path, scenario)
    assert children() == before
    assert set(runtime.glob("*")) == files


def test_cancel_finds_a_cell_that_was_sent_a_moment_ago(tmp_path: Path) -> None:
    """An interrupt that comes before the kernel has begun the cell is lost on it."""

    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook("import time\ntime.sleep(600)")
        for _ in range(4):
            started = await bench.running.start(RunRequest(notebook_id))
            async for event in bench.running.watch(started.id):
                if event.kind == "cell_started":
                    break
            begun = time.monotonic()
            run = await bench.running.cancel(started.id)
            assert run.status is RunStatus.CANCELLED
            assert run.cells[0].status is Status.ERROR, run.cells[0].error
            assert time.monotonic() - begun < 4

    play(tmp_path, scenario, limits=CellLimits(grace_seconds=8.0))


def test_exit_hooks_of_the_kernel_run(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        hook = "import atexit, pathlib\natexit.register(lambda: pathlib.Path('bye').touch())"
        await bench.run(await bench.notebook(hook))
        assert (bench.folder / "bye").exists()

    play(tmp_path, scenario)


def test_widgets_are_kept_in_the_notebook(tmp_path: Path) -> None:
    source = """
from comm import create_comm
create_comm("jupyter.widget", data={"state": {"_model_name": "IntSliderModel",
    "_model_module": "@jupyter-widgets/controls", "_model_module_version": "2.0.0", "value": 1},
    "buffer_paths": []})
"""

    async def scenario(bench: RunBench) -> None:
        await bench.run(await bench.notebook(source))
        widgets = json.loads(bench.path.read_bytes())["metadata"]["widgets"]
        (model,) = widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
        assert model["model_name"] == "IntSliderModel"

    play(tmp_path, scenario)


def test_a_display_updated_later_changes_its_cell_in_the_file(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        await bench.run(await bench.notebook("h = display('one', display_id=1)", "h.update('two')"))
        (output,) = bench.cells()[0]["outputs"]
        assert output["data"]["text/plain"] == ["'two'"]

    play(tmp_path, scenario)


def test_an_output_that_json_cannot_hold(tmp_path: Path) -> None:
    deep = (
        "v = []\nfor _ in range(900): v = [v]\n"
        "display({'application/json': v}, raw=True)\nprint('after')"
    )

    async def scenario(bench: RunBench) -> None:
        run = await bench.run(await bench.notebook(deep, "print('next')"))
        assert run.status is RunStatus.SUCCESS, run.message
        assert bench.texts()[1] == "next\n"
        nbformat.read(bench.path, as_version=4)

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("print('\\udc80')", Status.SUCCESS),
        ("print('x\\ud800y')", Status.SUCCESS),
        ("x = '\ud800'\nx", Status.SUCCESS),
        ("raise ValueError('\ud800')", Status.ERROR),
        ("#\udc80", Status.SUCCESS),
    ],
)
def test_text_that_is_no_unicode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, status: Status
) -> None:
    # ipykernel's IOPub thread may go deaf after text that it cannot encode. What wakes it
    # is its watch over the process's own stderr, which it leaves out under pytest.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")

    async def scenario(bench: RunBench) -> None:
        run = await bench.run(await bench.notebook(source, "print('next')"), continue_on_error=True)
        assert [cell.status for cell in run.cells] == [status, Status.SUCCESS], run.cells
        assert bench.texts()[1] == "next\n"
        bench.path.read_bytes().decode("utf-8")

    play(tmp_path, scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells whose port it is")
def test_a_kernel_that_hangs_without_its_port_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = unlucky_kernel.install(tmp_path, monkeypatch)

    async def scenario(bench: RunBench) -> None:
        async with asyncio.timeout(30):  # less than a kernel may take to answer
            kernel = await bench.kernels.start(unlucky_kernel.NAME, tmp_path, "t")
        assert tries.read_text() == "xx"
        assert await kernel.is_alive()
        await kernel.close()

    play(tmp_path, scenario)


def test_several_runs_at_once(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        ids = [
            await bench.notebook("import time\ntime.sleep(0.5)", f"print({i})", name=f"n{i}")
            for i in range(3)
        ]
        runs = [await bench.running.start(RunRequest(notebook_id)) for notebook_id in ids]
        ended = [await bench.running.wait(run.id) for run in runs]
        assert [run.cells[1].outputs[0]["text"] for run in ended] == ["0\n", "1\n", "2\n"]
        assert len({run.kernel_id for run in ended}) == 3

    play(tmp_path, scenario)


def test_one_thousand_cells(tmp_path: Path) -> None:
    async def scenario(bench: RunBench) -> None:
        notebook_id = await bench.notebook(*(f"print({i})" for i in range(1000)))
        begun = time.monotonic()
        run = await bench.run(notebook_id)
        assert run.status is RunStatus.SUCCESS
        assert time.monotonic() - begun < 60
        assert bench.texts() == [f"{i}\n" for i in range(1000)]
        assert len(await bench.rows(run.id)) == 1000

    play(tmp_path, scenario)


PROCESS = """
import asyncio, sys
from pathlib import Path
from run_bench import run_bench
from blackroad_nb.adapters.kernels import LocalKernelRunner
from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.run import RunRequest

async def main(folder, notebook_id):
    store = await SqliteStore.open(folder / "h.db", owner="victim")
    async with run_bench(folder / "work", store=store, kernels=LocalKernelRunner()) as bench:
        run = await bench.running.start(RunRequest(notebook_id))
        print(run.id, flush=True)
        await bench.running.wait(run.id)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_kill_9_keeps_what_was_done(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    document = new_document("python3", "x")
    sources = [
        "import os\nprint(os.getpid())",
        "print('b')",
        "import time\nprint('c')\ntime.sleep(60)",
    ]
    document["cells"] = [code_cell(source, f"c{i}") for i, source in enumerate(sources)]
    (work / "a.ipynb").write_bytes(serialize_document(document))

    async def register(bench: RunBench) -> None:
        ids.append((await bench.notebooks.create("a", str(bench.path), adopt=True)).id)

    ids: list[str] = []
    play(tmp_path, register)
    victim = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(tmp_path), ids[0]],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    assert victim.stdout is not None
    run_id = victim.stdout.readline().decode().strip()
    _await_until(lambda: b'"c\\n"' in (work / "a.ipynb").read_bytes())
    _await_until(lambda: _pending(tmp_path / "h.db") == 1)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()

    async def look(bench: RunBench) -> None:
        kernel, *_ = texts = bench.texts()
        assert texts[1:] == ["b\n", "c\n"]
        assert [row.status for row in await bench.rows(run_id)] == [
            Status.SUCCESS,
            Status.SUCCESS,
            Status.KILLED,
        ]
        run = await bench.running.get(run_id)
        assert run.status is RunStatus.KILLED
        assert [cell.status for cell in run.cells] == [
            Status.SUCCESS,
            Status.SUCCESS,
            Status.KILLED,
        ]
        assert run.cells[1].outputs[0]["text"] == "b\n"
        # ipykernel looks for its parent once a second
        await asyncio.to_thread(_await_until, lambda: not alive(kernel.strip()))
        content = json.loads(bench.path.read_text())
        content["cells"][2]["source"] = "print('c again')"
        bench.path.write_text(json.dumps(content))
        resumed = await bench.run(ids[0], resume=True)
        assert resumed.status is RunStatus.SUCCESS
        assert "ran again" in (resumed.message or "")

    play(tmp_path, look)


def _pending(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT count(*) FROM executions WHERE status = 'pending'"
        return int(connection.execute(query).fetchone()[0])


def _await_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
