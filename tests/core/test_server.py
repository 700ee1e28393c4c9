"""The life of a session: each cell of its table, and what people are told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blackroad_nb.core.server import TRANSITIONS, ServerEvent, ServerRecord, ServerState, after
from blackroad_nb.core.sessions import (
    LOST,
    HubServer,
    Session,
    check_names,
    contradict,
    merge,
    session_record,
    states_table,
)
from blackroad_nb.errors import InvalidInput

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
EXPLAINED = Path(__file__).parent.parent.parent / "docs" / "explanation" / "sessions.md"

S, E = ServerState, ServerEvent
# Written out by hand, so that a change of the table is a change here too.
EXPECTED = {
    (S.STARTING, E.READY): S.RUNNING,
    (S.STARTING, E.STOP): S.STOPPING,
    (S.STARTING, E.ENDED): S.STOPPED,
    (S.STARTING, E.FAILED): S.ERROR,
    (S.STARTING, E.DIED): S.ERROR,
    (S.STARTING, E.LOST): S.ERROR,
    (S.RUNNING, E.READY): S.RUNNING,
    (S.RUNNING, E.STOP): S.STOPPING,
    (S.RUNNING, E.ENDED): S.STOPPED,
    (S.RUNNING, E.DIED): S.ERROR,
    (S.RUNNING, E.LOST): S.ERROR,
    (S.STOPPING, E.READY): S.RUNNING,
    (S.STOPPING, E.STOP): S.STOPPING,
    (S.STOPPING, E.ENDED): S.STOPPED,
    (S.STOPPING, E.FAILED): S.STOPPED,
    (S.STOPPING, E.DIED): S.STOPPED,
    (S.STOPPING, E.LOST): S.STOPPED,
}


def record(state: ServerState = S.RUNNING, **changes: object) -> ServerRecord:
    ended = {"ended_at": LATER} if not TRANSITIONS[state] else {}
    made = ServerRecord("id-1", "ada", "", "large", "alpha", state, NOON, **ended)
    return replace(made, **changes)  # type: ignore[arg-type]


def server(pending: str | None = None, **changes: object) -> HubServer:
    made = HubServer(
        "ada",
        "",
        ready=pending is None,
        pending=pending,
        started_at=NOON,
        last_activity_at=LATER,
        url="/user/ada/",
        options={"profile": "large", "template": "alpha"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


# the transitions -----------------------------------------------------------------


@pytest.mark.parametrize("event", ServerEvent)
@pytest.mark.parametrize("state", ServerState)
def test_each_cell_of_the_table(state, event):
    expected = EXPECTED.get((state, event))
    if expected is None:
        with pytest.raises(InvalidInput, match=f"that is {state}"):
            after(record(state), event, LATER)
        return
    told = after(record(state), event, LATER, reason="why", message="Because.", exit_code=7)
    assert told.state is expected
    asked_for = state is S.STOPPING and event in (E.FAILED, E.DIED, E.LOST)
    assert (told.reason, told.message) == (("", "") if asked_for else ("why", "Because."))
    assert told.exit_code == 7
    assert told.ended_at == (LATER if expected in (S.STOPPED, S.ERROR) else None)
    assert told.ended is (expected in (S.STOPPED, S.ERROR))
    assert told.ready_at == (LATER if event is E.READY else None)
    assert (told.id, told.started_at) == ("id-1", NOON)


def test_how_the_process_of_a_stopped_session_ended_is_not_why_it_stopped():
    asked = after(record(), E.STOP, NOON, reason="idle", message="Idle for 4 hours.")
    died = after(asked, E.DIED, LATER, reason="exited", message="Exit code 143.", exit_code=143)
    assert (died.reason, died.message, died.exit_code) == ("idle", "Idle for 4 hours.", 143)


def test_what_was_said_earlier_stays_when_an_event_has_nothing_to_say():
    asked = after(record(), E.STOP, NOON, reason="idle", message="Idle for 4 hours.")
    ended = after(asked, E.ENDED, LATER, exit_code=0)
    assert (ended.reason, ended.message, ended.exit_code) == ("idle", "Idle for 4 hours.", 0)


def test_being_found_again_does_not_change_when_it_was_ready():
    found = after(record(ready_at=NOON), E.READY, LATER)
    assert found.ready_at == NOON


def test_the_documentation_shows_the_table_as_it_is():
    assert states_table() in EXPLAINED.read_text()


# the hub's word and our record ---------------------------------------------------


@pytest.mark.parametrize(
    ("pending", "recorded", "expected"),
    [
        ("spawn", None, S.STARTING),
        ("spawn", S.STARTING, S.STARTING),
        ("spawn", S.RUNNING, S.STARTING),  # it answers, but has no route yet
        ("spawn", S.STOPPING, S.STARTING),
        ("spawn", S.STOPPED, S.STARTING),
        ("spawn", S.ERROR, S.STARTING),
        (None, None, S.RUNNING),
        (None, S.STARTING, S.RUNNING),
        (None, S.RUNNING, S.RUNNING),
        (None, S.STOPPING, S.RUNNING),
        (None, S.STOPPED, S.RUNNING),
        (None, S.ERROR, S.RUNNING),
        ("stop", None, S.STOPPING),
        ("stop", S.STARTING, S.STOPPING),
        ("stop", S.RUNNING, S.STOPPING),
        ("stop", S.STOPPING, S.STOPPING),
        ("stop", S.STOPPED, S.STOPPING),
        ("stop", S.ERROR, S.STOPPING),
        ("check", None, S.RUNNING),
        ("check", S.STARTING, S.STARTING),
        ("check", S.RUNNING, S.RUNNING),
        ("check", S.STOPPING, S.STOPPING),
        ("check", S.ERROR, S.RUNNING),
    ],
)
def test_while_the_hub_knows_a_server_its_word_decides(pending, recorded, expected):
    told = merge(server(pending), None if recorded is None else record(recorded))
    assert told is not None
    assert told.state is expected
    assert (told.profile, told.template, told.started_at) == ("large", "alpha", NOON)
    assert told.ended_at is None
    assert told.url == ("/user/ada/" if expected is S.RUNNING else "")
    assert told.last_activity_at == LATER


@pytest.mark.parametrize(
    ("recorded", "expected", "reason"),
    [
        (S.STARTING, S.ERROR, LOST),
        (S.RUNNING, S.ERROR, LOST),
        (S.STOPPING, S.STOPPED, LOST),
        (S.STOPPED, S.STOPPED, "user"),
        (S.ERROR, S.ERROR, "user"),
    ],
)
def test_when_the_hub_runs_no_such_server_it_has_ended(recorded, expected, reason):
    given = "user" if recorded in (S.STOPPED, S.ERROR) else ""
    told = merge(None, record(recorded, reason=given))
    assert told is not None
    assert (told.state, told.reason, told.url, told.active) == (expected, reason, "", False)
    assert told.id == "id-1"


def test_a_reason_that_is_known_is_not_replaced_by_lost():
    told = merge(None, record(S.STOPPING, reason="idle", message="Idle for 4 hours."))
    assert told is not None
    assert (told.state, told.reason, told.message) == (S.STOPPED, "idle", "Idle for 4 hours.")


def test_there_is_no_session_where_neither_knows_one():
    assert merge(None, None) is None


def test_an_earlier_life_lends_nothing_to_what_runs_now():
    earlier = record(S.ERROR, profile="small", reason="out_of_memory", exit_code=137)
    told = merge(server("spawn", started_at=LATER), earlier)
    assert told == Session(
        "ada",
        "",
        S.STARTING,
        profile="large",
        template="alpha",
        started_at=LATER,
        last_activity_at=LATER,
    )


@pytest.mark.parametrize("shown", [None, 7, {"x": 1}, ["a", "b"], "", []])
def test_options_of_the_wrong_kind_are_not_shown(shown):
    told = merge(server(options={"profile": shown, "template": shown}), None)
    assert told is not None
    assert (told.profile, told.template) == (None, None)


@pytest.mark.parametrize(
    ("known", "recorded", "expected"),
    [
        (False, None, False),
        (True, None, True),
        (False, S.RUNNING, True),
        (False, S.STOPPED, False),
        (True, S.RUNNING, False),
        (True, S.ERROR, True),
    ],
)
def test_contradictions_are_worth_asking_again(known, recorded, expected):
    kept = None if recorded is None else record(recorded)
    assert contradict(server() if known else None, kept) is expected


def test_the_record_for_programs_is_whole():
    told = merge(server(), record(ready_at=LATER))
    assert told is not None
    assert session_record(told) == {
        "id": "id-1",
        "user": "ada",
        "server_name": "",
        "state": "running",
        "profile": "large",
        "template": "alpha",
        "started_at": "2026-03-01T12:00:00+00:00",
        "ready_at": "2026-03-01T12:05:00+00:00",
        "ended_at": None,
        "last_activity_at": "2026-03-01T12:05:00+00:00",
        "reason": "",
        "message": "",
        "exit_code": None,
        "url": "/user/ada/",
    }


# names ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ada", "o'brien@example.com", "näme", "a b", "%2e%2e", "a.b"])
def test_names_that_the_hub_allows_pass(name):
    check_names(name, name)
    check_names(name, "")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "x\n", "x\0", "\u202eevil", "x" * 256])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(InvalidInput, match="user"):
        check_names(name, "")
    with pytest.raises(InvalidInput, match="session"):
        check_names("ada", name)


def test_a_user_has_a_name():
    with pytest.raises(InvalidInput, match="missing"):
        check_names("", "")
