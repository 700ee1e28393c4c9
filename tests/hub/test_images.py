"""The images, built here from this checkout: what is in them, and what is not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from docker_engine import base_arguments

from blackroad_nb import __version__
from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import ContainerSpec
from blackroad_nb.errors import SessionFailed
from blackroad_nb.hub.images import pip_arguments, write_context


def run_in(engine: DockerEngine, image: str, *command: str, user: str = "1000:1000") -> str:
    """Run a command in a container of an image that has no network; return its output."""
    spec = ContainerSpec(
        name=f"br-test-image-{abs(hash(command)):x}",
        image=image,
        command=command,
        user=user,
        working_dir="/",
        network="none",
        nano_cpus=1_000_000_000,
        memory_bytes=2**30,
        memory_swap_bytes=2**30,
        pids=256,
        labels={},
        environment={},
        mounts=(),
    )
    code, output = engine.run_once(replace(spec, log_bytes=2**20))
    assert code == 0, output
    return output


# Without an engine ------------------------------------------------------------------


def test_the_context_has_what_the_images_copy_and_nothing_else(tmp_path: Path) -> None:
    write_context(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert {"pyproject.toml", "hub/Dockerfile.notebook", "blackroad_nb/errors.py",
            "jupyter-config/blackroad_nb.json", "templates/welcome.ipynb"} <= files  # fmt: skip
    allowed = r"blackroad_nb/.*|hub/Dockerfile.*|templates/.*\.ipynb|jupyter-config/.*"
    others = {name for name in files if not re.fullmatch(allowed, name)}
    assert others <= {"pyproject.toml", "setup.cfg", "README.md"}
    assert not [name for name in files if name.endswith(".pyc")]


def test_pip_is_told_what_this_machine_tells_it(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_text("a certificate")
    environ = {
        "PIP_INDEX_URL": "https://packages.example/simple",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_CERT": str(tmp_path / "own.pem"),
        "STRIPE_SECRET_KEY": "sk",
        "PIP_TRUSTED_HOST": "",
    }
    assert pip_arguments(environ, tmp_path) == {
        "PIP_INDEX_URL": "https://packages.example/simple",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_CERT": "/certificates/pip.crt",
    }
    assert (tmp_path / "hub" / "certificates" / "pip.crt").read_text() == "a certificate"


# With one ---------------------------------------------------------------------------


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_the_notebook_image(engine: DockerEngine, notebook_image: str) -> None:
    config = engine.client.inspect_image(notebook_image)
    assert config["Config"]["User"] == "1000:1000"
    assert config["Config"]["Entrypoint"] == ["tini", "-g", "--"]
    assert config["Config"]["Cmd"] == ["blackroad-nb", "singleuser"]
    base = engine.client.inspect_image(
        base_arguments(engine).get("BASE_IMAGE", "python:3.12-slim-bookworm")
    )
    assert config["Size"] - base["Size"] < 400e6
    code = """
import json, os, pwd, subprocess, sys, blackroad_nb
from pathlib import Path
site = Path(blackroad_nb.__file__).parent
print(json.dumps({
    "version": blackroad_nb.__version__,
    "user": [os.getuid(), pwd.getpwuid(os.getuid()).pw_name, os.path.expanduser("~")],
    "writable": [p for p in ("/opt/notebook", "/app", "/data", "/templates", str(site))
                 if os.access(p, os.W_OK)],
    "work": os.access("/home/jovyan/work", os.W_OK),
    "bytecode": len(list(site.glob("__pycache__/*.pyc"))) == len(list(site.glob("*.py"))),
    "extensions": subprocess.run(["jupyter", "server", "extension", "list"], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout,
}))"""
    found = json.loads(run_in(engine, notebook_image, "python3", "-c", code).splitlines()[-1])
    extensions = re.sub(r"\x1b\[\d*m", "", found.pop("extensions"))
    assert found == {
        "version": __version__,
        "user": [1000, "jovyan", "/home/jovyan"],
        "writable": [],
        "work": True,
        "bytecode": True,
    }
    for name in ("blackroad_nb", "jupyterlab", "jupyter_server_terminals"):
        assert f"{name} enabled" in extensions


@pytest.mark.docker
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fixture", ["notebook_image", "hub_image"])
def test_nothing_of_the_build_is_left(
    request: pytest.FixtureRequest, engine: DockerEngine, fixture: str
) -> None:
    """No setting of pip, no certificate, no tool of the build: not in layers, not in files."""
    image = request.getfixturevalue(fixture)
    config = engine.client.inspect_image(image)["Config"]
    said = json.dumps([config, engine.client.history(image)])
    assert not re.findall(r"PIP_\w+|certificates|HTTPS?_PROXY", said)
    code = (
        "find / -xdev ( -name pip.crt -o -name certificates -o -path /opt/build -o -name pip.conf )"
    )
    assert run_in(engine, image, *code.split(), "-print", user="0:0") == ""


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_the_hub_image(engine: DockerEngine, hub_image: str) -> None:
    code = """
import jupyterhub, yaml, blackroad_nb.hub.configure, blackroad_nb.hub.docker_spawner
import blackroad_nb.hub.images as images, pathlib, tempfile
images.write_context(pathlib.Path(tempfile.mkdtemp()))
print(jupyterhub.__version__)"""
    assert run_in(engine, hub_image, "python3", "-c", code, user="0:0").startswith("6.")
    assert "Version:" in run_in(engine, hub_image, "traefik", "version", user="0:0")


@pytest.mark.docker
def test_a_build_that_fails_says_why(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY nowhere /\n")
    lines: list[str] = []
    with pytest.raises(SessionFailed, match=r"could not be built: .*nowhere"):
        engine.build_image(tmp_path, "br-test-broken:1", on_line=lines.append)
    assert any("FROM scratch" in line for line in lines)
