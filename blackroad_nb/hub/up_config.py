"""The configuration of the hub that `blackroad-nb up` starts; read in the hub's process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from blackroad_nb.hub.configure import configure
from blackroad_nb.hub.link_authenticator import LinkAuthenticator
from blackroad_nb.hub.proxy import LastingTraefikProxy
from blackroad_nb.hub.scopes import ADMINS
from blackroad_nb.hub.up_spawner import UpSpawner, sweep_for_ever
from blackroad_nb.hub.up_state import LOOPBACK, PROXY_USER, Settings, StateFolder

_tasks: set[asyncio.Task[None]] = set()  # a loop forgets what nobody holds


def configure_up(c: Any, folder: str) -> None:
    """Set everything of the hub whose state lies in the folder.

    Raises:
        RuntimeError: `up` has never been started there.
    """
    state = StateFolder(Path(folder))
    settings = state.settings()
    if settings is None:
        raise RuntimeError(f"there are no settings in {folder}; run `blackroad-nb up` first")
    c.JupyterHub.load_groups = {ADMINS: {"users": [settings.owner]}}
    configure(
        c,
        state=state.path,
        profiles=state.profiles,
        docker=settings.docker,
        workspaces=(settings.folder or None) if settings.docker else None,
        hub_id=settings.hub_id,
        image=settings.image or None,
    )
    _set_addresses(c, settings)
    _set_proxy(c, state, settings)
    _set_owner(c, state, settings)
    if not settings.docker:
        _set_local_sessions(c, state, settings)


def _set_addresses(c: Any, settings: Settings) -> None:
    hub = c.JupyterHub
    hub.bind_url = f"http://{LOOPBACK}:{settings.port}"
    hub.hub_bind_url = f"http://{settings.hub_ip}:{settings.hub_port}"
    hub.hub_connect_url = f"http://{settings.hub_ip}:{settings.hub_port}"
    hub.upgrade_db = True  # with a copy of the old file beside it
    # Pages do not wait for sessions that take their time to answer; those are pending.
    hub.init_spawners_timeout = 1
    # Stopped as it should be, nothing is left; killed, everything is found again.
    hub.cleanup_servers = True
    hub.cleanup_proxy = True


def _set_proxy(c: Any, state: StateFolder, settings: Settings) -> None:
    c.JupyterHub.proxy_class = LastingTraefikProxy
    proxy = c.LastingTraefikProxy
    proxy.static_config_file = str(state.path / "traefik.toml")
    proxy.dynamic_config_file = str(state.path / "routes.toml")
    proxy.claim_file = str(state.proxy_claim)
    proxy.traefik_api_url = f"http://{LOOPBACK}:{settings.proxy_port}"
    proxy.traefik_api_username = PROXY_USER
    proxy.traefik_api_password = settings.proxy_secret
    proxy.traefik_log_level = "ERROR"


def _set_owner(c: Any, state: StateFolder, settings: Settings) -> None:
    c.JupyterHub.authenticator_class = LinkAuthenticator
    c.LinkAuthenticator.link_file = str(state.link_file)
    c.LinkAuthenticator.owner = settings.owner
    c.LinkAuthenticator.allowed_users = {settings.owner}
    c.LinkAuthenticator.admin_users = {settings.owner}
    c.JupyterHub.api_tokens = {settings.api_token: settings.owner}


def _set_local_sessions(c: Any, state: StateFolder, settings: Settings) -> None:
    c.JupyterHub.spawner_class = UpSpawner
    c.Spawner.disable_user_config = False  # it is the owner's own machine
    c.UpSpawner.owner = settings.owner
    c.UpSpawner.work_root = settings.folder
    c.UpSpawner.database = settings.database
    c.UpSpawner.claims = str(state.claims)
    task = asyncio.get_running_loop().create_task(sweep_for_ever(state.claims, state.path))
    _tasks.add(task)
