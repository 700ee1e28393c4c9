"""Stand-ins for hubs that are measured without containers: the hub itself is what counts."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jupyterhub import __version__
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner

from blackroad_nb.hub.policy_mixin import PolicyMixin


class NoProxy(Proxy):  # type: ignore[misc]  # jupyterhub has no types
    """Keeps routes and forwards nothing: nobody comes through the proxy."""

    should_start = False
    routes: dict[str, Any] = {}  # noqa: RUF012  # one proxy in the process

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        return self.routes


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", __version__)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve() -> int:
    """Answer for every session, from a process of its own; return the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


class Instant(Spawner):  # type: ignore[misc]
    """A session that answers before it is started: `SESSIONS_PORT` answers for it."""

    started = False

    async def start(self) -> Any:
        self.started = True
        return "127.0.0.1", int(os.environ["SESSIONS_PORT"])

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002  # JupyterHub gives it
        self.started = False

    async def poll(self) -> int | None:
        return None if self.started else 0

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "started": self.started}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.started = bool(state.get("started"))


class InstantWithPolicy(PolicyMixin, Instant):
    """The same behind our policy."""
