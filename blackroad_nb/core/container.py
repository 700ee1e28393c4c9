"""A session's container, whole, before any engine hears of it.

`container_spec` decides everything that isolates a session: image, limits, mounts,
rights, environment and labels. Whoever talks to an engine only carries it out.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from blackroad_nb.core.launch import LaunchChoice
from blackroad_nb.core.profile import Mount, Profile
from blackroad_nb.core.server import ServerRecord
from blackroad_nb.errors import InvalidInput

HOME = "/home/jovyan"
WORK = f"{HOME}/work"
TEMPLATES = "/templates"
USER_ID = 1000  # jovyan; the group has the same number
COMMAND = ("blackroad-nb", "singleuser")
PORT = 8888

LABEL_HUB = "blackroad.hub"
LABEL_SESSION = "blackroad.session"
LABEL_USER = "blackroad.user"
LABEL_SERVER = "blackroad.server"
LABEL_PROFILE = "blackroad.profile"

# Below these nothing is ever writable, whatever a profile's mount says.
READ_ONLY_TARGETS = ("/app", "/data", TEMPLATES)

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_SLUG_LENGTH = 40
_NANO = 1_000_000_000
_LOG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a hub's containers live.

    Attributes:
        hub_id: tells the containers of one hub from those of another on the same engine.
        image: what a profile without an image of its own gets.
        network: the engine's network that sessions are on.
        workspaces: folder of the host with one folder for each user.
        templates: folders of the host with notebook templates.
        mounts: what every session gets beside its profile's mounts.
    """

    hub_id: str
    image: str
    network: str
    workspaces: str
    templates: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What an engine is asked for.

    Attributes:
        memory_swap_bytes: memory and swap together; as much as the memory means no swap.
        pids: processes and threads at once.
        log_bytes: of what the server prints, kept by the engine.
        stop_seconds: between the polite signal and the other one.
    """

    name: str
    image: str
    command: tuple[str, ...]
    user: str
    working_dir: str
    network: str
    nano_cpus: int
    memory_bytes: int
    memory_swap_bytes: int
    pids: int
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    cap_drop: tuple[str, ...] = ("ALL",)
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ("no-new-privileges:true",)
    log_bytes: int = _LOG_BYTES
    stop_seconds: int = 10


@dataclass(frozen=True, slots=True)
class Container:
    """A container of ours as the engine describes it.

    Attributes:
        state: the engine's word, such as "created", "running", "exited" or "removing".
        exit_code: of the main process once it has ended.
        out_of_memory: a process in it was killed because the memory limit was reached.
        error: why the engine could not start it, in the engine's words.
        addresses: the container's address by network.
    """

    id: str
    name: str
    state: str
    labels: Mapping[str, str]
    created_at: datetime
    exit_code: int | None = None
    out_of_memory: bool = False
    error: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def session(self) -> str:
        return self.labels.get(LABEL_SESSION, "")

    @property
    def alive(self) -> bool:
        return self.state in ("running", "paused", "restarting")


def container_spec(
    profile: Profile, choice: LaunchChoice, record: ServerRecord, place: Place
) -> ContainerSpec:
    """Return the container of this session.

    Raises:
        InvalidInput: two mounts have the same target.
    """
    templates = template_targets(place.templates)
    mounts = (
        *(Mount(source, target) for source, target in templates.items()),
        *(_protected(mount) for mount in (*place.mounts, *profile.mounts)),
        Mount(workspace_folder(place.workspaces, record.user), WORK, read_only=False),
    )
    _check_targets(mounts, profile)
    return ContainerSpec(
        name=container_name(place.hub_id, record.user, record.server_name),
        image=profile.image or place.image,
        command=COMMAND,
        user=f"{USER_ID}:{USER_ID}",
        working_dir=HOME,
        network=place.network,
        nano_cpus=round(profile.cpus * _NANO),
        memory_bytes=profile.memory_bytes,
        memory_swap_bytes=profile.memory_bytes,
        pids=profile.pids,
        labels={
            LABEL_HUB: place.hub_id,
            LABEL_SESSION: record.id,
            LABEL_USER: record.user,
            LABEL_SERVER: record.server_name,
            LABEL_PROFILE: profile.name,
        },
        environment=_environment(profile, choice, record, tuple(templates.values())),
        mounts=mounts,
    )


def slug(name: str) -> str:
    """Return a name as lower-case letters, digits and single hyphens; no two are alike.

    Everything but a-z and 0-9 becomes a hyphen with the two hexadecimal digits of each
    byte. A result that is too long is cut, and told apart by a digest after "-z", which
    no escape begins with.
    """
    raw = name.encode("utf-8", "surrogatepass")
    text = "".join(chr(byte) if chr(byte) in _PLAIN else f"-{byte:02x}" for byte in raw)
    if len(text) <= _SLUG_LENGTH:
        return text
    digest = hashlib.sha256(raw).hexdigest()[:32]
    return f"{text[: _SLUG_LENGTH - 24].rstrip('-')}-z{digest}"


def container_name(hub_id: str, user: str, server_name: str = "") -> str:
    """Return the name of a server's container: one server never has two."""
    parts = [f"blackroad-{slug(hub_id)}", slug(user)]
    if server_name:
        parts.append(slug(server_name))
    return "--".join(parts)


