"""What one person may see and do with sessions, over a hub and a log that are in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blackroad_nb.adapters.memory_servers import MemoryServerLog
from blackroad_nb.core.server import ServerEvent, ServerRecord, ServerState, after
from blackroad_nb.core.sessions import HubServer, Session
from blackroad_nb.errors import (
    InvalidInput,
    LaunchRefused,
    SessionActive,
    SessionNotFound,
    StoreCorrupt,
)
from blackroad_nb.managers.sessions import SessionManager, Viewer
from blackroad_nb.ports import LaunchProgress

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
USERS = ("ada", "bob", "root")


class Hub:
    """A hub that keeps its servers in a dictionary and a record of each, as ours does."""

    def __init__(self, log: MemoryServerLog) -> None:
        self.running: dict[tuple[str, str], HubServer] = {}
        self.asked: list[str] = []
        self.log = log
        self.between: list[Callable[[], None]] = []  # happens after the next answer

    async def servers(self) -> tuple[HubServer, ...]:
        self.asked.append("servers")
        return tuple(self.running.values())

    async def servers_of(self, user: str) -> tuple[HubServer, ...]:
        if user not in USERS:
            raise SessionNotFound(f"There is no user {user!r}.")
        self.asked.append(f"servers of {user}")
        found = tuple(s for s in self.running.values() if s.user == user)
        if self.between:
            self.between.pop(0)()
        return found

    async def start(self, user: str, name: str, options: Mapping[str, Any]) -> None:
        self.asked.append(f"start {user}/{name} {dict(options)}")
        made = record(f"{user}-{name}", user=user, server_name=name)
        self.log.put(replace(made, profile=str(options.get("profile", "standard"))))
        self.running[user, name] = HubServer(
            user, name, ready=True, started_at=NOON, url=f"/user/{user}/{name}"
        )

    async def stop(self, user: str, name: str) -> None:
        self.asked.append(f"stop {user}/{name}")
        last = self.log.last(user, name)
        assert last is not None
        stopping = after(last, ServerEvent.STOP, NOON)
        self.log.put(after(stopping, ServerEvent.ENDED, NOON, reason="user"))
        del self.running[user, name]

    async def progress(self, user: str, name: str) -> AsyncIterator[LaunchProgress]:
        yield LaunchProgress(100, f"{user}/{name} is up", ready=True)


def record(id: str, **changes: object) -> ServerRecord:
    made = ServerRecord(id, "ada", "", "standard", None, ServerState.RUNNING, NOON)
    return replace(made, **changes)  # type: ignore[arg-type]


class Scene:
    def __init__(self) -> None:
        self.log = MemoryServerLog()
        self.hub = Hub(self.log)

    def of(self, name: str, may_manage: bool = False) -> SessionManager:
        return SessionManager(self.hub, self.log, Viewer(name, may_manage))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def done(work: Awaitable[Any]) -> Any:
    async def awaited() -> Any:
        return await work

    return asyncio.run(awaited())


def names(sessions: tuple[Session, ...]) -> list[str]:
    return [f"{s.user}/{s.server_name} {s.state}" for s in sessions]


def test_a_start_is_seen_and_its_stop_too(scene):
    ada = scene.of("ada")
    started = done(ada.start("ada", "", {"profile": "large"}))
    assert (started.state, started.profile, started.id) == (ServerState.RUNNING, "large", "ada-")
    assert done(ada.get("ada")) == started
    stopped = done(ada.stop("ada"))
    assert (stopped.state, stopped.reason, stopped.url) == (ServerState.STOPPED, "user", "")
    assert done(ada.stop("ada")) == stopped  # a second time changes nothing
    assert [a for a in scene.hub.asked if a.startswith("st")] == [
        "start ada/ {'profile': 'large'}",
        "stop ada/",
    ]


def test_what_runs_is_not_started_again(scene):
    ada = scene.of("ada")
    done(ada.start("ada"))
    with pytest.raises(SessionActive, match="running already"):
        done(ada.start("ada"))
    assert names(done(ada.list())) == ["ada/ running"]


@pytest.mark.parametrize(
    "act",
    [
        lambda m: m.get("bob"),
        lambda m: m.start("bob"),
        lambda m: m.stop("bob"),
        lambda m: m.list("bob"),
        lambda m: anext(m.progress("bob")),
    ],
)
def test_others_sessions_are_for_managers_alone(scene, act):
    with pytest.raises(LaunchRefused, match="MANAGE_NOTEBOOKS"):
        done(act(scene.of("ada")))
    assert scene.hub.asked == []  # refused before the hub was troubled


def test_whoever_may_not_launch_may_still_look_and_stop(scene):
    done(scene.of("ada").start("ada"))
    revoked = SessionManager(scene.hub, scene.log, Viewer("ada", may_launch=False))
    assert names(done(revoked.list())) == ["ada/ running"]
    assert done(revoked.stop("ada")).state is ServerState.STOPPED
    with pytest.raises(LaunchRefused, match="LAUNCH_NOTEBOOKS"):
        done(revoked.start("ada"))


def test_a_manager_sees_starts_and_stops_everybodys(scene):
    root = scene.of("root", may_manage=True)
    done(root.start("ada"))
    done(root.start("bob", "second"))
    assert set(names(done(root.list()))) == {"ada/ running", "bob/second running"}
    assert names(done(root.list("bob"))) == ["bob/second running"]
    assert done(root.stop("bob", "second")).state is ServerState.STOPPED
    assert names(done(scene.of("bob").list())) == []
    assert names(done(scene.of("bob").list(ended=True))) == ["bob/second stopped"]


def test_a_list_shows_what_ended_once_and_newest_first(scene):
    for number in range(5):
        at = NOON - timedelta(minutes=9 - number)
        scene.log.put(record(f"old-{number}", state=ServerState.STOPPED, started_at=at))
    scene.log.put(record("bobs", user="bob", state=ServerState.ERROR))
    ada = scene.of("ada")
    done(ada.start("ada"))
    listed = done(ada.list(ended=True))
    assert [s.id for s in listed] == ["ada-", "old-4", "old-3", "old-2", "old-1", "old-0"]
    assert [s.id for s in done(ada.list(ended=True, limit=2))] == ["ada-", "old-4"]
    assert done(ada.list(ended=True, limit=-1)) == ()


def test_a_server_without_any_session_is_told(scene):
    with pytest.raises(SessionNotFound, match="You have no session yet"):
        done(scene.of("ada").get("ada"))
    with pytest.raises(SessionNotFound, match="'bob' has no session called 'x' yet"):
        done(scene.of("root", may_manage=True).get("bob", "x"))
    with pytest.raises(SessionNotFound, match="no user"):
        done(scene.of("root", may_manage=True).get("nobody"))


@pytest.mark.parametrize("name", ["../bob", "a/b", "x\n", "..", "x" * 300])
def test_a_name_that_leads_elsewhere_reaches_no_hub(scene, name):
    root = scene.of("root", may_manage=True)
    for work in (root.get("ada", name), root.start("ada", name), root.stop(name), root.list(name)):
        with pytest.raises(InvalidInput):
            done(work)
    assert scene.hub.asked == []


def test_what_changes_between_hub_and_log_is_asked_again(scene):
    """The hub answered before the start, the log after it."""
    scene.hub.between.append(lambda: done_inside(scene.hub.start("ada", "", {})))
    assert done(scene.of("ada").get("ada")).state is ServerState.RUNNING


def test_a_stop_between_hub_and_log_is_not_taken_for_a_loss(scene):
    ada = scene.of("ada")
    done(ada.start("ada"))
    scene.hub.between.append(lambda: done_inside(scene.hub.stop("ada", "")))
    told = done(ada.get("ada"))
    assert (told.state, told.reason) == (ServerState.STOPPED, "user")


def done_inside(work: Any) -> None:
    with pytest.raises(StopIteration):
        work.send(None)  # these awaits never wait


def test_a_broken_log_hides_nothing_that_the_hub_knows(scene, monkeypatch):
    ada = scene.of("ada")
    done(ada.start("ada"))

    def broken(*_: object, **__: object) -> None:
        raise StoreCorrupt("The database is damaged.")

    monkeypatch.setattr(scene.log, "last", broken)
    monkeypatch.setattr(scene.log, "list", broken)
    assert names(done(ada.list(ended=True))) == ["ada/ running"]
    assert done(ada.get("ada")).id is None
    assert ada.log_fault == "The database is damaged."


def test_progress_is_the_hubs(scene):
    line = done(anext(scene.of("ada").progress("ada", "x")))
    assert (line.message, line.ready) == ("ada/x is up", True)
