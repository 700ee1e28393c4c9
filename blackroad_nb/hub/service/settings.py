"""What the hub tells its service through the environment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from blackroad_nb.errors import InvalidInput
from blackroad_nb.hub import service_role
from blackroad_nb.hub.service_role import seconds

_NEEDED = (
    "JUPYTERHUB_API_TOKEN",
    "JUPYTERHUB_API_URL",
    "JUPYTERHUB_CLIENT_ID",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_SERVICE_URL",
    "BLACKROAD_STATE",
)
SESSIONS_FILE = "sessions.db"
SWEEP_SECONDS = 60.0
GRACE_SECONDS = 120.0  # longer than a start may take, so that a young container is let be


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How the service is set up.

    Attributes:
        prefix: the path it answers under, as browsers see it; ends in a slash.
        hub_host: scheme and host of the hub where services have hosts of their own.
        base_url: the path of the whole hub; ends in a slash.
        public_scheme: "https" when browsers come that way for certain, else "".
        cookie_options: the operator's additions to every cookie.
        sweep_seconds: from one look for containers that nobody owns to the next.
        grace_seconds: a container younger than this is let be.
        profiles: the YAML file of profiles; "" stands for the defaults.
    """

    api_url: str
    token: str
    client_id: str
    host: str
    port: int
    prefix: str
    base_url: str
    hub_host: str
    redirect_uri: str
    public_scheme: str
    host_prefix: bool
    cookie_options: Mapping[str, object]
    state: Path
    hub_id: str
    sweep: bool
    sweep_seconds: float = SWEEP_SECONDS
    grace_seconds: float = GRACE_SECONDS
    profiles: str = ""

    def __repr__(self) -> str:
        return f"ServiceSettings({self.prefix!r})"  # the token stays out of logs

    @property
    def cookie_secret(self) -> bytes:
        """A secret that a restarted service finds again, as long as the hub runs."""
        return hashlib.sha256(b"blackroad-nb cookies " + self.token.encode()).digest()

    @property
    def hub_url(self) -> str:
        """Where browsers find the hub's own pages."""
        return f"{self.hub_host}{self.base_url}hub/"


def read_settings(environment: Mapping[str, str]) -> ServiceSettings:
    """Read the environment of a service that a hub manages.

    Raises:
        InvalidInput: no hub started this process.
    """
    missing = [name for name in _NEEDED if not environment.get(name)]
    if missing:
        raise InvalidInput(
            f"The service is started by JupyterHub, which sets {', '.join(missing)};"
            " see `blackroad_nb.hub.configure`."
        )
    prefix = environment["JUPYTERHUB_SERVICE_PREFIX"].rstrip("/") + "/"
    where = urlsplit(environment["JUPYTERHUB_SERVICE_URL"])
    public = urlsplit(environment.get("JUPYTERHUB_PUBLIC_URL", ""))
    callback = environment.get("JUPYTERHUB_OAUTH_CALLBACK_URL") or f"{prefix}oauth_callback"
    return ServiceSettings(
        api_url=environment["JUPYTERHUB_API_URL"],
        token=environment["JUPYTERHUB_API_TOKEN"],
        client_id=environment["JUPYTERHUB_CLIENT_ID"],
        host=where.hostname or "127.0.0.1",
        port=where.port or 80,
        prefix=prefix,
        base_url=environment.get("JUPYTERHUB_BASE_URL", "/").rstrip("/") + "/",
        hub_host=environment.get("JUPYTERHUB_HOST", ""),
        redirect_uri=callback,
        public_scheme=public.scheme,
        host_prefix=environment.get("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED", "0") in ("1", "True"),
        cookie_options=json.loads(environment.get("JUPYTERHUB_COOKIE_OPTIONS") or "{}"),
        state=Path(environment["BLACKROAD_STATE"]),
        hub_id=environment.get("BLACKROAD_HUB_ID", "default"),
        sweep=environment.get("BLACKROAD_SWEEP", "0") == "1",
        profiles=environment.get("BLACKROAD_PROFILES", ""),
        sweep_seconds=seconds(environment, service_role.SWEEP_SECONDS, SWEEP_SECONDS),
        grace_seconds=seconds(environment, service_role.SWEEP_GRACE_SECONDS, GRACE_SECONDS),
    )
