"""The two images that are compared: ours, and one as people make it by hand.

Both are built on the same base and hold the same versions of the same packages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from blackroad_nb.adapters.docker_engine import BuildOptions, DockerEngine
from blackroad_nb.hub.images import build_image, pip_arguments

OURS = "blackroad-notebook:benchmark"
STOCK = "blackroad-stock:benchmark"
LOCAL_BASE = "debian-base:bookworm"  # where no registry of images can be reached

_STOCK = """\
ARG BASE_IMAGE=python:3.12-slim-bookworm
FROM ${BASE_IMAGE}
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
ARG PIP_PROXY
COPY requirements.txt hub/certificate[s] /setup/
RUN python3 -m venv /opt/notebook \\
 && PIP_CERT=${PIP_CERT:+/setup/pip.crt} /opt/notebook/bin/pip install --no-cache-dir -q \\
    -r /setup/requirements.txt \\
 && useradd --uid 1000 --create-home jovyan
ENV PATH=/opt/notebook/bin:$PATH
USER 1000:1000
WORKDIR /home/jovyan
CMD ["jupyterhub-singleuser"]
"""


def build_both(engine: DockerEngine) -> None:
    """Build both images from this checkout; the engine keeps what has not changed."""
    print("building the images", file=sys.stderr)
    base = {"BASE_IMAGE": LOCAL_BASE} if engine.has_image(LOCAL_BASE) else {}
    build_image(engine, OURS, build_args=base)
    with TemporaryDirectory(prefix="blackroad-stock-") as name:
        folder = Path(name)
        (folder / "Dockerfile").write_text(_STOCK)
        (folder / "requirements.txt").write_text("\n".join(packages(engine)) + "\n")
        arguments = {**pip_arguments(os.environ, folder), **base}
        engine.build_image(folder, STOCK, arguments, options=BuildOptions(network="host"))


def packages(engine: DockerEngine) -> list[str]:
    """Return what is installed in our image, without ourselves."""
    alone = engine.client.create_host_config(network_mode="none")
    command = ["python3", "-m", "pip", "freeze"]
    made = engine.client.create_container(OURS, command, host_config=alone)
    try:
        engine.client.start(made["Id"])
        engine.client.wait(made["Id"])
        lines = engine.client.logs(made["Id"], stderr=False).decode().splitlines()
    finally:
        engine.remove(made["Id"])
    return sorted(line for line in lines if "blackroad" not in line)
