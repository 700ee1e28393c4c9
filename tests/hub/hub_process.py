"""A real JupyterHub in a process of its own, on loopback, on ports the system chose."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

DEADLINE = 60.0
STOP_SECONDS = 20.0
PASSWORD = "only-for-this-test"
SERVICE = "tester"  # a service with every right, for setting tests up
TOKEN = "0123456789abcdef0123456789abcdef"

_CONFIG = """\
c = get_config()
from blackroad_nb.hub.configure import configure
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {admins!r}
c.JupyterHub.allow_named_servers = True
c.JupyterHub.log_level = "INFO"
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 30}}
c.JupyterHub.load_groups = {groups!r}
c.JupyterHub.services = [{{"name": {service!r}, "api_token": {token!r}}}]
{proxy}
{first}
configure(c, state={state!r}, docker={docker!r}{arguments})
c.JupyterHub.load_roles = [*c.JupyterHub.load_roles, {{
    "name": "testing", "services": [{service!r}], "scopes": [
        "admin:users", "admin:servers", "admin:groups", "tokens", "list:services", "read:hub",
        "custom:blackroad:manage", "shutdown",
    ],
}}]
{extra}
"""

_PROXY = """\
c.JupyterHub.proxy_class = "blackroad_nb.hub.proxy.LastingTraefikProxy"
c.TraefikProxy.traefik_api_url = "http://127.0.0.1:{api_port}"
c.TraefikProxy.traefik_api_username = "hub"
c.TraefikProxy.traefik_api_password = {token!r}
c.TraefikProxy.static_config_file = {static!r}
c.TraefikFileProviderProxy.dynamic_config_file = {dynamic!r}
"""

# Where nobody goes through the proxy, a hub without one starts sooner and weighs less.
_NO_PROXY = """\
from jupyterhub.proxy import Proxy
class NoProxy(Proxy):
    should_start = False
    routes = {}
    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}
    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)
    async def get_all_routes(self):
        return self.routes
