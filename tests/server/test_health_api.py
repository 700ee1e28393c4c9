"""GET /blackroad/health says what is wrong, and the server gets well without a restart."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rest_client import Api

from blackroad_nb import __version__
from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.server.recorder import ServerRecorder

DONE = Execution(
    id="one", status=Status.SUCCESS, source="1", started_at=datetime(2026, 1, 1, tzinfo=UTC)
)


async def test_a_healthy_server_says_ok(api: Api, database: Path) -> None:
    reply = await api("GET", "health")
    assert reply.status == 200
    assert reply.json["status"] == "ok", reply.json
    assert reply.json["problems"] == []
    assert reply.json["version"] == __version__
    assert reply.json["store"] == {"status": "ok", "path": str(database)}
    assert reply.json["recorder"]["state"] == "ok"
    assert reply.json["runs"] == {"active": 0}


async def test_a_database_that_was_deleted_is_reported(api: Api, database: Path) -> None:
    for left in database.parent.glob(f"{database.name}*"):
        if left.is_file():
            left.unlink()
    health = (await api("GET", "health")).json
    assert (health["status"], health["store"]["status"]) == ("degraded", "replaced")
    assert health["problems"] == [health["store"]["message"]]
    assert str(database) in health["problems"][0]


async def test_asking_for_health_is_no_activity(api: Api, app: Any) -> None:
    settings = app.serverapp.web_app.settings
    await api("GET", "notebooks")
    before = settings["api_last_activity"]
    await api("GET", "health")
    assert settings["api_last_activity"] == before


class TestWithoutAPlaceForTheDatabase:
    """Where the database's folder should be there is a file."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> Path:
        (tmp_path / "blocked").write_text("a file")
        return tmp_path / "blocked" / "notebooks.db"

    async def test_the_extension_is_there_explains_and_heals(
        self, api: Api, app: Any, database: Path
    ) -> None:
        health = (await api("GET", "health")).json
        assert health["status"] == "broken"
        assert health["store"]["status"] == "broken"
        assert str(database.parent) in health["store"]["message"]
        assert health["problems"][0] == health["store"]["message"]
        for path in ("notebooks", "history", "executions", "usage"):
            reply = await api("GET", path)
            assert reply.status == 503
            assert reply.json == {
                "code": health["store"]["code"],
                "message": health["store"]["message"],
            }
        here = app.parts.names.server(app.serverapp.port)
        app.parts.writer.put(replace(DONE, server=here))

        database.parent.unlink()
        assert (await api("GET", "notebooks")).json == {"items": [], "next_cursor": None}
        assert await app.parts.writer.flush()
        assert (await api("GET", "history")).json["items"][0]["id"] == "one"
        healed = (await api("GET", "health")).json
        assert (healed["status"], healed["problems"]) == ("ok", [])


class TestConfiguredWrongly:
    """A value that cannot be: nothing is stored anywhere, and health says so."""

    @pytest.fixture
    def app_config(self) -> dict[str, Any]:
        return {"warm_kernels": -1}

    async def test_health_names_the_setting(self, api: Api, database: Path) -> None:
        health = (await api("GET", "health")).json
        assert health["status"] == "broken"
        assert "warm_kernels" in health["store"]["message"]
        assert (await api("GET", "notebooks")).status == 503
        assert database.parent.name not in os.listdir(database.parents[1])


class TestARecorderThatCannotBeAttached:
    """A fault of ours in the recorder leaves the server and the registry working."""

    @pytest.fixture(autouse=True)
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("a fault")

        monkeypatch.setattr(ServerRecorder, "wrap_websocket", fail)

    async def test_health_says_so_and_the_rest_works(self, api: Api) -> None:
        health = (await api("GET", "health")).json
        assert health["status"] == "broken"
        assert any("RuntimeError: a fault" in problem for problem in health["problems"])
        made = await api("POST", "notebooks", {"name": "a", "path": "a.ipynb"})
        assert made.status == 201


class TestRecordingOff:
    """What the operator switched off is no fault."""

    @pytest.fixture
    def app_config(self) -> dict[str, Any]:
        return {"record": False}

    async def test_health_is_ok(self, api: Api) -> None:
        health = (await api("GET", "health")).json
        assert (health["status"], health["recorder"]["state"]) == ("ok", "off")
