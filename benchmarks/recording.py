"""What recording costs a cell that JupyterLab runs over its kernel's websocket.

    python benchmarks/recording.py [--cells N] [--rounds N]

Recording on and off take turns within one server process, because two processes of
the same program differ by more than what is measured here; both have TCP_NODELAY.
A stock Jupyter Server takes its turn between them. Prints a Markdown table with the
median of the rounds' ratios; CPU is that of the server process, all its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kernel_websocket import OpenNotebook
from notebook_server import NotebookServer, running_server

SETTLE_SECONDS = 0.6  # the writer's last batch belongs to the cost of a round
STOCK_FRACTION = 8  # stock takes ten times as long for a cell: it gets fewer
WANTED = (
    ("rate, recording on / off", "on", "off", "rate", ">= 0.97"),
    ("server CPU a cell, recording on / off", "on", "off", "cpu_ms", "<= 1.05"),
    ("rate, recording on / stock Jupyter Server", "on", "stock", "rate", ">= 10"),
)


@dataclass(frozen=True)
class Measured:
    """What one turn took."""

    rate: float  # cells a second
    cpu_ms: float  # of the server, a cell


async def turn(server: NotebookServer, notebook: OpenNotebook, cells: int) -> Measured:
    """Run cells one after another, as Run All does."""
    cpu, begin = server.cpu_seconds(), time.perf_counter()
    for number in range(cells):
        await notebook.run(f"x = {number}\nprint(x)", f"cell-{number}")
    wall = time.perf_counter() - begin
    await asyncio.sleep(SETTLE_SECONDS)
    return Measured(cells / wall, (server.cpu_seconds() - cpu) * 1000 / cells)


async def measure(
    stock: NotebookServer, ours: NotebookServer, cells: int, rounds: int
) -> dict[str, list[Measured]]:
    """Let the three take turns, each round in the other direction."""
    plain = await OpenNotebook.open(stock, "stock.ipynb")
    notebook = await OpenNotebook.open(ours, "ours.ipynb")
    await turn(stock, plain, 5)
    await turn(ours, notebook, 50)
    results: dict[str, list[Measured]] = {"stock": [], "off": [], "on": []}
    for number in range(rounds):
        order = list(results)
        for name in order if number % 2 else reversed(order):
            if name == "stock":
                measured = await turn(stock, plain, max(5, cells // STOCK_FRACTION))
            else:
                await asyncio.to_thread(ours.call, "POST", f"benchmark/recording/{name}")
                await notebook.run("pass", "warm")
                measured = await turn(ours, notebook, cells)
            results[name].append(measured)
    return results


def table(results: dict[str, list[Measured]]) -> str:
    """Render ratios with the range of their middle half, and what they come from."""
    lines = ["| cells over the websocket | ratio | middle half | wanted |", "|---|---|---|---|"]
    for label, one, other, field, wanted in WANTED:
        pairs = zip(results[one], results[other], strict=True)
        ratios = [getattr(a, field) / getattr(b, field) for a, b in pairs]
        low, middle, high = statistics.quantiles(ratios, n=4)
        lines.append(f"| {label} | {middle:.3f} | {low:.3f} to {high:.3f} | {wanted} |")
    lines += ["", "| | cells/s | server CPU a cell |", "|---|---|---|"]
    for name, measured in results.items():
        rate = statistics.median(one.rate for one in measured)
        cpu = statistics.median(one.cpu_ms for one in measured)
        lines.append(f"| {name} | {rate:.0f} | {cpu:.3f} ms |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=150, help="cells in a turn (150)")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of three turns (40)")
    options = parser.parse_args()
    ours = {"blackroad_nb": True, "recording_switch": True, "jupyterlab": False}
    plain = {"blackroad_nb": False, "jupyterlab": False}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with running_server(home / "a", plain) as a, running_server(home / "b", ours) as b:
            results = asyncio.run(measure(a, b, options.cells, options.rounds))
    print(table(results))


if __name__ == "__main__":
    main()
