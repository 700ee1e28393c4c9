"""What the extension adds to the memory of a server, idle and after its first run.

    python benchmarks/memory.py [--rounds N]

Both servers run at the same time and are measured in turn. `resident` is what the
operating system shows (RSS); `own` leaves out what is shared with other processes
(USS). Kernels and export workers are processes of their own and are counted apart.
Prints a Markdown table of medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))
from notebook_server import call, server

SETTLE_SECONDS = 3.0  # what a server still does after it answers for the first time
MIB = 1024 * 1024
RUN_SECONDS = 60.0


@dataclass(frozen=True)
class Memory:
    """Of one server, in MiB."""

    resident: float
    own: float
    children: float


def measure(process: psutil.Process) -> Memory:
    memory = process.memory_full_info()
    children = sum(child.memory_info().rss for child in process.children(recursive=True))
    return Memory(memory.rss / MIB, memory.uss / MIB, children / MIB)


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
        found = {"stock, idle": measure(stock), "extension, idle": measure(extended)}
        run_once(address, folder / "on")
        time.sleep(SETTLE_SECONDS)
        found["extension, after a run"] = measure(extended)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = []
    for _ in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure_round(Path(folder)))
    print("| server | resident MiB | own MiB | more than stock, own | its processes, MiB |")
    print("|---|---|---|---|---|")
    for state in rounds[0]:
        resident, own, children, more = (
            statistics.median(values)
            for values in zip(
                *(
                    (
                        found[state].resident,
                        found[state].own,
                        found[state].children,
                        found[state].own - found["stock, idle"].own,
                    )
                    for found in rounds
                ),
                strict=True,
            )
        )
        print(f"| {state} | {resident:.1f} | {own:.1f} | {more:+.1f} | {children:.1f} |")


if __name__ == "__main__":
    main()
