"""How long a server answers nobody while a headless cell prints one long line.

    python benchmarks/carriage_returns.py [--rounds N] [--characters N]

A server runs a notebook of one cell that prints a line of a million characters: ended by
a line feed; ended by a carriage return and a line feed, as texts from Windows and from
the web are; and made of carriage returns, as a progress bar is. Meanwhile another client
asks the same server `GET api` every 5 ms. Reported is the longest time that one of these
requests took, and the same while the server does nothing.
"""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

from notebook_server import TOKEN, NotebookServer, running_server
from report import Report, Result, caption, parser, table

EXTENSIONS = {"blackroad_nb": True, "jupyterlab": False}
STEP_SECONDS = 0.005
IDLE_SECONDS = 1.0
RUN_SECONDS = 900.0
TARGET_MS = 50
PACKAGES = ("jupyter_server", "tornado", "nbclient", "ipykernel")
IDLE = "no cell runs"
LINES = {
    "a line that ends with a line feed": "print('x' * {size})",
    "a line that ends with a carriage return and a line feed": "print('x' * {size} + '\\r')",
    "a progress bar of carriage returns": "print('\\r'.join(['x' * 79] * ({size} // 80)))",
}


class Pinger:
    """Asks a server again and again from a thread, and notes what each answer took."""

    def __init__(self, server: NotebookServer) -> None:
        self._connection = http.client.HTTPConnection(server.address, timeout=RUN_SECONDS)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.milliseconds: list[float] = []

    def __enter__(self) -> Pinger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._connection.close()

    def _ask(self) -> None:
        while not self._over.wait(STEP_SECONDS):
            begun = time.perf_counter()
            self._connection.request("GET", "/api", headers={"Authorization": f"token {TOKEN}"})
            self._connection.getresponse().read()
            self.milliseconds.append((time.perf_counter() - begun) * 1000)


def run_to_its_end(server: NotebookServer, source: str) -> None:
    """Run a notebook of one cell on the server."""
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "source": source, "outputs": []}
    cells = [{**cell, "execution_count": None}]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (server.database.parent / "line.ipynb").write_text(json.dumps(document))
    run = server.call("POST", "blackroad/executions", {"path": "line.ipynb"})
    deadline = time.monotonic() + RUN_SECONDS
    while run["status"] in ("pending", "running"):
        if time.monotonic() > deadline:
            raise TimeoutError("The run did not end.")
        time.sleep(0.2)
        # The list carries no outputs: to send them would delay the requests that are timed.
        (run,) = server.call("GET", "blackroad/executions?limit=1")["items"]
    assert run["status"] == "success", run


def measure(rounds: int, characters: int) -> Result:
    found: Result = {name: [] for name in (IDLE, *LINES)}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), EXTENSIONS) as server,
    ):
        run_to_its_end(server, "1")  # imports, and a kernel is kept ready from now on
        for _ in range(rounds):
            time.sleep(IDLE_SECONDS)  # the next kernel is made
            with Pinger(server) as pinger:
                time.sleep(IDLE_SECONDS)
            found[IDLE].append(pinger.milliseconds)
            for name, line in LINES.items():
                time.sleep(IDLE_SECONDS)
                with Pinger(server) as pinger:
                    run_to_its_end(server, line.format(size=characters))
                found[name].append(pinger.milliseconds)
    return found


def tables(result: Result) -> str:
    rows = []
    for name, rounds in result["found"].items():
        longest = [max(milliseconds) for milliseconds in rounds]
        usual = statistics.median(each for milliseconds in rounds for each in milliseconds)
        target = "" if name == IDLE else f"< {TARGET_MS} ms"
        rows.append(
            [name, f"{usual:.1f} ms", f"{statistics.median(longest):.0f} ms",
             f"{max(longest):.0f} ms", target]
        )  # fmt: skip
    size = f"{result['settings']['characters']:,} characters"
    head = [f"a headless cell prints {size}", "usual answer", "longest, median of rounds",
            "longest of all", "our target"]  # fmt: skip
    return f"{table(head, rows)}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=5)
    own.add_argument("--characters", type=int, default=1_000_000, help="of the line")
    options = own.parse_args()
    report = Report("carriage_returns", options, PACKAGES)
    print(tables(report.save(measure(options.rounds, options.characters))))


if __name__ == "__main__":
    main()
