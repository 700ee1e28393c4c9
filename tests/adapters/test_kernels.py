"""What every kernel runner does: the fake one, this process's own, and the server's."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb.adapters.fake_kernels import FakeKernelRunner
from blackroad_nb.adapters.kernels import LocalKernelRunner, ServerKernelRunner
from blackroad_nb.core.document import code_cell
from blackroad_nb.core.execution import Status
from blackroad_nb.errors import KernelNotFound, KernelStartFailed
from blackroad_nb.ports import CellLimits, CellOutcome, KernelRunner, RunningKernel

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["fake", "local", "server"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(kind: str, request: pytest.FixtureRequest) -> Run:
    if kind == "server":
        loop = request.getfixturevalue("jp_asyncio_loop")
        return loop.run_until_complete  # type: ignore[no-any-return]
    return asyncio.run


@pytest.fixture
def make_runner(kind: str, request: pytest.FixtureRequest) -> Iterator[Callable[[], KernelRunner]]:
    if kind == "server":
        app = request.getfixturevalue("jp_serverapp")
        root = request.getfixturevalue("jp_root_dir")
        yield lambda: ServerKernelRunner(
            app.kernel_manager, app.session_manager, root, warm_kernels=0
        )
    else:
        yield FakeKernelRunner if kind == "fake" else LocalKernelRunner


class Bench:
    """One started kernel, and what it told."""

    def __init__(self, kernel: RunningKernel) -> None:
        self.kernel = kernel
        self.requests: list[str] = []
        self.changes: list[int] = []
        self.changed: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.cell: dict[str, Any] = {}

    async def __call__(self, source: str, index: int = 0, **limits: Any) -> CellOutcome:
        self.cell = code_cell(source, f"c{index}")
        return await self.kernel.run_cell(
            self.cell,
            index,
            CellLimits(**{"timeout_seconds": 20.0, "grace_seconds": 2.0, **limits}),
            self.requests.append,
            self.note_change,
        )

    def note_change(self, index: int) -> None:
        self.changes.append(index)
        self.changed[index].set()


@pytest.fixture
def bench(make_runner: Callable[[], KernelRunner], tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def started() -> AsyncIterator[Bench]:
        runner = make_runner()
        kernel = await runner.start("python3", tmp_path, str(tmp_path / "a.ipynb"))
        try:
            yield Bench(kernel)
        finally:
            await kernel.close()
            await runner.close()

    return started


def test_a_cell_that_prints(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            first = await cell("print('hello')\nx = 5", 3)
            assert (first.status, first.execution_count, first.error) == (Status.SUCCESS, 1, None)
            assert cell.cell["execution_count"] == 1
            assert cell.cell["outputs"] == [
                {"output_type": "stream", "name": "stdout", "text": "hello\n"}
            ]
            assert cell.requests == [first.msg_id]
            assert set(cell.changes) == {3}
            second = await cell("print(x)")
            assert second.execution_count == 2
            assert second.msg_id != first.msg_id
            assert cell.cell["outputs"][0]["text"] == "5\n"

    run(scenario())


def test_outputs_stay_in_the_order_in_which_they_were_made(run: Run, bench: Any) -> None:
    source = (
        "import sys\nprint('one', flush=True)\nprint('two', file=sys.stderr, flush=True)\n"
        "print('three', flush=True)\nprint('four', flush=True)"
    )

    async def scenario() -> None:
        async with bench() as cell:
            await cell(source)
            assert [(output["name"], output["text"]) for output in cell.cell["outputs"]] == [
                ("stdout", "one\n"),
                ("stderr", "two\n"),
                ("stdout", "three\nfour\n"),
            ]

    run(scenario())


def test_a_cell_that_fails(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            outcome = await cell("print('before')\nraise ValueError('no')\nprint('after')")
            assert outcome.status is Status.ERROR
            assert outcome.error.startswith("ValueError: no\n")
            assert "\x1b" not in outcome.error
            printed, error = cell.cell["outputs"]
            assert printed["text"] == "before\n"
            assert (error["output_type"], error["ename"], error["evalue"]) == (
                "error",
                "ValueError",
                "no",
            )
            assert (await cell("print('alive')")).status is Status.SUCCESS

    run(scenario())


def test_time_out_interrupts_and_the_kernel_goes_on(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            await cell("import time\nx = 1")
            begun = time.monotonic()
            outcome = await cell("time.sleep(30)", timeout_seconds=0.3)
            assert time.monotonic() - begun < 5
            assert outcome.status is Status.TIMEOUT
            assert outcome.error.startswith("CellTimeout: The cell ran longer than 0.3 s")
            names = [output["ename"] for output in cell.cell["outputs"]]
            assert names == ["KeyboardInterrupt", "CellTimeout"]
            assert 250 <= outcome.duration_ms < 5000
            assert (await cell("print(x)")).status is Status.SUCCESS

    run(scenario())


def test_no_time_out(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            outcome = await cell("import time\ntime.sleep(0.2)", timeout_seconds=None)
            assert outcome.status is Status.SUCCESS
            assert outcome.duration_ms >= 180
            assert (outcome.finished_at - outcome.started_at).total_seconds() >= 0.18

    run(scenario())


def test_interrupt(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            await cell("import time")
            running = asyncio.ensure_future(cell("print('on', flush=True)\ntime.sleep(30)", 9))
            async with asyncio.timeout(10):
                await cell.changed[9].wait()
            await cell.kernel.interrupt()
            outcome = await asyncio.wait_for(running, 10)
            assert outcome.status is Status.ERROR
            assert outcome.error.startswith("KeyboardInterrupt")

    run(scenario())


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\nos._exit(3)", "exited with code 3"),
        (
            "import os\nos.kill(os.getpid(), 9)",
            "was killed by signal 9 (SIGKILL, as when memory runs out)",
        ),
    ],
)
def test_a_kernel_that_dies(run: Run, bench: Any, source: str, reason: str) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            begun = time.monotonic()
            outcome = await cell(f"print('last words', flush=True)\n{source}")
            assert time.monotonic() - begun < 3
            assert outcome.status is Status.KILLED
            assert outcome.error == f"KernelDied: The kernel {reason}."
            assert cell.cell["outputs"][-1]["ename"] == "KernelDied"
            assert not await cell.kernel.is_alive()
            assert (await cell("print(1)")).status is Status.KILLED

    run(scenario())


def test_input_is_an_error_and_does_not_hang(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            assert (await cell("input('name? ')")).status is Status.ERROR

    run(scenario())


def test_outputs_are_bounded(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            outcome = await cell("print('x' * 50_000)", output_bytes=10_000)
            assert outcome.status is Status.SUCCESS
            text = "".join(output["text"] for output in cell.cell["outputs"])
            assert 5_000 < text.count("x") <= 10_000
            assert "were dropped" in text

    run(scenario())


def test_language(run: Run, bench: Any) -> None:
    async def scenario() -> None:
        async with bench() as cell:
            assert (await cell.kernel.language_info())["name"] == "python"

    run(scenario())


@pytest.mark.parametrize("kind", ["local", "server"], indirect=True)
def test_the_short_name_of_ipython(
    run: Run, make_runner: Callable[[], KernelRunner], tmp_path: Path
) -> None:
    async def scenario() -> None:
        runner = make_runner()
        kernel = await runner.start("python", tmp_path, str(tmp_path / "a.ipynb"))
        try:
            done = await Bench(kernel)("1 + 1")
            assert done.status is Status.SUCCESS
        finally:
            await kernel.close()
            await runner.close()

    run(scenario())


def test_an_unknown_kernel(
    run: Run, make_runner: Callable[[], KernelRunner], tmp_path: Path
) -> None:
    async def scenario() -> None:
        runner = make_runner()
        try:
            with pytest.raises(KernelNotFound, match="no-such-kernel"):
                await runner.start("no-such-kernel", tmp_path, "t")
        finally:
            await runner.close()

    run(scenario())


TAKES_A_PORT = """
import json, pathlib, socket, sys
tries = pathlib.Path({tries!r})
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) <= {times}:
    taken = socket.socket()
    taken.bind(("127.0.0.1", json.load(open(sys.argv[2]))["shell_port"]))
    taken.listen()
