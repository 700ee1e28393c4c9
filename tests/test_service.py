"""`JupyterService`: the synchronous face, its threads and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb import JupyterService
from blackroad_nb.core.execution import Status
from blackroad_nb.core.run import RunStatus
from blackroad_nb.errors import (
    FileExists,
    InvalidInput,
    KernelNotFound,
    NotebookNotFound,
    PathNotAllowed,
    StoreError,
)

SECONDS = 60


@pytest.fixture
def service(tmp_path: Path) -> Iterator[JupyterService]:
    with JupyterService(db=tmp_path / "n.db", roots=[tmp_path]) as opened:
        yield opened


def fill(path: Path, source: str) -> None:
    text = path.read_text()
    assert text.count('"source": []') == 1
    path.write_text(text.replace('"source": []', f'"source": {json.dumps([source])}'))


def test_a_notebook_is_made_run_exported_and_forgotten(
    service: JupyterService, tmp_path: Path
) -> None:
    path = tmp_path / "demo.ipynb"
    notebook = service.notebook_create("Demo", path)
    assert service.notebook_list() == [notebook]
    fill(path, "print(6 * 7)")
    run = service.notebook_execute(notebook.id)
    assert run.status is RunStatus.SUCCESS
    assert run.cells[0].outputs[0]["text"] in ("42\n", ["42\n"])
    loaded = service.notebook_load(notebook.id)
    assert loaded.path == str(path)
    assert loaded.content["cells"][0]["outputs"]
    (execution,) = service.execution_history(notebook.id)
    assert execution.status is Status.SUCCESS
    assert service.execution_history(text="print") == [execution]
    assert service.execution_history(notebook.id, status="error") == []
    hour = timedelta(hours=1)
    assert service.execution_history(since=datetime.now(UTC) + hour) == []
    assert [cell.started_at_ts for cell in run] == [execution.started_at.timestamp()]
    assert len(run) == 1
    assert b"42" in service.notebook_export_bytes(notebook.id).body
    assert b"<html" in service.notebook_export_bytes(notebook.id, "html").body
    assert service.notebook_export(notebook.id) == tmp_path / "demo-export.ipynb"
    assert service.notebook_export(notebook.id, fmt="html") == tmp_path / "demo.html"
    written = service.notebook_export(notebook.id, "ipynb", tmp_path / "copy.ipynb")
    assert written.exists()
    assert {known.name for known in service.export_formats()} >= {"html", "ipynb", "script"}
    assert service.notebook_delete(notebook.id).id == notebook.id
    assert service.notebook_list() == []
    assert path.exists()
    assert service.notebook_adopt(path).name == "demo"


def test_a_failing_cell_raises_nothing(service: JupyterService, tmp_path: Path) -> None:
    notebook = service.notebook_create("Demo", tmp_path / "demo.ipynb")
    fill(tmp_path / "demo.ipynb", "1 / 0")
    run = service.notebook_execute(notebook.id, cell=0, timeout=30)
    assert run.status is RunStatus.ERROR
    assert run.cells[0].error is not None
    assert run.cells[0].error.startswith("ZeroDivisionError: division by zero")


def test_a_run_that_gets_no_kernel_raises(service: JupyterService, tmp_path: Path) -> None:
    notebook = service.notebook_create("Demo", tmp_path / "demo.ipynb", kernel="nosuch")
    fill(tmp_path / "demo.ipynb", "1")
    with pytest.raises(KernelNotFound, match="no kernel named 'nosuch'"):
        service.notebook_execute(notebook.id)
    run = service.notebook_execute(notebook.id, kernel="python3")
    assert (run.status, run.kernel) == (RunStatus.SUCCESS, "python3")
    with pytest.raises(NotebookNotFound):
        service.notebook_execute("nobody")


def test_refusals_are_the_errors_of_the_core(service: JupyterService, tmp_path: Path) -> None:
    with pytest.raises(NotebookNotFound):
        service.notebook_load("nobody")
    with pytest.raises(NotebookNotFound):
        service.execution_history("nobody")
    with pytest.raises(PathNotAllowed):
        service.notebook_create("Out", "/elsewhere.ipynb")
    with pytest.raises(InvalidInput, match="status"):
        service.execution_history(status="fine")
    with pytest.raises(KernelNotFound):
        service.unregister_kernel("nosuch")
    (tmp_path / "there.ipynb").write_text("mine")
    with pytest.raises(FileExists):
        service.notebook_create("There", tmp_path / "there.ipynb")
    assert (tmp_path / "there.ipynb").read_text() == "mine"


@pytest.mark.parametrize("wrong", [None, 5, b"x", ["x"], True])
def test_wrong_types_are_refused_in_a_sentence(
    service: JupyterService, tmp_path: Path, wrong: Any
) -> None:
    notebook = service.notebook_create("Demo", tmp_path / "demo.ipynb")
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    calls: list[Callable[[], object]] = [
        lambda: service.notebook_create(wrong, tmp_path / "x.ipynb"),
        lambda: service.notebook_create("x", wrong),
        lambda: service.notebook_adopt(wrong),
        lambda: service.notebook_load(wrong),
        lambda: service.notebook_delete(wrong),
        lambda: service.notebook_execute(wrong),
        lambda: service.notebook_export(wrong),
        lambda: service.notebook_export_bytes(wrong),
        lambda: service.notebook_export(notebook.id, output=wrong or 0),
        lambda: service.notebook_export(notebook.id, wrong or 0),
        lambda: service.notebook_export_bytes(notebook.id, [wrong]),  # type: ignore[arg-type]
        lambda: service.execution_history(limit=[wrong]),  # type: ignore[arg-type]
        lambda: service.register_kernel(wrong, "python", "X", argv),
        lambda: service.register_kernel("x", wrong, "X", argv),
        lambda: service.register_kernel("x", "python", wrong, argv),
        lambda: service.register_kernel("x", "python", "X", ["a", wrong]),
        lambda: service.register_kernel("x", "python", "X", "{connection_file}"),
        lambda: service.register_kernel("x", "python", "X", argv, timeout=[wrong]),  # type: ignore[arg-type]
        lambda: service.unregister_kernel(wrong),
    ]
    if not isinstance(wrong, bool):
        calls += [
            lambda: service.notebook_export(notebook.id, trusted=wrong),
            lambda: service.notebook_export(notebook.id, overwrite=wrong),
            lambda: service.notebook_export_bytes(notebook.id, trusted=wrong),
            lambda: service.notebook_delete(notebook.id, wrong),
            lambda: service.notebook_execute(notebook.id, resume=wrong),
            lambda: service.notebook_execute(notebook.id, continue_on_error=wrong),
            lambda: service.register_kernel("x", "python", "X", argv, check=wrong),
        ]
    if wrong is not None:
        calls += [
            lambda: service.notebook_create("x", tmp_path / "x.ipynb", metadata=wrong),
            lambda: service.notebook_create("x", tmp_path / "x.ipynb", kernel=wrong),
            lambda: service.notebook_adopt(tmp_path / "demo.ipynb", wrong),
            lambda: service.notebook_execute(notebook.id, parameters=wrong),
            lambda: service.notebook_execute(notebook.id, output=wrong),
            lambda: service.notebook_execute(notebook.id, kernel=wrong),
            lambda: service.execution_history(wrong),
            lambda: service.execution_history(text=wrong),
            lambda: service.execution_history(user=wrong),
            lambda: service.execution_history(since=wrong),
            lambda: service.execution_history(cursor=[wrong]),  # type: ignore[arg-type]
            lambda: service.notebook_list([wrong]),  # type: ignore[arg-type]
            lambda: service.register_kernel("x", "python", "X", argv, env=wrong),
        ]
    for number, call in enumerate(calls):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert str(caught.value).endswith("."), number
    assert [row.id for row in service.notebook_list()] == [notebook.id]
    assert not (tmp_path / "x.ipynb").exists()


def test_one_folder_is_one_root(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    for roots in (str(inside), inside, [str(inside)], (inside,)):
        with JupyterService(db=tmp_path / "n.db", roots=roots) as service:
            with pytest.raises(PathNotAllowed):
                service.notebook_create("Out", tmp_path / "out.ipynb")
            service.notebook_delete(service.notebook_create("In", inside / "in.ipynb").id, True)
    assert not (tmp_path / "out.ipynb").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"db": 5},
        {"db": b"x"},
        {"db": "a\0b"},
        {"db": ""},
        {"roots": 5},
        {"roots": b"/srv"},
        {"roots": "\0"},
        {"roots": ""},
        {"roots": [5]},
        {"roots": ["/srv", None]},
    ],
    ids=str,
)
def test_a_place_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"\.$"):
        JupyterService(**wrong)


INITIALISED = """
from blackroad_nb import JupyterService, init_db
print(init_db())
print(init_db())
with JupyterService() as service:
    notebook = service.notebook_create("Demo", "notebooks/demo.ipynb")
    results = service.notebook_execute(notebook.id)
    print([(result.status, result.started_at_ts > 0) for result in results])
    print(service.notebook_export(notebook.id, fmt="html"))
