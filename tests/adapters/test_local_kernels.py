"""Kernels of this process's own: how they start, fail to start, and are let go."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb.adapters.kernels import LocalKernelRunner
from blackroad_nb.adapters.kernels.early import start_early
from blackroad_nb.adapters.kernels.host import OomWatch, exit_reason
from blackroad_nb.adapters.kernels.session import QUIET_SECONDS
from blackroad_nb.core.document import code_cell
from blackroad_nb.core.execution import Status
from blackroad_nb.errors import KernelNotFound, KernelStartFailed
from blackroad_nb.ports import CellLimits


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a kernelspec for the time of one test."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    def installed(name: str, argv: list[str], **more: Any) -> None:
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python", **more}
        (folder / "kernel.json").write_text(json.dumps(spec))

    return installed


async def one_cell(runner: LocalKernelRunner, kernel: str, cwd: Path, source: str) -> Any:
    started = await runner.start(kernel, cwd, str(cwd / "a.ipynb"))
    cell = code_cell(source, "c")
    try:
        outcome = await started.run_cell(cell, 0, CellLimits(), lambda _: None, lambda _: None)
        assert outcome.status is Status.SUCCESS
        return cell["outputs"]
    finally:
        await started.close()


def use(scenario: Any, **options: Any) -> None:
    async def whole() -> None:
        runner = LocalKernelRunner(**options)
        try:
            await scenario(runner)
        finally:
            await runner.close()

    asyncio.run(whole())


REAL = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


@pytest.mark.parametrize("length", [0, 120])
@pytest.mark.parametrize("kernel", ["python3", "mine"])
def test_a_cell_runs_whatever_the_sockets(
    tmp_path: Path, install: Any, monkeypatch: pytest.MonkeyPatch, length: int, kernel: str
) -> None:
    install("mine", REAL, env={"GIVEN": "by the kernelspec"}, metadata={})
    runtime = tmp_path / ("r" * length or "r")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    source = "import os\nprint(os.environ.get('GIVEN'), os.environ['EXTRA'])"

    async def scenario(runner: LocalKernelRunner) -> None:
        (output,) = await one_cell(runner, kernel, tmp_path, source)
        given = "by the kernelspec" if kernel == "mine" else "None"
        assert output["text"] == f"{given} here\n"

    use(scenario, environment={"EXTRA": "here"})
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([sys.executable, "-c", "import sys; sys.exit('no such thing')", "{connection_file}"],
         "exited with code 1 (no such thing) before it was ready"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)", "{connection_file}"],
         "was killed by signal 9 (SIGKILL, as when memory runs out) before it was ready"),
        (["/no/such/program", "{connection_file}"], "could not be started"),
        (["{connection_file}"], "could not be started"),
    ],
)  # fmt: skip
def test_a_kernel_that_does_not_come_up(
    tmp_path: Path, install: Any, argv: list[str], said: str
) -> None:
    install("broken", argv)

    async def scenario(runner: LocalKernelRunner) -> None:
        begun = time.monotonic()
        with pytest.raises(KernelStartFailed) as caught:
            await runner.start("broken", tmp_path, "t")
        assert said in caught.value.message
        assert time.monotonic() - begun < 5

    use(scenario)


def test_a_runtime_folder_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "file" / "r"))

    async def scenario(runner: LocalKernelRunner) -> None:
        with pytest.raises(KernelStartFailed, match="set JUPYTER_RUNTIME_DIR"):
            await runner.start("python3", tmp_path, "t")

    use(scenario)


def test_a_kernel_that_never_answers(tmp_path: Path, install: Any) -> None:
    install("mute", [sys.executable, "-c", "import time; time.sleep(60)", "{connection_file}"])

    async def scenario(runner: LocalKernelRunner) -> None:
        with pytest.raises(KernelStartFailed, match=r"did not answer within 0\.5 s"):
            await runner.start("mute", tmp_path, "t")

    use(scenario, start_seconds=0.5)


@pytest.mark.parametrize("content", ["not json", "[]", "{}", '{"argv": []}', '{"argv": "python"}'])
def test_a_broken_kernelspec_is_said(tmp_path: Path, install: Any, content: str) -> None:
    install("odd", [])
    (tmp_path / "jupyter" / "kernels" / "odd" / "kernel.json").write_text(content)

    async def scenario(runner: LocalKernelRunner) -> None:
        with pytest.raises((KernelStartFailed, KernelNotFound), match="odd"):
            await runner.start("odd", tmp_path, "t")

    use(scenario)


@pytest.mark.parametrize("name", ["no-such", "../python3", "", "a/b", "python3\n", "é"])
def test_names_of_no_kernel(tmp_path: Path, name: str) -> None:
    async def scenario(runner: LocalKernelRunner) -> None:
        with pytest.raises(KernelNotFound):
            await runner.start(name, tmp_path, "t")

    use(scenario)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    async def scenario(runner: LocalKernelRunner) -> None:
        with pytest.raises(KernelStartFailed, match="could not be started"):
            await runner.start("python3", tmp_path / "gone", "t")

    use(scenario)


def test_kernels_that_are_kept_are_few(tmp_path: Path) -> None:
    async def scenario(runner: LocalKernelRunner) -> None:
        ids = []
        for _ in range(5):
            kernel = await runner.start("python3", tmp_path, "t")
            ids.append(kernel.kernel_id)
            await kernel.close(shutdown=False)
        assert await runner.attach(ids[0]) is None
        again = await runner.attach(ids[4])
        assert again is not None
        await again.close()

    use(scenario)


def test_cancelling_a_start_leaves_no_process(tmp_path: Path, install: Any) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    install("mute", [sys.executable, "-c", code, "{connection_file}"])

    async def scenario(runner: LocalKernelRunner) -> None:
        starting = asyncio.create_task(runner.start("mute", tmp_path, "t"))
        async with asyncio.timeout(10):
            while not _text(tmp_path / "pid"):  # noqa: ASYNC110, a file tells nobody
                await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not Path(f"/proc/{_text(tmp_path / 'pid')}").exists()  # noqa: ASYNC240

    use(scenario)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    ("code", "before", "now", "said"),
    [
        (None, 0, 0, "died"),
        (0, 0, 0, "exited with code 0"),
        (3, 0, 1, "exited with code 3"),
        (-9, 0, 0, "was killed by signal 9 (SIGKILL, as when memory runs out)"),
        (-9, 4, 5, "was killed by the system: out of memory"),
        (-11, 0, 1, "was killed by signal 11 (SIGSEGV)"),
        (-99, 0, 0, "was killed by signal 99"),
        (-9, None, 5, "was killed by signal 9 (SIGKILL, as when memory runs out)"),
    ],
)
def test_why_a_process_ended(
    monkeypatch: pytest.MonkeyPatch, code: int | None, before: int | None, now: int, said: str
) -> None:
    counts = iter([before, now])
    monkeypatch.setattr("blackroad_nb.adapters.kernels.host._oom_kills", lambda: next(counts))
    assert exit_reason(code, OomWatch()) == said


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", folder)
        yield Path(folder)


def test_a_kernel_started_early_is_adopted(tmp_path: Path, runtime: Path) -> None:
    title = str(tmp_path / "a.ipynb")
    early = start_early("python3", str(tmp_path), title)
    assert early is not None
    source = "import os\nprint(os.getpid(), os.getcwd(), os.environ['JPY_SESSION_NAME'], sep='|')"

    async def scenario(runner: LocalKernelRunner) -> None:
        (output,) = await one_cell(runner, "python3", tmp_path, source)
        assert output["text"] == f"{early.process.pid}|{tmp_path}|{title}\n"
        early.discard()  # it is not ours any more
        (output,) = await one_cell(runner, "python3", tmp_path, source)
        assert output["text"].split("|")[0] != str(early.process.pid)

    use(scenario, early=early)
    assert early.process.returncode == 0
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize("early", [True, False])
def test_a_program_that_reads_its_input_finds_the_end_of_it(
    tmp_path: Path, runtime: Path, early: bool
) -> None:
    started = start_early("python3", str(tmp_path), str(tmp_path / "a.ipynb")) if early else None
    source = "import subprocess; print(subprocess.run('cat', capture_output=True))"

    async def scenario(runner: LocalKernelRunner) -> None:
        (output,) = await one_cell(runner, "python3", tmp_path, source)
        assert "returncode=0, stdout=b''" in output["text"]

    use(scenario, early=started)


@pytest.mark.parametrize("wanted", ["other folder", "nothing"])
def test_a_kernel_started_early_for_nothing_is_ended(
    tmp_path: Path, runtime: Path, wanted: str
) -> None:
    early = start_early("python3", str(tmp_path), str(tmp_path / "a.ipynb"))
    assert early is not None
    folder = tmp_path / "other"
    folder.mkdir()

    async def scenario(runner: LocalKernelRunner) -> None:
        if wanted == "other folder":
            (output,) = await one_cell(runner, "python3", folder, "import os\nprint(os.getcwd())")
            assert output["text"] == f"{folder}\n"

    use(scenario, early=early)
    assert early.process.returncode == -9
    assert list(runtime.iterdir()) == []


def test_an_early_kernel_that_dies_is_said(tmp_path: Path) -> None:
    early = start_early("python3", str(tmp_path), str(tmp_path / "a.ipynb"))
    assert early is not None
    early.process.kill()

    async def scenario(runner: LocalKernelRunner) -> None:
        with pytest.raises(KernelStartFailed, match="killed by signal 9"):
            await runner.start("python3", tmp_path, str(tmp_path / "a.ipynb"))

    use(scenario, early=early)


@pytest.mark.parametrize(
    "spec",
    [
        {"argv": ["python", "-m", "other_kernel", "{connection_file}"]},
        {"argv": REAL, "metadata": {"kernel_provisioner": {"provisioner_name": "far"}}},
        {"argv": REAL, "interrupt_mode": "message"},
        {"argv": "python"},
        [],
    ],
)
def test_only_the_plain_case_is_started_early(
    tmp_path: Path, install: Any, spec: dict[str, Any]
) -> None:
    install("python3", [])
    (tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    assert start_early("python3", str(tmp_path), "t") is None
    assert start_early("ir", str(tmp_path), "t") is None


def test_early_takes_the_environment_of_the_kernelspec(tmp_path: Path, install: Any) -> None:
    env = {"GIVEN": "${HOME}/x ${NO_SUCH_VARIABLE}"}
    install("python3", REAL, env=env)
    early = start_early("python3", str(tmp_path), "t")
    assert early is not None
    environ = environment_of(early.process.pid)
    early.discard()
    assert f"GIVEN={os.environ['HOME']}/x ${{NO_SUCH_VARIABLE}}".encode() in environ
    assert f"JPY_PARENT_PID={os.getpid()}".encode() in environ


def environment_of(pid: int) -> list[bytes]:
    """Return it once the system has it: for a moment after its start a program has none."""
    deadline = time.monotonic() + 20
    while not (environ := Path(f"/proc/{pid}/environ").read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return environ.split(b"\0")


def test_a_folder_that_is_gone_is_left_to_the_long_way(tmp_path: Path, runtime: Path) -> None:
    assert start_early("python3", str(tmp_path / "gone"), "t") is None
    assert list(runtime.iterdir()) == []


SAYS_LESS = """
from ipykernel import kernelapp
from ipykernel.ipkernel import IPythonKernel
from jupyter_client.session import Session
info = IPythonKernel.kernel_info.fget
IPythonKernel.kernel_info = property(lambda self: {{**info(self), "language": "python"}})
whole = Session.msg_header
def header(self, kind):
    said = {{**whole(self, kind), "version": "5.0"}}
    del said[{missing!r}]
    return said
