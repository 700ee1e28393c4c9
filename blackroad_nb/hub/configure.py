"""One call that makes a JupyterHub ours: what an operator writes in jupyterhub_config.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blackroad_nb.errors import InvalidInput
from blackroad_nb.hub.hub_identity import hub_id_of
from blackroad_nb.hub.scopes import ADMINS, LAUNCH, RESEARCHERS, SCOPES, roles
from blackroad_nb.hub.service_role import roles as service_roles
from blackroad_nb.hub.service_role import service

SWITCH = "FEATURE_NOTEBOOK_LAUNCHER"
_OFF = ("0", "false", "off", "no")
_ON = ("", "1", "true", "on", "yes")
DEFAULT_IMAGE = "blackroad-notebook:latest"
POLL_SECONDS = 30
_KNOWN_SECONDS = 0.1

# A user with several sessions needs names for them; stopped ones count for JupyterHub.
# A hub that comes back looks into its sessions, but does not wait for those that start:
# they wait for the hub before they answer.
_WHEN_UNSET = {
    "allow_named_servers": True,
    "named_server_limit_per_user": 20,
    "init_spawners_timeout": 1,
}

_tasks: set[asyncio.Task[None]] = set()


def configure(
    c: Any,
    *,
    state: str | Path,
    profiles: str | Path | None = None,
    docker: bool = True,
    templates: Sequence[str | Path] = (),
    workspaces: str | Path | None = None,
    hub_id: str | None = None,
    image: str | None = None,
    network: str = "blackroad",
) -> None:
    """Set everything of ours on JupyterHub's configuration object.

    What the operator sets after this call is hers to set, roles and spawner included.

    Args:
        c: what `get_config()` returns.
        state: folder for the hub's database, its secret and the log of sessions.
        profiles: the YAML file of profiles; None takes one profile with the defaults.
        docker: sessions are containers; False makes them processes, which isolates nothing.
        templates: folders with notebook templates; none takes those that came along.
        workspaces: folder with one folder for each user's work; None puts it in `state`.
        hub_id: tells this hub's containers from those of another on the same engine; None
            takes the one in `state`, which is made there once.
        image: of profiles that name none; None takes `NOTEBOOK_IMAGE`, and failing that
            "blackroad-notebook:latest".
        network: the Docker network that sessions are on.

    Raises:
        SystemExit: a variable of the environment, the file of profiles or the folder cannot
            be used; the sentence on it ends the hub instead of a traceback.
    """
    folder = Path(state).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        enabled = launcher_switch(os.environ.get(SWITCH, ""))
        _check_profiles(profiles)
        identity = hub_id or hub_id_of(folder)
        sessions = service(folder, profiles=profiles, hub_id=identity, sweep=docker)
    except InvalidInput as error:
        raise SystemExit(f"jupyterhub: {error.message}") from None
    except OSError as error:
        raise SystemExit(f"jupyterhub: {folder} cannot be used: {error.strerror}.") from None
    _set_hub(c, folder, enabled)
    _set_spawner(c, docker, network)
    c.JupyterHub.services = [*_listed(c.JupyterHub, "services"), sessions]
    mixin = c.PolicyMixin
    mixin.state_folder = str(folder)
    mixin.profiles_file = str(Path(profiles).absolute()) if profiles else ""
    mixin.workspaces = str(Path(workspaces or folder / "workspaces").absolute())
    mixin.templates = [str(Path(each).absolute()) for each in templates or _own_templates()]
    mixin.hub_id = identity
    mixin.default_image = image or os.environ.get("NOTEBOOK_IMAGE") or DEFAULT_IMAGE
    mixin.launcher_enabled = enabled
    _settle_later(folder)


def launcher_switch(value: str) -> bool:
    """Read `FEATURE_NOTEBOOK_LAUNCHER`.

    Raises:
        InvalidInput: it is neither on nor off; a typing error must not switch anything.
    """
    word = value.strip().lower()
    if word in _OFF:
        return False
    if word in _ON:
        return True
    raise InvalidInput(f"{SWITCH} is {value[:40]!r}; set it to on or off.")


def _set_hub(c: Any, folder: Path, enabled: bool) -> None:
    from blackroad_nb.hub.spawn_page import TEMPLATES, template_vars

    hub = c.JupyterHub
    if "db_url" not in hub:
        hub.db_url = f"sqlite:///{folder / 'jupyterhub.sqlite'}"
    if "cookie_secret_file" not in hub:
        hub.cookie_secret_file = str(folder / "cookie_secret")
    # A hub that is stopped or killed leaves sessions and their connections alone.
    hub.cleanup_servers = False
    hub.cleanup_proxy = False
    hub.custom_scopes = SCOPES
    for name, value in _WHEN_UNSET.items():
        if name not in hub:
            hub[name] = value
    ours = [*roles(_admin_users(c)), *service_roles()]
    hub.load_roles = [*_listed(hub, "load_roles"), *ours]
    if not any(_said_of_authenticators(c, "manage_groups")):  # it brings them itself
        groups: dict[str, Any] = {RESEARCHERS: {"users": []}, ADMINS: {"users": []}}
        hub.load_groups = {**groups, **_mapped(hub, "load_groups")}
    hub.template_paths = [*_listed(hub, "template_paths"), str(TEMPLATES)]
    hub.template_vars = {**_mapped(hub, "template_vars"), **template_vars(enabled, LAUNCH)}


def _set_spawner(c: Any, docker: bool, network: str) -> None:
    name = "docker_spawner.BlackRoadSpawner" if docker else "local_spawner.LocalSpawner"
    c.JupyterHub.spawner_class = f"blackroad_nb.hub.{name}"
    spawner = c.Spawner
    spawner.consecutive_failure_limit = 0  # a hub stays up, however many starts fail
    spawner.poll_interval = POLL_SECONDS
    spawner.start_timeout = 120
    spawner.http_timeout = 60
    spawner.disable_user_config = True
    if docker:
        c.BlackRoadSpawner.network_name = network


def _admin_users(c: Any) -> list[str]:
    """Return the administrators the operator named before: they hold our role as well."""
    return sorted({name for names in _said_of_authenticators(c, "admin_users") for name in names})


def _said_of_authenticators(c: Any, trait: str) -> list[Any]:
    sections = [values for name, values in c.items() if name.endswith("Authenticator")]
    return [values[trait] for values in sections if trait in values]


def _listed(section: Any, name: str) -> list[Any]:
    return list(section[name]) if name in section else []


def _mapped(section: Any, name: str) -> dict[str, Any]:
    return dict(section[name]) if name in section else {}


def _own_templates() -> tuple[Path, ...]:
    from jupyter_core.paths import jupyter_path

    from blackroad_nb.adapters.templates import SHARED, template_folders

    found = template_folders(jupyter_path(SHARED))
    return tuple(folder for folder in found if folder.is_dir())


def _check_profiles(profiles: str | Path | None) -> None:
    from blackroad_nb.hub.profiles import read_profiles

    if profiles is not None:
        read_profiles(Path(profiles))


def _settle_later(folder: Path) -> None:
    """Once the hub knows its servers, end the sessions that a killed hub left open."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # the configuration is read by something else than a hub
        return
    task = loop.create_task(_settle(folder))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _settle(folder: Path) -> None:
    from jupyterhub.app import JupyterHub

    from blackroad_nb.hub.launches import launches_of
    from blackroad_nb.hub.unused_settings import unused_settings

    hub = JupyterHub.instance()
    # It is set after every running server was looked at, and nothing tells when.
    while hub.http_server is None:  # noqa: ASYNC110
        await asyncio.sleep(_KNOWN_SECONDS)
    for record in launches_of(folder).settle():
        hub.log.warning("The session %s of %r is lost", record.id, record.user)
    for sentence in unused_settings(hub.config, hub.spawner_class):
        hub.log.warning("%s", sentence)
