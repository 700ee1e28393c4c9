"""The engine's adapter: what it asks for, and one sentence for each way it is refused."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from docker.errors import APIError, DockerException

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.adapters.docker_engine.failures import failure_of
from blackroad_nb.adapters.docker_engine.words import container_config, mount_points
from blackroad_nb.core.container import ContainerSpec
from blackroad_nb.core.profile import Mount
from blackroad_nb.errors import EngineUnavailable, SessionFailed

SPEC = ContainerSpec(
    name="blackroad-lab--ada",
    image="lab:1",
    command=("blackroad-nb", "singleuser"),
    user="1000:1000",
    working_dir="/home/jovyan",
    network="blackroad",
    nano_cpus=1_500_000_000,
    memory_bytes=1024,
    memory_swap_bytes=1024,
    pids=7,
    labels={"blackroad.user": "a{0}b"},
    environment={"A": "1", "B": "x=y\n{z}"},
    mounts=(Mount("/srv/a", "/data"), Mount("/srv/w", "/home/jovyan/work", read_only=False)),
)


def test_what_an_engine_is_asked_for_whole() -> None:
    assert container_config(SPEC) == {
        "Image": "lab:1",
        "Cmd": ["blackroad-nb", "singleuser"],
        "User": "1000:1000",
        "WorkingDir": "/home/jovyan",
        "Env": ["A=1", "B=x=y\n{z}"],
        "Labels": {"blackroad.user": "a{0}b"},
        "StopTimeout": 10,
        "HostConfig": {
            "NetworkMode": "blackroad",
            "NanoCpus": 1_500_000_000,
            "Memory": 1024,
            "MemorySwap": 1024,
            "PidsLimit": 7,
            "CapDrop": ["ALL"],
            "CapAdd": [],
            "SecurityOpt": ["no-new-privileges:true"],
            "Mounts": [
                {"Type": "bind", "Source": "/srv/a", "Target": "/data", "ReadOnly": True},
                {
                    "Type": "bind",
                    "Source": "/srv/w",
                    "Target": "/home/jovyan/work",
                    "ReadOnly": False,
                },
            ],
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {
                "Type": "json-file",
                "Config": {"max-size": "10485760", "max-file": "1"},
            },
        },
    }


@pytest.mark.parametrize(
    ("said", "reason", "remedy"),
    [
        ('invalid mount config for type "bind": bind source path does not exist: /data/wrds',
         "mount_missing", "The folder /data/wrds of this machine is to be mounted"),
        ("No such image: lab:1", "image_missing", "The image 'lab:1' is not on this machine"),
        ("pull access denied for lab, repository does not exist", "image_missing", "build or pull"),
        ("Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", "no_capacity",
         "lower the profile's cpus or memory"),
        ("write /var/lib/docker/x: no space left on device", "disk_full", "docker image prune"),
        ("no available IPv4 addresses on this network's address pools: x", "no_addresses",
         "docker network prune"),
        ("could not find an available, non-overlapping IPv4 address pool among the defaults",
         "no_addresses", "default-address-pools"),
        ("network blackroad not found", "network_missing", "'blackroad' is missing"),
        ('exec: "blackroad-nb": executable file not found in $PATH: unknown', "bad_image",
         "base it on hub/Dockerfile.notebook"),
        ('Conflict. The container name "/x" is already in use by container "y"', "name_taken",
         "its own hub_id"),
        ("something new", "engine_refused", "could not start it: something new."),
    ],
)  # fmt: skip
def test_what_an_engine_refuses(said: str, reason: str, remedy: str) -> None:
    response = requests.Response()
    response.status_code = 500
    error = failure_of(APIError("x", response, said), "start it", "unix:///x.sock", SPEC)
    assert isinstance(error, SessionFailed)
    assert error.reason == reason
    assert remedy in error.message
    assert "\n" not in error.message


def caused(error: OSError) -> Exception:
    """Return the error as Docker's library wraps it."""
    inner = requests.ConnectionError(("Connection aborted.", error))
    return DockerException(f"Error while fetching server API version: {inner}", inner)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (caused(FileNotFoundError(2, "No such file")), "not answer|not installed"),
        (caused(ConnectionRefusedError(111, "refused")), "not answer|not installed"),
        (caused(PermissionError(13, "Permission denied")), "usermod -aG docker"),
        (requests.ReadTimeout("timed out"), "does not answer in time to list things"),
        (caused(TimeoutError("timed out")), "does not answer in time to list things"),
    ],
)
def test_why_an_engine_cannot_be_reached(error: Exception, said: str) -> None:
    found = failure_of(error, "list things", "unix:///run/x.sock")
    assert isinstance(found, EngineUnavailable)
    assert "/run/x.sock" in found.message
    assert [part for part in said.split("|") if part in found.message]


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = failure_of(caused(FileNotFoundError(2, "x")), "ask", "unix:///x")
    assert "Docker is not installed; install it" in found.message


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"])
def test_nobody_listens(address: str) -> None:
    with pytest.raises(EngineUnavailable, match="answer"):
        DockerEngine(address=address, timeout_seconds=2).check()


@pytest.mark.parametrize("address", ["foo://bar", "http://"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(EngineUnavailable, match="no address of a Docker engine"):
        DockerEngine(address=address).check()


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Serve every request on a socket with the answers in the list, the last one for ever."""
    answers: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(tmp_path / "s"))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                asker, _ = listener.accept()
            except OSError:
                return
            with asker:
                if not asker.recv(65536):  # somebody looked whether anybody listens
                    continue
                body = answers.pop(0) if len(answers) > 1 else answers[0]
                head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                asker.sendall(head % len(body) + body)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"unix://{tmp_path}/s", answers
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_an_engine_that_is_too_old(answering: tuple[str, list[bytes]]) -> None:
    address, answers = answering
    answers.append(b'{"Version": "19.03.5", "ApiVersion": "1.40"}')
    engine = DockerEngine(address=address)
    with pytest.raises(EngineUnavailable, match=r"Docker 19\.03\.5 is too old; install 20\.10"):
        engine.check()
    engine.close()


def test_something_else_that_listens(answering: tuple[str, list[bytes]]) -> None:
    address, answers = answering
    answers.append(b"<html>hello</html>")
    engine = DockerEngine(address=address)
    with pytest.raises(EngineUnavailable):
        engine.check()
    engine.close()


def test_a_socket_without_permission(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(tmp_path / "s"))
    listener.listen()
    (tmp_path / "s").chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # root would be permitted everything
    try:
        with listener, pytest.raises(EngineUnavailable, match="sudo usermod -aG docker"):
            DockerEngine(address=f"unix://{tmp_path}/s").check()
    finally:
        os.seteuid(before)


def test_labels_and_values_are_handed_on_as_they_are() -> None:
    hostile = replace(SPEC, labels={"blackroad.user": "{username}%s$HOME"}, environment={"A": "{}"})
    config = container_config(hostile)
    assert config["Labels"] == {"blackroad.user": "{username}%s$HOME"}
    assert config["Env"] == ["A={}"]


def test_read_only_without_what_is_below() -> None:
    first, second = container_config(SPEC, flat=True)["HostConfig"]["Mounts"]
    assert first["BindOptions"] == {"NonRecursive": True}
    assert "BindOptions" not in second  # a writable one brings everything along


def test_where_file_systems_are_mounted() -> None:
    text = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        "31 22 0:27 / /srv/a\\040b\\134c rw - tmpfs tmpfs rw\n"
    )
    assert mount_points(text) == ("/", "/srv/a b\\c")
