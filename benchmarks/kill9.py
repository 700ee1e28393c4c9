"""Kill the server with signal 9 at random moments under busy kernels; nothing may get lost.

    python benchmarks/kill9.py [--rounds N] [--kernels N]

A row counts as acknowledged when another process can read it before the kill. After
each kill: every acknowledged row is still there, no cell stands there twice, the file
passes `PRAGMA integrity_check`, and the next server starts cleanly, with no execution
left pending. Exits with 1 and says what went wrong otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kernel_websocket import OpenNotebook
from notebook_server import NotebookServer, start_server

EXTENSIONS = {"blackroad_nb": True, "jupyterlab": False}
LONG_CELL = "import time; time.sleep(1.6)"  # long enough to be stored before it ends


@dataclass
class Report:
    """What all rounds came to; `faults` is empty when everything held."""

    rounds: int = 0
    acknowledged: int = 0
    stored: int = 0
    left_open: int = 0
    faults: list[str] = field(default_factory=list)


def survive(folder: Path, rounds: int, kernels: int, seed: int) -> Report:
    """Start, load and kill a server again and again on one database."""
    report, moments = Report(), random.Random(seed)
    for number in range(1, rounds + 1):
        server = start_server(folder, EXTENSIONS)
        _check_start(server, number, report)
        try:
            seen = asyncio.run(_load_and_kill(server, number, kernels, moments.uniform(0.3, 3.0)))
        finally:
            _bury(server)
        report.rounds = number
        report.acknowledged += len(seen)
        _check_file(server.database, number, seen, report)
        print(f"round {number}: {len(seen)} rows acknowledged in all", file=sys.stderr)
        if report.faults:
            return report
    server = start_server(folder, EXTENSIONS)
    _check_start(server, rounds + 1, report)
    server.process.terminate()
    server.process.wait(30)
    return report


async def _load_and_kill(
    server: NotebookServer, round_number: int, kernels: int, delay: float
) -> set[str]:
    """Keep all kernels busy, kill the server; return the ids that could be read before."""
    opened = [
        await OpenNotebook.open(server, f"round-{round_number}-{number}.ipynb")
        for number in range(kernels)
    ]
    loads = [asyncio.create_task(_keep_busy(notebook, n == 0)) for n, notebook in enumerate(opened)]
    await asyncio.sleep(delay)
    seen = await asyncio.to_thread(_ids_then_kill, server)
    await asyncio.wait(loads, timeout=30)
    for load in loads:
        if load.done() and load.exception() is not None:
            raise load.exception() or AssertionError
        load.cancel()
    for notebook in opened:
        notebook.close()
    return seen


async def _keep_busy(notebook: OpenNotebook, slow: bool) -> None:
    number = 0
    with contextlib.suppress(ConnectionError, OSError):
        while True:
            number += 1
            pause = LONG_CELL if slow else "pass"
            await notebook.run(f"# cell {number} of {notebook.kernel_id}\n{pause}", f"c{number}")


def _ids_then_kill(server: NotebookServer) -> set[str]:
    with contextlib.closing(sqlite3.connect(server.database, timeout=30)) as connection:
        found = {row[0] for row in connection.execute("SELECT id FROM executions")}
    server.process.kill()
    return found


def _bury(server: NotebookServer) -> None:
    """End what the killed server left behind, by pid."""
    with contextlib.suppress(psutil.NoSuchProcess):
        server.process.kill()
    server.process.wait(30)
    home = str(server.database.parent)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any("ipykernel" in word for word in words) and any(home in word for word in words):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _check_start(server: NotebookServer, number: int, report: Report) -> None:
    health = server.call("GET", "blackroad/health")
    if health["recorder"]["state"] != "ok" or health["problems"]:
        report.faults.append(f"start {number}: {health}")
    with contextlib.closing(sqlite3.connect(server.database, timeout=30)) as connection:
        (pending,) = connection.execute(
            "SELECT count(*) FROM executions WHERE status = 'pending'"
        ).fetchone()
    if pending:
        report.faults.append(f"start {number}: {pending} executions are pending still")


def _check_file(database: Path, number: int, seen: set[str], report: Report) -> None:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        ids = {row[0] for row in connection.execute("SELECT id FROM executions")}
        twice = connection.execute(
            "SELECT source FROM executions GROUP BY source HAVING count(*) > 1"
        ).fetchall()
        (left_open,) = connection.execute(
            "SELECT count(*) FROM executions WHERE status = 'pending'"
        ).fetchone()
    report.stored = len(ids)
    report.left_open += left_open
    if verdict != "ok":
        report.faults.append(f"round {number}: integrity_check says {verdict}")
    if not seen <= ids:
        report.faults.append(f"round {number}: {len(seen - ids)} acknowledged rows are lost")
    if twice:
        report.faults.append(f"round {number}: {len(twice)} cells are there twice: {twice[0][0]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="kills (200)")
    parser.add_argument("--kernels", type=int, default=10, help="busy kernels (10)")
    parser.add_argument("--seed", type=int, default=None, help="for the random moments")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(2**32)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = survive(Path(folder), options.rounds, options.kernels, seed)
    for fault in report.faults:
        print(f"FAULT {fault}")
    print(
        f"{report.rounds} kills under {options.kernels} busy kernels in"
        f" {time.monotonic() - begin:.0f} s (seed {seed}): {report.stored} rows stored,"
        f" {report.left_open} were left open and closed at the next start,"
        f" {len(report.faults)} faults"
    )
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
