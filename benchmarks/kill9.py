"""Kill the server with signal 9 at random moments under busy kernels: what is lost?

    python benchmarks/kill9.py [--rounds N] [--kernels N] [--seed N]

A cell counts as answered when its client has received the kernel's reply. After each
kill the history is compared with what the clients saw. Reported are the answered cells
whose end is missing in the history, and the loss window: how long before the kill the
oldest of these replies was received. Three things must hold, or the exit code is 1: the
file passes `PRAGMA integrity_check`, no cell is there twice, and the next server starts
cleanly with no execution left pending. What another process could read before the kill
must also still be there.
"""

from __future__ import annotations

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
from kernel_websocket import OpenNotebook
from notebook_server import NotebookServer, start_server
from report import Report, Result, caption, parser, spread, table

EXTENSIONS = {"blackroad_nb": True, "jupyterlab": False}
LONG_CELL = "import time; time.sleep(1.6)"  # long enough to be stored before it ends
PACKAGES = ("jupyter_server", "jupyter_client", "tornado", "pyzmq", "ipykernel", "aiosqlite")


@dataclass
class Round:
    """What the clients of one round saw; sources tell cells apart."""

    answered: dict[str, float] = field(default_factory=dict)  # when the reply came, monotonic
    readable: set[str] = field(default_factory=set)  # ids in the file before the kill
    killed_at: float = 0.0


@dataclass
class Survival:
    """What all rounds came to; `faults` is empty when everything held.

    The lists have one entry a round; `window_ms` is 0 when nothing was missing.
    """

    answered: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    window_ms: list[float] = field(default_factory=list)
    left_open: list[int] = field(default_factory=list)
    stored: int = 0
    faults: list[str] = field(default_factory=list)


def survive(folder: Path, rounds: int, kernels: int, seed: int) -> Survival:
    """Start, load and kill a server again and again on one database."""
    survival, moments = Survival(), random.Random(seed)
    for number in range(1, rounds + 1):
        server = start_server(folder, EXTENSIONS)
        _check_start(server, number, survival)
        try:
            seen = asyncio.run(_load_and_kill(server, number, kernels, moments.uniform(0.3, 3.0)))
        finally:
            _bury(server)
        _check_file(server.database, number, seen, survival)
        print(
            f"round {number}: {survival.answered[-1]} cells answered, {survival.missing[-1]}"
            f" missing, window {survival.window_ms[-1]:.0f} ms",
            file=sys.stderr,
        )
        if survival.faults:
            return survival
    server = start_server(folder, EXTENSIONS)
    _check_start(server, rounds + 1, survival)
    server.process.terminate()
    server.process.wait(30)
    return survival


async def _load_and_kill(
    server: NotebookServer, round_number: int, kernels: int, delay: float
) -> Round:
    """Keep all kernels busy, kill the server; return what the clients saw."""
    opened = [
        await OpenNotebook.open(server, f"round-{round_number}-{number}.ipynb")
        for number in range(kernels)
    ]
    seen = Round()
    loads = [
        asyncio.create_task(_keep_busy(notebook, n == 0, seen)) for n, notebook in enumerate(opened)
    ]
    await asyncio.sleep(delay)
    await asyncio.to_thread(_kill, server, seen)
    await asyncio.wait(loads, timeout=30)
    for load in loads:
        if load.done() and load.exception() is not None:
            raise load.exception() or AssertionError
        load.cancel()
    for notebook in opened:
        notebook.close()
    return seen


async def _keep_busy(notebook: OpenNotebook, slow: bool, seen: Round) -> None:
    number = 0
    with contextlib.suppress(ConnectionError, OSError):
        while True:
            number += 1
            source = f"# cell {number} of {notebook.kernel_id}\n{LONG_CELL if slow else 'pass'}"

            def note(source: str = source) -> None:
                seen.answered[source] = time.monotonic()

            await notebook.run(source, f"c{number}", note)


def _kill(server: NotebookServer, seen: Round) -> None:
    with contextlib.closing(sqlite3.connect(server.database, timeout=30)) as connection:
        seen.readable = {row[0] for row in connection.execute("SELECT id FROM executions")}
    server.process.kill()
    seen.killed_at = time.monotonic()


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


def _check_start(server: NotebookServer, number: int, survival: Survival) -> None:
    health = server.call("GET", "blackroad/health")
    if health["recorder"]["state"] != "ok" or health["problems"]:
        survival.faults.append(f"start {number}: {health}")
    with contextlib.closing(sqlite3.connect(server.database, timeout=30)) as connection:
        (pending,) = connection.execute(
            "SELECT count(*) FROM executions WHERE status = 'pending'"
        ).fetchone()
    if pending:
        survival.faults.append(f"start {number}: {pending} executions are pending still")


def _check_file(database: Path, number: int, seen: Round, survival: Survival) -> None:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        rows = connection.execute("SELECT id, source, status FROM executions").fetchall()
    ids, sources = {row[0] for row in rows}, {row[1] for row in rows}
    ended = {source for _, source, status in rows if status != "pending"}
    ages = [seen.killed_at - at for source, at in seen.answered.items() if source not in ended]
    survival.stored = len(rows)
    survival.answered.append(len(seen.answered))
    survival.missing.append(len(ages))
    survival.window_ms.append(1000 * max((0.0, *ages)))
    survival.left_open.append(len(sources - ended))
    if verdict != "ok":
        survival.faults.append(f"round {number}: integrity_check says {verdict}")
    if not seen.readable <= ids:
        lost = len(seen.readable - ids)
        survival.faults.append(f"round {number}: {lost} rows that could be read are lost")
    if len(sources) < len(rows):
        survival.faults.append(f"round {number}: a cell is there twice")


def tables(result: Result) -> str:
    """Return what was lost, then what held."""
    found = result["found"]
    answered, missing = sum(found["answered"]), sum(found["missing"])
    low, middle, high = spread(found["window_ms"])
    rows = [
        ["cells whose reply a client received", f"{answered:,}"],
        ["of these, missing in the history", f"{missing:,} ({missing / max(answered, 1):.2%})"],
        ["most that were missing after one kill", f"{max(found['missing']):,}"],
        ["age of the oldest missing reply at the kill, median (middle half)",
         f"{middle:.0f} ms ({low:.0f} to {high:.0f})"],
        ["the same, worst kill", f"{max(found['window_ms']):.0f} ms"],
        ["rows that were running and were closed at the next start",
         f"{sum(found['left_open']):,}"],
        ["damaged files, cells stored twice, rows left pending, bad starts",
         f"{len(found['faults'])}"],
    ]  # fmt: skip
    head = [f"{len(found['answered'])} kills under {result['settings']['kernels']} busy kernels"]
    return f"{table([*head, 'figure'], rows)}\n\n{caption(result)}"


def main() -> int:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=200, help="kills (200)")
    own.add_argument("--kernels", type=int, default=10, help="busy kernels (10)")
    own.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the moments")
    options = own.parse_args()
    report = Report("kill9", options, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        survival = survive(Path(folder), options.rounds, options.kernels, options.seed)
    for fault in survival.faults:
        print(f"FAULT {fault}")
    print(tables(report.save(vars(survival))))
    return 1 if survival.faults else 0


if __name__ == "__main__":
    sys.exit(main())
