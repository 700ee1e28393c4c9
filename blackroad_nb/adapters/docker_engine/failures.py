"""What an engine's refusals and silences mean, in one sentence with a remedy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any

import docker
import requests

from blackroad_nb.core.container import ContainerSpec
from blackroad_nb.errors import BlackRoadError, EngineUnavailable, SessionFailed

_REASONS = (  # the engine's own words, and what they are to us
    (r"bind source path does not exist: (?P<what>.+)", "mount_missing"),
    (r"is already in use by container", "name_taken"),
    (r"no such image|pull access denied|manifest unknown", "image_missing"),
    (r"range of cpus is from|minimum memory limit|not enough memory", "no_capacity"),
    (r"no space left on device|disk quota exceeded", "disk_full"),
    (r"no available ip|address pools|could not find an available", "no_addresses"),
    (r"network (?P<what>\S+) not found|endpoint with name", "network_missing"),
    (
        r"executable file not found|exec format error|no such file or directory: unknown",
        "bad_image",
    ),
    (r"permission denied", "engine_denied"),
)


class NoSuchContainer(BlackRoadError):
    """The container is not there (any more)."""

    code = "container_not_found"
    status = 404


def failure_of(
    error: Exception, what: str, address: str, spec: ContainerSpec | None = None
) -> BlackRoadError:
    """Return what went wrong as one of our errors: what happened, and what to do."""
    if isinstance(error, docker.errors.APIError):
        if error.status_code == 404 and "no such container" in str(error.explanation).lower():
            return NoSuchContainer("The container is not there any more.")
        return _refusal(str(error.explanation or error), what, spec)
    return _unreachable(error, what, address)


def _refusal(said: str, what: str, spec: ContainerSpec | None) -> SessionFailed:
    for pattern, reason in _REASONS:
        match = re.search(pattern, said, re.IGNORECASE)
        if match:
            named = (match.groupdict().get("what") or "").strip()
            return SessionFailed(_remedy(reason, named, said, spec), reason)
    return SessionFailed(f"The Docker engine could not {what}: {short(said)}", "engine_refused")


def _remedy(reason: str, named: str, said: str, spec: ContainerSpec | None) -> str:
    inner = short(said).rstrip(".")
    image = repr(spec.image) if spec else "of the session"
    network = repr(spec.network) if spec else "of the sessions"
    return {
        "mount_missing": f"The folder {named} of this machine is to be mounted but does not "
        "exist; create it, or take the mount out of the profile.",
        "image_missing": f"The image {image} is not on this machine; build or pull it "
        "(blackroad-nb up --docker builds the default one), or name another in the profile.",
        "name_taken": "A container of this session is there already and is not this hub's; "
        "give each hub on this machine its own hub_id.",
        "no_capacity": f"This machine cannot give what the profile asks for ({inner}); "
        "lower the profile's cpus or memory.",
        "disk_full": "The disk that Docker uses is full; free space, for example with "
        "`docker image prune`, and start again.",
        "no_addresses": "Docker has no free network address left; stop sessions, remove unused "
        "networks (`docker network prune`), or widen default-address-pools.",
        "network_missing": f"The Docker network {network} is missing; restart the hub, "
        "which makes it.",
        "bad_image": f"The image {image} cannot run a session ({inner}); "
        "base it on hub/Dockerfile.notebook.",
        "engine_denied": f"Docker was not permitted to do this: {short(said)}",
    }[reason]


def _unreachable(error: Exception, what: str, address: str) -> EngineUnavailable:
    place = address.removeprefix("unix://")
    causes = tuple(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EngineUnavailable(
            f"This user may not use Docker's socket {place}; let an administrator run "
            "`sudo usermod -aG docker $USER`, then log in again."
        )
    if any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
        return EngineUnavailable(
            f"The Docker engine at {place} does not answer in time to {what}; see its log "
            "(journalctl -u docker), or restart it."
        )
    if shutil.which("dockerd") is None and shutil.which("docker") is None:
        return EngineUnavailable(
            f"No Docker engine answers at {place}, and Docker is not installed; install it "
            "(https://docs.docker.com/engine/install/)."
        )
    return EngineUnavailable(
        f"The Docker engine does not answer at {place}; start it "
        "(sudo systemctl start docker), or point DOCKER_HOST to it."
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything it was raised from; urllib3 keeps some in `args`."""
    pending: list[Any] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop()
        if isinstance(cause, tuple):
            pending += cause
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [cause.__cause__, cause.__context__, getattr(cause, "reason", None)]
        pending += [*cause.args]


def short(said: object) -> str:
    """Return what an engine said as the end of one sentence."""
    text = " ".join(str(said).split())
    return (text if len(text) <= 300 else f"{text[:297]}...").rstrip(".") + "."
