"""What becomes of a session when its engine, its image or its container does: caused, then read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from docker_engine import new_name
from docker_hub import DockerHub, docker_hub
from engine_relay import FAULT, PASS, SILENT, EngineRelay, engine_relay
from hub_process import until

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import LABEL_HUB, Container

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

PROFILES = """
profiles:
  - {name: small, title: Small, cpus: 1, memory: 512 MB}
  - {name: huge, title: Huge, cpus: 1, memory: 64 TB}
  - {name: wide, title: Wide, cpus: 512, memory: 512 MB}
  - {name: lost, title: Lost, memory: 512 MB, image: "nobody/has-this:1"}
  - {name: foreign, title: Foreign, memory: 512 MB, image: "IMAGE_WITHOUT_US"}
  - name: holed
    title: Holed
    memory: 512 MB
    mounts: [{source: /nowhere/to/be/found, target: /data/wrds}]
"""


@pytest.fixture(scope="module")
def bare_image(engine: DockerEngine) -> Iterator[str]:
    """Return an image with nothing in it at all."""
    name = new_name()
    engine.client.import_image_from_data(b"\0" * 10240, repository=name, tag="1")
    yield f"{name}:1"
    engine.client.remove_image(f"{name}:1")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, engine: DockerEngine) -> Iterator[EngineRelay]:
    with engine_relay(tmp_path_factory.mktemp("relay"), engine.address) as made:
        yield made


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory,
    engine: DockerEngine,
    notebook_image: str,
    bare_image: str,
    relay: EngineRelay,
) -> Iterator[DockerHub]:
    """Yield a hub that meets its engine through the relay; the tests have it directly."""
    network = new_name()
    try:
        with docker_hub(
            tmp_path_factory.mktemp("hub"),
            engine,
            notebook_image,
            network=network,
            profiles=PROFILES.replace("IMAGE_WITHOUT_US", bare_image),
            environment={"DOCKER_HOST": relay.address},
        ) as made:
            yield made
    finally:
        engine.remove_network(network)


@pytest.fixture
def session(hub: DockerHub) -> Iterator[Container]:
    """Yield a running session of ada, and see to it that none is left."""
    yield hub.launch("ada", profile="small")
    hub.hub.stop_session("ada")
    hub.hub.wait_gone("ada")


def ended(hub: DockerHub, session: Container) -> tuple[str, str, int | None]:
    """Return reason, message and exit code of the session's record once it has ended."""
    record = until(lambda: (found := hub.last_record("ada")).id == session.session and found)
    return record.reason, record.message, record.exit_code


# Starts that fail ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("lost", "The image 'nobody/has-this:1' is not on this machine; build or pull it"),
        ("huge", "The profile asks for 65536 GB of memory, and this machine has"),
        ("wide", "This machine cannot give what the profile asks for (Range of CPUs is from"),
        ("holed", "The folder /nowhere/to/be/found of this machine is to be mounted but"),
        ("foreign", "cannot run a session ("),
    ],
)
def test_a_start_that_fails_says_why(hub: DockerHub, profile: str, said: str) -> None:
    message = hub.refused(profile=profile)
    assert said in message
    assert "Traceback" not in message
    assert not hub.containers()  # nothing is left behind
    assert hub.last_record("ada").message in message


def test_a_small_network_has_no_address_left(
    tmp_path: Path, engine: DockerEngine, notebook_image: str, network: str
) -> None:
    engine.client.create_network(
        network,
        driver="bridge",
        internal=True,
        labels={"blackroad.network": network},
        ipam={"Driver": "default", "Config": [{"Subnet": "10.232.17.0/30"}]},
    )
    users = {"ada": ("researchers",), "eve": ("researchers",)}
    with docker_hub(tmp_path, engine, notebook_image, network=network, users=users) as hub:
        hub.launch("ada")
        assert "Docker has no free network address left" in hub.refused("eve")
        assert len(hub.containers()) == 1


@pytest.mark.parametrize(
    ("command", "timeout", "said"),
    [
        (["sleep", "600"], 5, "It did not answer within"),
        (["sh", "-c", "echo no luck today; exit 3"], 60,
         "ended by itself with exit code 3. Its last words were: no luck today"),
    ],
)  # fmt: skip
def test_a_server_that_never_answers(
    tmp_path: Path,
    engine: DockerEngine,
    notebook_image: str,
    network: str,
    command: list[str],
    timeout: int,
    said: str,
) -> None:
    more = f"c.Spawner.cmd = {command!r}\nc.Spawner.start_timeout = {timeout}"
    with docker_hub(tmp_path, engine, notebook_image, network=network, more=more) as hub:
        started = time.monotonic()
        assert said in hub.refused()
        assert time.monotonic() - started < 30
        assert not hub.containers()


def test_an_engine_that_is_gone(hub: DockerHub, relay: EngineRelay) -> None:
    relay.vanish()
    began = time.monotonic()
    try:
        message = hub.refused(profile="small")
    finally:
        relay.listen()
    assert time.monotonic() - began < 9  # it waits for the engine once, not at each attempt
    assert "The Docker engine does not answer at" in message
    assert hub.last_record("ada").reason == "engine_gone"
    hub.launch("ada", profile="small")  # and once it is back, so are sessions
    hub.hub.stop_session("ada")
    hub.hub.wait_gone("ada")


# Sessions that end ------------------------------------------------------------------