Session.msg_header = header
kernelapp.launch_new_instance()
"""


@pytest.mark.parametrize("missing", ["date", "version"])
def test_a_kernel_of_an_older_protocol(install: Any, tmp_path: Path, missing: str) -> None:
    program = tmp_path / "kernel.py"
    program.write_text(SAYS_LESS.format(missing=missing))
    install("older", [sys.executable, os.fspath(program), "-f", "{connection_file}"])

    async def scenario(runner: LocalKernelRunner) -> None:
        kernel = await runner.start("older", tmp_path, str(tmp_path / "a.ipynb"))
        cell = code_cell("1 + 1", "c")
        try:
            done = await kernel.run_cell(cell, 0, CellLimits(), lambda _: None, lambda _: None)
        finally:
            await kernel.close()
        assert done.status is Status.SUCCESS
        assert done.execution_count == 1
        assert done.duration_ms < QUIET_SECONDS * 1000  # idle was understood, not waited out
        times = cell["metadata"]["execution"]
        assert set(times) == {
            "iopub.status.busy",
            "iopub.execute_input",
            "shell.execute_reply",
            "iopub.status.idle",
        }
        json.dumps(cell)
        assert all(datetime.fromisoformat(time).tzinfo is not None for time in times.values())

    use(scenario)


def test_a_kernel_that_an_interrupt_ends_is_not_called_stubborn(
    install: Any, tmp_path: Path
) -> None:
    source = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(60)"

    async def scenario(runner: LocalKernelRunner) -> None:
        kernel = await runner.start("python3", tmp_path, str(tmp_path / "a.ipynb"))
        limits = CellLimits(timeout_seconds=0.5)
        try:
            done = await kernel.run_cell(
                code_cell(source, "c"), 0, limits, lambda _: None, lambda _: None
            )
        finally:
            await kernel.close()
        assert done.status is Status.TIMEOUT
        assert done.error.endswith("0.5 s and was interrupted, which ended its kernel.")

    use(scenario)


NEVER_IDLE = """
from ipykernel import kernelapp
from ipykernel.kernelbase import Kernel
publish = Kernel._publish_status
def some(self, status, channel, parent=None):
    header = (parent or self.get_parent(channel)).get("header", {})
    if (status, header.get("msg_type")) != ("idle", "execute_request"):
        publish(self, status, channel, parent)
