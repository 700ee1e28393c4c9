"""Outputs of real kernels: the same as nbclient's own, and bounded where nbclient's are not."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from blackroad_nb.adapters.kernels import LocalKernelRunner
from blackroad_nb.adapters.kernels.session import KernelSession
from blackroad_nb.core.document import code_cell, new_document
from blackroad_nb.core.execution import Status
from blackroad_nb.core.outputs import OUTPUT_OVERHEAD
from blackroad_nb.ports import CellLimits, CellOutcome

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
COMM = """
from comm import create_comm
model = create_comm("jupyter.widget", data={"state": {"_model_name": "IntSliderModel",
    "_model_module": "@jupyter-widgets/controls", "_model_module_version": "2.0.0", "value": 1},
    "buffer_paths": []}, metadata={"version": "2.1.0"})
"""

# Each list is one notebook; what several cells do to each other is the point.
NOTEBOOKS: dict[str, Sequence[str]] = {
    "plain": ["1 + 1", "print('a')\n'b'", "None", "x = 1;"],
    "unicode": ["print('日本 ∑ 😀 \\u202e')", "'ß' * 3", "print('a\\u2028b\\x0cc\\x85d')"],
    "streams": [
        "import sys\nsay = lambda *text, to=sys.stdout: print(*text, file=to, flush=True)\n"
        "say('out'); say('err', to=sys.stderr); say('out again'); say('and again')",
        "for step in (1, 2):\n    say('step', step); say('warning', step, to=sys.stderr)",
        "for i in range(50): print(i, flush=True)",
        "import sys\nsys.stderr.write('e1\\n'); sys.stdout.write('o1\\n')",
        "print('a', end=''); print('b'); print('c', end='')",
        "print('1%\\r2%\\r3%\\nline\\r\\nlast\\r')",
        "import os\nos.write(1, b'from the descriptor\\n'); import time; time.sleep(0.3)",
        "!echo from a child",
    ],
    "displays": [
        "from IPython.display import display, HTML, Image, JSON, Markdown, SVG\n"
        "display(HTML('<b>x</b>'), Markdown('# y'))",
        "import base64\n" + f"Image(base64.b64decode('{PIXEL}'))",
        "JSON({'a': [1, {'b': None}]})",
        "SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
        "display({'text/plain': 'p', 'application/x-odd+json': {'k': 1}}, raw=True)",
        "display({'text/plain': 'p'}, raw=True, metadata={'m': 1})",
    ],
    "updates": [
        "from IPython.display import display, update_display\nh = display('one', display_id='d')",
        "h.update('two')\nprint('printed')",
        "display('again', display_id='d')\nupdate_display('three', display_id='d')",
        "update_display('nobody', display_id='unknown')",
    ],
    "clearing": [
        "from IPython.display import clear_output\nprint('a'); clear_output(); print('b')",
        "print('a'); clear_output(wait=True); print('b'); clear_output(wait=True); print('c')",
        "print('kept'); clear_output(wait=True)",
        "display('d', display_id='x'); clear_output(); print('e')",
    ],
    "errors": [
        "raise ValueError('ünï')",
        "1 +",
        "def f(n):\n    return f(n + 1)\nf(0)",
        "class E(Exception): pass\nraise E from KeyError('k')",
        "raise SystemExit(3)",
        "print('before'); 1/0",
    ],
    "widgets": [
        COMM,
        "model.send({'method': 'update', 'state': {'value': 7}, 'buffer_paths': []})",
    ],
    "threads": [
        "import threading, time\n"
        "def later():\n    time.sleep(0.2); print('late')\n"
        "t = threading.Thread(target=later); t.start()",
        "t.join(); print('mine')",
    ],
    "results": ["_", "7", "_ + 1", "Out", "In[-1]"],
}


def notebook(sources: Sequence[str]) -> dict[str, Any]:
    cells = [code_cell(source, f"c{index}") for index, source in enumerate(sources)]
    return {**new_document("python3", "c"), "cells": cells}


async def run_cells(
    sources: Sequence[str], cwd: Path, **limits: Any
) -> tuple[list[dict[str, Any]], list[CellOutcome], Any]:
    """Run cells on a fresh kernel; return them with their outcomes and the widgets."""
    runner = LocalKernelRunner()
    kernel = await runner.start("python3", cwd, str(cwd / "n.ipynb"))
    cells, outcomes = notebook(sources)["cells"], []
    try:
        for index, cell in enumerate(cells):
            outcomes.append(
                await kernel.run_cell(
                    cell,
                    index,
                    CellLimits(**{"timeout_seconds": 60.0, **limits}),
                    lambda _: None,
                    lambda _: None,
                )
            )
        return cells, outcomes, kernel.widgets()
    finally:
        await kernel.close()
        await runner.close()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_are_those_of_nbclient(name: str, tmp_path: Path) -> None:
    theirs = nbformat.from_dict(notebook(NOTEBOOKS[name]))
    client = NotebookClient(
        theirs, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    ours, _, widgets = asyncio.run(run_cells(NOTEBOOKS[name], tmp_path))
    for mine, other in zip(ours, theirs["cells"], strict=True):
        assert _comparable(mine) == _comparable(other), mine["source"]
        assert set(mine["metadata"]["execution"]) == set(other["metadata"]["execution"])
    document = nbformat.from_dict({**notebook([]), "cells": ours})
    nbformat.validate(document)
    if name == "widgets":
        assert _states(widgets) == _states(theirs["metadata"]["widgets"])
        assert _states(widgets)[0]["value"] == 7
    else:
        assert widgets is None


def _comparable(cell: Any) -> Any:
    """Leave out what differs from process to process: ids and addresses in tracebacks.

    nbclient keeps each piece of a stream as an output; JupyterLab and we join neighbours.
    """
    outputs: list[Any] = []
    for output in map(dict, cell["outputs"]):
        if outputs and "name" in output and outputs[-1].get("name") == output["name"]:
            outputs[-1]["text"] += output["text"]
        else:
            outputs.append(output)
    for output in outputs:
        if "name" in output:
            text = re.sub(r".*\r(?=[^\n])", "", output["text"])
            output["text"] = re.sub(r"[^\n]?\x08", "", text)
    text = json.dumps({"n": cell["execution_count"], "outputs": outputs}, sort_keys=True)
    return re.sub(r"ipykernel_\d+|0x[0-9a-f]+", "*", text)


def _states(widgets: Any) -> list[Any]:
    model = widgets["application/vnd.jupyter.widget-state+json"]["state"]
    return [entry["state"] for entry in model.values()]


def test_an_output_widget_takes_the_outputs(tmp_path: Path) -> None:
    capture = """
