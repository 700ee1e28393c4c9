"""Real JupyterHubs, ours and a stock one, each in a process of its own on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
TOKEN = "0123456789abcdef0123456789abcdef"  # of a hub on loopback that is gone in minutes
PASSWORD = "only-for-this-benchmark"
DEADLINE = 120.0
PACKAGES = ("jupyterhub", "dockerspawner", "jupyterhub-traefik-proxy", "sqlalchemy", "tornado")

# What both hubs have in common.
_COMMON = """\
import sys
sys.path.insert(0, {here!r})
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://0.0.0.0:{hub_port}"
c.JupyterHub.hub_connect_url = "http://{address}:{hub_port}"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 120}}
c.JupyterHub.services = [{{"name": "benchmark", "api_token": {token!r}}}]
c.TraefikProxy.traefik_api_url = "http://127.0.0.1:{api_port}"
c.TraefikProxy.traefik_api_username = "hub"
c.TraefikProxy.traefik_api_password = {token!r}
c.TraefikProxy.static_config_file = {folder!r} + "/traefik.toml"
c.TraefikFileProviderProxy.dynamic_config_file = {folder!r} + "/rules.toml"
roles, scopes = [], {scopes!r}
{own}
c.JupyterHub.load_roles = [*roles, {{
    "name": "benchmark", "services": ["benchmark"], "scopes": scopes,
}}]
{more}
"""
_SCOPES = ("admin:users", "admin:servers", "admin:groups", "tokens")

OURS = """\
from blackroad_nb.hub.configure import configure
configure(c, state={folder!r} + "/state", **{arguments!r})
roles, scopes = c.JupyterHub.load_roles, [*scopes, "custom:blackroad:manage"]
c.JupyterHub.proxy_class = "blackroad_nb.hub.proxy.LastingTraefikProxy"
"""
STOCK = """\
c.JupyterHub.db_url = "sqlite:///" + {folder!r} + "/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = {folder!r} + "/cookie_secret"
c.JupyterHub.proxy_class = "traefik_file"
"""
STOCK_DOCKER = """\
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = {image!r}
c.DockerSpawner.network_name = {network!r}
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.remove = True
c.DockerSpawner.name_template = {prefix!r} + "-{{username}}"
"""
NO_PROXY = 'c.JupyterHub.proxy_class = "hub_stand_ins.NoProxy"\n'


@dataclass
class Hub:
    """A hub that runs. `url` is its proxy's, the API is asked at the hub itself."""

    folder: Path
    url: str
    hub_url: str
    process: subprocess.Popen[bytes]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the hub's REST API on a new connection; raises OSError when it refuses."""
        return self.timed_call(method, path, body)[1]

    def timed_call(self, method: str, path: str, body: object = None) -> tuple[float, Any]:
        """Call the hub's REST API; return the seconds it took, and the answer."""
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        connection = http.client.HTTPConnection(urlsplit(self.hub_url).netloc, timeout=DEADLINE)
        with contextlib.closing(connection):
            begun = time.perf_counter()
            connection.request(method, f"/hub/api/{path}", content, headers)
            reply = connection.getresponse()
            said = reply.read()
            spent = time.perf_counter() - begun
        if reply.status >= 400:
            raise OSError(f"{method} {path}: {reply.status} {said.decode()}\n{self.log()}")
        return spent, json.loads(said or b"null")

    def start(self, user: str) -> float:
        """Start a session; return the seconds from the request until it is ready."""
        spent, _ = self.timed_call("POST", f"users/{user}/server")
        if not self.servers(user)[""]["ready"]:
            raise RuntimeError(f"The session of {user} is not ready.")
        return spent

    def stop(self, user: str) -> None:
        self.call("DELETE", f"users/{user}/server")
        until(lambda: "" not in self.servers(user))

    def servers(self, user: str) -> dict[str, Any]:
        return dict(self.call("GET", f"users/{user}")["servers"])

    def log(self) -> str:
        return (self.folder / "hub.log").read_text(errors="replace")[-4000:]

    def processes(self) -> list[int]:
        """Return every process of this hub: it has the hub's folder in its environment."""
        mark = f"BENCHMARK_HUB={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


@contextmanager
def hub(
    folder: Path, own: str, more: str = "", users: Sequence[str] = (), **values: Any
) -> Iterator[Hub]:
    """Run a hub in a folder; `own` (with `values` filled in) and `more` configure it."""
    folder.mkdir(parents=True)
    ports = {name: free_port() for name in ("port", "hub_port", "api_port")}
    values = {"address": "127.0.0.1", "folder": str(folder), **values}
    (folder / "config.py").write_text(
        _COMMON.format(
            **ports,
            here=str(HERE),
            address=values["address"],
            folder=values["folder"],
            password=PASSWORD,
            token=TOKEN,
            own=own.format(**values),
            scopes=list(_SCOPES),
            more=more,
        )
    )
    running = Hub(
        folder,
        f"http://127.0.0.1:{ports['port']}/",
        f"http://127.0.0.1:{ports['hub_port']}/",
        _start(folder),
    )
    try:
        until(lambda: _answers(running))
        for user in users:
            running.call("POST", f"users/{user}")
            with contextlib.suppress(OSError):  # a stock hub has no such group
                running.call("POST", "groups/researchers/users", {"users": [user]})
        yield running
    finally:
        for process in {running.process.pid, *running.processes()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        running.process.wait()


def _start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "jupyterhub", "-f", str(folder / "config.py")]
    environment = {**os.environ, "BENCHMARK_HUB": str(folder)}
    with (folder / "hub.log").open("ab") as log:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _answers(running: Hub) -> bool:
    if running.process.poll() is not None:
        raise RuntimeError(f"The hub ended:\n{running.log()}")
    try:
        running.call("GET", "")
    except OSError:
        return False
    return True


def until(reached: Callable[[], Any], seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError("It never came.")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


def machine() -> str:
    """Say how busy the machine is, since that decides what a figure is worth."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}"
