"""What the extension adds to the memory of a server, idle and after its first run.

    python benchmarks/memory.py [--rounds N]

Both servers run at the same time and are measured in turn. `resident` is what the
operating system shows (RSS); `own` leaves out what is shared with other processes
(USS). Kernels and export workers are processes of their own and are counted apart.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
from notebook_server import call, server
from report import Report, Result, caption, parser, table

SETTLE_SECONDS = 3.0  # what a server still does after it answers for the first time
MIB = 1024 * 1024
RUN_SECONDS = 60.0


STOCK = "stock, idle"
TARGETS = {"with the extension, idle": "15 more at most"}
PACKAGES = ("jupyter_server", "jupyter_client", "ipykernel")
Memory = dict[str, float]


def measure(process: psutil.Process) -> Memory:
    """Return MiB of a server and of its child processes."""
    memory = process.memory_full_info()
    children = sum(child.memory_info().rss for child in process.children(recursive=True))
    return {"resident": memory.rss / MIB, "own": memory.uss / MIB, "children": children / MIB}


def run_once(address: str, folder: Path) -> None:
    """Run a notebook of one cell and wait for its end."""
    cell = {
        "cell_type": "code",
        "id": "one",
        "metadata": {},
        "source": "1 + 1",
        "outputs": [],
        "execution_count": None,
    }
    document = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "one.ipynb").write_text(json.dumps(document))
    run = call(address, "POST", "blackroad/executions", {"path": "one.ipynb"})
    deadline = time.monotonic() + RUN_SECONDS
    while run["status"] in ("pending", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError("The run did not end.")
        time.sleep(0.1)
        run = call(address, "GET", f"blackroad/executions/{run['id']}")
    if run["status"] != "success":
        raise RuntimeError(f"The run ended as {run['status']}: {run['message']}")


def measure_round(folder: Path) -> dict[str, Memory]:
    with ExitStack() as stack:
        _, stock = stack.enter_context(server("stock", folder))
        address, extended = stack.enter_context(server("on", folder))
        call(address, "GET", "blackroad/health")
        time.sleep(SETTLE_SECONDS)
        found = {STOCK: measure(stock), "with the extension, idle": measure(extended)}
        run_once(address, folder / "on")
        time.sleep(SETTLE_SECONDS)
        found["with the extension, after a run"] = measure(extended)
    return found


def tables(result: Result) -> str:
    """Return medians; what is more than stock is the median of the rounds' differences."""
    rounds, rows = result["found"]["rounds"], []
    for state in rounds[0]:
        more = [found[state]["own"] - found[STOCK]["own"] for found in rounds]
        resident, own, children = (
            statistics.median(found[state][key] for found in rounds)
            for key in ("resident", "own", "children")
        )
        kept = f"{statistics.median(more):+.1f}" if state != STOCK else ""
        rows.append(
            [state, f"{resident:.1f}", f"{own:.1f}", kept, f"{children:.1f}",
             TARGETS.get(state, "")]
        )  # fmt: skip
    head = ["server", "resident MiB", "own MiB", "own, more than stock",
            "its child processes, MiB", "our target"]  # fmt: skip
    return f"{table(head, rows)}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=5)
    options = own.parse_args()
    report = Report("memory", options, PACKAGES)
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure_round(Path(folder)))
    print(tables(report.save({"rounds": rounds})))


if __name__ == "__main__":
    main()
