"""A real JupyterLab behind a real proxy: it opens for its user, and for nobody else."""

from __future__ import annotations

from pathlib import Path

from hub_process import HubProcess, start_hub, until

from blackroad_nb.adapters.sqlite.servers import SqliteServerLog
from blackroad_nb.core.server import ServerRecord, ServerState


def test_a_session_is_open_to_its_user_and_to_managers_only(tmp_path: Path) -> None:
    people = {"ada": ("researchers",), "bob": ("researchers",), "nobody": ()}
    with start_hub(tmp_path, users=people, docker=False) as hub:
        tokens = {name: hub.token_for(name) for name in people}
        for user in ("ada", "bob"):
            assert hub.start(user, tokens[user])[0] == 201
        url = f"{hub.url}user/ada/api/contents"
        listing = until(lambda: _listing(hub.call("GET", url, tokens["ada"])))
        assert "work" in [entry["name"] for entry in listing]
        for name in ("bob", "nobody"):
            assert hub.call("GET", url, tokens[name])[0] == 403
        assert hub.call("GET", url, None)[0] == 403
        assert hub.call("GET", f"{hub.url}user/ada/lab", tokens["ada"])[0] == 200
        health = hub.call("GET", f"{hub.url}user/ada/blackroad/health", tokens["ada"])
        assert health[0] == 200, health
        saved = {"type": "file", "format": "text", "content": "kept"}
        assert hub.call("PUT", f"{url}/work/notes.txt", tokens["ada"], saved)[0] == 201
        hub.stop_session("ada", tokens["ada"])
        hub.wait_gone("ada")
        assert hub.start("ada", tokens["ada"])[0] == 201
        found = until(lambda: _found(hub.call("GET", f"{url}/work/notes.txt", tokens["ada"])))
        assert found["content"] == "kept"
        assert "Traceback" not in hub.log()


def test_shutting_down_in_jupyterlab_is_no_failure(tmp_path: Path) -> None:
    with start_hub(tmp_path, docker=False, extra_config="c.Spawner.poll_interval = 1") as hub:
        token = hub.token_for("ada")
        assert hub.start("ada", token)[0] == 201
        hub.stop_session("ada", token)
        hub.wait_gone("ada")
        stopped = _last_record(hub)
        assert (stopped.state, stopped.reason, stopped.message) == (ServerState.STOPPED, "", "")
        assert hub.start("ada", token)[0] == 201
        url = f"{hub.url}user/ada/api/shutdown"
        until(lambda: hub.call("POST", url, token)[0] == 200)
        hub.wait_gone("ada")
        record = _last_record(hub)
        assert record.id != stopped.id
        assert (record.state, record.reason) == (ServerState.STOPPED, "shut_down")
        assert "File menu" in record.message


def _last_record(hub: HubProcess) -> ServerRecord:
    """Return ada's newest record once it has ended."""
    log = SqliteServerLog(hub.state / "sessions.db")
    try:
        found = until(lambda: (last := log.last("ada", "")) and last.ended and last)
    finally:
        log.close()
    assert isinstance(found, ServerRecord)
    return found


def _listing(answer: tuple[int, object]) -> list[dict[str, str]]:
    return _found(answer).get("content", [])


def _found(answer: tuple[int, object]) -> dict[str, object]:
    status, body = answer
    return body if status == 200 and isinstance(body, dict) else {}
