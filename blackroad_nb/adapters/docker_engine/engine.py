"""One engine, asked for what sessions need.

Everything here is synchronous and may take as long as the engine does; callers in an
event loop use threads. What goes wrong is said by `failure_of` in one sentence.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from threading import Lock
from typing import Any

import docker
import requests

from blackroad_nb.adapters.docker_engine.failures import failure_of, short
from blackroad_nb.adapters.docker_engine.words import (
    container_config,
    inspected,
    listed,
    mount_points,
)
from blackroad_nb.core.container import (
    LABEL_HUB,
    Container,
    ContainerSpec,
    with_inner_mounts,
)
from blackroad_nb.errors import BlackRoadError, EngineUnavailable, SessionFailed

OLDEST = "20.10"
OLDEST_API = (1, 41)
DEEP_READ_ONLY_API = (1, 44)  # Docker 25: read-only is what is mounted below, too
DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
NETWORK_LABEL = "blackroad.network"
_ANSWER_SECONDS = 60


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _ignore(_: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a machine has in all, not what is free."""

    cpus: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an image is built.

    Attributes:
        dockerfile: inside the folder.
        network: of the steps of the build, such as "host"; None leaves it to the engine.
    """

    dockerfile: str = "Dockerfile"
    network: str | None = None


class DockerEngine:
    """One engine, at `DOCKER_HOST` or where engines are by default.

    Args:
        connect: makes the `docker.APIClient`; None makes one for `address`.
        address: where the engine listens; None takes `DOCKER_HOST` or the default.
        timeout_seconds: how long to wait for an answer.
    """

    def __init__(
        self,
        connect: Callable[[], Any] | None = None,
        *,
        address: str | None = None,
        timeout_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        self._client: Any = None
        self._lock = Lock()
        self._make = connect or self._connect
        self._timeout = timeout_seconds
        self.address = address or os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = self._make()
        return self._client

    def _connect(self) -> Any:
        try:
            docker.utils.parse_host(self.address)
        except docker.errors.DockerException as error:
            raise EngineUnavailable(
                f"DOCKER_HOST is {self.address!r}, which is no address of a Docker engine "
                f"({short(error)}); unset it, or set it like {DEFAULT_ADDRESS}."
            ) from None
        if self.address.startswith("unix://"):
            # Docker's library leaves a socket open when nobody listens; this one does not.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(self._timeout)
                probe.connect(self.address.removeprefix("unix://"))
        settings = {**docker.utils.kwargs_from_env(), "base_url": self.address}
        return docker.APIClient(version="auto", timeout=self._timeout, **settings)

    def check(self) -> str:
        """Return the engine's version.

        Raises:
            EngineUnavailable: it is not installed, not running, not for this user or too old.
        """
        try:
            with self._asking("ask the Docker engine for its version"):
                answer = self.client.version(api_version=False)
        except EngineUnavailable:
            raise
        except BlackRoadError as error:
            raise EngineUnavailable(
                f"What listens at {self.address} is no Docker engine that can be used; point "
                f"DOCKER_HOST to one. {error.message}"
            ) from None
        version, api = str(answer.get("Version", "?")), str(answer.get("ApiVersion", "0"))
        if _version(api) < OLDEST_API:
            raise EngineUnavailable(
                f"Docker {version} is too old; install {OLDEST} or newer "
                "(https://docs.docker.com/engine/install/)."
            )
        return version

    def capacity(self) -> Capacity:
        """Return what the engine's machine has in all."""
        with self._asking("ask the Docker engine for its machine's size"):
            answer = self.client.info()
        return Capacity(cpus=int(answer["NCPU"]), memory_bytes=int(answer["MemTotal"]))

    # networks --------------------------------------------------------------------
    def ensure_network(self, name: str) -> str:
        """Make the sessions' network if it is missing; return its gateway on the host.

        The network leads nowhere outside the machine, and its members do not reach each
        other. A network of that name that somebody else made is used as it is.
        """
        with self._lock, self._asking(f"set up the network {name!r}"):
            found = self._networks(name)
            if not found:
                made = self._create_network(name)
                found = self._networks(name)
                if made != found[0]:  # an engine makes two when two ask at once: the older stays
                    self.client.remove_network(made)
            network = self.client.inspect_network(found[0])
        for part in network["IPAM"]["Config"] or ():
            if part.get("Gateway"):
                return str(part["Gateway"]).split("/")[0]
            if part.get("Subnet"):  # a network with a subnet of its own choice says no more
                return str(next(ip_network(part["Subnet"]).hosts()))
        raise EngineUnavailable(
            f"The Docker network {name!r} has no gateway for the hub to listen on; remove it "
            f"(docker network rm {name}) and it is made anew."
        )

    def _networks(self, name: str) -> list[str]:
        """Return the ids of the networks of exactly this name, the oldest first."""
        rows = [row for row in self.client.networks(names=[name]) if row["Name"] == name]
        return [row["Id"] for row in sorted(rows, key=lambda row: (row["Created"], row["Id"]))]

    def _create_network(self, name: str) -> str:
        answer = self.client.create_network(
            name,
            driver="bridge",
            internal=True,
            options={"com.docker.network.bridge.enable_icc": "false"},
            labels={NETWORK_LABEL: name},
        )
        return str(answer["Id"])

    def remove_network(self, name: str) -> bool:
        """Remove a network that `ensure_network` made; False when it is not there or not ours."""
        with self._asking(f"remove the network {name!r}"):
            try:
                if name not in (self.client.inspect_network(name).get("Labels") or {}).values():
                    return False
                self.client.remove_network(name)
            except docker.errors.NotFound:
                return False
        return True

    # images ----------------------------------------------------------------------
    def has_image(self, name: str) -> bool:
        with self._asking(f"look for the image {name!r}"):
            try:
                self.client.inspect_image(name)
            except docker.errors.ImageNotFound:
                return False
        return True

    def pull_image(self, name: str) -> None:
        """Get the image from its registry. Raises SessionFailed when it is not there."""
        at = name.rfind(":")
        repository, tag = (name[:at], name[at + 1 :]) if at > name.rfind("/") else (name, "latest")
        with self._asking(f"pull the image {name!r}"):
            for line in self.client.pull(repository, tag, stream=True, decode=True):
                if line.get("error"):
                    raise SessionFailed(
                        f"The image {name!r} could not be pulled: {short(line['error'])}",
                        "image_missing",
                    )

    def build_image(
        self,
        folder: str | Path,
        tag: str,
        build_args: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = _ignore,
        options: BuildOptions | None = None,
    ) -> None:
        """Build an image from a folder; each line the engine says goes to `on_line`.

        Raises:
            SessionFailed: a step of the build failed; its last words are in the message.
        """
        chosen = options or BuildOptions()
        with self._asking(f"build the image {tag!r}"):
            lines = self.client.build(
                path=os.fspath(folder),
                dockerfile=chosen.dockerfile,
                tag=tag,
                buildargs=dict(build_args or {}),
                network_mode=chosen.network,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for line in lines:
                said = str(line.get("error") or line.get("stream") or line.get("status") or "")
                for part in filter(None, (text.rstrip() for text in said.splitlines())):
                    on_line(part)
                if line.get("error"):
                    raise SessionFailed(
                        f"The image {tag!r} could not be built: {short(line['error'])}",
                        "image_build_failed",
                    )

    # containers ------------------------------------------------------------------
    def create(self, spec: ContainerSpec) -> str:
        """Create the container and return its id; nothing runs yet."""
        with self._asking(f"create the container {spec.name!r}", spec):
            config = self._config(spec)
            answer = self.client.create_container_from_config(config, spec.name)
        return str(answer["Id"])

    def _config(self, spec: ContainerSpec) -> dict[str, Any]:
        if _version(self.client.api_version) >= DEEP_READ_ONLY_API:
            return container_config(spec)
        points = mount_points(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
        return container_config(with_inner_mounts(spec, points), flat=True)

    def start(self, container: str, spec: ContainerSpec | None = None) -> None:
        with self._asking("start the container", spec):
            self.client.start(container)

    def inspect(self, container: str) -> Container:
        """Return the container by id or name. Raises NoSuchContainer or EngineUnavailable."""
        with self._asking("look at the container"):
            return inspected(self.client.inspect_container(container))

    def list_containers(self, hub_id: str) -> tuple[Container, ...]:
        """Return every container of this hub, also those that have ended."""
        with self._asking("list the containers"):
            rows = self.client.containers(all=True, filters={"label": [f"{LABEL_HUB}={hub_id}"]})
        return tuple(listed(row) for row in rows)

    def stop(self, container: str, seconds: int = 10) -> None:
        """End the container politely, then by force; one that is gone is no error."""
        with self._asking("stop the container"):
            try:
                self.client.stop(container, timeout=seconds)
            except docker.errors.NotFound:
                return

    def remove(self, container: str) -> None:
        """Remove the container with its anonymous volumes, running or not; gone is no error."""
        with self._asking("remove the container"):
            try:
                self.client.remove_container(container, v=True, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != 409:  # somebody else is removing it
                    raise

    def last_lines(self, container: str, count: int = 20) -> str:
        """Return the end of what the container printed."""
        with self._asking("read the container's log"):
            answer: bytes = self.client.logs(container, tail=count)
        return answer.decode(errors="replace")

    def run(self, container: str, *command: str, user: str = "") -> tuple[int, str]:
        """Run a command inside a running container; return its exit code and output."""
        with self._asking("run a command in the container"):
            made = self.client.exec_create(container, list(command), user=user)
            output: bytes = self.client.exec_start(made["Id"])
            code = int(self.client.exec_inspect(made["Id"])["ExitCode"])
        return code, output.decode(errors="replace")

    def run_once(self, spec: ContainerSpec) -> tuple[int, str]:
        """Run a container to its end; return exit code and output. It leaves nothing behind."""
        container = self.create(spec)
        try:
            self.start(container, spec)
            with self._asking("wait for the container"):
                code = int(self.client.wait(container)["StatusCode"])
            return code, self.last_lines(container)
        finally:
            self.remove(container)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    @contextmanager
    def _asking(self, what: str, spec: ContainerSpec | None = None) -> Iterator[None]:
        try:
            yield
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise failure_of(error, what, self.address, spec) from error
