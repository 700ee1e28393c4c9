"""Registering kernels: real kernelspecs, real kernels, and all the ways they fail."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import pytest

from blackroad_nb.adapters.fake_kernels import FakeKernelRunner
from blackroad_nb.adapters.kernels import LocalKernelRunner
from blackroad_nb.adapters.kernelspecs import JupyterKernelspecs
from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.errors import (
    Conflict,
    InvalidInput,
    KernelExists,
    KernelNotFound,
    KernelStartFailed,
)
from blackroad_nb.managers.kernels import KernelRegistry

Result = TypeVar("Result")

IPYKERNEL = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

# A kernel that answers everything but does what it likes with a cell.
ODD_KERNEL = """
import asyncio, sys
from ipykernel.kernelbase import Kernel
from ipykernel.kernelapp import IPKernelApp

class Odd(Kernel):
    implementation = banner = implementation_version = "odd"
    language_info = {{"name": "odd", "mimetype": "text/plain", "file_extension": ".odd"}}

    async def do_execute(self, code, silent, *args, **kwargs):
        {body}

IPKernelApp.launch_instance(kernel_class=Odd)
"""


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Jupyter data folder of the test's own."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def with_registry(
    work: Callable[[KernelRegistry, MemoryStore], Awaitable[Result]], fake: bool = False
) -> Result:
    """Run `work` on a registry over real kernelspecs and, unless `fake`, real kernels."""

    @asynccontextmanager
    async def parts() -> Any:
        store = MemoryStore()
        runner = FakeKernelRunner(names=("mine",)) if fake else LocalKernelRunner()
        yield KernelRegistry(store, JupyterKernelspecs(), runner, lambda: NOW), store
        await runner.close()
        await store.close()

    async def run() -> Result:
        async with parts() as (registry, store):
            return await work(registry, store)

    return asyncio.run(run())


def kernel_files(data_dir: Path) -> list[str]:
    kernels = data_dir / "kernels"
    return sorted(path.name for path in kernels.iterdir()) if kernels.exists() else []


def test_a_registered_kernel_is_checked_listed_and_forgotten(data_dir: Path) -> None:
    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        added = await registry.register(
            "Mine", "python", "My Python", IPYKERNEL, env={"MY_MODEL": "small"}
        )
        assert (added.name, added.registered, added.problem) == ("mine", True, None)
        assert added in await registry.list()
        spec = json.loads((data_dir / "kernels" / "mine" / "kernel.json").read_text())
        assert spec["env"] == {"MY_MODEL": "small"}
        assert spec["argv"] == IPYKERNEL
        report = await registry.check("MINE")
        assert report["status"] == "success"
        assert report["language"] == "python"
        assert report["duration_ms"] > 0
        await registry.unregister("Mine")
        assert "mine" not in {kernel.name for kernel in await registry.list()}
        assert await store.list_kernels() == ()
        assert kernel_files(data_dir) == []

    with_registry(work)


def test_a_broken_kernelspec_goes_with_its_registration(data_dir: Path) -> None:
    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        await registry.register("mine", "python", "Mine", IPYKERNEL, check=False)
        (data_dir / "kernels" / "mine" / "kernel.json").write_text("{")
        (found,) = [kernel for kernel in await registry.list() if kernel.name == "mine"]
        assert "gone or broken" in (found.problem or "")
        await registry.unregister("mine")
        assert not (data_dir / "kernels" / "mine").exists()
        assert await store.list_kernels() == ()

    with_registry(work)


def test_a_wrapper_script_with_a_variable_of_its_own_is_a_kernel(
    data_dir: Path, tmp_path: Path
) -> None:
    wrapper = tmp_path / "my kernel.sh"
    wrapper.write_text(
        '#!/bin/sh\ntest "$MODEL" = "a b" || exit 3\n'
        f'exec {sys.executable} -m ipykernel_launcher "$@"\n'
    )
    wrapper.chmod(0o755)
    argv = [str(wrapper), "-f", "{connection_file}"]

    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        await registry.register("wrapped", "python", "Wrapped", argv, env={"MODEL": "a b"})
        with pytest.raises(KernelStartFailed, match="exited with code 3"):
            await registry.register("unset", "python", "Unset", argv)
        assert kernel_files(data_dir) == ["wrapped"]

    with_registry(work)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('there is no torch here')", "there is no torch here"),
        ("raise SystemExit(7)", "exited with code 7"),
        ("import os; os.kill(os.getpid(), 9)", "killed"),
        ("import time; time.sleep(60)", "did not answer within 2 s"),
    ],
)
def test_a_kernel_that_does_not_start_says_why_and_leaves_nothing(
    code: str, said: str, data_dir: Path
) -> None:
    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        argv = [sys.executable, "-c", code, "{connection_file}"]
        begun = monotonic()
        with pytest.raises(KernelStartFailed, match=said):
            await registry.register("bad", "python", "Bad", argv, timeout_seconds=2)
        assert monotonic() - begun < 10
        assert kernel_files(data_dir) == []
        assert await store.list_kernels() == ()
        with pytest.raises(KernelNotFound):
            await registry.check("bad")

    with_registry(work)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("await asyncio.sleep(60)", "did not finish a cell within 4 s"),
        (
            'return {"status": "error", "ename": "NoModel", "evalue": "gone", "traceback": []}',
            "its first cell failed",
        ),
        ("import os; os._exit(5)", "its first cell failed"),
    ],
)
def test_a_kernel_that_cannot_run_a_cell_says_so_and_leaves_nothing(
    body: str, said: str, data_dir: Path, tmp_path: Path
) -> None:
    script = tmp_path / "odd.py"
    script.write_text(ODD_KERNEL.format(body=body))
    argv = [sys.executable, str(script), "-f", "{connection_file}"]

    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        with pytest.raises(KernelStartFailed, match=said):
            await registry.register("odd", "odd", "Odd", argv, timeout_seconds=4)
        assert kernel_files(data_dir) == []
        assert await store.list_kernels() == ()

    with_registry(work)


def test_a_language_that_the_kernel_does_not_speak_is_refused(data_dir: Path) -> None:
    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        with pytest.raises(InvalidInput, match="says that its language is 'python', not 'klingon'"):
            await registry.register("k", "klingon", "K", IPYKERNEL)
        assert kernel_files(data_dir) == []
        assert await store.list_kernels() == ()

    with_registry(work)


@pytest.mark.parametrize(
    "fault",
    [
        {"name": "no/slash"},
        {"name": ".."},
        {"language": ""},
        {"display_name": "two\nlines"},
        {"argv": []},
        {"argv": ["nowhere-to-be-found", "{connection_file}"]},
        {"argv": ["./python", "{connection_file}"]},
        {"argv": ["/etc/passwd", "{connection_file}"]},
        {"argv": ["/bin/../nothing", "{connection_file}"]},
        {"argv": ["a\0b", "{connection_file}"]},
        {"argv": ["sh", "x" * 200_000, "{connection_file}"]},
        {"env": {"A=B": "x"}},
        {"env": {"A": "x\0"}},
        {"env": {"A": 1}},
        {"timeout_seconds": 0},
        {"timeout_seconds": float("nan")},
        {"timeout_seconds": 1e9},
    ],
)
def test_a_wrong_field_is_refused_before_anything_is_written(
    fault: dict[str, Any], data_dir: Path
) -> None:
    fields = {"name": "n", "language": "python", "display_name": "N", "argv": IPYKERNEL, **fault}

    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        with pytest.raises(InvalidInput) as raised:
            await registry.register(**fields)
        assert "\n" not in raised.value.message
        assert kernel_files(data_dir) == []
        assert await store.list_kernels() == ()

    with_registry(work, fake=True)


def test_a_name_can_be_taken_once(data_dir: Path) -> None:
    foreign = data_dir / "kernels" / "TheirS"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text(
        json.dumps({"argv": ["x"], "display_name": "T", "language": "t"})
    )

    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        await registry.register("mine", "python", "M", IPYKERNEL, check=False)
        for taken in ("mine", "MINE", "theirs", "THEIRS", "python3"):
            with pytest.raises(KernelExists):
                await registry.register(taken, "python", "M", IPYKERNEL, check=False)
        assert [row.name for row in await store.list_kernels()] == ["mine"]
        assert kernel_files(data_dir) == ["TheirS", "mine"]

    with_registry(work, fake=True)


def test_of_two_who_register_a_name_at_once_one_gets_it(data_dir: Path) -> None:
    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        tries = [
            registry.register("mine", "python", f"M{n}", IPYKERNEL, check=False) for n in range(8)
        ]
        done = await asyncio.gather(*tries, return_exceptions=True)
        won = [kernel for kernel in done if not isinstance(kernel, Exception)]
        assert len(won) == 1
        assert all(isinstance(lost, KernelExists) for lost in done if lost not in won)
        assert (await registry.list())[0] == won[0]

    with_registry(work, fake=True)


def test_only_what_was_registered_here_is_unregistered(data_dir: Path) -> None:
    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        with pytest.raises(Conflict, match="was not registered here"):
            await registry.unregister("python3")
        with pytest.raises(KernelNotFound, match="No kernel named 'none'"):
            await registry.unregister("none")

    with_registry(work, fake=True)


def test_a_registration_whose_kernelspec_is_gone_says_so_and_can_be_renewed(data_dir: Path) -> None:
    """Somebody removed the folder, or the process died between row and folder."""
    row = RegisteredKernel("id", "mine", "python", "M", tuple(IPYKERNEL), NOW)

    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        await store.add_kernel(row)
        (lost,) = [kernel for kernel in await registry.list() if kernel.name == "mine"]
        assert lost.registered
        assert "gone" in (lost.problem or "")
        renewed = await registry.register("mine", "python", "Again", IPYKERNEL, check=False)
        assert renewed in await registry.list()
        (data_dir / "kernels" / "mine" / "kernel.json").unlink()
        await registry.unregister("mine")
        assert await store.list_kernels() == ()

    with_registry(work, fake=True)


def test_a_kernelspec_that_the_store_does_not_know_is_still_ours(data_dir: Path) -> None:
    """Another database on the same machine, or a process that died before the row went."""

    async def first(registry: KernelRegistry, store: MemoryStore) -> None:
        await registry.register("mine", "python", "M", IPYKERNEL, check=False)

    async def second(registry: KernelRegistry, store: MemoryStore) -> None:
        (found,) = [kernel for kernel in await registry.list() if kernel.name == "mine"]
        assert (found.registered, found.problem) == (True, None)
        await registry.unregister("mine")
        assert kernel_files(data_dir) == []

    with_registry(first, fake=True)
    with_registry(second, fake=True)


def test_a_kernelspec_changed_by_hand_says_so(data_dir: Path) -> None:
    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        await registry.register("mine", "python", "M", IPYKERNEL, check=False)
        file = data_dir / "kernels" / "mine" / "kernel.json"
        spec = json.loads(file.read_text())
        file.write_text(json.dumps({**spec, "display_name": "Other"}))
        (changed,) = [kernel for kernel in await registry.list() if kernel.name == "mine"]
        assert changed.display_name == "Other"
        assert "changed" in (changed.problem or "")
        file.write_text(json.dumps({**spec, "metadata": {}}))
        (taken,) = [kernel for kernel in await registry.list() if kernel.name == "mine"]
        assert not taken.registered
        assert "taken" in (taken.problem or "")
        await registry.unregister("mine")  # forgets the row, leaves what is not ours
        assert await store.list_kernels() == ()
        assert kernel_files(data_dir) == ["mine"]

    with_registry(work, fake=True)


def test_a_cancelled_registration_leaves_nothing(data_dir: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = f"import time; open({str(started)!r}, 'w').close(); time.sleep(60)"

    async def work(registry: KernelRegistry, store: MemoryStore) -> None:
        argv = [sys.executable, "-c", code, "{connection_file}"]
        task = asyncio.create_task(registry.register("slow", "python", "S", argv))
        async with asyncio.timeout(20):
            while not started.exists():  # noqa: ASYNC110  another process makes it
                await asyncio.sleep(0.01)
        assert kernel_files(data_dir) == ["slow"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert kernel_files(data_dir) == []
        assert await store.list_kernels() == ()

    with_registry(work)
