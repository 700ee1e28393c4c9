"""The extension in a server process of its own: it comes up, and it lets go."""

from __future__ import annotations

import gc
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from jupyter_server.serverapp import ServerApp
from rest_client import Api, write_notebook
from server_process import (
    AUTHORIZATION,
    DEADLINE,
    STOP_SECONDS,
    Server,
    running_server,
    until,
)

from blackroad_nb.server.app import BlackRoadApp
from blackroad_nb.server.settings import SettingsTraits


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path) as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_stops_and_keeps_what_was_done(
    server: Server, number: int
) -> None:
    assert server.call("GET", "health")["status"] == "ok"
    sources = ("print('done')", "import time; time.sleep(600)")
    write_notebook(server.root / "long.ipynb", *sources)
    run = server.call("POST", "executions", {"path": "long.ipynb"})
    run_id = run["id"]

    def in_second_cell() -> bool:
        cells = server.call("GET", f"executions/{run_id}")["cells"]
        return [cell["status"] for cell in cells] == ["success", "pending"]

    until(in_second_cell)
    took = server.stop(number)
    assert took < STOP_SECONDS
    assert server.process.returncode == 0
    with closing(sqlite3.connect(server.database)) as database:
        status = database.execute("SELECT status FROM runs WHERE id = ?", [run_id]).fetchone()
        rows = database.execute("SELECT status FROM executions ORDER BY seq").fetchall()
        check = database.execute("PRAGMA integrity_check").fetchone()
    assert status == ("cancelled",)
    assert rows[0] == ("success",)
    assert "pending" not in {row[0] for row in rows}
    assert check == ("ok",)
    saved = json.loads((server.root / "long.ipynb").read_text())
    assert saved["cells"][0]["outputs"][0]["text"] in ("done\n", ["done\n"])


def test_a_stopping_server_lets_its_watchers_go(server: Server) -> None:
    write_notebook(server.root / "long.ipynb", "import time; time.sleep(600)")
    run = server.call("POST", "executions", {"path": "long.ipynb"})
    events_url = f"{server.url}blackroad/executions/{run['id']}/events"
    request = Request(events_url, headers=AUTHORIZATION)
    with urlopen(request, timeout=DEADLINE) as events:
        assert events.readline().startswith(b"retry:")
        assert server.stop(signal.SIGTERM) < STOP_SECONDS


def test_starting_imports_nothing_heavy() -> None:
    """What Jupyter Server has loaded anyway is free; these are not, and not needed yet."""
    heavy = {"nbclient", "nbconvert", "aiosqlite", "IPython", "pandas", "numpy", "stripe"}
    code = (
        "import sys, jupyter_server.serverapp; before = set(sys.modules);"
        "import blackroad_nb.server.app; print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert heavy.isdisjoint(name.partition(".")[0] for name in loaded)
    foreign = {name for name in loaded if not name.startswith("blackroad_nb")}
    assert len(foreign) < 20, foreign


def test_every_setting_is_explained() -> None:
    explained = BlackRoadApp.class_get_help()
    page = (Path(__file__).parents[2] / "docs" / "reference" / "configuration.md").read_text()
    for name, trait in SettingsTraits.class_traits(config=True).items():
        assert trait.help.strip(), name
        assert f"--BlackRoadApp.{name}=" in explained
        assert f"| `{name}` |" in page


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("warm_kernels", -1),
        ("max_active_runs", 0),
        ("cell_output_bytes", 0),
        ("cell_grace_seconds", -0.5),
        ("record", "perhaps"),
    ],
)
async def test_a_value_that_cannot_be_is_refused(app: Any, name: str, value: Any) -> None:
    with pytest.raises(Exception, match=name):
        setattr(app, name, value)


async def test_stopping_twice_is_stopping_once(api: Api, app: Any) -> None:
    assert (await api("GET", "notebooks")).status == 200
    await app.stop_extension()
    await app.stop_extension()
    reply = await api("GET", "notebooks")
    assert (reply.status, reply.json["code"]) == (503, "store_error")


async def test_a_full_collection_passes_over_what_the_server_loaded(app: Any) -> None:
    """It would keep every request waiting, 180 ms in a server of 200,000 objects."""
    loaded = gc.get_freeze_count()
    assert loaded > 20 * len(gc.get_objects())
    await app.stop_extension()
    assert gc.get_freeze_count() == 0


def test_a_server_that_could_not_start_is_cleaned_up(
    jp_configurable_serverapp: Any, jp_server_config: Any, jp_asyncio_loop: Any, tmp_path: Path
) -> None:
    outside = {"FileContentsManager": {"preferred_dir": str(tmp_path)}}  # of its root folder
    with pytest.raises(SystemExit):
        jp_configurable_serverapp(config={**jp_server_config, **outside})
    extensions = ServerApp.instance().extension_manager
    assert "blackroad_nb" in extensions.extension_points
    assert not extensions.any_activity()
    jp_asyncio_loop.run_until_complete(extensions.stop_all_extensions())
