"""Containers that nobody owns: found and removed, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import LABEL_HUB, LABEL_SESSION
from blackroad_nb.core.orphans import ENDED_UNOWNED, RUNS_UNOWNED
from blackroad_nb.errors import HubUnreachable
from blackroad_nb.hub.orphans import sweep

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture
def hub_id(engine: DockerEngine) -> Iterator[str]:
    """Return the id of a hub that has no containers yet; whatever it gets is removed."""
    name = f"test-{uuid4().hex[:8]}"
    yield name
    for container in engine.list_containers(name):
        engine.remove(container.id)


def make(engine: DockerEngine, image: str, hub_id: str, session: str, runs: bool = True) -> str:
    """Create a container that looks like a session's, and start it if it is to run."""
    config = {
        "Image": image,
        "Entrypoint": ["sleep", "600"],
        "Labels": {LABEL_HUB: hub_id, LABEL_SESSION: session},
        "HostConfig": {"NetworkMode": "none"},
    }
    made = engine.client.create_container_from_config(config, f"br-{hub_id}-{session}")
    if runs:
        engine.start(made["Id"])
    return str(made["Id"])


async def active(*ids: str) -> tuple[str, ...]:
    return ids


def test_only_what_nobody_owns_is_removed(
    engine: DockerEngine, notebook_image: str, hub_id: str
) -> None:
    mine = make(engine, notebook_image, hub_id, "mine")
    ended = make(engine, notebook_image, hub_id, "ended", runs=False)
    lost = make(engine, notebook_image, hub_id, "lost")
    other = make(engine, notebook_image, f"{hub_id}-other", "lost")
    try:
        removed = asyncio.run(sweep(hub_id, lambda: active("mine"), engine, grace_seconds=-60))
        assert {(container.id, reason) for container, reason in removed} == {
            (ended, ENDED_UNOWNED),
            (lost, RUNS_UNOWNED),
        }
        assert [container.id for container in engine.list_containers(hub_id)] == [mine]
        assert engine.inspect(other).alive
    finally:
        engine.remove(other)


def test_a_young_container_is_let_be(
    engine: DockerEngine, notebook_image: str, hub_id: str
) -> None:
    make(engine, notebook_image, hub_id, "new")
    assert asyncio.run(sweep(hub_id, active, engine, grace_seconds=120)) == ()
    assert len(engine.list_containers(hub_id)) == 1


def test_a_container_made_while_the_hub_is_asked_is_no_orphan(
    engine: DockerEngine, notebook_image: str, hub_id: str
) -> None:
    make(engine, notebook_image, hub_id, "old")

    async def asked() -> tuple[str, ...]:
        make(engine, notebook_image, hub_id, "meanwhile")
        return ("old",)

    assert asyncio.run(sweep(hub_id, asked, engine, grace_seconds=-60)) == ()
    assert len(engine.list_containers(hub_id)) == 2


def test_without_the_hubs_word_nothing_is_removed(
    engine: DockerEngine, notebook_image: str, hub_id: str
) -> None:
    make(engine, notebook_image, hub_id, "mine")

    async def unreachable() -> tuple[str, ...]:
        raise HubUnreachable("No hub answered.")

    with pytest.raises(HubUnreachable):
        asyncio.run(sweep(hub_id, unreachable, engine, grace_seconds=-60))
    assert len(engine.list_containers(hub_id)) == 1
