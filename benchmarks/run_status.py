"""What it costs to ask a server how a run stands whose outputs fill the database.

    python benchmarks/run_status.py [--megabytes N] [--rows N] [--repeats N]

Stores a finished run with N megabytes of outputs, as older versions did with up to 64 MiB
a cell, and asks a server for the run without them: the time of a request, what the server
reads for it, and what it adds to the memory of a server that has answered as often for a
run without any outputs.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from notebook_server import NotebookServer, running_server
from report import Report, Result, caption, parser, table

from blackroad_nb.adapters.sqlite.store import SqliteStore
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.run import CellResult, Run, RunStatus

PACKAGES = ("jupyter_server", "tornado", "aiosqlite")
MIB = 1024 * 1024
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def fill(database: Path, notebook: Path, megabytes: int, count: int) -> None:
    """Store one run of `count` cells that share the megabytes."""
    output = {"output_type": "stream", "name": "stdout", "text": "x" * (megabytes * MIB // count)}
    store = await SqliteStore.open(database)
    executions = [
        Execution(
            id=f"execution-{number}",
            status=Status.SUCCESS,
            source=f"print({number})",
            started_at=NOON + timedelta(seconds=number),
            finished_at=NOON + timedelta(seconds=number + 1),
            duration_ms=1000,
            path=str(notebook),
            cell_index=number,
            origin="run",
            run_id="run-1",
            output=json.dumps([output]),
        )
        for number in range(count)
    ]
    for execution in executions:
        await store.record([execution])
    (registered,) = (await store.list_notebooks()).items
    cells = tuple(
        CellResult(number, None, Status.SUCCESS, f"execution-{number}", duration_ms=1000)
        for number in range(count)
    )
    run = Run("run-1", registered.id, RunStatus.SUCCESS, {}, str(notebook), "python3", cells=cells)
    await store.put_run(run)
    await store.put_run(replace(run, id="empty", cells=()))
    await store.close()


def measure(server: NotebookServer, repeats: int) -> Result:
    """Return the times, what was read for one request, and how the memory grew."""
    process = psutil.Process(server.process.pid)
    server.call("GET", "blackroad/history?limit=1")  # opens the store and imports what it needs
    for _ in range(repeats):
        server.call("GET", "blackroad/executions/empty")
    memory, read = process.memory_info().rss, process.io_counters().read_chars
    took = []
    for _ in range(repeats):
        begun = time.perf_counter()
        server.call("GET", "blackroad/executions/run-1")
        took.append((time.perf_counter() - begun) * 1000)
    read = process.io_counters().read_chars - read
    grown = process.memory_info().rss - memory
    return {"ms": took, "read_kib": read / repeats / 1024, "grown_mib": grown / MIB}


def tables(result: Result) -> str:
    found = result["found"]
    p99 = statistics.quantiles(found["ms"], n=100)[98]
    head = [
        f"`GET` of a run with {result['settings']['megabytes']} MB of outputs",
        "",
        "our target",
    ]
    rows = [
        ["median", f"{statistics.median(found['ms']):.1f} ms", "<= 5 ms"],
        ["p99", f"{p99:.1f} ms", ""],
        ["read from files for one request", f"{found['read_kib']:.0f} KiB", ""],
        ["memory of the server, more than before", f"{found['grown_mib']:+.1f} MiB", "<= +5 MiB"],
    ]
    return f"{table(head, rows)}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--megabytes", type=int, default=500, help="of outputs (500)")
    own.add_argument("--rows", type=int, default=10, help="cells that share them (10)")
    own.add_argument("--repeats", type=int, default=100, help="requests (100)")
    chosen = own.parse_args()
    report = Report("run_status", chosen, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        notebook = home.resolve() / "large.ipynb"
        asyncio.run(fill(home / "notebooks.db", notebook, chosen.megabytes, chosen.rows))
        extensions = {"blackroad_nb": True, "jupyterlab": False}
        with running_server(home, extensions) as server:
            found = measure(server, chosen.repeats)
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