c.JupyterHub.proxy_class = NoProxy
"""


def until(reached: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Return what `reached` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


@dataclass
class HubProcess:
    """A hub that runs. `url` is where its proxy listens, `hub_url` where the hub itself does."""

    folder: Path
    url: str
    hub_url: str
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def api(
        self,
        method: str,
        path: str,
        token: str = TOKEN,
        json: Any = None,
        **more: Any,
    ) -> tuple[int, Any]:
        """Call the hub's REST API; return status and what the body says."""
        return self.call(method, f"{self.hub_url}hub/api/{path.lstrip('/')}", token, json, **more)

    def call(
        self, method: str, url: str, token: str | None, body: Any = None, timeout: float = DEADLINE
    ) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"token {token}"
        content = None if body is None else json.dumps(body).encode()
        request = Request(url, content, headers, method=method)
        try:
            with urlopen(request, timeout=timeout) as reply:
                return reply.status, _read(reply.read())
        except HTTPError as error:
            with error:
                return error.code, _read(error.read())

    def add_users(self, *names: str, groups: Sequence[str] = ()) -> None:
        for name in names:
            status, body = self.api("POST", f"users/{quote(name, safe='')}")
            assert status in (201, 409), body
            for group in groups:
                self.join(group, name)

    def join(self, group: str, name: str) -> None:
        status, body = self.api("POST", f"groups/{group}/users", json={"users": [name]})
        assert status == 200, body

    def leave(self, group: str, name: str) -> None:
        status, body = self.api("DELETE", f"groups/{group}/users", json={"users": [name]})
        assert status == 200, body

    def token_for(self, user: str, scopes: Sequence[str] | None = None) -> str:
        """Make a token of a user; without scopes it may what its user may."""
        body = {} if scopes is None else {"scopes": list(scopes)}
        status, made = self.api("POST", f"users/{quote(user, safe='')}/tokens", json=body)
        assert status == 201, made
        return str(made["token"])

    def start(self, user: str, token: str = TOKEN, server: str = "", **options: Any) -> Any:
        """Start a session by REST; return status and body."""
        place = f"servers/{quote(server, safe='')}" if server else "server"
        body = {"user_options": options} if options else None
        return self.api("POST", f"users/{quote(user, safe='')}/{place}", token, json=body)

    def stop_session(self, user: str, token: str = TOKEN, server: str = "") -> Any:
        place = f"servers/{quote(server, safe='')}" if server else "server"
        return self.api("DELETE", f"users/{quote(user, safe='')}/{place}", token)

    def servers(self, user: str) -> dict[str, Any]:
        """Return the user's active servers by name."""
        status, model = self.api("GET", f"users/{quote(user, safe='')}")
        assert status == 200, model
        return dict(model["servers"])

    def wait_ready(self, user: str, server: str = "") -> Any:
        return until(lambda: self.servers(user).get(server, {}).get("ready"))

    def wait_gone(self, user: str, server: str = "") -> None:
        until(lambda: server not in self.servers(user))

    def browser_login(self, page: Any, user: str) -> None:
        """Log a Playwright page in as a user."""
        page.goto(f"{self.url}hub/login")
        page.fill("#username_input", user)
        page.fill("#password_input", PASSWORD)
        page.click("#login_submit")
        page.wait_for_url("**/hub/**")

    def log(self) -> str:
        return (self.folder / "hub.log").read_text(errors="replace")

    def run(self) -> None:
        """Start the process and wait until it answers."""
        with (self.folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.folder / "config.py")],
                env=dict(self.environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._answers)

    def kill(self) -> None:
        """kill -9 the hub alone; proxy, service and sessions stay."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def terminate(self) -> None:
        """Stop the hub as an operator does."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Start it again after `kill` or `terminate`."""
        assert self.process is None or self.process.poll() is not None
        self.run()

    def processes(self) -> list[int]:
        """Return every process that belongs to this hub, found by its folder."""
        mark = os.fsencode(str(self.folder))
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def end(self) -> None:
        """Kill whatever is left of this hub, and only that."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return self.api("GET", "", timeout=5.0)[0] == 200
        except (URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def start_hub(
    folder: Path,
    *,
    users: Mapping[str, Sequence[str]] | None = None,
    admins: Sequence[str] = (),
    extra_config: str = "",
    first_config: str = "",
    docker: bool = True,
    proxy: bool = True,
    profiles: str | None = None,
    environment: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Iterator[HubProcess]:
    """Run a hub in `folder` until the block ends; then kill what is left of it.

    Args:
        users: name -> groups of each user there is; by default ada, a researcher.
        admins: users with JupyterHub's own role `admin`.
        extra_config: Python that runs after `configure`.
        first_config: Python that runs before it.
        docker: sessions in containers; False makes them processes.
        proxy: with Traefik in front; without, only the hub itself can be asked.
        profiles: text of the file of profiles.
        environment: variables of the hub's process.
        arguments: more arguments of `configure`.
    """
    people = {"ada": ("researchers",)} if users is None else users
    ports = {"port": free_port(), "hub_port": free_port(), "api_port": free_port()}
    groups: dict[str, Any] = {}
    for name, of in people.items():
        for group in of:
            groups.setdefault(group, {"users": []})["users"].append(name)
    if profiles is not None:
        (folder / "profiles.yaml").write_text(profiles)
        arguments["profiles"] = str(folder / "profiles.yaml")
    in_front = _PROXY.format(
        token=TOKEN,
        static=str(folder / "traefik.toml"),
        dynamic=str(folder / "rules.toml"),
        **ports,
    )
    (folder / "config.py").write_text(
        _CONFIG.format(
            **ports,
            password=PASSWORD,
            admins=set(admins),
            groups=groups,
            service=SERVICE,
            token=TOKEN,
            state=str(folder / "state"),
            docker=docker,
            proxy=in_front if proxy else _NO_PROXY,
            arguments="".join(f", {name}={value!r}" for name, value in arguments.items()),
            first=first_config,
            extra=extra_config,
        )
    )
    own = {"HUB_TEST_FOLDER": str(folder), **(environment or {})}
    hub = HubProcess(
        folder,
        f"http://127.0.0.1:{ports['port']}/",
        f"http://127.0.0.1:{ports['hub_port']}/",
        {**os.environ, **own},
    )
    try:
        hub.run()
        hub.add_users(*people)
        yield hub
    finally:
        hub.end()


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
