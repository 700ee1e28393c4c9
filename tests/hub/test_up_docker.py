"""`up --docker` on a real engine, and on none."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from docker_engine import IMAGE, base_arguments
from up_process import LINK, SECONDS, Up, until, up_in

from blackroad_nb.adapters.docker_engine import DockerEngine

BUILD_SECONDS = 170.0


def words(engine: DockerEngine) -> list[str]:
    base = base_arguments(engine).get("BASE_IMAGE")
    return ["--docker", "--image", IMAGE, *(["--base-image", base] if base else [])]


def containers(engine: DockerEngine, up: Up) -> list[str]:
    return [each.name for each in engine.list_containers(up.settings.hub_id)]


@pytest.mark.docker
@pytest.mark.timeout(400)
def test_containers_from_the_image_to_the_end(engine: DockerEngine, tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        try:
            process = up.begin(*words(engine), "--build")
            until(lambda: LINK.search(up.text) or process.poll() is not None, BUILD_SECONDS)
            assert "Building the image" in up.text
            assert "Step " in up.text  # each line of the build is shown
            assert "Built in" in up.text
            assert "nothing keeps them" not in up.text
            assert up.start_session(template="welcome") in (201, 202)
            path = up.wait_session()
            assert len(containers(engine, up)) == 1
            assert up.call("GET", f"{path}blackroad/health")[1]["status"] == "ok"
            os.kill(up.claim("hub"), signal.SIGKILL)
            until(lambda: up.asks("hub/api/")[0] == 200)
            until(lambda: up.asks(f"{path}api/status")[0] == 200)
            assert up.servers()[""]["ready"]
            done = up.run(program="down")
            assert done.stdout == "Stopped the hub, its proxy and 1 session.\n"
            assert containers(engine, up) == []
            until(lambda: not up.processes())
            kept = up.state.path / "workspaces"
            assert list(kept.rglob("welcome.ipynb"))
        finally:
            for container in engine.list_containers(up.settings.hub_id):
                engine.remove(container.id)


@pytest.mark.docker
def test_down_ends_containers_whose_hub_was_killed(
    engine: DockerEngine, notebook_image: str, tmp_path: Path
) -> None:
    with up_in(tmp_path) as up:
        up.open(*words(engine))
        up.start_session()
        up.wait_session()
        assert up.process is not None
        up.process.kill()
        up.process.wait(SECONDS)
        os.kill(up.claim("hub"), signal.SIGKILL)
        until(lambda: not up.claim("hub"))
        refused = up.run()
        assert refused.returncode == 4
        assert "1 session of this hub is still running as containers" in refused.stderr
        assert up.run(program="down").stdout == "Stopped the proxy and 1 session.\n"
        assert containers(engine, up) == []


@pytest.mark.parametrize(
    "address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9", "no address at all"]
)
def test_a_missing_engine_is_one_sentence(tmp_path: Path, address: str) -> None:
    with up_in(tmp_path, {"DOCKER_HOST": address}) as up:
        (tmp_path / "home").mkdir()
        refused = up.run("--docker")
        assert refused.returncode == 11
        assert len(refused.stderr.splitlines()) == 1
        assert "Docker" in refused.stderr or "DOCKER_HOST" in refused.stderr
        assert not up.processes()
        assert not up.claim("hub")