from comm import create_comm
from IPython import get_ipython
out = create_comm("jupyter.widget", data={"state": {"_model_name": "OutputModel",
    "_model_module": "@jupyter-widgets/output", "_model_module_version": "1.0.0",
    "outputs": [], "msg_id": ""}, "buffer_paths": []})
me = get_ipython().kernel.get_parent()["header"]["msg_id"]
out.send({"method": "update", "state": {"msg_id": me}, "buffer_paths": []})
print("captured")
import sys; sys.stdout.flush()
out.send({"method": "update", "state": {"msg_id": ""}, "buffer_paths": []})
print("free")
"""
    cells, outcomes, widgets = asyncio.run(run_cells([capture], tmp_path))
    assert outcomes[0].status is Status.SUCCESS, outcomes[0].error
    assert [output["text"] for output in cells[0]["outputs"]] == ["free\n"]
    assert _states(widgets)[0]["outputs"][0]["text"] == "captured\n"


def test_a_widget_may_be_named_by_a_number(tmp_path: Path) -> None:
    numbered = COMM.replace('"jupyter.widget",', '"jupyter.widget", comm_id=5,')
    _, outcomes, widgets = asyncio.run(run_cells([numbered], tmp_path))
    assert outcomes[0].status is Status.SUCCESS
    (content,) = widgets.values()
    assert list(content["state"]) == ["5"]


def test_fifty_megabytes_arrive(tmp_path: Path) -> None:
    begun = time.monotonic()
    cells, outcomes, _ = asyncio.run(
        run_cells(["for _ in range(50): print('x' * 999_999)"], tmp_path)
    )
    assert outcomes[0].status is Status.SUCCESS
    assert len(cells[0]["outputs"][0]["text"]) == 50_000_000
    assert time.monotonic() - begun < 30


def test_thousands_of_small_prints_make_one_output(tmp_path: Path) -> None:
    # ipykernel holds a thousand messages for a reader that lags, and drops what is beyond.
    source = "for i in range(900): print(i, flush=True)"
    cells, outcomes, _ = asyncio.run(run_cells([source], tmp_path))
    assert outcomes[0].status is Status.SUCCESS
    (output,) = cells[0]["outputs"]
    assert output["text"] == "".join(f"{i}\n" for i in range(900))


@pytest.mark.parametrize(
    "source",
    [
        "while True: print('x' * 10_000)",
        "while True: print('y' * 500, flush=True)",
        "from IPython.display import display\nwhile True: display('z' * 1000)",
        "from IPython.display import display, clear_output\n"
        "while True:\n    display('z' * 100_000); clear_output(wait=True)",
        "import sys\nwhile True: sys.stdout.write('\\rprogress'); sys.stdout.flush()",
    ],
)
def test_an_endless_printer_fills_nothing_and_starves_nobody(source: str, tmp_path: Path) -> None:
    limit = 2_000_000
    gaps: list[float] = []

    async def watch_the_loop() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    async def scenario() -> tuple[Any, Any]:
        watching = asyncio.create_task(watch_the_loop())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cells, outcomes, _ = await run_cells(
            [source], tmp_path, timeout_seconds=2.0, output_bytes=limit
        )
        watching.cancel()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 600_000, f"{grown} kB"  # one message of ipykernel's can have 150 MB
        return cells, outcomes

    cells, outcomes = asyncio.run(scenario())
    assert outcomes[0].status is Status.TIMEOUT
    size = len(json.dumps(cells[0]["outputs"]))
    assert size < limit * 1.2
    assert max(gaps) < 2.0  # whoever reads without a pause reads until the time-out
    if "clear" not in source and "progress" not in source:
        notes = [o for o in cells[0]["outputs"] if "were dropped" in str(o.get("text"))]
        assert len(notes) == 1


def test_a_cell_that_ignores_interrupts_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import time\nwhile True:\n    try:\n        time.sleep(1)\n"
        "    except KeyboardInterrupt:\n        print('no', flush=True)"
    )
    begun = time.monotonic()
    cells, outcomes, _ = asyncio.run(
        run_cells([stubborn, "1"], tmp_path, timeout_seconds=0.5, grace_seconds=0.5)
    )
    assert time.monotonic() - begun < 8
    assert [outcome.status for outcome in outcomes] == [Status.TIMEOUT, Status.KILLED]
    assert cells[0]["outputs"][0]["text"].startswith("no\n")
    assert cells[0]["outputs"][-1]["ename"] == "CellTimeout"
    assert "its kernel was killed" in outcomes[0].error


def test_a_huge_traceback_is_cut_and_still_an_error(tmp_path: Path) -> None:
    cells, outcomes, _ = asyncio.run(
        run_cells(["raise ValueError('v' * 5_000_000)"], tmp_path, output_bytes=100_000)
    )
    assert outcomes[0].status is Status.ERROR
    (error,) = cells[0]["outputs"]
    assert error["ename"] == "ValueError"
    assert len(json.dumps(error)) < 1_000_000


def test_an_output_that_no_notebook_can_hold_is_said_and_left_out(tmp_path: Path) -> None:
    source = (
        "from IPython.display import display\n"
        "display({'application/x-odd': {'k': 1}}, raw=True)\nprint('after')"
    )
    cells, outcomes, _ = asyncio.run(run_cells([source], tmp_path))
    assert outcomes[0].status is Status.SUCCESS
    note, printed = cells[0]["outputs"]
    assert "no valid notebook output" in note["text"]
    assert printed["text"] == "after\n"


def test_a_cell_that_was_silent_for_long_gets_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blackroad_nb.adapters.kernels.session.QUIET_SECONDS", 1.0)
    cells, outcomes, _ = asyncio.run(run_cells(["import time; time.sleep(1.2)"] * 3, tmp_path))
    assert [outcome.status for outcome in outcomes] == [Status.SUCCESS] * 3
    assert [cell["outputs"] for cell in cells] == [[], [], []]
    assert all("iopub.status.idle" in cell["metadata"]["execution"] for cell in cells)


def test_outputs_of_two_streams_by_turns_stay_within_their_limit(tmp_path: Path) -> None:
    source = (
        "import sys\nfor i in range(300):\n"
        "    print('o' * 100, flush=True); print('e' * 100, file=sys.stderr, flush=True)"
    )
    cells, outcomes, _ = asyncio.run(run_cells([source], tmp_path, output_bytes=50_000))
    assert outcomes[0].status is Status.SUCCESS
    *texts, note = [output["text"] for output in cells[0]["outputs"]]
    assert texts[:2] == ["o" * 100 + "\n", "e" * 100 + "\n"]
    assert len(texts) == 50_000 // (101 + OUTPUT_OVERHEAD) + 1
    assert "were dropped" in note


def test_a_reply_that_came_while_nobody_looked_does_not_hide_the_next(tmp_path: Path) -> None:
    """zmq tells of a message once; a send in between must not take that sign away."""

    async def scenario() -> None:
        runner = LocalKernelRunner()
        kernel = await runner.start("python3", tmp_path, str(tmp_path / "n.ipynb"))
        try:
            for _ in range(3):
                await asyncio.sleep(0.05)  # the readers wait
                kernel._client.kernel_info()  # type: ignore[attr-defined]
                time.sleep(0.1)  # noqa: ASYNC251, the reply arrives, and the loop is blocked
                outcome = await kernel.run_cell(
                    code_cell("1", "c"),
                    0,
                    CellLimits(timeout_seconds=5.0, grace_seconds=0.1),
                    lambda _: None,
                    lambda _: None,
                )
                assert outcome.status is Status.SUCCESS
        finally:
            await kernel.close()
            await runner.close()

    asyncio.run(scenario())


def test_a_cell_that_gets_no_reply_although_the_kernel_is_idle_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt that meets ipykernel on its way to a cell makes it forget the cell."""
    heard = KernelSession._replied

    def without_replies(session: KernelSession, frames: list[bytes]) -> None:
        if b"execute_reply" not in frames[-4]:
            heard(session, frames)

    monkeypatch.setattr(KernelSession, "_replied", without_replies)
    monkeypatch.setattr("blackroad_nb.adapters.kernels.session.REPLY_SECONDS", 0.2)
    (cell,), (outcome,), _ = asyncio.run(run_cells(["1"], tmp_path))
    assert (outcome.status, (outcome.error or "").partition(":")[0]) == (
        Status.ERROR,
        "KeyboardInterrupt",
    )
    assert cell["outputs"][-1]["ename"] == "KeyboardInterrupt"
