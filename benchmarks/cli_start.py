"""What the shortest command costs, against Python doing nothing and commands people know.

    python benchmarks/cli_start.py [--rounds N] [--notebooks N] [--here]

Makes an environment of its own with the package installed into it as a user's is,
registers the notebooks, and runs the commands in turn, so that a change of the
machine's mood meets all of them. `--here` measures the environment it runs in instead:
an editable install costs a few milliseconds more at every start. The other tools run
from this environment in either case; they only print their version or their help.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from report import Report, Result, caption, parser, ratios, spread, table

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 3
AT = "2026-01-01T00:00:00.000000+00:00"
BASE = "python -c pass"
TARGETS = {"blackroad-nb list": "2.5x"}
PACKAGES = ("jupyter_core", "papermill")


def install(folder: Path) -> Path:
    """Return the programs' folder of a fresh environment that holds this package alone."""
    wheel = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(wheel, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    venv.create(folder / "environment", with_pip=True)
    programs = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
    (built,) = folder.glob("*.whl")
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", built], check=True)
    return programs


def fill(programs: Path, database: Path, notebooks: int) -> None:
    """Make the database with the package itself, then put rows into it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    make = f"from blackroad_nb.adapters.sqlite.opening import *; prepare(Path({str(database)!r}))"
    subprocess.run([programs / "python", "-c", make], check=True, env=environment)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO notebooks (id, name, path, kernel, created_at, updated_at, cell_count)"
            " VALUES (?, ?, ?, 'python3', ?, ?, 10)",
            [
                (str(uuid4()), f"Notebook {n}", f"/research/{n}.ipynb", AT, AT)
                for n in range(notebooks)
            ],
        )


def measure(commands: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    """Return each command's wall times in milliseconds, the warm-up left out."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + WARM_UP):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn >= WARM_UP:
                times[name].append((time.perf_counter() - begun) * 1000)
    return times


def tables(result: Result) -> str:
    """Return each command's median, and its ratio to Python doing nothing."""
    rows = []
    for name, taken in result["found"].items():
        low, middle, high = spread(ratios(taken, result["found"][BASE]))
        rows.append(
            [f"`{name}`", f"{statistics.median(taken):.1f} ms", f"{middle:.2f}x",
             f"{low:.2f} to {high:.2f}", TARGETS.get(name, "")]
        )  # fmt: skip
    head = ["command", "median", f"against `{BASE}`", "middle half", "our target"]
    return f"{table(head, rows)}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=60)
    own.add_argument("--notebooks", type=int, default=100)
    own.add_argument("--here", action="store_true")
    options = own.parse_args()
    report = Report("cli_start", options, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(sys.executable).parent
        programs = here if options.here else install(Path(folder))
        database = Path(folder) / "notebooks.db"
        fill(programs, database, options.notebooks)
        ours = str(programs / "blackroad-nb")
        commands = {
            BASE: [str(programs / "python"), "-c", "pass"],
            "blackroad-nb list": [ours, "--db", str(database), "list"],
            "blackroad-nb list --limit 10": [ours, "--db", str(database), "list", "--limit", "10"],
            "blackroad-nb --version": [ours, "--version"],
            "jupyter --version": [str(here / "jupyter"), "--version"],
            "papermill --version": [str(here / "papermill"), "--version"],
            "papermill --help": [str(here / "papermill"), "--help"],
        }
        print(tables(report.save(measure(commands, options.rounds))))


if __name__ == "__main__":
    main()
