"""`python -m blackroad_nb.hub.service`, as JupyterHub starts it.

The hub starts a service that ended again at once, so this one does not end for what may
pass: a port that is still taken is waited for, a hub that is away too. It ends with the
hub that started it; the next hub starts its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys

from tornado.httpserver import HTTPServer

from blackroad_nb.errors import BlackRoadError
from blackroad_nb.hub.service.app import make_app
from blackroad_nb.hub.service.settings import ServiceSettings, read_settings
from blackroad_nb.hub.service.wiring import parts_for

_PARENT_SECONDS = 1.0
_SHORTEST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_LARGEST = 1024 * 1024  # bytes of a request; what is refused politely is less
_HEADER = 32 * 1024

_log = logging.getLogger("blackroad")


async def serve(settings: ServiceSettings) -> None:
    """Answer until the hub that started this process is gone, or says stop."""
    parts = parts_for(settings)
    server = HTTPServer(make_app(parts), max_body_size=_LARGEST, max_header_size=_HEADER)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    tasks = [
        asyncio.create_task(_listen(server, settings.host, settings.port)),
        asyncio.create_task(_watch_parent(ending)),
        asyncio.create_task(parts.sweeper.run(settings.sweep_seconds)),
    ]
    try:
        await ending.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.stop()
        parts.log.close()


async def _listen(server: HTTPServer, host: str, port: int) -> None:
    """Take the port; a service of a hub that was killed may hold it for a moment more."""
    wait, told = _SHORTEST_WAIT, False
    while True:
        try:
            listener = _bound(host, port)
        except OSError as error:
            if wait == _LONGEST_WAIT and not told:
                _log.error("Port %d of %s cannot be taken: %s", port, host, error.strerror)
                told = True
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        else:
            server.add_socket(listener)
            _log.info("Listening on %s:%d", host, port)
            return


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


async def _watch_parent(ending: asyncio.Event) -> None:
    # The hub may be gone before this process could ask who its parent is.
    parent = int(os.environ.get("BLACKROAD_HUB_PID") or os.getppid())
    while os.getppid() == parent:  # noqa: ASYNC110  # no event tells
        await asyncio.sleep(_PARENT_SECONDS)
    _log.info("The hub that started this is gone")
    ending.set()


def main() -> int:
    """Run the service; returns the exit code."""
    logging.basicConfig(
        level=logging.INFO, format="[%(levelname)1.1s %(asctime)s %(name)s] %(message)s"
    )
    try:
        settings = read_settings(os.environ)
    except BlackRoadError as error:
        sys.stderr.write(f"blackroad-nb: {error.message}\n")
        return error.exit_code
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
