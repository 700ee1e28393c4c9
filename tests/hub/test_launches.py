"""The count of sessions: places taken and given back, and a log that may fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from blackroad_nb.adapters.memory_servers import MemoryServerLog
from blackroad_nb.core.launch import LaunchChoice
from blackroad_nb.core.policy import Launcher
from blackroad_nb.core.profile import LaunchPolicy, Profile
from blackroad_nb.core.server import ServerEvent, ServerRecord, ServerState
from blackroad_nb.errors import InvalidInput, LaunchRefused, LimitReached, StoreError, StoreFull
from blackroad_nb.hub.launches import MOST_UNWRITTEN, Launches

ADA = Launcher("ada", may_launch=True)
BOB = Launcher("bob", may_launch=True)
CHOICE = LaunchChoice("small", "alpha")
POLICY = LaunchPolicy((Profile("small", "Small"),), max_sessions=2, max_sessions_per_user=2)


class Clock:
    """A second later each time it is asked."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class FailingLog(MemoryServerLog):
    """A log on a disk that is full for as long as it is told to be."""

    full = True

    def put(self, record: ServerRecord) -> None:
        if self.full:
            raise StoreFull("The disk is full.")
        super().put(record)

    def list(
        self, user: str | None = None, ended: bool | None = None, limit: int = 50
    ) -> tuple[ServerRecord, ...]:
        if self.full:
            raise StoreError("The log cannot be read.")
        return super().list(user, ended, limit)


def launches(log: MemoryServerLog | None = None, first: int = 0) -> Launches:
    made = (f"id-{number}" for number in range(first, 10_000))
    return Launches(log or MemoryServerLog(), Clock(), lambda: next(made))


def states(log: MemoryServerLog) -> dict[str, tuple[str, str]]:
    return {record.id: (record.state.value, record.reason) for record in log.list()}


def test_a_place_is_held_from_the_first_moment_to_the_last() -> None:
    log = MemoryServerLog()
    own = launches(log)
    record = own.begin(ADA, CHOICE, POLICY, "one")
    assert log.get(record.id) == record
    assert (record.profile, record.template, record.server_name) == ("small", "alpha", "one")
    for event in (ServerEvent.READY, ServerEvent.STOP):
        own.event(record.id, event)
        assert [held.id for held in own.active()] == [record.id]
    own.event(record.id, ServerEvent.ENDED)
    assert own.active() == ()
    assert states(log) == {record.id: ("stopped", "")}


def test_what_is_full_refuses_and_takes_no_place() -> None:
    log = MemoryServerLog()
    own = launches(log)
    first = own.begin(ADA, CHOICE, POLICY)
    own.begin(BOB, CHOICE, POLICY)
    used = {("bob", ""): datetime(2026, 11, 21, 8, 0, tzinfo=UTC)}
    with pytest.raises(LimitReached, match="another user's, starting since 09:00 UTC") as caught:
        own.begin(Launcher("eve", may_launch=True), CHOICE, POLICY, "", used)
    assert (caught.value.reason, caught.value.status) == ("limit_per_hub", 429)
    assert len(log.list()) == 2
    own.event(first.id, ServerEvent.FAILED, reason="no_capacity", message="No room.")
    own.begin(Launcher("eve", may_launch=True), CHOICE, POLICY)


def test_what_may_not_start_at_all_is_refused_otherwise() -> None:
    with pytest.raises(LaunchRefused) as caught:
        launches().begin(Launcher("ada"), CHOICE, POLICY)
    assert (caught.value.reason, caught.value.status) == ("not_permitted", 403)
    with pytest.raises(InvalidInput):
        launches().begin(ADA, LaunchChoice("huge"), POLICY)


def test_an_event_that_cannot_happen_changes_nothing() -> None:
    own = launches()
    record = own.begin(ADA, CHOICE, POLICY)
    ready = own.event(record.id, ServerEvent.READY)
    assert own.event(record.id, ServerEvent.FAILED) is None
    assert own.get(record.id) == ready
    own.event(record.id, ServerEvent.DIED, reason="killed", message="Gone.", exit_code=-9)
    assert own.event(record.id, ServerEvent.ENDED) is None
    last = own.last("ada", "")
    assert last is not None
    assert (last.state, last.reason, last.exit_code) == (ServerState.ERROR, "killed", -9)
    assert own.event("nobody", ServerEvent.STOP) is None