def test_out_of_memory_is_told_from_every_other_end(hub: DockerHub, session: Container) -> None:
    """The server itself is made the one to be killed: usually it would be a kernel."""
    code = """
import glob
for path in glob.glob("/proc/[0-9]*/oom_score_adj"):
    try:
        open(path, "w").write("1000" if open(path.replace("oom_score_adj", "comm")).read()
                              .startswith(("blackroad", "python")) else "0")
    except OSError:
        pass
open("/proc/self/oom_score_adj", "w").write("0")
hoard = []
while True:
    hoard.append(bytearray(b"x" * 2**24))"""
    hub.engine.run(session.id, "python3", "-c", code)
    reason, message, exit_code = ended(hub, session)
    assert (reason, exit_code) == ("out_of_memory", 137)
    assert "The session ran out of memory: more than 0.5 GB was used" in message
    until(lambda: not hub.containers())


def test_a_kernel_that_hoards_does_not_end_the_session(hub: DockerHub, session: Container) -> None:
    code, _ = hub.engine.run(
        session.id, "python3", "-c", "x = []\nwhile True: x.append(bytearray(b'x' * 2**24))"
    )
    assert code == 137
    assert hub.inside(session, "print('alive')") == "alive\n"
    assert hub.container("ada").alive


def test_a_killed_container(hub: DockerHub, session: Container) -> None:
    hub.engine.client.kill(session.id)
    reason, message, exit_code = ended(hub, session)
    assert (reason, exit_code) == ("killed", 137)
    assert "ended from outside the hub" in message
    until(lambda: not hub.containers())
    hub.hub.wait_gone("ada")


def test_a_container_removed_behind_our_back(hub: DockerHub, session: Container) -> None:
    hub.engine.remove(session.id)
    reason, message, _ = ended(hub, session)
    assert reason == "removed"
    assert "was removed from outside the hub" in message
    hub.hub.wait_gone("ada")
    assert hub.launch("ada", profile="small").id != session.id


@pytest.mark.parametrize("mode", [FAULT, SILENT, "gone"])
def test_an_engine_in_trouble_is_no_dead_session(
    hub: DockerHub, session: Container, relay: EngineRelay, mode: str
) -> None:
    asked = hub.hub.log().count("Not knowing how ada fares")
    if mode == "gone":
        relay.vanish()
    else:
        relay.mode = mode
        relay.cut()
    try:
        until(lambda: hub.hub.log().count("Not knowing how ada fares") > asked)
        time.sleep(2.5)  # the hub polls every second: it must not change its mind
        assert hub.hub.servers("ada")[""]["ready"]
    finally:
        relay.mode = PASS
        relay.cut()
        if mode == "gone":
            relay.listen()
    assert hub.container("ada").id == session.id
    assert hub.hub.servers("ada")[""]["ready"]


def test_a_stop_waits_for_an_engine_that_is_away(hub: DockerHub, relay: EngineRelay) -> None:
    hub.launch("ada", profile="small")
    relay.vanish()
    try:
        asked = hub.hub.log().count("Not stopping ada yet")
        hub.hub.api("DELETE", "users/ada/server")
        until(lambda: hub.hub.log().count("Not stopping ada yet") > asked)
    finally:
        relay.listen()
    hub.hub.wait_gone("ada")
    assert not hub.containers()


# What is left over ------------------------------------------------------------------


def test_a_leftover_of_a_killed_hub_is_replaced(hub: DockerHub, notebook_image: str) -> None:
    name = f"blackroad-{hub.hub_id.replace('-', '-2d')}--ada"
    config = {"Image": notebook_image, "Labels": {LABEL_HUB: hub.hub_id}}
    left = hub.engine.client.create_container_from_config(config, name)["Id"]
    session = hub.launch("ada", profile="small")
    assert (session.name, session.id == left) == (name, False)
    hub.hub.stop_session("ada")
    hub.hub.wait_gone("ada")


def test_what_is_not_ours_is_not_removed(hub: DockerHub, notebook_image: str) -> None:
    name = f"blackroad-{hub.hub_id.replace('-', '-2d')}--ada"
    other = hub.engine.client.create_container_from_config({"Image": notebook_image}, name)["Id"]
    try:
        assert "give each hub on this machine its own hub_id" in hub.refused(profile="small")
        assert hub.engine.inspect(other).name == name
    finally:
        hub.engine.remove(other)


def test_a_session_outlives_a_killed_hub(hub: DockerHub, session: Container) -> None:
    hub.hub.kill()
    hub.hub.restart()
    until(lambda: hub.hub.servers("ada").get("", {}).get("ready"))
    assert hub.container("ada").id == session.id


def test_a_session_that_died_while_the_hub_was_away(hub: DockerHub) -> None:
    session = hub.launch("ada", profile="small")
    hub.hub.kill()
    hub.engine.client.kill(session.id)
    hub.hub.restart()
    hub.hub.wait_gone("ada")
    assert ended(hub, session)[0] in ("killed", "lost")
    until(lambda: not hub.containers())


def test_progress_names_the_work(hub: DockerHub) -> None:
    def progress() -> str:
        status, said = hub.hub.api("GET", "users/ada/server/progress")
        return str(said) if status == 200 and "Creating" in said else ""

    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(hub.hub.start, "ada", profile="small")
        said = until(progress)
        assert started.result()[0] in (201, 202)
    names = ["Taking the image blackroad-notebook:test", "Creating the container blackroad-",
             "Starting the container", "Waiting until JupyterLab answers"]  # fmt: skip
    places = [said.find(name) for name in names]
    assert -1 not in places, said
    assert places == sorted(places)
    hub.hub.stop_session("ada")
    hub.hub.wait_gone("ada")
