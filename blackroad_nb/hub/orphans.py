"""Containers that nobody owns any more, found and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import Container
from blackroad_nb.core.orphans import orphans


async def sweep(
    hub_id: str,
    active_ids: Callable[[], Awaitable[Collection[str]]],
    engine: DockerEngine | None = None,
    *,
    grace_seconds: float,
) -> tuple[tuple[Container, str], ...]:
    """Remove this hub's containers that belong to no session; return each with the reason.

    Args:
        active_ids: asks the hub for the ids of its sessions that have not ended. It is
            called once the containers have been listed: a container made in between is
            in no list, so that it is never taken for an orphan.
        engine: None takes the one that `DOCKER_HOST` or the default names.

    Raises:
        EngineUnavailable: nothing was listed, or not everything could be removed. What
            `active_ids` raises passes through: who does not know removes nothing.
    """
    asked = engine or DockerEngine()
    try:
        return await _sweep(asked, hub_id, active_ids, grace_seconds)
    finally:
        if engine is None:
            asked.close()


async def _sweep(
    engine: DockerEngine,
    hub_id: str,
    active_ids: Callable[[], Awaitable[Collection[str]]],
    grace_seconds: float,
) -> tuple[tuple[Container, str], ...]:
    found = await asyncio.to_thread(engine.list_containers, hub_id)
    if not found:
        return ()
    left = orphans(found, frozenset(await active_ids()), datetime.now(UTC), grace_seconds)
    for container, _ in left:
        await asyncio.to_thread(engine.remove, container.id)
    return left
