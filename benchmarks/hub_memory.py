"""What our hub and its service weigh with 50 sessions known, against a plain hub.

    python benchmarks/hub_memory.py [--sessions N]

The sessions are real containers of either hub, made by its own spawner, but what runs in
them is a stand-in for JupyterLab of a few megabytes. One hub after the other; neither has
a proxy. `share` divides what processes have in common among them (PSS), `resident` is what
the system shows (RSS), both after a rest. Needs a Docker engine (`DOCKER_HOST`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import hub_images
import hubs
import psutil
from jupyterhub import __version__
from report import Report, Result, caption, parser, table

from blackroad_nb.adapters.docker_engine import DockerEngine

MIB = 1024 * 1024
REST_SECONDS = 10.0
MOST = 60.0

SESSION = f"""
from http.server import *
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "{__version__}")
        self.end_headers()
        self.wfile.write(b"{{}}")
    def log_message(self, *_):
        pass
HTTPServer(("", 8888), Answer).serve_forever()
"""
MORE = hubs.NO_PROXY + f'c.Spawner.cmd = ["python3", "-S", "-c", {SESSION!r}]\n'


@contextmanager
def network(engine: DockerEngine) -> Iterator[tuple[str, str]]:
    """Make a network for the sessions of both; gives its name and its gateway."""
    name = f"br-benchmark-{uuid4().hex[:8]}"
    address = engine.ensure_network(name)
    try:
        yield name, address
    finally:
        for container in engine.client.containers(all=True, filters={"network": name}):
            engine.remove(container["Id"])
        engine.remove_network(name)


def weigh(hub: hubs.Hub, users: list[str]) -> dict[str, tuple[float, float]]:
    """Start a session for each user; return MiB of each process, share and resident."""
    for user in users:
        hub.start(user)
    time.sleep(REST_SECONDS)
    found = {}
    running = psutil.Process(hub.process.pid)
    for process in (running, *running.children(recursive=True)):
        name = "service" if "blackroad_nb.hub.service" in process.cmdline() else "hub"
        assert name not in found, process.cmdline()
        memory = process.memory_full_info()
        found[name] = memory.pss / MIB, memory.rss / MIB
    return found


def measure(sessions: int, folder: Path) -> dict[str, dict[str, tuple[float, float]]]:
    users = [f"user{number}" for number in range(sessions)]
    engine = DockerEngine()
    hub_images.build_both(engine)
    profiles = folder / "profiles.yaml"
    profiles.write_text(
        f"max_sessions: {sessions}\nprofiles:\n  - {{name: standard, title: Standard}}\n"
    )
    found = {}
    with network(engine) as (name, address):
        common = {"network": name, "address": address, "image": hub_images.OURS}
        stock = hubs.STOCK + hubs.STOCK_DOCKER
        prefix = f"stock-{name}"
        with hubs.hub(folder / "plain", stock, MORE, users, prefix=prefix, **common) as hub:
            found["plain"] = weigh(hub, users)
        arguments = {
            "profiles": str(profiles),
            "hub_id": name,
            "image": hub_images.OURS,
            "network": name,
        }
        with hubs.hub(
            folder / "ours", hubs.OURS, MORE, users, arguments=arguments, address=address
        ) as hub:
            found["ours"] = weigh(hub, users)
    assert set(found["ours"]) == {"hub", "service"}, found
    return found


def tables(result: Result) -> str:
    found, rows = result["found"], []
    for side, processes in found.items():
        for name, (share, resident) in sorted(processes.items()):
            rows.append([f"{side}: {name}", f"{share:.1f}", f"{resident:.1f}", ""])
    share, resident = (
        sum(each[column] for each in found["ours"].values())
        - sum(each[column] for each in found["plain"].values())
        for column in (0, 1)
    )
    most = f"{MOST:+.0f} at most"
    rows.append(["**more than plain**", f"{share:+.1f}", f"{resident:+.1f}", most])
    head = [f"with {result['settings']['sessions']} sessions", "share (PSS) MiB",
            "resident (RSS) MiB", "our target"]  # fmt: skip
    return f"{table(head, rows)}\n\nOne run. {caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--sessions", type=int, default=50)
    options = own.parse_args()
    report = Report("hub_memory", options, hubs.PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.sessions, Path(folder))
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
