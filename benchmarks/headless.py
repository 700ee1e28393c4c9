"""Headless runs, whole processes: `blackroad-nb execute` against what people use today.

    python benchmarks/headless.py [--rounds N] [--only NAME ...]

Each round runs our command and all its peers, one after the other, in changing order.
"bare loop" is `bare_loop.py`: pyzmq alone, no outputs kept, no file written; no tool that
runs cells one after another in ipykernel can be faster. Papermill saves the whole file
at each cell by default; it also runs with `--no-request-save-on-cell-execute`. Ours saves
meanwhile whatever the setting: at most a tenth of the time goes into saving, and the file
is complete at the end.

Runs through a server are measured twice. "kernel ready" waits until the server has made
its next kernel, as between two runs of a person; "one after another" does not wait, as
in a loop of a shell.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notebook_server import server
from report import Report, Result, caption, parser, ratios, spread, table

BIN = Path(sys.executable).parent
SETTLE_SECONDS = 1.5  # the server makes its next kernel ready
PACKAGES = ("ipykernel", "pyzmq", "jupyter_client", "nbclient", "papermill", "jupyter_server")
Command = Callable[[Path], Sequence[str]]


def _ours(path: Path) -> Sequence[str]:
    return [str(BIN / "blackroad-nb"), "execute", str(path)]


def _through_server(path: Path) -> Sequence[str]:
    return [*_ours(path), "--server"]


def _jupyter(path: Path) -> Sequence[str]:
    return [str(BIN / "jupyter"), "execute", "--inplace", str(path)]


def _papermill(path: Path) -> Sequence[str]:
    return [str(BIN / "papermill"), "--no-progress-bar", str(path), str(path)]


def _papermill_unsaved(path: Path) -> Sequence[str]:
    return [*_papermill(path), "--no-request-save-on-cell-execute"]


def _bare(path: Path) -> Sequence[str]:
    return [sys.executable, str(Path(__file__).with_name("bare_loop.py")), str(path)]


@dataclass(frozen=True)
class Case:
    """One kind of run; a target belongs to the first peer."""

    name: str
    cells: int
    target: str
    ours: Command
    peers: dict[str, Command]
    through_server: bool = False
    settle: bool = False


_JUPYTER: dict[str, Command] = {"`jupyter execute`": _jupyter}
_FLOOR: dict[str, Command] = {"floor: bare loop over ZMQ": _bare}
CASES = (
    Case("1 cell, fresh kernel", 1, "0.3x", _ours, {**_JUPYTER, **_FLOOR}),
    Case("100 cells, fresh kernel", 100, "0.28x", _ours, {**_JUPYTER, **_FLOOR}),
    Case(
        "400 cells, fresh kernel",
        400,
        "0.15x",
        _ours,
        {
            "papermill": _papermill,
            "papermill `--no-request-save-on-cell-execute`": _papermill_unsaved,
            **_FLOOR,
        },
    ),
    Case("1 cell, server, kernel ready", 1, "0.1x", _through_server, _JUPYTER, True, True),
    Case("1 cell, server, one after another", 1, "", _through_server, _JUPYTER, True),
)


def notebook(cells: int) -> dict[str, Any]:
    """Return a notebook of small cells that each print something."""
    made: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "metadata": {},
            "source": f"x = {n}\nprint(x)",
            "outputs": [],
            "execution_count": None,
        }
        for n in range(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """Run a command to its end and return the wall time."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - begun


def check(path: Path, cells: int) -> None:
    """Make sure that what was timed did the work."""
    found = json.loads(path.read_text())["cells"]
    # jupyter execute may keep one print as two outputs
    last = "".join("".join(output["text"]) for output in found[-1]["outputs"])
    assert (len(found), last) == (cells, f"{cells - 1}\n")


def compare(
    case: Case, rounds: int, folder: Path, environment: dict[str, str]
) -> dict[str, list[float]]:
    """Time all sides in turn; return the seconds of each round."""
    sides = {"ours": case.ours, **case.peers}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for place, name in enumerate(sides if number % 2 else reversed(sides)):
            # Each side keeps its path: ours registers a notebook it sees for the first time.
            path = folder / f"{case.cells}-{list(sides).index(name)}.ipynb"
            path.write_text(json.dumps(notebook(case.cells)))
            if case.settle and name == "ours":
                time.sleep(SETTLE_SECONDS)
            took = seconds(sides[name](path), environment)
            if sides[name] is not _bare:
                check(path, case.cells)
            if number:  # the first round fills caches, and registers the notebook
                spent[name].append(took)
            print(f"{case.name}: {place} {name} {took:.3f} s", file=sys.stderr)
    return spent


def tables(result: Result) -> str:
    """Return medians, and the median and middle half of the rounds' ratios."""
    rows = []
    for case in CASES:
        found = result["found"].get(case.name)
        if found is None:
            continue
        target = case.target
        for peer in case.peers:
            low, middle, high = spread(ratios(found["ours"], found[peer]))
            ours, theirs = statistics.median(found["ours"]), statistics.median(found[peer])
            times = [f"{ours:.2f} s", peer, f"{theirs:.2f} s"]
            rows.append([case.name, *times, f"{middle:.2f}x", f"{low:.2f} to {high:.2f}", target])
            target = ""
    head = ["run", "ours", "against", "theirs", "ratio", "middle half", "our target"]
    return f"{table(head, rows)}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=9, help="rounds of each case (9)")
    own.add_argument("--only", nargs="*", help="words that a case's name must hold")
    options = own.parse_args()
    report, found = Report("headless", options, PACKAGES), {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {**os.environ, "NOTEBOOK_DB": str(folder / "notebooks.db")}
        for case in CASES:
            if options.only and not any(word in case.name for word in options.only):
                continue
            with ExitStack() as inner:
                place, own_environment = folder, environment
                if case.through_server:
                    place = folder / str(len(found)) / "on"  # its root, and where it says so
                    inner.enter_context(server("on", place.parent))
                    own_environment = {**environment, "JUPYTER_RUNTIME_DIR": str(place / "runtime")}
                found[case.name] = compare(case, options.rounds, place, own_environment)
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
