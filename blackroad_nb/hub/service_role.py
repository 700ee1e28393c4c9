"""The hub's own service: how JupyterHub starts it, and what it may.

Each scope has its reason in docs/how-to/manage-sessions.md.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blackroad_nb.errors import InvalidInput
from blackroad_nb.hub.scopes import LAUNCH, MANAGE

NAME = "blackroad"
ACCESS = f"access:services!service={NAME}"

# What a browser's login hands to the service at most; nobody gets more than she has.
OAUTH_SCOPES = (
    ACCESS,
    LAUNCH,
    MANAGE,
    "delete:servers",
    "list:users",
    "read:servers",
    "start:servers",
)
# What the service may by itself: know which sessions run, to find containers without one.
OWN_SCOPES = ("list:users", "read:servers")

_ENGINE = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
SWEEP_SECONDS = "BLACKROAD_SWEEP_SECONDS"
SWEEP_GRACE_SECONDS = "BLACKROAD_SWEEP_GRACE_SECONDS"
_PASSED_ON = (*_ENGINE, SWEEP_SECONDS, SWEEP_GRACE_SECONDS)


def service(
    state: str | Path,
    *,
    profiles: str | Path | None = None,
    hub_id: str = "default",
    sweep: bool = False,
    port: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """Return the entry for `c.JupyterHub.services`.

    Args:
        state: the folder with the log of sessions.
        profiles: the YAML file of profiles, for their titles; None takes the defaults.
        hub_id: whose containers it looks after.
        sweep: sessions are containers, so remove those that nobody owns.
        port: on loopback; None takes one that is free now.
        environment: what reaches the Docker engine is passed on from it, and how often to
            look for containers that nobody owns, and how old these must be.

    Raises:
        InvalidInput: one of these two is not a number of seconds.
    """
    for name in (SWEEP_SECONDS, SWEEP_GRACE_SECONDS):
        seconds(environment, name, default=1.0)
    own = {
        "BLACKROAD_STATE": str(Path(state).absolute()),
        "BLACKROAD_PROFILES": str(Path(profiles).absolute()) if profiles else "",
        "BLACKROAD_HUB_ID": hub_id,
        "BLACKROAD_SWEEP": "1" if sweep else "0",
        "BLACKROAD_HUB_PID": str(os.getpid()),  # configurations are read by the hub itself
    }
    passed_on = {name: environment[name] for name in _PASSED_ON if name in environment}
    return {
        "name": NAME,
        "url": f"http://127.0.0.1:{port or _free_port()}",
        "command": [sys.executable, "-m", "blackroad_nb.hub.service"],
        "environment": own | passed_on,
        "oauth_no_confirm": True,  # it is a part of the hub; nobody is asked about that
        "oauth_client_allowed_scopes": list(OAUTH_SCOPES),
        "display": False,  # it has a link of its own in the bar
    }


def roles() -> list[dict[str, Any]]:
    """Return what belongs into `c.JupyterHub.load_roles` for it."""
    return [
        {
            "name": "blackroad-service",
            "description": "The BlackRoad service: knows which sessions run",
            "scopes": list(OWN_SCOPES),
            "services": [NAME],
        }
    ]


def seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    """Read a number of seconds; unset or empty is the default.

    Raises:
        InvalidInput: it is no positive number.
    """
    said = environment.get(name, "").strip()
    try:
        value = float(said or default)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InvalidInput(f"{name} is {said[:40]!r}; set it to a number of seconds above 0.")
    return value


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])
