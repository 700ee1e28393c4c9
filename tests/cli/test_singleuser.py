"""`singleuser` imports less than `jupyterhub-singleuser`, and nobody meets a stand-in later."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.serverapp import ServerApp

from blackroad_nb.cli import singleuser

AFTER_IMPORT = """
import sys
from blackroad_nb.cli import singleuser
with singleuser._without_hub_side():
    from jupyterhub.singleuser.extension import JupyterHubSingleUser
"""
LATER = """
import sys
from blackroad_nb.cli.singleuser import _Later
sys.modules["requests"] = _Later("requests")
import requests
assert "urllib3" not in sys.modules
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_hubs_side_is_not_imported() -> None:
    heavy = "('sqlalchemy', 'alembic', 'jupyterhub.handlers', 'jupyterhub.orm')"
    assert run(f"{AFTER_IMPORT}\nprint([n for n in {heavy} if n in sys.modules])") == "[]\n"


@pytest.mark.parametrize(
    "use",
    [
        "import sqlalchemy; print(bool(sqlalchemy.__version__))",
        "from sqlalchemy.exc import SQLAlchemyError; import sqlalchemy.orm; print(True)",
        "from jupyterhub import orm; print(orm.User.__tablename__ == 'users')",
        "from jupyterhub.handlers.pages import HealthCheckHandler as h; print(hasattr(h, 'get'))",
    ],
)
def test_whoever_asks_later_gets_the_real_thing(use: str) -> None:
    assert run(AFTER_IMPORT + use) == "True\n"


@pytest.mark.parametrize(
    "use",
    [
        "print(requests.get.__module__)",
        "from requests import get; print(get.__module__)",
        "import requests.adapters; print(requests.api.get.__module__)",
        "print(sys.modules['requests'].api.get.__module__)",
    ],
)
def test_what_is_imported_later_is_whole(use: str) -> None:
    assert run(LATER + use) == "requests.api\n"


def test_it_is_in_no_list_of_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "blackroad_nb", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "singleuser" not in done.stdout


@pytest.mark.filterwarnings("ignore")
def test_a_kernel_websocket_may_miss_one_ping() -> None:
    """The server looks for an answer before it sends each ping, the first one too."""
    server = ServerApp()
    server.parse_command_line(list(singleuser._OPTIONS))
    interval, timeout = pings(server.tornado_settings)
    assert timeout > 2 * interval


def pings(settings: dict[str, int]) -> tuple[float, float]:
    """Return the interval and the time limit of pings under these settings."""
    interval = WebSocketMixin.ping_interval.fget(SimpleNamespace(settings=settings))
    asked = SimpleNamespace(settings=settings, ping_interval=interval)
    return interval, WebSocketMixin.ping_timeout.fget(asked)
