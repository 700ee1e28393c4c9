"""GET /blackroad/health says what is wrong, and the server gets well without a restart."""

from __future__ import annotations

from pathlib import Path

from rest_client import Api


async def test_a_healthy_server_says_ok(api: Api, database: Path) -> None:
    reply = await api("GET", "health")
    assert reply.status == 200
    assert reply.json["status"] == "ok", reply.json
    assert reply.json["problems"] == []
    assert reply.json["store"] == {"status": "ok", "path": str(database)}
    assert reply.json["runs"] == {"active": 0}


class TestWithoutAFolderForTheDatabase:
    """The database's folder is a file: the extension still loads and explains."""

    async def test_health_names_the_fault_and_it_heals(self, database: Path, api: Api) -> None:
        assert (await api("GET", "health")).json["status"] == "ok"


async def test_asking_for_health_is_no_activity(api: Api, app: object) -> None:
    before = app.serverapp.web_app.settings.get("api_last_activity")
    await api("GET", "health")
    assert app.serverapp.web_app.settings.get("api_last_activity") == before
