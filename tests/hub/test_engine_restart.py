"""The engine itself is stopped, killed, started again, and has no disk left."""

from __future__ import annotations

import signal
import subprocess
from io import FileIO
from pathlib import Path

import pytest
from docker_hub import docker_hub
from hub_process import until
from own_engine import TINY, own_engine, tiny_config

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


def start(folder: Path, address: str) -> dict[str, object]:
    return {"environment": {"DOCKER_HOST": address}, "more": tiny_config(), "network": "br-own"}


def test_a_restart_of_the_engine_is_survived(tmp_path: Path) -> None:
    """Sessions end with it, which their user is told; then she starts again."""
    with own_engine() as own:
        how = start(tmp_path, own.address)
        users = {"ada": ("researchers",), "eve": ("researchers",)}
        with docker_hub(tmp_path, own.engine, TINY, users=users, **how) as hub:  # type: ignore[arg-type]
            session = hub.launch("ada")
            own.stop()
            assert "does not answer" in hub.refused("eve")
            own.start()
            hub.hub.wait_gone("ada")
            record = hub.last_record("ada")
            assert (record.id, record.reason) == (session.session, "shut_down")
            assert "together with Docker" in record.message
            assert hub.launch("ada").id != session.id


def test_sessions_outlive_a_killed_engine_with_live_restore(tmp_path: Path) -> None:
    with own_engine("--live-restore") as own:
        how = start(tmp_path, own.address)
        with docker_hub(tmp_path, own.engine, TINY, **how) as hub:  # type: ignore[arg-type]
            session = hub.launch("ada")
            url = f"http://{session.addresses['br-own']}:8888/user/ada/api"
            own.stop(signal.SIGKILL)
            until(lambda: "Not knowing how ada fares" in hub.hub.log())
            assert hub.hub.call("GET", url, None)[0] == 200
            own.start()
            assert hub.container("ada").id == session.id
            assert hub.hub.servers("ada")[""]["ready"]
            assert hub.hub.call("GET", url, None)[0] == 200
            hub.hub.stop_session("ada")
            hub.hub.wait_gone("ada")
            assert not hub.containers()


def test_no_disk_left(tmp_path: Path) -> None:
    """The engine's folder lies on a disk of its own, which is filled."""
    with own_engine() as own:
        own.stop()
        disk = own.folder / "data"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], check=True)
        own.start()
        own.engine.client.import_image_from_data(b"\0" * 10240, repository="br-test-tiny", tag="1")
        how = start(tmp_path, own.address)
        with docker_hub(tmp_path, own.engine, TINY, **how) as hub:  # type: ignore[arg-type]
            fill(disk / "filler")
            message = hub.refused("ada")
            assert "The disk that Docker uses is full" in message
            assert hub.last_record("ada").reason == "disk_full"
            (disk / "filler").unlink()
            hub.launch("ada")


def fill(file: Path) -> None:
    """Write until there is no space left."""
    with file.open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        write_on(filler)


def write_on(filler: FileIO) -> None:
    while True:
        filler.write(b"\1" * 2**16)
