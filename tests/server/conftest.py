"""A real Jupyter Server with the extension on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_client import Api


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the server keeps its history."""
    return tmp_path / "history" / "notebooks.db"


@pytest.fixture
def app_config() -> dict[str, Any]:
    """What the test sets on BlackRoadApp; override it in a module or class."""
    return {}


@pytest.fixture
def jp_server_config(database: Path, app_config: dict[str, Any]) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"blackroad_nb": True}},
        "BlackRoadApp": {"database": str(database), **app_config},
    }


@pytest.fixture
def app(jp_serverapp: Any, jp_asyncio_loop: Any) -> Iterator[Any]:
    """The extension app, started as the server's own loop would."""
    jp_asyncio_loop.run_until_complete(jp_serverapp.extension_manager.start_all_extensions())
    yield jp_serverapp.extension_manager.extension_points["blackroad_nb"].app
    jp_asyncio_loop.run_until_complete(jp_serverapp.extension_manager.stop_all_extensions())


@pytest.fixture
def api(app: Any, jp_fetch: Callable[..., Any]) -> Api:
    return Api(jp_fetch)
