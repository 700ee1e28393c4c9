"""A real Docker engine for tests, and the images of this checkout built on it.

`BLACKROAD_TEST_DOCKER` is the engine's socket or address. Without it these tests are
skipped, which the summary says; where `BLACKROAD_TEST_NEEDS_DOCKER` is set, as in CI,
missing it is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

import pytest

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.hub.images import HUB, NOTEBOOK, build_image

LOCAL_BASE = "debian-base:bookworm"  # what .ci/run makes where no registry can be reached
IMAGE, HUB_IMAGE = "blackroad-notebook:test", "blackroad-hub:test"
DOCKERFILES = {IMAGE: NOTEBOOK, HUB_IMAGE: HUB}
FIXTURES = {"notebook_image": IMAGE, "hub_image": HUB_IMAGE}

_builder = pytest.StashKey[ThreadPoolExecutor]()
_builds = pytest.StashKey[dict[str, "Future[None]"]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build the images that are wanted, beside the tests that do not need them."""
    if not os.environ.get("BLACKROAD_TEST_DOCKER") or session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    builder = session.config.stash[_builder] = ThreadPoolExecutor(1)
    session.config.stash[_builds] = {
        image: builder.submit(_build, image) for name, image in FIXTURES.items() if name in wanted
    }


def pytest_sessionfinish(session: pytest.Session) -> None:
    builder = session.config.stash.get(_builder, None)
    if builder is not None:
        builder.shutdown(cancel_futures=True)


def _build(image: str) -> None:
    engine = DockerEngine(address=_address())
    try:
        build_image(engine, image, dockerfile=DOCKERFILES[image], build_args=base_arguments(engine))
    finally:
        engine.close()


def _address() -> str:
    where = os.environ["BLACKROAD_TEST_DOCKER"]
    return where if "://" in where else f"unix://{where}"


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """Return the engine; the tests' own processes find it by `DOCKER_HOST`."""
    if not os.environ.get("BLACKROAD_TEST_DOCKER"):
        missing = "NO DOCKER ENGINE: set BLACKROAD_TEST_DOCKER to its socket to run this test"
        if os.environ.get("BLACKROAD_TEST_NEEDS_DOCKER"):
            pytest.fail(missing)
        pytest.skip(missing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", _address())
        made = DockerEngine()
        made.check()
        yield made
        made.close()


def base_arguments(engine: DockerEngine) -> dict[str, str]:
    """Return which base to build on: the local one where there is one."""
    return {"BASE_IMAGE": LOCAL_BASE} if engine.has_image(LOCAL_BASE) else {}


@pytest.fixture(scope="session")
def notebook_image(engine: DockerEngine, request: pytest.FixtureRequest) -> str:
    """Return the name of the session image, built from this checkout."""
    request.config.stash[_builds][IMAGE].result()
    return IMAGE


@pytest.fixture(scope="session")
def hub_image(engine: DockerEngine, request: pytest.FixtureRequest) -> str:
    """Return the name of the hub's image, built from this checkout."""
    request.config.stash[_builds][HUB_IMAGE].result()
    return HUB_IMAGE


def new_name() -> str:
    """Return a name that no other test, also of another run on this engine, has."""
    return f"br-test-{uuid4().hex[:8]}"


@pytest.fixture
def network(engine: DockerEngine) -> Iterator[str]:
    """Return the name of a network for one test; it need not be there yet."""
    name = new_name()
    yield name
    engine.remove_network(name)