"""


def test_the_database_can_be_made_beforehand(tmp_path: Path) -> None:
    process = python(INITIALISED, cwd=tmp_path, env={**os.environ, "NOTEBOOK_DB": "own/n.db"})
    database = str(tmp_path / "own" / "n.db")
    page = str(tmp_path / "notebooks" / "demo.html")
    assert finish(process) == (f"{database}\n{database}\n[]\n{page}\n", "")


def test_kernels(service: JupyterService) -> None:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    added = service.register_kernel("spare", "python", "Spare", argv, check=False)
    assert added.name == "spare"
    assert "spare" in {kernel.name for kernel in service.list_kernels()}
    service.unregister_kernel("spare")
    assert "spare" not in {kernel.name for kernel in service.list_kernels()}


def test_it_works_where_a_loop_runs_already(service: JupyterService) -> None:
    async def cell() -> int:
        return len(service.notebook_list())

    assert asyncio.run(cell()) == 0


def test_many_threads_may_call(service: JupyterService, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda number: service.notebook_create(f"N{number}", tmp_path / f"{number}.ipynb"),
                range(40),
            )
        )
    assert {notebook.name for notebook in service.notebook_list()} == {f"N{n}" for n in range(40)}


def test_nothing_starts_before_it_is_needed(tmp_path: Path) -> None:
    threads = threading.active_count()
    with JupyterService(db=tmp_path / "n.db"):
        assert threading.active_count() == threads
    assert not (tmp_path / "n.db").exists()


def test_closing(tmp_path: Path) -> None:
    service = JupyterService(db=tmp_path / "n.db")
    assert service.notebook_list() == []
    service.close()
    service.close()
    with pytest.raises(InvalidInput, match="closed"):
        service.notebook_list()
    assert "blackroad-nb" not in {thread.name for thread in threading.enumerate()}


def test_a_bad_database_is_told_at_every_call(tmp_path: Path) -> None:
    with JupyterService(db=tmp_path) as service:
        for _ in range(2):
            with pytest.raises(StoreError, match="folder"):
                service.notebook_list()


def python(code: str, *words: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", code, *words]
    return subprocess.Popen(
        command,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hear_interrupts,  # noqa: PLW1509 - the tests start no threads
        **options,
    )


def hear_interrupts() -> None:
    """Undo a shell's `&`, under which the tests may run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    with process:
        try:
            return process.communicate(timeout=SECONDS)
        finally:
            process.kill()


