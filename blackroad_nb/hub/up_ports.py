"""Which ports the hub of `up` takes: those it had, or the next that are free."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterable

from blackroad_nb.errors import Conflict, InvalidInput
from blackroad_nb.hub.up_state import LOOPBACK

FIRST_PORT = 8000
PORTS_TRIED = 100
# Below what systems hand out for outgoing connections, so that none takes a port that
# running sessions know their hub by.
_INNER = range(20_000, 32_000)


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def public_port(
    wanted: int | None, kept: int | None, ours: bool, free: Callable[[int], bool] = is_free
) -> int:
    """Return the port of the pages.

    Args:
        wanted: what the user asked for; None takes the one before, or a free one.
        kept: the one before.
        ours: our own proxy is listening on the one before.

    Raises:
        InvalidInput: it is taken, or none is free.
    """
    if kept is not None and (ours or free(kept)) and wanted in (None, kept):
        return kept
    if wanted is not None:
        if free(wanted):
            return wanted
        raise InvalidInput(f"port {wanted} is in use; give another, or none to take a free one.")
    return _first(range(FIRST_PORT, FIRST_PORT + PORTS_TRIED), free)


def hub_port(kept: int | None, sessions: int, free: Callable[[int], bool] = is_free) -> int:
    """Return the hub's own port; sessions that are running know the one before.

    Raises:
        Conflict: it is taken, and sessions that need it are running.
    """
    if kept is not None and free(kept):
        return kept
    if kept is not None and sessions:
        raise Conflict(
            f"port {kept}, by which {sessions} running session{'s'[: sessions > 1]} know"
            f"{'s'[: sessions == 1]} the hub, is in use; end the program that took it, or stop "
            "the sessions with `blackroad-nb down`."
        )
    return inner_port(free)


def inner_port(free: Callable[[int], bool] = is_free) -> int:
    """Return a free port that nobody needs to remember."""
    tries = [_INNER.start + secrets.randbelow(len(_INNER)) for _ in range(PORTS_TRIED)]
    return _first(tries, free)


def _first(ports: Iterable[int], free: Callable[[int], bool]) -> int:
    tried = list(ports)
    for port in tried:
        if free(port):
            return port
    raise InvalidInput(f"no port from {tried[0]} on is free; give one with --port.")
