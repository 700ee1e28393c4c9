"""Sessions as processes: found again, never mistaken for another, and clear when they fail."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from hub_process import TOKEN, HubProcess, start_hub, until
from tiny_session import CONFIG

from blackroad_nb.hub.local_spawner import MARK, find_process, is_session

PROFILES = """\
profiles:
  - name: small
  - name: later
    environment: {TINY_DELAY: 2}
  - name: slow
    environment: {TINY_DELAY: 60}
  - name: talks
    environment: {TINY_SAYS: "No module named 'jupyterlab'", TINY_EXIT: 1}
"""
SETTINGS = CONFIG + "c.Spawner.start_timeout = 4\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with start_hub(
        tmp_path_factory.mktemp("hub"),
        docker=False,
        proxy=False,
        profiles=PROFILES,
        extra_config=SETTINGS,
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def everything_stopped(hub: HubProcess) -> Iterator[None]:
    yield
    for name in hub.servers("ada"):
        hub.stop_session("ada", server=name)
        hub.wait_gone("ada", name)


def last_row(hub: HubProcess) -> tuple[str, str, int | None]:
    connection = sqlite3.connect(hub.state / "sessions.db")
    try:
        asked = "SELECT state, reason, exit_code FROM sessions ORDER BY seq DESC LIMIT 1"
        return tuple(connection.execute(asked).fetchone())
    finally:
        connection.close()


def sleeper(session: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    process = subprocess.Popen(program, env={MARK: session})
    until(lambda: is_session(process.pid, session))  # once its program has begun
    return process


def test_a_process_is_a_session_only_with_its_mark_and_alive() -> None:
    with sleeper("session-1") as process:
        assert is_session(process.pid, "session-1")
        assert not is_session(process.pid, "session-")
        assert not is_session(os.getpid(), "session-1")
        assert find_process("session-1") == process.pid
        assert find_process("session-2") == 0
        process.kill()
        # a dead one that nobody has asked about yet is no session either
        until(lambda: not is_session(process.pid, "session-1"))
        assert Path(f"/proc/{process.pid}").exists()
        process.wait()
        assert not is_session(process.pid, "session-1")
    assert not is_session(0, "session-1")


def test_a_number_that_is_somebody_elses_now_is_left_alone(hub: HubProcess) -> None:
    """After the machine was restarted, say."""
    assert hub.start("ada", profile="small")[0] == 201
    own = hub.servers("ada")[""]["state"]["pid"]
    hub.kill()
    os.kill(own, 9)
    with sleeper("a stranger") as stranger:
        connection = sqlite3.connect(hub.state / "jupyterhub.sqlite")
        with connection:
            (state,) = connection.execute(
                "SELECT state FROM spawners WHERE state != '{}'"
            ).fetchone()
            changed = json.dumps({**json.loads(state), "pid": stranger.pid})
            connection.execute("UPDATE spawners SET state = ? WHERE state = ?", (changed, state))
        connection.close()
        hub.restart()
        until(lambda: last_row(hub)[0] == "error")
        assert hub.servers("ada") == {}
        assert stranger.poll() is None
        stranger.kill()


def test_a_start_that_takes_too_long_is_ended_and_says_so(hub: HubProcess) -> None:
    status, body = hub.start("ada", profile="slow")
    assert status == 502
    assert "It did not answer within 4 seconds." in body["message"]
    assert last_row(hub)[:2] == ("error", "too_slow")
    until(lambda: len(hub.processes()) == len(own_processes(hub)))


def own_processes(hub: HubProcess) -> list[int]:
    """Return the hub's processes that are no sessions."""
    found = []
    for pid in hub.processes():
        try:
            if MARK.encode() not in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_process_that_ends_at_once_is_quoted(hub: HubProcess) -> None:
    status, body = hub.start("ada", profile="talks")
    assert status == 502
    assert "exit code 1; the last it said is \"No module named 'jupyterlab'\"." in body["message"]
    assert last_row(hub) == ("error", "exited", 1)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with start_hub(
        tmp_path,
        docker=False,
        proxy=False,
        extra_config="c.LocalSpawner.cmd = ['/nowhere/jupyter']\n",
    ) as hub:
        status, body = hub.start("ada")
        assert status == 502
        assert "/nowhere/jupyter No such file or directory" in body["message"]
        assert "Traceback" not in hub.log()


def test_whoever_waits_sees_what_is_being_done(hub: HubProcess) -> None:
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(hub.start, "ada", profile="later")
        until(lambda: hub.servers("ada").get("", {}).get("pending") == "spawn")
        request = Request(
            f"{hub.hub_url}hub/api/users/ada/server/progress",
            headers={"Authorization": f"token {TOKEN}", "Accept": "text/event-stream"},
        )
        with urlopen(request, timeout=30) as reply:
            lines = [
                line for line in reply.read().decode().splitlines() if line.startswith("data:")
            ]
        assert started.result()[0] == 201
    events = [json.loads(line.removeprefix("data:")) for line in lines]
    assert [event["message"] for event in events[:3]] == [
        "Server requested",
        "Starting JupyterLab as a process of this machine",
        "Waiting until JupyterLab answers",
    ]
    assert [event["progress"] for event in events[:3]] == [0, 45, 60]
    assert events[-1]["ready"]
