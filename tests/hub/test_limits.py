"""Limits of a real hub under simultaneous launches, and after its process was killed."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hub_process import HubProcess, start_hub, until
from tiny_session import CONFIG

USERS = [f"user{number}" for number in range(10)]
PROFILES = """\
max_sessions: 4
max_sessions_per_user: 3
profiles:
  - name: small
  - name: rare
    max_sessions: 2
  - name: slow
    environment: {TINY_DELAY: 30}
  - name: later
    environment: {TINY_DELAY: 3}
  - name: broken
    environment: {TINY_EXIT: 3}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    people = dict.fromkeys(USERS, ("researchers",))
    with start_hub(
        tmp_path_factory.mktemp("hub"),
        users=people,
        docker=False,
        proxy=False,
        profiles=PROFILES,
        extra_config=CONFIG,
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left_over(hub: HubProcess) -> Iterator[None]:
    yield
    for user in USERS:
        for name in hub.servers(user):
            hub.stop_session(user, server=name)
            hub.wait_gone(user, name)
    assert sessions(hub) == {}


def sessions(hub: HubProcess) -> dict[str, int]:
    """Return the processes of sessions that live, by session."""
    found = {}
    for pid in hub.processes():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            dead = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        for variable in environment:
            if variable.startswith(b"BLACKROAD_SESSION=") and not dead:
                found[variable.partition(b"=")[2].decode()] = pid
    return found


def rows(hub: HubProcess, state: str) -> list[tuple[str, str, str]]:
    """Return id, user and reason of the sessions in this state, as the log has them."""
    connection = sqlite3.connect(hub.state / "sessions.db")
    try:
        asked = "SELECT id, user, reason FROM sessions WHERE state = ? ORDER BY started_at"
        return connection.execute(asked, (state,)).fetchall()
    finally:
        connection.close()


def at_once(hub: HubProcess, starts: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    """Start all of these in the same moment; never may more live than the hub allows."""
    over, most = Event(), 0

    def watch() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, len(sessions(hub)))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(len(starts)) as pool:
            return list(pool.map(lambda start: hub.start(**{"profile": "small", **start}), starts))
    finally:
        over.set()
        watcher.join()
        assert most <= 4


def test_ten_launches_at_once_never_exceed_the_hubs_limit(hub: HubProcess) -> None:
    for _ in range(3):
        answers = at_once(hub, [{"user": user} for user in USERS])
        assert Counter(status for status, _ in answers) == {201: 4, 429: 6}
        assert len(sessions(hub)) == 4
        refusal = next(body["message"] for status, body in answers if status == 429)
        assert "At most 4 sessions run at once on this hub: one of user" in refusal
        for user, (status, _) in zip(USERS, answers, strict=True):
            if status == 201:
                assert hub.stop_session(user)[0] in (202, 204)
                hub.wait_gone(user)


def test_ten_launches_at_once_never_exceed_a_profiles_limit(hub: HubProcess) -> None:
    answers = at_once(hub, [{"user": user, "profile": "rare"} for user in USERS])
    assert Counter(status for status, _ in answers) == {201: 2, 429: 8}
    refusals = [body["message"] for status, body in answers if status == 429]
    assert all("At most 2 sessions run at once of the profile 'Rare'" in text for text in refusals)
    refused = next(user for user, (status, _) in zip(USERS, answers, strict=True) if status == 429)
    assert hub.start(refused, profile="small")[0] == 201  # the others' limits are their own


def test_ten_launches_at_once_never_exceed_a_users_limit(hub: HubProcess) -> None:
    answers = at_once(hub, [{"user": "user0", "server": f"s{number}"} for number in range(10)])
    assert Counter(status for status, _ in answers) == {201: 3, 429: 7}
    refusals = [body["message"] for status, body in answers if status == 429]
    assert all("At most 3 sessions run at once for one user" in text for text in refusals)


def test_ten_starts_of_one_server_make_one_session(hub: HubProcess) -> None:
    answers = at_once(hub, [{"user": "user0"}] * 10)
    assert {status for status, _ in answers} <= {201, 202, 400}  # 400: it is running already
    hub.wait_ready("user0")
    assert len(sessions(hub)) == 1
    assert "Traceback" not in hub.log()


def test_a_user_is_told_of_her_own_sessions_but_of_nobody_elses_name(hub: HubProcess) -> None:
    for user in USERS[:4]:
        assert hub.start(user, profile="small")[0] == 201
    status, body = hub.start("user9", hub.token_for("user9"), profile="small")
    assert status == 429
    assert "another user's since" in body["message"]
    assert "user0" not in body["message"]
    status, body = hub.start("user0", hub.token_for("user0"), "second", profile="small")
    assert status == 429
    assert "yours since" in body["message"]


def test_failed_starts_give_their_places_back_and_the_hub_stays_up(hub: HubProcess) -> None:
    for _ in range(8):
        status, body = hub.start("user0", profile="broken")
        assert status == 502, body
        assert "ended by itself with exit code 3" in body["message"]
    assert hub.start("user0", profile="small")[0] == 201
    assert {reason for _, _, reason in rows(hub, "error")} == {"exited"}


def test_a_session_that_dies_says_how_and_frees_its_place(hub: HubProcess) -> None:
    assert hub.start("user0", profile="small")[0] == 201
    ((session, pid),) = sessions(hub).items()
    os.kill(pid, signal.SIGKILL)
    until(
        lambda: hub.start("user0", profile="small")[0] == 201
    )  # the hub looks before it starts another
    assert (session, "user0", "killed") in rows(hub, "error")


def test_sessions_are_found_again_after_the_hub_was_killed(hub: HubProcess) -> None:
    for user in USERS[:4]:
        assert hub.start(user, profile="small")[0] == 201
    before = sessions(hub)
    hub.kill()
    hub.restart()
    assert sessions(hub) == before
    assert {row[0] for row in rows(hub, "running")} == set(before)
    for user in USERS[:4]:
        assert hub.servers(user)[""]["ready"]
    assert hub.start("user9", profile="small")[0] == 429
    assert hub.stop_session("user0")[0] in (202, 204)
    hub.wait_gone("user0")
    assert hub.start("user9", profile="small")[0] == 201


def test_sessions_that_ended_while_the_hub_was_away_are_lost(hub: HubProcess) -> None:
    for user in USERS[:2]:
        assert hub.start(user, profile="small")[0] == 201
    before = sessions(hub)
    hub.kill()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    hub.restart()
    until(lambda: not rows(hub, "running"))
    assert set(before) <= {row[0] for row in rows(hub, "error")}
    assert all(hub.servers(user) == {} for user in USERS[:2])


def test_a_start_that_the_killed_hub_left_half_way_is_no_orphan(hub: HubProcess) -> None:
    """Either it is found again, or nothing of it is left: never a process nobody knows."""
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(hub.start, "user0", profile="slow")
        until(lambda: sessions(hub))
        hub.kill()
        with pytest.raises((ConnectionError, OSError)):
            started.result()
    assert len(rows(hub, "starting")) == 1
    os.kill(next(iter(sessions(hub).values())), signal.SIGKILL)
    hub.restart()
    until(lambda: not rows(hub, "starting"))
    assert hub.start("user0", profile="small")[0] == 201


def test_a_start_that_outlives_the_killed_hub_is_taken_over(hub: HubProcess) -> None:
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(hub.start, "user0", profile="later")
        until(lambda: sessions(hub))
        hub.kill()
        with pytest.raises((ConnectionError, OSError)):
            started.result()
    before = sessions(hub)
    hub.restart()
    hub.wait_ready("user0")
    assert sessions(hub) == before
    assert {row[0] for row in rows(hub, "running")} == set(before)


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "state" / "sessions.db").mkdir(parents=True)
    with start_hub(tmp_path, docker=False, proxy=False, extra_config=CONFIG) as hub:
        assert hub.start("ada")[0] == 201
        assert hub.stop_session("ada")[0] in (202, 204)
        hub.wait_gone("ada")
        assert "The log of sessions cannot be used" in hub.log()
        assert "Traceback" not in hub.log()
