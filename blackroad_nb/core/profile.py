"""A profile: what a session is made of, what it may use and who may start it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the host inside a session; both paths are absolute."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """One card of the spawn page, and the limits behind it.

    Attributes:
        name: the slug that choices, links and labels carry.
        image: None takes the hub's own (`NOTEBOOK_IMAGE`).
        cpus: processors, a fraction counts.
        idle_seconds: how long without activity before a session may be stopped.
        max_age_seconds: how long a session may live; None sets no bound.
        groups, users: who may start it; both empty means everyone who may launch.
        price: the label people see before they start, for example "0.40 EUR per hour".
        max_sessions: how many may run at once; None leaves it to the hub's limit.
    """

    name: str
    title: str
    description: str = ""
    image: str | None = None
    cpus: float = 2.0
    memory_bytes: int = 8 * GIB
    pids: int = 1024
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    idle_seconds: int = 4 * 3600
    max_age_seconds: int | None = None
    groups: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    price: str = ""
    max_sessions: int | None = None


DEFAULT_PROFILE = Profile(
    name="standard", title="Standard", description="JupyterLab with Python, for everyday research."
)


@dataclass(frozen=True, slots=True)
class LaunchPolicy:
    """What the operator allows, as read from her one configuration file.

    Attributes:
        profiles: in the order of the cards; the first is the default.
        max_sessions: running at once on the whole hub.
        max_sessions_per_user: running at once for one user.
        enabled: the switch `FEATURE_NOTEBOOK_LAUNCHER`.
    """

    profiles: tuple[Profile, ...] = (DEFAULT_PROFILE,)
    max_sessions: int = 5
    max_sessions_per_user: int = 5
    enabled: bool = True
