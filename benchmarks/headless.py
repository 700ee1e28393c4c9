"""Headless runs, whole processes: `blackroad-nb execute` against what people use today.

    python benchmarks/headless.py [--rounds N] [--only NAME ...]

Each round runs both, one after the other, so that a change of the machine's mood meets
both. Prints a Markdown table: medians, and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
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

sys.path.insert(0, str(Path(__file__).resolve().parent))
from notebook_server import server

BIN = Path(sys.executable).parent
SETTLE_SECONDS = 1.5  # the server makes its next kernel ready


@dataclass(frozen=True)
class Comparison:
    """One line of the table; `limit` is the ratio it must keep below."""

    name: str
    peer: str
    cells: int
    limit: float
    ours: Callable[[Path], Sequence[str]]
    theirs: Callable[[Path], Sequence[str]]
    through_server: bool = False


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


def _ours(path: Path) -> Sequence[str]:
    return [str(BIN / "blackroad-nb"), "execute", str(path)]


def _through_server(path: Path) -> Sequence[str]:
    return [*_ours(path), "--server"]


def _jupyter(path: Path) -> Sequence[str]:
    return [str(BIN / "jupyter"), "execute", "--inplace", str(path)]


def _papermill(path: Path) -> Sequence[str]:
    return [str(BIN / "papermill"), "--no-progress-bar", str(path), str(path)]


COMPARISONS = (
    Comparison("1 cell, fresh kernel", "jupyter execute", 1, 0.3, _ours, _jupyter),
    Comparison("100 cells, fresh kernel", "jupyter execute", 100, 0.3, _ours, _jupyter),
    Comparison("400 cells, fresh kernel", "papermill", 400, 0.15, _ours, _papermill),
    Comparison(
        "1 cell, through a server", "jupyter execute", 1, 0.1, _through_server, _jupyter, True
    ),
)


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


def compare(case: Comparison, rounds: int, folder: Path, environment: dict[str, str]) -> str:
    """Time both sides in turn and return the line of the table."""
    ours, theirs = folder / f"ours-{case.cells}.ipynb", folder / f"theirs-{case.cells}.ipynb"
    spent: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        for path in (ours, theirs):
            path.write_text(json.dumps(notebook(case.cells)))
        if case.through_server:
            time.sleep(SETTLE_SECONDS)
        mine = seconds(case.ours(ours), environment)
        other = seconds(case.theirs(theirs), environment)
        check(ours, case.cells)
        check(theirs, case.cells)
        if number:  # the first round fills caches, and registers the notebook
            spent.append((mine, other))
        print(f"{case.name}: {mine:.2f} s, {other:.2f} s", file=sys.stderr)
    ratio = statistics.median(mine / other for mine, other in spent)
    medians = [statistics.median(side) for side in zip(*spent, strict=True)]
    return (
        f"| {case.name} | {medians[0]:.2f} s | {case.peer} | {medians[1]:.2f} s "
        f"| {ratio:.2f}x | {case.limit}x |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", help="words that a line's name must hold")
    options = parser.parse_args()
    lines = ["| run | ours | against | theirs | ratio | at most |", "|---|---|---|---|---|---|"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {**os.environ, "NOTEBOOK_DB": str(folder / "notebooks.db")}
        for case in COMPARISONS:
            if options.only and not any(word in case.name for word in options.only):
                continue
            with ExitStack() as inner:
                place, found = folder, environment
                if case.through_server:
                    inner.enter_context(server("on", folder))
                    place = folder / "on"  # its root, and where it says that it is there
                    found = {**environment, "JUPYTER_RUNTIME_DIR": str(place / "runtime")}
                lines.append(compare(case, options.rounds, place, found))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
