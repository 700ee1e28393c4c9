"""Users whose names try to be something else: each gets her own container, folder and labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_engine import new_name
from docker_hub import DockerHub, docker_hub

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import slug

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

NAMES = (
    "{username}",  # DockerSpawner's own templates
    "a:etc:rw --privileged",
    "$(id)\n; 'x' \"y\" `z`",
    "ådå\u202e\U0001f600",
    "x" * 200,
)
PROFILES = "max_sessions: 9\nprofiles:\n  - {name: small, title: Small, memory: 512 MB}\n"


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, engine: DockerEngine, notebook_image: str
) -> Iterator[DockerHub]:
    folder: Path = tmp_path_factory.mktemp("hub")
    network = new_name()
    users = dict.fromkeys(NAMES, ("researchers",))
    try:
        with docker_hub(
            folder, engine, notebook_image, network=network, users=users, profiles=PROFILES
        ) as made:
            yield made
    finally:
        engine.remove_network(network)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_nothing_but_a_name(hub: DockerHub, name: str) -> None:
    session = hub.launch(name)
    assert session.name.endswith(f"--{slug(name)}")
    assert session.labels["blackroad.user"] == name
    code = """
import json, os
open("/home/jovyan/work/whose", "w").write(os.environ["USER_ID"])
print(json.dumps([os.environ["USER_ID"], os.environ["JUPYTERHUB_USER"], os.getuid(),
                  sorted(os.listdir("/home/jovyan/work"))]))"""
    found = json.loads(hub.inside(session, code))
    assert found[:3] == [name, name, 1000]
    assert "whose" in found[3]
    kept = hub.hub.state / "workspaces" / slug(name) / "work" / "whose"
    assert kept.read_text() == name
    assert hub.hub.stop_session(name)[0] in (202, 204)
    hub.hub.wait_gone(name)