def test_an_end_that_was_missed_does_not_lock_its_user_out() -> None:
    log = MemoryServerLog()
    own = launches(log)
    only_one = LaunchPolicy(POLICY.profiles, max_sessions_per_user=1)
    own.begin(ADA, CHOICE, only_one)
    own.begin(ADA, CHOICE, only_one)
    assert states(log) == {"id-0": ("error", "lost"), "id-1": ("starting", "")}


def test_a_hub_that_comes_back_counts_what_it_has_not_looked_at_yet() -> None:
    log = MemoryServerLog()
    before = launches(log)
    for launcher in (ADA, BOB):
        before.begin(launcher, CHOICE, POLICY)
    again = launches(log, first=10)
    with pytest.raises(LimitReached):
        again.begin(Launcher("eve", may_launch=True), CHOICE, POLICY)
    claimed = again.claim("ada", "")
    assert claimed is not None
    assert claimed.id == "id-0"
    assert again.claim("ada", "other") is None
    again.event("id-0", ServerEvent.READY)
    assert [record.id for record in again.settle()] == ["id-1"]
    assert again.settle() == ()
    assert states(log) == {"id-0": ("running", ""), "id-1": ("error", "lost")}
    again.begin(BOB, CHOICE, POLICY)


def test_a_session_that_was_being_stopped_runs_again_if_it_is_there() -> None:
    log = MemoryServerLog()
    before = launches(log)
    record = before.begin(ADA, CHOICE, POLICY)
    before.event(record.id, ServerEvent.READY)
    before.event(record.id, ServerEvent.STOP)
    again = launches(log)
    again.claim("ada", "")
    found = again.event(record.id, ServerEvent.READY)
    assert found is not None
    assert found.state is ServerState.RUNNING
    assert found.ended_at is None


def test_the_log_counts_before_what_the_hub_remembers() -> None:
    log = MemoryServerLog()
    record = launches(log).begin(ADA, CHOICE, POLICY)
    again = launches(log)
    older = ServerRecord("id-0", "ada", "", "x", None, ServerState.STARTING, record.started_at)
    assert again.adopt(older) == record
    unknown = ServerRecord("id-7", "bob", "", "x", None, ServerState.RUNNING, record.started_at)
    assert again.adopt(unknown) == unknown
    assert [held.id for held in again.active()] == ["id-0", "id-7"]
    assert log.get("id-7") == unknown


def test_a_log_that_stays_full_does_not_fill_the_memory() -> None:
    log = FailingLog()
    own = launches(log)
    kept = own.begin(BOB, CHOICE, POLICY)
    for _ in range(MOST_UNWRITTEN + 50):
        own.event(own.begin(ADA, CHOICE, POLICY).id, ServerEvent.FAILED)
    assert own.health.behind <= MOST_UNWRITTEN
    log.full = False
    own.event(kept.id, ServerEvent.READY)
    assert log.get(kept.id).state is ServerState.RUNNING


def test_a_log_that_fails_stops_no_launch_and_is_made_good_later() -> None:
    log = FailingLog()
    own = launches(log)
    assert (own.health.failures, own.health.last_failure) == (1, "The log cannot be read.")
    first = own.begin(ADA, CHOICE, POLICY)
    own.event(first.id, ServerEvent.READY)
    with pytest.raises(LimitReached):  # the count does not hang on the log
        own.begin(BOB, CHOICE, POLICY) and own.begin(
            Launcher("eve", may_launch=True), CHOICE, POLICY
        )
    assert own.health.behind == 2
    assert own.health.last_failure == "The disk is full."
    own.event(first.id, ServerEvent.STOP)
    log.full = False
    own.event(first.id, ServerEvent.ENDED)
    assert own.health.behind == 0
    assert states(log) == {"id-0": ("stopped", ""), "id-1": ("starting", "")}