def workspace_folder(workspaces: str, user: str) -> str:
    """Return the folder of the host that a user's work is kept in."""
    return f"{workspaces.rstrip('/')}/{slug(user)}/work"


def template_targets(folders: Iterable[str]) -> dict[str, str]:
    """Return where each folder of templates is inside a container: /templates if it is alone."""
    sources = tuple(dict.fromkeys(folders))
    if len(sources) == 1:
        return {sources[0]: TEMPLATES}
    return {source: f"{TEMPLATES}/{number}" for number, source in enumerate(sources, 1)}


def with_inner_mounts(spec: ContainerSpec, mount_points: Iterable[str]) -> ContainerSpec:
    """Return the specification with a read-only mount for each file system inside one.

    Docker before 25 makes a mount read-only, but not what the host has mounted below it.

    Args:
        mount_points: where the host has file systems mounted.
    """
    taken = {mount.target for mount in spec.mounts}
    inner: list[Mount] = []
    for mount in spec.mounts:
        below = f"{mount.source.rstrip('/')}/"
        for point in sorted(set(mount_points)) if mount.read_only else ():
            target = f"{mount.target.rstrip('/')}/{point.removeprefix(below)}"
            if point.startswith(below) and point != below and target not in taken:
                taken.add(target)
                inner.append(Mount(point, target, read_only=True))
    return replace(spec, mounts=(*spec.mounts, *inner))


def _environment(
    profile: Profile, choice: LaunchChoice, record: ServerRecord, templates: tuple[str, ...]
) -> dict[str, str]:
    ours = {
        "PYTHONPATH": "/app",
        "DATA_PATH": "/data",
        "USER_ID": record.user,
        # Kept with the work: the container itself is gone after a stop.
        "NOTEBOOK_DB": f"{WORK}/.blackroad/notebooks.db",
        "JUPYTERLAB_SETTINGS_DIR": f"{WORK}/.jupyter/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": f"{WORK}/.jupyter/workspaces",
    }
    if templates:
        ours["BLACKROAD_TEMPLATES"] = ":".join(templates)
    if choice.template is not None:
        ours["BLACKROAD_TEMPLATE"] = choice.template
        if choice.original:
            ours["BLACKROAD_TEMPLATE_ORIGINAL"] = "1"
    return {**profile.environment, **ours}


def _protected(mount: Mount) -> Mount:
    target = "/" + posixpath.normpath(mount.target).lstrip("/")
    kept = any(target == root or target.startswith(f"{root}/") for root in READ_ONLY_TARGETS)
    return Mount(mount.source, target, mount.read_only or kept)


def _check_targets(mounts: Iterable[Mount], profile: Profile) -> None:
    seen: set[str] = set()
    for mount in mounts:
        if mount.target in seen:
            raise InvalidInput(
                f"Two mounts of the profile {profile.name!r} have the target {mount.target}; "
                "each target can be used once."
            )
        seen.add(mount.target)
