"""Exports of 100 cells, cold commands and a warm server, against `jupyter nbconvert`.

    python benchmarks/export.py [--cells N] [--rounds N]

Each round runs all three, one after the other: the command `jupyter nbconvert`, the
command `blackroad-nb export` (both start from nothing), and a request to a server that
has exported before. The server's first export, which starts the export process, is
measured in servers of its own. Both commands write a file beside the notebook.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from notebook_server import TOKEN, call, server
from report import Report, Result, caption, parser, ratios, spread, table

FORMATS = {"html": "0.2x", "script": "0.03x"}  # and our target for a warm server
PATH = "report.ipynb"
FIRST_ROUNDS = 3  # servers that are started to time their first export
PACKAGES = ("nbconvert", "nbformat", "jupyter_server", "nh3", "mistune")
LABELS = {"cold": "`blackroad-nb export`", "warm": "a running server"}


def document(cells: int) -> dict[str, Any]:
    """Return a report as people write them: prose, code with a table or text as output."""
    made = [_markdown(n) if n % 4 == 0 else _code(n) for n in range(cells)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    language = {
        "name": "python",
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    }
    metadata = {"kernelspec": kernel, "language_info": language}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _markdown(n: int) -> dict[str, Any]:
    prose = f"Some *prose* with `code`, [a link](https://example.com) and $x^{{{n}}}$."
    source = f"## Step {n}\n\n{prose}"
    return {"cell_type": "markdown", "id": f"m{n}", "metadata": {}, "source": source}


def _code(n: int) -> dict[str, Any]:
    source = f"import os\nfor i in range({n}):\n    print('line', i)  # step {n}\nframe.head()"
    rows = "".join(f"<tr><td>{row}</td><td>{row * n}</td></tr>" for row in range(10))
    shown = {"text/plain": "a table", "text/html": f"<table>{rows}</table>"}
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": "stdout", "text": f"line {n}\n" * 5},
        {"output_type": "display_data", "metadata": {}, "data": shown},
    ]
    return {
        "cell_type": "code",
        "id": f"c{n}",
        "metadata": {},
        "execution_count": n,
        "source": source,
        "outputs": outputs,
    }


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def by_nbconvert(folder: Path, wanted: str) -> Callable[[], object]:
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", wanted, PATH]
    return lambda: subprocess.run(command, cwd=folder, capture_output=True, check=True)


def by_command(folder: Path, wanted: str) -> Callable[[], object]:
    """Export by our command, over the file of the round before as nbconvert does."""
    program = str(Path(sys.executable).parent / "blackroad-nb")
    made = folder / f"ours-{wanted}"
    command = [program, "export", PATH, "--format", wanted, "--output", str(made), "--overwrite"]
    environment = {**os.environ, "NOTEBOOK_DB": str(folder / "notebooks.db")}

    def export() -> None:
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        assert made.stat().st_size > 1000

    return export


def by_server(address: str, notebook_id: str, wanted: str) -> Callable[[], object]:
    url = f"http://{address}/blackroad/notebooks/{notebook_id}/export?format={wanted}"
    request = Request(url, headers={"Authorization": f"token {TOKEN}"})

    def ask() -> None:
        with urlopen(request, timeout=60) as reply:
            assert len(reply.read()) > 1000

    return ask


@contextmanager
def exporting_server(cells: int) -> Iterator[tuple[Path, str, str]]:
    """Run a server with a registered notebook; give its folder, address and notebook id."""
    with tempfile.TemporaryDirectory() as folder, server("on", Path(folder)) as (address, _):
        home = Path(folder) / "on"
        (home / PATH).write_text(json.dumps(document(cells)))
        made = {"name": "Report", "path": PATH, "adopt": True}
        yield home, address, call(address, "POST", "blackroad/notebooks", made)["id"]


def measure(cells: int, rounds: int) -> Result:
    found: Result = {wanted: {"nbconvert": [], "cold": [], "warm": []} for wanted in FORMATS}
    found["first"] = []
    for _ in range(FIRST_ROUNDS):
        with exporting_server(cells) as (_, address, notebook_id):
            found["first"].append(seconds(by_server(address, notebook_id, "html")))
    with exporting_server(cells) as (home, address, notebook_id):
        for wanted in FORMATS:
            sides = {
                "nbconvert": by_nbconvert(home, wanted),
                "cold": by_command(home, wanted),
                "warm": by_server(address, notebook_id, wanted),
            }
            for number in range(rounds + 1):
                for side, work in sides.items():
                    took = seconds(work)
                    if number:  # the first round fills caches, and warms the server
                        found[wanted][side].append(took)
    return found


def tables(result: Result) -> str:
    """Return the rows of both formats, and what a server's first export takes."""
    found, rows = result["found"], []
    for wanted, target in FORMATS.items():
        for side, label in LABELS.items():
            sides = found[wanted]
            low, middle, high = spread(ratios(sides[side], sides["nbconvert"]))
            ours, theirs = statistics.median(sides[side]), statistics.median(sides["nbconvert"])
            rows.append(
                [f"{wanted}, {label}", f"{ours:.3f} s", f"{theirs:.2f} s", f"{middle:.3f}x",
                 f"{low:.3f} to {high:.3f}", target if side == "warm" else ""]
            )  # fmt: skip
    first = f"{statistics.median(found['first']):.2f} s"
    rows.append(["html, a server's first export", first, "", "", "", ""])
    head = ["export", "ours", "`jupyter nbconvert`", "ratio", "middle half", "our target"]
    return f"{table(head, rows)}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--cells", type=int, default=100)
    own.add_argument("--rounds", type=int, default=7)
    options = own.parse_args()
    report = Report("export", options, PACKAGES)
    print(tables(report.save(measure(options.cells, options.rounds))))


if __name__ == "__main__":
    main()
