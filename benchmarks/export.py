"""Exports of 100 cells through a running server, against the `jupyter nbconvert` command.

    python benchmarks/export.py [--cells N] [--rounds N]

Each round runs both, one after the other, so that a change of the machine's mood meets
both. The server is warm: its first export, which starts the export process, is shown in
a line of its own. Prints a Markdown table: medians, and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent))
from notebook_server import TOKEN, call, server

FORMATS = {"html": 0.2, "script": 0.03}  # and the ratio that each must keep below
PATH = "report.ipynb"


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


def by_command(folder: Path, wanted: str) -> Callable[[], object]:
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", wanted, PATH]
    return lambda: subprocess.run(command, cwd=folder, capture_output=True, check=True)


def by_server(address: str, notebook_id: str, wanted: str) -> Callable[[], object]:
    url = f"http://{address}/blackroad/notebooks/{notebook_id}/export?format={wanted}"
    request = Request(url, headers={"Authorization": f"token {TOKEN}"})

    def ask() -> bytes:
        with urlopen(request, timeout=60) as reply:
            body: bytes = reply.read()
            return body

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with server("on", folder) as (address, _):
            home = folder / "on"
            (home / PATH).write_text(json.dumps(document(arguments.cells)))
            made = {"name": "Report", "path": PATH, "adopt": True}
            notebook_id = call(address, "POST", "blackroad/notebooks", made)["id"]
            first = seconds(by_server(address, notebook_id, "html"))
            rows = []
            for wanted in FORMATS:
                ours = by_server(address, notebook_id, wanted)
                rows.append(measured(by_command(home, wanted), ours, arguments.rounds))
    print(f"| export, {arguments.cells} cells | command, s | server, s | ratio | at most |")
    print("|---|---|---|---|---|")
    for (wanted, limit), (theirs, ours, ratio) in zip(FORMATS.items(), rows, strict=True):
        print(f"| {wanted} | {theirs:.2f} | {ours:.3f} | {ratio:.3f} | {limit} |")
    print(f"| html, the server's first | | {first:.2f} | | |")


def measured(
    theirs: Callable[[], object], ours: Callable[[], object], rounds: int
) -> tuple[float, float, float]:
    ours()
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(rounds)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[1] / pair[0] for pair in pairs),
    )


if __name__ == "__main__":
    main()
