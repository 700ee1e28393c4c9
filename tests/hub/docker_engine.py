"""A real Docker engine for tests, and the image of a session built on it.

`BLACKROAD_TEST_DOCKER` is the engine's socket or address. Without it these tests are
skipped, which the summary says; where `BLACKROAD_TEST_NEEDS_DOCKER` is set, as in CI,
missing it is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.hub.images import build_image

LOCAL_BASE = "debian-base:bookworm"  # what .ci/run makes where no registry can be reached
IMAGE = "blackroad-notebook:test"


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """Return the engine; the tests' own processes find it by `DOCKER_HOST`."""
    where = os.environ.get("BLACKROAD_TEST_DOCKER")
    if not where:
        missing = "NO DOCKER ENGINE: set BLACKROAD_TEST_DOCKER to its socket to run this test"
        if os.environ.get("BLACKROAD_TEST_NEEDS_DOCKER"):
            pytest.fail(missing)
        pytest.skip(missing)
    address = where if "://" in where else f"unix://{where}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        made = DockerEngine()
        made.check()
        yield made
        made.close()


def base_arguments(engine: DockerEngine) -> dict[str, str]:
    """Return which base to build on: the local one where there is one."""
    return {"BASE_IMAGE": LOCAL_BASE} if engine.has_image(LOCAL_BASE) else {}


@pytest.fixture(scope="session")
def notebook_image(engine: DockerEngine) -> str:
    """Return the name of the session image, built from this checkout."""
    build_image(engine, IMAGE, build_args=base_arguments(engine))
    return IMAGE


def new_name() -> str:
    """Return a name that no other test, also of another run on this engine, has."""
    return f"br-test-{uuid4().hex[:8]}"


@pytest.fixture
def network(engine: DockerEngine) -> Iterator[str]:
    """Return the name of a network for one test; it need not be there yet."""
    name = new_name()
    yield name
    engine.remove_network(name)