from ipykernel import kernelapp
kernelapp.launch_new_instance()
"""


@pytest.mark.parametrize("kind", ["local", "server"], indirect=True)
@pytest.mark.parametrize(("times", "starts"), [(1, True), (3, False)])
def test_a_kernel_whose_port_was_taken_starts_again(
    run: Run,
    make_runner: Callable[[], KernelRunner],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    starts: bool,
) -> None:
    folder, tries = tmp_path / "jupyter" / "kernels" / "unlucky", tmp_path / "tries"
    folder.mkdir(parents=True)
    code = TAKES_A_PORT.format(tries=str(tries), times=times)
    (tmp_path / "unlucky.py").write_text(code)
    argv = [sys.executable, str(tmp_path / "unlucky.py"), "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Unlucky", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    async def scenario() -> None:
        runner = make_runner()
        try:
            if starts:
                kernel = await runner.start("unlucky", tmp_path, "t")
                assert await kernel.is_alive()
                await kernel.close()
            else:
                with pytest.raises(KernelStartFailed, match="exited with code 1"):
                    await runner.start("unlucky", tmp_path, "t")
        finally:
            await runner.close()
        assert tries.read_text() == "x" * min(times + 1, 3)

    run(scenario())


def test_a_kept_kernel_is_found_again_once(
    run: Run, make_runner: Callable[[], KernelRunner], tmp_path: Path
) -> None:
    async def scenario() -> None:
        runner = make_runner()
        try:
            kernel = await runner.start("python3", tmp_path, str(tmp_path / "a.ipynb"))
            await Bench(kernel)("x = 41")
            await kernel.close(shutdown=False)
            again = await runner.attach(kernel.kernel_id)
            assert again is not None
            assert await runner.attach(kernel.kernel_id) is None
            cell = Bench(again)
            await cell("print(x + 1)")
            assert cell.cell["outputs"][0]["text"] == "42\n"
            await again.close()
            assert await runner.attach(kernel.kernel_id) is None
            assert await runner.attach("never-was") is None
        finally:
            await runner.close()

    run(scenario())


def test_where_a_kernel_works(
    kind: str, run: Run, make_runner: Callable[[], KernelRunner], tmp_path: Path
) -> None:
    if kind == "fake":
        pytest.skip("a fake kernel works where the test does")
    folder = tmp_path.resolve() / "a folder with 'quotes'"
    folder.mkdir()
    title = str(folder / "näme.ipynb")

    async def scenario() -> None:
        runner = make_runner()
        kernel = await runner.start("python3", folder, title)
        cell = Bench(kernel)
        try:
            await cell("import os\nprint(os.getcwd())\nprint(os.environ['JPY_SESSION_NAME'])")
            assert cell.cell["outputs"][0]["text"].splitlines() == [str(folder), title]
        finally:
            await kernel.close()
            await runner.close()

    run(scenario())
