"""Cells over a kernel's websocket, as JupyterLab runs them, on three servers in turn.

    python benchmarks/recording.py [--cells N] [--rounds N]

`stock` is Jupyter Server as it comes, `off` has the extension with recording off,
`on` records into SQLite. The rounds alternate, so that a change of the machine's
mood meets all three. Prints a Markdown table: the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

import psutil
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kernel_websocket import SUBPROTOCOL, execute_request, ends_cell  # noqa: E402

TOKEN = "benchmark"  # a server of our own on loopback, gone in a minute
SETTLE_SECONDS = 0.6  # the writer's last batch belongs to the cost of a round
VARIANTS = {
    "stock": [],
    "off": ["--BlackRoadApp.record=False"],
    "on": ["--BlackRoadApp.record=True"],
}


@dataclass(frozen=True)
class Measured:
    """What one variant did in one round."""

    rate: float  # cells a second
    cpu_ms: float  # of the server process, a cell


@contextmanager
def server(variant: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server of this variant; gives its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = folder / variant
    home.mkdir()
    environ = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "NOTEBOOK_DB": str(home / "notebooks.db"),
        "JUPYTER_TOKEN": TOKEN,
    }
    extensions = {"blackroad_nb": variant != "stock", "jupyterlab": False}
    command = [
        sys.executable, "-m", "jupyter_server", f"--port={port}", "--ip=127.0.0.1",
        f"--ServerApp.root_dir={home}", "--ServerApp.open_browser=False", "--allow-root",
        "--log-level=CRITICAL", f"--ServerApp.jpserver_extensions={extensions}", *VARIANTS[variant],
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environ, cwd=home)
    address = f"127.0.0.1:{port}"
    try:
        await_answer(address)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def await_answer(address: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            call(address, "GET", "api")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def call(address: str, method: str, path: str, body: object = None) -> dict[str, object]:
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    request = Request(f"http://{address}/{path}", data, headers, method=method)
    with urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


class Client:
    """One notebook on one server: a kernel and its websocket."""

    def __init__(self, address: str, process: psutil.Process) -> None:
        self.address = address
        self.process = process
        self.session = uuid4().hex
        self.kernel_id = ""

    async def connect(self) -> None:
        notebook = {"path": "benchmark.ipynb", "name": "", "type": "notebook"}
        asked = {**notebook, "kernel": {"name": "python3"}}
        session = await asyncio.to_thread(call, self.address, "POST", "api/sessions", asked)
        self.kernel_id = session["kernel"]["id"]
        request = HTTPRequest(
            f"ws://{self.address}/api/kernels/{self.kernel_id}/channels?session_id={self.session}",
            headers={"Authorization": f"token {TOKEN}"},
        )
        self.socket = await websocket_connect(request, subprotocols=[SUBPROTOCOL])

    async def cell(self, number: int) -> None:
        """Run one cell until reply and idle status are there."""
        msg_id = uuid4().hex
        source = f"x = {number}\nprint(x)"
        message = execute_request(msg_id, self.session, source, f"cell-{number}")
        await self.socket.write_message(message, binary=True)
        missing = 2
        while missing:
            missing -= ends_cell(await self.socket.read_message(), msg_id)

    async def slice(self, cells: int) -> Measured:
        """Run cells one after another, as Run All does."""
        cpu, begin = cpu_seconds(self.process), time.perf_counter()
        for number in range(cells):
            await self.cell(number)
        wall = time.perf_counter() - begin
        await asyncio.sleep(SETTLE_SECONDS)
        return Measured(cells / wall, (cpu_seconds(self.process) - cpu) * 1000 / cells)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of all its threads, in nanoseconds' grain where Linux tells."""
    try:
        stats = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat")]
    except OSError:
        times = process.cpu_times()
        return times.user + times.system
    return sum(int(stat.split()[0]) for stat in stats) / 1e9


async def measure(
    servers: dict[str, tuple[str, psutil.Process]], cells: dict[str, int], rounds: int
) -> dict[str, list[Measured]]:
    """Let the servers take turns, each round in another order."""
    clients = {name: Client(*place) for name, place in servers.items()}
    for client in clients.values():
        await client.connect()
        await client.slice(20)
    results: dict[str, list[Measured]] = {name: [] for name in servers}
    for number in range(rounds):
        names = list(clients)
        for name in names if number % 2 else reversed(names):
            results[name].append(await clients[name].slice(cells[name]))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=200, help="cells in a round (200)")
    parser.add_argument("--rounds", type=int, default=30, help="alternating rounds (30)")
    options = parser.parse_args()
    cells = dict.fromkeys(VARIANTS, options.cells)
    cells["stock"] = max(10, options.cells // 10)  # it takes ten times as long
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {name: stack.enter_context(server(name, Path(folder))) for name in VARIANTS}
        results = asyncio.run(measure(servers, cells, options.rounds))
    print(table(results))


def table(results: dict[str, list[Measured]]) -> str:
    def ratios(a: str, b: str, field: str) -> list[float]:
        pairs = zip(results[a], results[b], strict=True)
        return sorted(getattr(x, field) / getattr(y, field) for x, y in pairs)

    lines = [
        "| cells over the websocket | ratio | range | wanted |",
        "|---|---|---|---|",
    ]
    for label, a, b, field, wanted in (
        ("rate, recording on / off", "on", "off", "rate", ">= 0.97"),
        ("server CPU a cell, recording on / off", "on", "off", "cpu_ms", "<= 1.05"),
        ("rate, recording on / stock server", "on", "stock", "rate", ">= 10"),
    ):
        found = ratios(a, b, field)
        lines.append(
            f"| {label} | {statistics.median(found):.3f} | {found[0]:.3f} to {found[-1]:.3f} | {wanted} |"
        )
    for name, measured in results.items():
        rate = statistics.median(m.rate for m in measured)
        cpu = statistics.median(m.cpu_ms for m in measured)
        lines.append(f"| ({name}: {rate:.0f} cells/s, {cpu:.3f} ms CPU a cell) | | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
