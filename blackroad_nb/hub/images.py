"""The image of a session, built from this very package: from a checkout or from a wheel."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from blackroad_nb.adapters.docker_engine import BuildOptions, DockerEngine
from blackroad_nb.errors import SessionFailed

DEFAULT_IMAGE = "blackroad-notebook:latest"
NOTEBOOK = "hub/Dockerfile.notebook"
HUB = "hub/Dockerfile"
CERTIFICATES = "hub/certificates"

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent
_SHARED = Path(sys.prefix) / "share" / "jupyter" / "blackroad"
# What the Dockerfiles copy: its place there, and where an installed wheel keeps it.
_SOURCES = {
    "pyproject.toml": _SHARED / "image" / "pyproject.toml",
    "setup.cfg": _SHARED / "image" / "setup.cfg",
    "README.md": _SHARED / "image" / "README.md",
    "LICENSE": _SHARED / "image" / "LICENSE",
    "hub": _SHARED / "image" / "hub",
    "templates": _SHARED / "templates",
    "jupyter-config": Path(sys.prefix) / "etc" / "jupyter" / "jupyter_server_config.d",
}
_WANTED = {"jupyter-config": "blackroad_nb.json", "templates": "*.ipynb", "hub": "Dockerfile*"}
# What tells pip, on this machine, where packages come from.
_PIP = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_PROXY",
    "PIP_DEFAULT_TIMEOUT",
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def build_image(
    engine: DockerEngine,
    tag: str = DEFAULT_IMAGE,
    on_line: Callable[[str], None] | None = None,
    dockerfile: str = NOTEBOOK,
    build_args: Mapping[str, str] | None = None,
) -> None:
    """Build an image of ours; pip gets this machine's settings while it is built.

    Nothing of those settings is in the image: the Dockerfiles say why.

    Raises:
        SessionFailed: a step of the build failed, or the sources are not to be found.
        EngineUnavailable: there is no engine to build on.
    """
    with TemporaryDirectory(prefix="blackroad-image-") as folder:
        context = write_context(Path(folder))
        arguments = {**pip_arguments(os.environ, context), **(build_args or {})}
        engine.build_image(
            context, tag, arguments, on_line or (lambda _: None), BuildOptions(dockerfile, "host")
        )


def write_context(folder: Path) -> Path:
    """Copy what the Dockerfiles need into a folder."""
    for name, installed in _SOURCES.items():
        in_checkout = _CHECKOUT / name
        source = in_checkout if (_CHECKOUT / NOTEBOOK).exists() else installed
        if not source.exists():
            raise SessionFailed(
                f"{source} is missing, so no image can be built; install blackroad-nb again, "
                "or name an image that is there with NOTEBOOK_IMAGE.",
                "image_sources_missing",
            )
        if source.is_file():
            shutil.copyfile(source, folder / name)
            continue
        (folder / name).mkdir()
        for path in sorted(source.glob(_WANTED[name])):
            shutil.copyfile(path, folder / name / path.name)
    shutil.copytree(
        _PACKAGE, folder / "blackroad_nb", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    return folder


def pip_arguments(environ: Mapping[str, str], context: Path) -> dict[str, str]:
    """Return pip's and the proxies' settings as build arguments.

    A file of certificates cannot be named to a build, so it is put into the context.
    """
    found = {name: environ[name] for name in (*_PIP, *_PROXIES) if environ.get(name)}
    certificates = environ.get("PIP_CERT")
    if certificates and Path(certificates).is_file():
        (context / CERTIFICATES).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(certificates, context / CERTIFICATES / "pip.crt")
        found["PIP_CERT"] = "/certificates/pip.crt"
    return found
