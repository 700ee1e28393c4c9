"""A real hub whose sessions are real containers, and a way to ask those sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from hub_process import HubProcess, start_hub, until

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import LABEL_SERVER, LABEL_USER, Container

# The hub listens where containers reach it: on the gateway of their network.
_ADDRESS = """
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_bind_url.replace("127.0.0.1", "0.0.0.0")
c.JupyterHub.hub_connect_url = c.JupyterHub.hub_bind_url.replace("0.0.0.0", {gateway!r})
c.Spawner.poll_interval = 1
c.Spawner.environment = {{"SET_BY_OPERATOR": "yes"}}
c.BlackRoadSpawner.shared_mounts = {mounts!r}
{more}
"""


@dataclass
class DockerHub:
    """A hub, its engine, and the id that tells its containers from others."""

    hub: HubProcess
    engine: DockerEngine
    hub_id: str
    network: str

    def containers(self) -> tuple[Container, ...]:
        return self.engine.list_containers(self.hub_id)

    def container(self, user: str = "ada", server: str = "") -> Container:
        """Return a session's container as the engine describes it."""
        found = [
            container
            for container in self.containers()
            if (container.labels[LABEL_USER], container.labels[LABEL_SERVER]) == (user, server)
        ]
        assert len(found) == 1, found
        return self.engine.inspect(found[0].id)

    def launch(self, user: str = "ada", **options: Any) -> Container:
        """Start a session, wait until it is ready, return its container."""
        status, body = self.hub.start(user, **options)
        assert status in (201, 202), (body, self.hub.log())
        self.hub.wait_ready(user)
        return self.container(user)

    def refused(self, user: str = "ada", **options: Any) -> str:
        """Start a session that must not come up; return what is said."""
        status, body = self.hub.start(user, **options)
        assert status >= 400, (status, body)
        return str(body["message"])

    def inside(self, container: Container, code: str, user: str = "") -> str:
        """Run Python inside a session's container; return what it printed."""
        status, output = self.engine.run(container.id, "python3", "-c", code, user=user)
        assert status == 0, output
        return output

    def last_record(self, user: str = "ada") -> Any:
        """Return the session's newest row once it has ended."""
        from blackroad_nb.adapters.sqlite.servers import SqliteServerLog

        def ended() -> Any:
            log = SqliteServerLog(self.hub.state / "sessions.db")
            try:
                record = log.last(user, "")
            finally:
                log.close()
            return record if record is not None and record.ended else None

        return until(ended)


@contextmanager
def docker_hub(
    folder: Path,
    engine: DockerEngine,
    image: str,
    *,
    network: str,
    mounts: tuple[Mapping[str, Any], ...] = (),
    more: str = "",
    **arguments: Any,
) -> Iterator[DockerHub]:
    """Run a hub with containers in `folder`; remove every container of it at the end."""
    hub_id = f"test-{uuid4().hex[:8]}"
    gateway = engine.ensure_network(network)
    extra = _ADDRESS.format(gateway=gateway, mounts=list(map(dict, mounts)), more=more)
    arguments.setdefault("proxy", False)
    try:
        with start_hub(
            folder,
            docker=True,
            extra_config=extra,
            image=image,
            network=network,
            hub_id=hub_id,
            **arguments,
        ) as hub:
            yield DockerHub(hub, engine, hub_id, network)
    finally:
        for container in engine.list_containers(hub_id):
            engine.remove(container.id)
