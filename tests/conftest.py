"""What every test shares: a home of its own, so that nobody's settings leak in or out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_server.serverapp import ServerApp

pytest_plugins = ["pytest_jupyter.jupyter_server", "docker_engine"]


@pytest.fixture(scope="session", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Point HOME and Jupyter's folders into a temporary place for the whole session."""
    home = tmp_path_factory.mktemp("home")
    places = {
        "HOME": home,
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "IPYTHONDIR": home / "ipython",
        "NOTEBOOK_DB": home / "notebooks.db",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, place in places.items():
            patch.setenv(name, os.fspath(place))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        for name in ("NOTEBOOK_ROOTS", "JUPYTERHUB_SERVICE_PREFIX", "JPY_API_TOKEN"):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(autouse=True)
def sessions_closed() -> Iterator[None]:
    """Close what Jupyter Server leaves to the garbage collector; Python 3.13 warns of it."""
    yield
    if ServerApp.initialized():
        sessions = getattr(ServerApp.instance(), "session_manager", None)
        connection = getattr(sessions, "_connection", None)
        if sessions is not None and connection is not None:
            sessions.close()
            connection.close()
