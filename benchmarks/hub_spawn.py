"""Starting sessions in containers, from the request until ready: ours against stock.

    python benchmarks/hub_spawn.py [--rounds N] [--crowds N] [--bare]

Stock is JupyterHub with DockerSpawner and `jupyterhub-singleuser` in an image of the same
packages. Each side has the kind of network that it comes with: ours leads nowhere outside,
stock's is a plain bridge. Both hubs run all the time and start a session in turn; after a
warm-up, each round gives a ratio. `--crowds` is how often ten sessions are started at once
on each side; the clock stops when the last one is ready. `--bare` adds lines with the
stock command in our image, to tell the image's share. Needs a Docker engine
(`DOCKER_HOST`).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

import hub_images
import hubs
from report import Report, Result, caption, parser, ratios, spread, table

from blackroad_nb.adapters.docker_engine import DockerEngine

CROWD = 10
USERS = tuple(f"user{number}" for number in range(CROWD))
PROFILES = f"""\
max_sessions: {CROWD}
profiles:
  - {{name: standard, title: Standard}}
"""


@contextmanager
def sides(folder: Path, engine: DockerEngine, bare: bool) -> Iterator[dict[str, hubs.Hub]]:
    """Run the hubs that are compared; at the end none of their containers is left."""
    mark = uuid4().hex[:8]
    network, plain = f"br-benchmark-{mark}", f"br-stock-{mark}"
    address = engine.ensure_network(network)
    engine.client.create_network(plain, driver="bridge")
    details = engine.client.inspect_network(plain)["IPAM"]["Config"]
    stock_address = details[0]["Gateway"]
    (folder / "profiles.yaml").write_text(PROFILES)
    arguments = {
        "profiles": str(folder / "profiles.yaml"),
        "hub_id": f"benchmark-{mark}",
        "image": hub_images.OURS,
        "network": network,
    }
    stock = {"stock": hub_images.STOCK, **({"bare": hub_images.OURS} if bare else {})}
    try:
        with ExitStack() as stack:
            ours = hubs.hub(
                folder / "ours", hubs.OURS, arguments=arguments, address=address, users=USERS
            )
            running = {"ours": stack.enter_context(ours)}
            for name, image in stock.items():
                own, prefix = hubs.STOCK + hubs.STOCK_DOCKER, f"br-{name}-{mark}"
                more = 'c.Spawner.cmd = ["jupyterhub-singleuser"]\n'
                more += "c.Spawner.http_timeout = c.Spawner.start_timeout = 120\n"
                made = hubs.hub(
                    folder / name,
                    own,
                    more,
                    USERS,
                    image=image,
                    prefix=prefix,
                    network=plain,
                    address=stock_address,
                )
                running[name] = stack.enter_context(made)
            yield running
    finally:
        for each in (network, plain):
            for container in engine.client.containers(all=True, filters={"network": each}):
                engine.remove(container["Id"])
            engine.client.remove_network(each)


def one(hub: hubs.Hub) -> float:
    """Start one session and see that it answers through the proxy; return the seconds."""
    spent = hub.start(USERS[0])
    with urlopen(f"{hub.url}user/{USERS[0]}/api", timeout=hubs.DEADLINE) as reply:
        assert b"version" in reply.read()
    hub.stop(USERS[0])
    return spent


def crowd(hub: hubs.Hub) -> float:
    """Start ten sessions at once; return the seconds until the last one is ready."""
    with ThreadPoolExecutor(CROWD) as threads:
        begun = time.perf_counter()
        list(threads.map(hub.start, USERS))
        spent = time.perf_counter() - begun
        list(threads.map(hub.stop, USERS))
    return spent


def compare(
    running: dict[str, hubs.Hub], work: Callable[[hubs.Hub], float], rounds: int
) -> dict[str, list[float]]:
    """Let the hubs work in turn, each round beginning with another one; return seconds."""
    found: dict[str, list[float]] = {name: [] for name in running}
    for number in range(rounds + 1):
        names = list(running) if number % 2 else list(reversed(running))
        spent = {name: work(running[name]) for name in names}
        said = ", ".join(f"{name} {spent[name]:.3f} s" for name in running)
        print(f"{said} ({hubs.machine()})", file=sys.stderr)
        for name in running if number else ():  # the first one fills caches
            found[name].append(spent[name])
    return found


PEERS = {
    "stock": "stock JupyterHub and DockerSpawner",
    "bare": "the stock command in our image",
}
WORK = {"one": ("a session, request to ready", "0.7x"), "crowd": ("ten at once, the last", "0.8x")}


def tables(result: Result) -> str:
    rows = []
    for work, (title, target) in WORK.items():
        found = result["found"].get(work, {})
        for name, theirs in found.items():
            if name == "ours":
                continue
            low, middle, high = spread(ratios(found["ours"], theirs))
            rows.append(
                [title, _range(found["ours"]), PEERS[name], _range(theirs), f"{middle:.2f}x",
                 f"{low:.2f} to {high:.2f}", target if name == "stock" else ""]
            )  # fmt: skip
    head = ["work", "ours (least to most)", "against", "theirs (least to most)", "ratio",
            "middle half", "our target"]  # fmt: skip
    return f"{table(head, rows)}\n\n{caption(result)}"


def _range(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=15)
    own.add_argument("--crowds", type=int, default=4)
    own.add_argument("--bare", action="store_true", help="the stock command in our image too")
    options = own.parse_args()
    engine = DockerEngine()
    engine.check()
    hub_images.build_both(engine)
    report, found = Report("hub_spawn", options, hubs.PACKAGES), {}
    with (
        tempfile.TemporaryDirectory() as folder,
        sides(Path(folder), engine, options.bare) as running,
    ):
        if options.rounds:
            found["one"] = compare(running, one, options.rounds)
        if options.crowds:
            found["crowd"] = compare(running, crowd, options.crowds)
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
