"""Sessions and the service over kill -9 of the hub, of the service and of a session."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hub_process import HubProcess, start_hub, until
from service_visitor import service_is_up
from tiny_session import COMMAND, CONFIG

pytestmark = pytest.mark.survival
PEOPLE = {"ada": ("researchers",), "bob": ("researchers",)}
PROFILES = """\
profiles:
  - name: small
  - name: slow
    environment: {TINY_DELAY: "3"}
  - name: waiting
    environment: {TINY_AWAITS: "FLAG"}
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with start_hub(
        tmp_path,
        users=PEOPLE,
        docker=False,
        profiles=PROFILES.replace("FLAG", str(tmp_path / "flag")),
        extra_config=CONFIG,
    ) as running:
        service_is_up(running)
        yield running


def processes_of(hub: HubProcess, word: str) -> list[int]:
    found = []
    for pid in hub.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in command:
            found.append(pid)
    return found


def session(hub: HubProcess, user: str, token: str) -> dict[str, Any]:
    place = f"{hub.url}services/blackroad/api/sessions/{user}"
    status, told = hub.call("GET", place, token)
    assert status == 200, told
    return dict(told)


def test_sessions_are_found_again_after_the_hub_was_killed(hub):
    token = hub.token_for("ada")
    assert hub.start("ada", token, profile="small")[0] == 201
    before = session(hub, "ada", token)
    old = processes_of(hub, "blackroad_nb.hub.service")
    hub.kill()
    until(lambda: not processes_of(hub, "blackroad_nb.hub.service"), 15)  # it follows its hub
    hub.restart()
    service_is_up(hub)
    after = until(lambda: _running(hub, token))
    assert (after["id"], after["started_at"]) == (before["id"], before["started_at"])
    assert after["ready_at"] == before["ready_at"]
    assert not set(old) & set(processes_of(hub, "blackroad_nb.hub.service"))
    assert len(processes_of(hub, "blackroad_nb.hub.service")) == 1


def test_a_hub_is_back_before_the_sessions_that_were_starting(hub, tmp_path):
    # These may wait for the hub before they answer: neither must wait for the other.
    token = hub.token_for("ada")
    threading.Thread(target=_begin, args=(hub, token), daemon=True).start()
    until(lambda: processes_of(hub, "tiny_session"))
    hub.kill()
    hub.restart()
    assert not hub.servers("ada")[""]["ready"]
    (tmp_path / "flag").touch()
    hub.wait_ready("ada")


def _begin(hub: HubProcess, token: str) -> None:
    with contextlib.suppress(OSError, HTTPException):  # the hub is killed meanwhile
        hub.start("ada", token, profile="waiting")


def _running(hub: HubProcess, token: str) -> dict[str, Any] | None:
    told = session(hub, "ada", token)
    return told if told["state"] == "running" else None


def test_a_session_that_died_while_the_hub_was_away_is_an_error_with_a_reason(hub):
    token = hub.token_for("ada")
    assert hub.start("ada", token, profile="small")[0] == 201
    before = session(hub, "ada", token)
    hub.kill()
    (tiny,) = processes_of(hub, COMMAND[-1])
    os.kill(tiny, signal.SIGKILL)
    hub.restart()
    service_is_up(hub)
    after = session(hub, "ada", token)
    assert (after["id"], after["state"]) == (before["id"], "error")
    assert after["reason"]
    assert after["message"]
    assert after["ended_at"]
    assert hub.start("ada", token, profile="small")[0] == 201
    assert session(hub, "ada", token)["id"] != before["id"]


def test_a_start_that_the_hub_did_not_survive_holds_no_place(hub):
    token = hub.token_for("ada")
    with pytest.raises((OSError, HTTPException)):  # however the connection ends
        _start_and_kill(hub, token)
    hub.restart()
    service_is_up(hub)
    told = until(lambda: _settled(hub, token))
    assert told["state"] in ("running", "error", "stopped")
    if told["state"] == "error":
        assert told["reason"]
        assert hub.start("ada", token, profile="small")[0] == 201


def _start_and_kill(hub: HubProcess, token: str) -> None:
    connection = HTTPConnection(urlsplit(hub.hub_url).netloc, timeout=60)
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    body = json.dumps({"user_options": {"profile": "slow"}})
    connection.request("POST", "/hub/api/users/ada/server", body, headers)
    until(lambda: "" in hub.servers("ada") and session(hub, "ada", token)["id"])
    hub.kill()
    try:
        connection.getresponse()
    finally:
        connection.close()


def _settled(hub: HubProcess, token: str) -> dict[str, Any] | None:
    told = session(hub, "ada", token)
    return told if told["state"] not in ("starting", "stopping") else None


def test_a_killed_service_comes_back_and_loses_nothing(hub):
    token = hub.token_for("ada")
    assert hub.start("ada", token, profile="small")[0] == 201
    before = session(hub, "ada", token)
    (service,) = processes_of(hub, "blackroad_nb.hub.service")
    os.kill(service, signal.SIGKILL)
    until(lambda: _new(hub, service), 60)  # the hub looks every half minute
    service_is_up(hub)
    assert session(hub, "ada", token)["id"] == before["id"]


def _new(hub: HubProcess, old: int) -> bool:
    return bool(set(processes_of(hub, "blackroad_nb.hub.service")) - {old})
