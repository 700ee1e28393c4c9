"""Which containers nobody owns any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from blackroad_nb.core.container import Container

RUNS_UNOWNED = "runs, but belongs to no session"
ENDED_UNOWNED = "has ended, and belongs to no session"

_GOING = ("removing",)  # the engine is at it


def orphans(
    containers: Iterable[Container],
    active_ids: Collection[str],
    now: datetime,
    grace_seconds: float,
) -> tuple[tuple[Container, str], ...]:
    """Return the containers to remove, each with the reason.

    The list of containers must be older than the list of active sessions: then a
    container that was made in between is in neither, and never taken for an orphan.

    Args:
        active_ids: ids of the sessions that are starting, running or stopping. A
            container of one of them is left alone even when it has ended: its exit
            code is yet to be read.
        grace_seconds: a container younger than this is left alone.
    """
    ripe = now - timedelta(seconds=grace_seconds)
    return tuple(
        (container, RUNS_UNOWNED if container.alive else ENDED_UNOWNED)
        for container in containers
        if container.session not in active_ids
        and container.created_at <= ripe
        and container.state not in _GOING
    )