UNCLOSED = """
import sys
from blackroad_nb import JupyterService
service = JupyterService(db=sys.argv[1])
print(service.notebook_list())
if len(sys.argv) > 2:
    raise SystemExit(3)
"""


@pytest.mark.parametrize(("words", "code"), [([], 0), (["exit"], 3)])
def test_an_unclosed_one_does_not_keep_the_interpreter(
    tmp_path: Path, words: list[str], code: int
) -> None:
    begun = time.monotonic()
    process = python(UNCLOSED, str(tmp_path / "n.db"), *words)
    assert finish(process) == ("[]\n", "")
    assert process.returncode == code
    assert time.monotonic() - begun < 20


FORKED = """
import os, sys, threading
from blackroad_nb import JupyterService
service = JupyterService(db=sys.argv[1], roots=[sys.argv[2]])
service.notebook_create("parent", sys.argv[2] + "/parent.ipynb")
child = os.fork()
if child == 0:
    service.notebook_create("child", sys.argv[2] + "/child.ipynb")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(sorted(notebook.name for notebook in service.notebook_list()))
"""


def test_a_forked_child_starts_afresh(tmp_path: Path) -> None:
    assert finish(python(FORKED, str(tmp_path / "n.db"), str(tmp_path))) == (
        "['child', 'parent']\n",
        "",
    )


INTERRUPTED = """
import sys
from blackroad_nb import JupyterService
with JupyterService(db=sys.argv[1]) as service:
    notebook = service.notebook_adopt(sys.argv[2])
    print("begun", flush=True)
    try:
        service.notebook_execute(notebook.id)
    except KeyboardInterrupt:
        print([execution.status.value for execution in service.execution_history()])
"""


def test_an_interrupt_cancels_the_run_and_keeps_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "slow.ipynb"
    with JupyterService(db=tmp_path / "other.db") as service:
        service.notebook_create("Slow", path)
    flag = tmp_path / "flag"
    fill(path, f"open('{flag}', 'w').close(); import time; time.sleep(60)")
    process = python(INTERRUPTED, str(tmp_path / "n.db"), str(path))
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    deadline = time.monotonic() + SECONDS
    while not flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert finish(process) == ("['error']\n", "")
