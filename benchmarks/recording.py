"""What recording costs a cell that JupyterLab runs over its kernel's websocket.

    python benchmarks/recording.py [--cells N] [--rounds N]

These take turns in each round: a stock Jupyter Server, one with TCP_NODELAY and nothing
else of ours, and our extension with recording on and off, each with `sparing_activity`
(a saving that is on by default while recording) on both sides and on neither. On and off
are also compared with a pause after each cell, when each row is a transaction of its own.
All ways of ours are one server process, because two processes of the same program differ
by more than what is measured here. All but stock have TCP_NODELAY. CPU is that of the
server process, all its threads.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kernel_websocket import OpenNotebook
from notebook_server import NotebookServer, running_server
from report import Report, Result, caption, parser, ratios, spread, table

SETTLE_SECONDS = 0.6  # the writer's last batch belongs to the cost of a round
WARM_CELLS = 10
SELDOM_SECONDS = 0.05
STOCK_FRACTION = 8  # stock takes ten times as long for a cell: it gets fewer
PACKAGES = ("jupyter_server", "jupyter_client", "tornado", "pyzmq", "ipykernel")


@dataclass(frozen=True)
class Way:
    """One way to run cells: on which server, and how its recorder is switched."""

    label: str
    server: str
    switch: str = ""
    fraction: int = 1
    pause: float = 0.0  # seconds between two cells


# In this order, and back in the next round: a server that has just been idle for most of a
# turn is slower in the next one, so what is compared stands among turns of one pace.
WAYS = {
    "stock": Way("stock Jupyter Server", "stock", fraction=STOCK_FRACTION),
    "off_seldom": Way(
        "ours, recording off, with `sparing_activity`, a cell every 50 ms",
        "ours", "off?sparing=1", 5, SELDOM_SECONDS,
    ),
    "on_seldom": Way(
        "the same, recording on", "ours", "on?sparing=1", 5, SELDOM_SECONDS
    ),
    "nodelay": Way("stock Jupyter Server with TCP_NODELAY", "nodelay"),
    "off": Way("ours, recording off", "ours", "off?sparing=0"),
    "on": Way("ours, recording on, without `sparing_activity`", "ours", "on?sparing=0"),
    "on_sparing": Way("ours, recording on (the default)", "ours", "on?sparing=1"),
    "off_sparing": Way("ours, recording off, with `sparing_activity`", "ours", "off?sparing=1"),
}  # fmt: skip
FIGURES = (
    ("server CPU a cell: recording on / off, saving on both", "on_sparing", "off_sparing", "cpu_ms",
     "<= 1.05"),
    ("server CPU a cell: recording on / off, saving on neither", "on", "off", "cpu_ms", "<= 1.05"),
    ("server CPU a cell, a cell every 50 ms: recording on / off, saving on both", "on_seldom",
     "off_seldom", "cpu_ms", ""),
    ("server CPU a cell: default / `record = False`", "on_sparing", "off", "cpu_ms", ""),
    ("rate: recording on / off, saving on both", "on_sparing", "off_sparing", "rate", ">= 0.97"),
    ("rate: recording on / off, saving on neither", "on", "off", "rate", ">= 0.97"),
    ("rate: default / stock with TCP_NODELAY", "on_sparing", "nodelay", "rate", ""),
    ("rate: default / stock", "on_sparing", "stock", "rate", ">= 10"),
)  # fmt: skip


async def turn(
    server: NotebookServer, notebook: OpenNotebook, cells: int, pause: float
) -> tuple[float, float]:
    """Run cells one after another, as Run All does; return cells a second, CPU ms a cell."""
    await notebook.connect()  # its class may have been switched
    for number in range(WARM_CELLS):
        await notebook.run("pass", f"warm-{number}")
    await asyncio.sleep(SETTLE_SECONDS)
    cpu, begin = server.cpu_seconds(), time.perf_counter()
    for number in range(cells):
        await notebook.run(f"x = {number}\nprint(x)", f"cell-{number}")
        if pause:
            await asyncio.sleep(pause)
    wall = time.perf_counter() - begin
    await asyncio.sleep(SETTLE_SECONDS)
    notebook.close()
    return cells / wall, (server.cpu_seconds() - cpu) * 1000 / cells


async def measure(servers: dict[str, NotebookServer], cells: int, rounds: int) -> Result:
    """Let all ways take turns, each round in the other direction."""
    notebooks = {
        name: await OpenNotebook.open(server, f"{name}.ipynb") for name, server in servers.items()
    }
    found: Result = {name: {"rate": [], "cpu_ms": []} for name in WAYS}
    for number in range(rounds + 1):
        for name in WAYS if number % 2 else reversed(WAYS):
            way = WAYS[name]
            server = servers[way.server]
            if way.switch:
                await asyncio.to_thread(server.call, "POST", f"benchmark/recording/{way.switch}")
            few = max(5, cells // way.fraction)
            rate, cpu_ms = await turn(server, notebooks[way.server], few, way.pause)
            print(f"round {number}, {name}: {rate:.0f} cells/s, {cpu_ms:.3f} ms", file=sys.stderr)
            if number:  # the first round fills caches
                found[name]["rate"].append(rate)
                found[name]["cpu_ms"].append(cpu_ms)
    return found


def tables(result: Result) -> str:
    """Return the ratios with the range of their middle half, and what they come from."""
    found = result["found"]
    figures, ways = [], []
    for label, one, other, field, target in FIGURES:
        low, middle, high = spread(ratios(found[one][field], found[other][field]))
        figures.append([label, f"{middle:.3f}", f"{low:.3f} to {high:.3f}", target])
    for name, way in WAYS.items():
        rate, cpu = (statistics.median(found[name][field]) for field in ("rate", "cpu_ms"))
        speed = ["", ""] if way.pause else [f"{rate:.0f}", f"{1000 / rate:.1f} ms"]
        ways.append([way.label, *speed, f"{cpu:.3f} ms"])
    first = table(["cells over the websocket", "median", "middle half", "our target"], figures)
    second = table(["way", "cells/s", "a cell takes", "server CPU a cell"], ways)
    return f"{first}\n\n{second}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--cells", type=int, default=150, help="cells in a turn (150)")
    own.add_argument("--rounds", type=int, default=40, help="rounds of all ways (40)")
    options = own.parse_args()
    report = Report("recording", options, PACKAGES)
    extensions = {
        "stock": {"blackroad_nb": False, "jupyterlab": False},
        "nodelay": {"blackroad_nb": False, "jupyterlab": False, "nodelay_only": True},
        "ours": {"blackroad_nb": True, "jupyterlab": False, "recording_switch": True},
    }
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {
            name: stack.enter_context(running_server(Path(folder) / name, enabled))
            for name, enabled in extensions.items()
        }
        found = asyncio.run(measure(servers, options.cells, options.rounds))
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