Kernel._publish_status = some
kernelapp.launch_new_instance()
"""


def test_an_end_that_did_not_arrive_is_said_in_the_cell(install: Any, tmp_path: Path) -> None:
    program = tmp_path / "kernel.py"
    program.write_text(NEVER_IDLE)
    install("endless", [sys.executable, os.fspath(program), "-f", "{connection_file}"])

    async def scenario(runner: LocalKernelRunner) -> None:
        said, note = await one_cell(runner, "endless", tmp_path, "print('said')")
        assert said["text"] == "said\n"
        assert note["name"] == "stderr"
        assert "did not arrive" in note["text"]

    use(scenario)


def test_outputs_are_freed_with_their_run_and_wait_for_no_collector(tmp_path: Path) -> None:
    class Watcher:
        def change(self, index: int) -> None:
            """Stand for the notebook that a run writes."""

    async def scenario(runner: LocalKernelRunner) -> None:
        session = await runner.start("python3", tmp_path, str(tmp_path / "a.ipynb"))
        cell, watcher = code_cell("print('x' * 100)", "c"), Watcher()
        gone = weakref.ref(watcher)
        await session.run_cell(cell, 0, CellLimits(), lambda _: None, watcher.change)
        await session.close()
        del watcher
        assert gone() is None

    gc.collect()
    gc.disable()
    try:
        use(scenario)
    finally:
        gc.enable()
