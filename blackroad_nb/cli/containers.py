"""What `up --docker` needs of the engine: an image, a network, and nothing left at the end."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.cli.failures import one_line
from blackroad_nb.cli.terminal import is_terminal
from blackroad_nb.errors import EngineUnavailable
from blackroad_nb.hub.images import DEFAULT_IMAGE, build_image
from blackroad_nb.hub.up_state import Ground

NETWORK = "blackroad"
_STOP_SECONDS = 10


def prepare(arguments: argparse.Namespace, say: Callable[[str], None]) -> Ground:
    """Check the engine, set the network up and see that there is an image.

    Raises:
        EngineUnavailable: there is no engine, or not for this user.
        SessionFailed: the image can be neither found nor built.
    """
    engine = DockerEngine()
    say(f"Docker {engine.check()} answers at {engine.address}.")
    gateway = engine.ensure_network(NETWORK)
    say(f"The network {NETWORK!r} is set up; sessions reach the hub at {gateway}.")
    image = arguments.image or os.environ.get("NOTEBOOK_IMAGE") or DEFAULT_IMAGE
    own = image == DEFAULT_IMAGE
    if arguments.build or (own and not engine.has_image(image)):
        _build(engine, image, arguments.base_image, say)
    elif not engine.has_image(image):
        say(f"Fetching the image {image} ...")
        engine.pull_image(image)
    say(f"The image {image} is there.")
    return Ground(image, gateway)


def running(hub_id: str) -> int | None:
    """Return how many containers of the hub are running; None when the engine is away."""
    try:
        found = DockerEngine(timeout_seconds=5).list_containers(hub_id)
    except EngineUnavailable:
        return None
    return sum(container.state == "running" for container in found)


def end_containers(hub_id: str) -> None:
    """Stop and remove every container of the hub. Raises EngineUnavailable."""
    engine = DockerEngine()
    for container in engine.list_containers(hub_id):
        engine.stop(container.id, _STOP_SECONDS)
        engine.remove(container.id)


def _build(engine: DockerEngine, image: str, base: str | None, say: Callable[[str], None]) -> None:
    say(f"Building the image {image}; this takes a few minutes the first time ...")
    began = time.monotonic()
    with _progress() as show:
        build_image(engine, image, show, build_args={"BASE_IMAGE": base} if base else None)
    say(f"Built in {time.monotonic() - began:.0f} s.")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show each line of a build beneath the last; on a terminal one over the other."""
    live = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"

    def show(line: str) -> None:
        text = one_line(line)
        sys.stderr.write(f"\r\x1b[K  {text[:76]}" if live else f"  {text}\n")
        sys.stderr.flush()

    try:
        yield show
    finally:
        if live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
