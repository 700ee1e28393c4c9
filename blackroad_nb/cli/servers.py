"""Which notebook server a command means."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from blackroad_nb.adapters.running_servers import RunningServer, running_servers
from blackroad_nb.adapters.server_client import ServerAddress, ServerClient, parse_address
from blackroad_nb.errors import BlackRoadError, RunNotFound, ServerUnreachable


def choose_client(arguments: argparse.Namespace, path: str | None = None) -> ServerClient:
    """Return a client of the server given by `--server URL`, else of the one that fits.

    Args:
        path: the file the server must serve.

    Raises:
        ServerUnreachable: none fits, or several do.
    """
    if arguments.server:
        return ServerClient(_address(arguments.server, arguments.token))
    servers = running_servers()
    fitting = [server for server in servers if path is None or server.serves(path)]
    if len(fitting) > 1 and path is not None:
        fitting = _innermost(fitting)
    if len(fitting) != 1:
        raise ServerUnreachable(_undecided(servers, fitting, path))
    return _client(fitting[0], arguments.token)


def client_of_run(arguments: argparse.Namespace) -> ServerClient:
    """Return a client of the server that was given, or of the one that knows the run.

    Raises:
        RunNotFound: no running server knows the run.
        ServerUnreachable: no server is running, or several know the run.
    """
    if arguments.server:
        return ServerClient(_address(arguments.server, arguments.token))
    servers = running_servers()
    if not servers:
        raise ServerUnreachable(_undecided((), (), None))
    if len(servers) == 1:
        return _client(servers[0], arguments.token)
    knowing = [server for server in servers if _knows(server, arguments)]
    if not knowing:
        raise RunNotFound(f"No running server knows the run {arguments.run_id!r}.")
    if len(knowing) > 1:
        raise ServerUnreachable(_undecided(servers, knowing, None))
    return _client(knowing[0], arguments.token)


def _knows(server: RunningServer, arguments: argparse.Namespace) -> bool:
    """Tell whether the run is of a file of this server; the database may be shared."""
    try:
        run = _client(server, arguments.token).get_run(arguments.run_id)
    except BlackRoadError:
        return False
    return server.serves(run["path"])


def _client(server: RunningServer, token: str | None) -> ServerClient:
    return ServerClient(ServerAddress(server.url, token or server.token, server.socket))


def _address(url: str, token: str | None) -> ServerAddress:
    """Return the address, with the token from Jupyter's own note when none was given."""
    address = parse_address(url, token)
    if address.token:
        return address
    for server in running_servers():
        if _same_place(server.url, address.url):
            return ServerAddress(address.url, server.token)
    return address


def _same_place(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(url: str) -> str:
    return url.rstrip("/").replace("//localhost:", "//127.0.0.1:")


def _innermost(servers: Sequence[RunningServer]) -> list[RunningServer]:
    """Keep the servers whose folder is the deepest: they are nearest to the file."""
    deepest = max(len(server.root) for server in servers)
    return [server for server in servers if len(server.root) == deepest]


def _undecided(
    servers: Sequence[RunningServer], fitting: Sequence[RunningServer], path: str | None
) -> str:
    if not servers:
        return "No notebook server is running; start one with `up`, or give --server URL."
    listed = ", ".join(f"{server.url} ({server.root})" for server in fitting or servers)
    if fitting:
        return f"Several servers could be meant; choose one with --server URL: {listed}."
    return f"No running server serves {path!r}; these are running: {listed}."
