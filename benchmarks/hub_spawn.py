"""Starting sessions in containers, from the request until ready: ours against stock.

    python benchmarks/hub_spawn.py [--rounds N] [--crowds N] [--bare]

Stock is JupyterHub with DockerSpawner and `jupyterhub-singleuser` in an image of the same
packages. Each side has the kind of network that it comes with: ours leads nowhere outside,
stock's is a plain bridge. Both hubs run all the time and start a session in turn; after a
warm-up, each round gives a ratio. `--crowds` is how often ten sessions are started at once
on each side; the clock stops when the last one is ready. `--bare` adds lines with the
stock command in our image, to tell the image's share. Needs a Docker engine
(`DOCKER_HOST`) and prints a Markdown table.
"""

from __future__ import annotations

import argparse
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
) -> list[dict[str, float]]:
    """Let the hubs work in turn, each round beginning with another one."""
    found = []
    for number in range(rounds + 1):
        names = list(running) if number % 2 else list(reversed(running))
        spent = {name: work(running[name]) for name in names}
        said = ", ".join(f"{name} {spent[name]:.3f} s" for name in running)
        print(f"{said} ({hubs.machine()})", file=sys.stderr)
        if number:  # the first one fills caches
            found.append(spent)
    return found


def lines(title: str, found: list[dict[str, float]], limit: str) -> list[str]:
    medians = {name: statistics.median(each[name] for each in found) for name in found[0]}
    told = []
    for name in found[0]:
        if name == "ours":
            continue
        ratios = sorted(each["ours"] / each[name] for each in found)
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        peer = "stock" if name == "stock" else "stock command, our image"
        told.append(
            f"| {title} | {medians['ours']:.2f} s | {peer} | {medians[name]:.2f} s "
            f"| {statistics.median(ratios):.2f}x | {low:.2f} to {high:.2f} | {limit} |"
        )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--crowds", type=int, default=4)
    parser.add_argument("--bare", action="store_true", help="the stock command in our image too")
    options = parser.parse_args()
    engine = DockerEngine()
    engine.check()
    hub_images.build_both(engine)
    table = [
        "| work | ours | against | theirs | ratio | middle half | at most |",
        "|---|---|---|---|---|---|---|",
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        sides(Path(folder), engine, options.bare) as running,
    ):
        if options.rounds:
            table += lines("one session", compare(running, one, options.rounds), "0.7x")
        if options.crowds:
            table += lines("ten at once", compare(running, crowd, options.crowds), "0.8x")
    print("\n".join(table))


if __name__ == "__main__":
    main()
