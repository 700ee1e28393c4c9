"""The tracker's transition table: each case is what was seen and what is recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blackroad_nb.core.execution import Execution, Status, execution_id
from blackroad_nb.core.open_request import ERROR_LIMIT, SOURCE_LIMIT, Place
from blackroad_nb.core.tracking import (
    ANSWER_SECONDS,
    CLOSING_SECONDS,
    OPEN_LIMIT,
    QUEUE_LIMIT,
    REMEMBERED,
    ExecutionTracker,
)
from blackroad_nb.core.witness import (
    SHUTDOWN,
    Answer,
    Answered,
    Busy,
    Ending,
    Event,
    Failed,
    Idle,
    Input,
    KernelEnded,
    Moment,
    Requested,
    error_text,
)

BEGIN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def at(seconds: float, shift: float = 0.0) -> Moment:
    """A moment after the beginning; `shift` is how far the wall clock was moved."""
    return Moment(BEGIN + timedelta(seconds=seconds + shift), 1000.0 + seconds)


def asked(msg_id: str, code: str = "x = 1", **content: Any) -> Requested:
    request = {"code": code, "silent": False, **content}
    return Requested(msg_id, json.dumps(request).encode(), f"cell-{msg_id}", "ada", "hub")


def fed(*events: Event) -> list[Execution]:
    """Feed one event a second, return all that was recorded."""
    tracker = ExecutionTracker(Place("k", "server", "owner", "os"))
    tracker.path = "/nb.ipynb"
    return [
        execution
        for number, event in enumerate(events)
        for execution in tracker.feed(event, at(number))
    ]


@dataclass(frozen=True)
class Case:
    """Events, and for each execution that is recorded its status, source and error."""

    name: str
    events: tuple[Event, ...]
    expected: tuple[tuple[Status, str, str | None], ...]


S, E, A, K = Status.SUCCESS, Status.ERROR, Status.ABORTED, Status.KILLED
KILLED = "The kernel died while this cell ran."
UNHEARD = "The kernel died before it reported on this cell; most likely this cell ended it."
NEVER_RAN = "The kernel died before it came to this cell."
READY = (Busy("i", "kernel_info_request"), Idle("i"))
CASES = [
    Case("success", (asked("a"), Busy("a"), Input("a", "1"), Idle("a")), ((S, "1", None),)),
    Case("a direct client", (Busy("a"), Input("a", "1"), Idle("a")), ((S, "1", None),)),
    Case(
        "error",
        (asked("a"), Busy("a"), Input("a", "1/0"), Failed("a", "ZeroDivisionError: x"), Idle("a")),
        ((E, "1/0", "ZeroDivisionError: x"),),
    ),
    Case(
        "queued behind an error",
        (
            asked("a", "1/0"),
            asked("b", "2"),
            Busy("a"),
            Input("a", "1/0"),
            Failed("a", "Z"),
            Idle("a"),
            Busy("b"),
            Idle("b"),
        ),
        ((E, "1/0", "Z"), (A, "2", None)),
    ),
    Case("silent", (asked("a", silent=True), Busy("a"), Idle("a")), ()),
    Case("silent from a direct client", (Busy("a"), Idle("a")), ()),
    Case(
        "a kernel that never repeats sources",
        (asked("a", "ls"), Busy("a"), Idle("a")),
        ((S, "ls", None),),
    ),
    Case(
        "an error from a kernel that never repeats sources",
        (asked("a", "ls"), Busy("a"), Failed("a", "no ls"), Idle("a")),
        ((E, "ls", "no ls"),),
    ),
    Case(
        "the kernel dies",
        (asked("a"), Busy("a"), Input("a", "1"), KernelEnded(Ending.DIED)),
        ((K, "1", KILLED),),
    ),
    Case(
        "the kernel dies of a known cause",
        (Busy("a"), Input("a", "1"), KernelEnded(Ending.DIED, "Signal 9.")),
        ((K, "1", f"{KILLED} Signal 9."),),
    ),
    Case(
        "the kernel dies before it repeats the source",
        (asked("a", "7"), Busy("a"), KernelEnded(Ending.DIED)),
        ((K, "7", KILLED),),
    ),
    Case(
        "the kernel dies before it says anything of a cell",
        (*READY, asked("a", "exit"), asked("b", "2"), KernelEnded(Ending.DIED, "Code 1.")),
        ((K, "exit", f"{UNHEARD} Code 1."), (A, "2", f"{NEVER_RAN} Code 1.")),
    ),
    Case(
        "the kernel dies before it says anything of a silent request",
        (*READY, asked("a", silent=True), asked("b", "2"), KernelEnded(Ending.DIED)),
        ((A, "2", NEVER_RAN),),
    ),
    Case(
        "a kernel that never came up dies",
        (asked("a"), KernelEnded(Ending.DIED)),
        ((A, "x = 1", NEVER_RAN),),
    ),
    Case(
        "a kernel that came up dies, and so does the next",
        (*READY, KernelEnded(Ending.DIED), asked("a"), KernelEnded(Ending.DIED)),
        ((A, "x = 1", NEVER_RAN),),
    ),
    Case(
        "the kernel dies in a request that is no cell",
        (*READY, asked("a"), Busy("c", "comm_msg"), KernelEnded(Ending.DIED)),
        ((A, "x = 1", NEVER_RAN),),
    ),
    Case(
        "an idle kernel is restarted before it says anything of a cell",
        (*READY, asked("a"), KernelEnded(Ending.RESTARTED)),
        ((A, "x = 1", "The kernel was restarted before it came to this cell."),),
    ),
    Case(
        "a cell sent between a death and the restart that follows from it",
        (
            *READY,
            KernelEnded(Ending.DIED),
            asked("a"),
            KernelEnded(Ending.RESTARTED),
            Busy("a"),
            Input("a", "1"),
            Idle("a"),
        ),
        ((S, "1", None),),
    ),
    Case(
        "a restart by the user after one that followed from a death",
        (
            KernelEnded(Ending.DIED),
            KernelEnded(Ending.RESTARTED),
            Busy("a"),
            Input("a", "1"),
            KernelEnded(Ending.RESTARTED),
        ),
        ((K, "1", "The kernel was restarted while this cell ran."),),
    ),
    Case("death in a silent request", (Busy("a"), KernelEnded(Ending.DIED)), ()),
    Case(
        "queued when the server stops",
        (
            asked("a"),
            asked("b", "2"),
            Busy("a"),
            Input("a", "1"),
            KernelEnded(Ending.SERVER_STOPPED),
        ),
        (
            (K, "1", "The server stopped while this cell ran."),
            (A, "2", "The server stopped before the kernel came to this cell."),
        ),
    ),
    Case(
        "a silent request queued at shutdown",
        (asked("a", silent=True), KernelEnded(Ending.SHUT_DOWN)),
        (),
    ),
    Case(
        "a restart, its interrupt seen after its request",
        (
            asked("a"),
            Busy("a"),
            Input("a", "1"),
            Busy("r", "shutdown_request"),
            Failed("a", "KeyboardInterrupt"),
            Idle("a"),
            KernelEnded(Ending.RESTARTED),
        ),
        (
            (
                K,
                "1",
                "The kernel was shut down or restarted while this cell ran.\nKeyboardInterrupt",
            ),
        ),
    ),
    Case(
        "a restart, its interrupt seen before its request",
        (Busy("a"), Input("a", "1"), Failed("a", "KeyboardInterrupt", closing=True), Idle("a")),
        (
            (
                K,
                "1",
                "The kernel was shut down or restarted while this cell ran.\nKeyboardInterrupt",
            ),
        ),
    ),
    Case(
        "a cell that ends well while its kernel is shut down",
        (Busy("a"), Input("a", "1"), Busy("r", "shutdown_request"), Idle("a")),
        ((S, "1", None),),
    ),
    Case(
        "an interrupt after a restart is an interrupt again",
        (
            Busy("r", "shutdown_request"),
            KernelEnded(Ending.RESTARTED),
            Busy("a"),
            Input("a", "1"),
            Failed("a", "KeyboardInterrupt"),
            Idle("a"),
        ),
        ((E, "1", "KeyboardInterrupt"),),
    ),
    Case(
        "the idle message is lost",
        (Busy("a"), Input("a", "1"), Busy("b"), Input("b", "2"), Idle("b")),
        ((S, "1", None), (S, "2", None)),
    ),
    Case(
        "idle and the next busy are lost",
        (Busy("a"), Input("a", "1"), Failed("a", "E"), Input("b", "2"), Idle("b")),
        ((E, "1", "E"), (S, "2", None)),
    ),
    Case("the busy message is lost", (asked("a"), Input("a", "1"), Idle("a")), ((S, "1", None),)),
    Case("all but the idle message is lost", (asked("a"), Idle("a")), ()),
    Case(
        "the input message is lost from a kernel that repeats sources",
        (Busy("z"), Input("z", "0"), Idle("z"), asked("a", "9"), Busy("a"), Idle("a")),
        ((S, "0", None), (A, "9", None)),
    ),
    Case(
        "subshells run side by side",
        (
            Busy("a"),
            Input("a", "main"),
            Busy("b", subshell="s"),
            Input("b", "sub", 2, "s"),
            Idle("b"),
            Idle("a"),
        ),
        ((S, "sub", None), (S, "main", None)),
    ),
    Case(
        "two clients take turns",
        (
            asked("a"),
            asked("b"),
            Busy("b"),
            Input("b", "2"),
            Idle("b"),
            Busy("a"),
            Input("a", "1"),
            Idle("a"),
        ),
        ((S, "2", None), (S, "1", None)),
    ),
    Case(
        "other requests are none of ours",
        (Busy("i", "kernel_info_request"), Idle("i"), Busy("c", "complete_request"), Idle("c")),
        (),
    ),
    Case("a request with unreadable content", (Requested("a", b"{"), Busy("a"), Idle("a")), ()),
    Case("a request without code", (Requested("a", b"[]"), Busy("a"), Idle("a")), ()),
    Case("a request whose code is no text", (asked("a", 7), Busy("a"), Idle("a")), ()),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    assert tuple((row.status, row.source, row.error) for row in fed(*case.events)) == case.expected


def test_what_a_row_carries() -> None:
    (row,) = fed(asked("a"), Busy("a"), Input("a", "1", 5), Idle("a"))
    assert row == Execution(
        id=execution_id("k", "a"),
        status=Status.SUCCESS,
        source="1",
        started_at=BEGIN + timedelta(seconds=1),
        finished_at=BEGIN + timedelta(seconds=3),
        duration_ms=2000,
        path="/nb.ipynb",
        cell_id="cell-a",
        execution_count=5,
        kernel_id="k",
        user="ada",
        user_source="hub",
        server="server",
        queued_at=BEGIN,
    )


def test_a_cell_that_the_kernel_did_not_report_on_began_when_it_was_sent() -> None:
    (row,) = fed(*READY, asked("a"), KernelEnded(Ending.DIED))
    assert (row.queued_at, row.started_at) == (BEGIN + timedelta(seconds=2),) * 2
    assert row.duration_ms == 1000


def test_a_direct_client_is_taken_for_the_owner() -> None:
    (row,) = fed(Busy("a"), Input("a", "1"), Idle("a"))
    assert (row.user, row.user_source, row.cell_id, row.queued_at) == ("owner", "os", None, None)


def test_the_path_is_that_of_the_end() -> None:
    tracker = ExecutionTracker(Place("k"))
    tracker.path = "/before.ipynb"
    tracker.feed(Busy("a"), at(0))
    tracker.feed(Input("a", "1"), at(1))
    tracker.path = "/after.ipynb"
    (row,) = tracker.feed(Idle("a"), at(2))
    assert row.path == "/after.ipynb"


def test_a_claimed_request_yields_nothing_and_the_next_does() -> None:
    tracker = ExecutionTracker(Place("k"))
    tracker.claim("a")
    events = (Busy("a"), Input("a", "1"), Failed("a", "E"), Idle("a"))
    assert [row for event in events for row in tracker.feed(event, at(0))] == []
    rows = [r for e in (Busy("b"), Input("b", "2"), Idle("b")) for r in tracker.feed(e, at(1))]
    assert [row.source for row in rows] == ["2"]


def test_a_claim_ends_with_its_kernel() -> None:
    tracker = ExecutionTracker(Place("k"))
    tracker.claim("a")
    tracker.feed(Busy("a"), at(0))
    assert tracker.feed(KernelEnded(Ending.DIED), at(1)) == ()
    rows = [r for e in (Busy("a"), Input("a", "2"), Idle("a")) for r in tracker.feed(e, at(2))]
    assert len(rows) == 1


def test_one_msg_id_for_all_requests_still_gives_a_row_each() -> None:
    cell = (asked("same"), Busy("same"), Input("same", "1"), Idle("same"))
    rows = fed(*cell, *cell, *cell)
    assert len({row.id for row in rows}) == 3
    assert rows[0].id == execution_id("k", "same")


def test_one_msg_id_for_requests_that_wait_together() -> None:
    cell = (Busy("same"), Input("same", "1"), Idle("same"))
    first = asked("same")._replace(cell_id="first")
    second = asked("same")._replace(cell_id="second")
    assert [row.cell_id for row in fed(first, second, *cell, *cell)] == ["first", "second"]


def test_a_clock_that_is_set_back_does_not_touch_the_duration() -> None:
    tracker = ExecutionTracker(Place("k"))
    tracker.feed(asked("a"), at(0))
    tracker.feed(Busy("a", sent=at(2).wall), at(2))
    tracker.feed(Input("a", "1"), at(2))
    (row,) = tracker.feed(Idle("a", sent=at(5, shift=-3600).wall), at(5, shift=-3600))
    assert row.duration_ms == 3000
    assert row.started_at == at(2).wall
    assert row.finished_at == at(5).wall
    assert row.queued_at == at(0).wall


def test_a_clock_that_is_set_back_while_the_cell_waits() -> None:
    tracker = ExecutionTracker(Place("k"))
    tracker.feed(asked("a"), at(0))
    for event in (Busy("a"), Input("a", "1")):
        tracker.feed(event, at(2, shift=-3600))
    (row,) = tracker.feed(Idle("a"), at(3, shift=-3600))
    assert row.queued_at == at(0, shift=-3600).wall
    assert row.duration_ms == 1000


@pytest.mark.parametrize(
    ("begun", "ended", "milliseconds"),
    [
        (0.9, 1.903, 1003),  # the kernel's stamps are finer and believed
        (0.9, 2.5, 1000),  # the end disagrees with the monotonic clock
        (-50.0, 1.9, 1000),  # the beginning does
        (0.9, 0.8, 1000),  # backwards
        (None, 1.9, 1000),
        (0.9, None, 1000),
    ],
)
def test_when_the_kernels_own_stamps_are_believed(
    begun: float | None, ended: float | None, milliseconds: int
) -> None:
    tracker = ExecutionTracker(Place("k"))
    tracker.feed(Busy("a", sent=None if begun is None else at(begun).wall), at(1))
    tracker.feed(Input("a", "1"), at(1))
    (row,) = tracker.feed(Idle("a", None if ended is None else at(ended).wall), at(2))
    assert row.duration_ms == milliseconds


def test_what_runs_long_is_announced_once_and_finished_under_the_same_id() -> None:
    tracker = ExecutionTracker(Place("k"))
    for event in (asked("a"), Busy("a"), Input("a", "1")):
        tracker.feed(event, at(0))
    assert tracker.overdue(at(0.5), after_seconds=1) == ()
    (pending,) = tracker.overdue(at(1.5), after_seconds=1)
    assert (pending.status, pending.finished_at, pending.duration_ms) == (
        Status.PENDING,
        None,
        None,
    )
    assert tracker.overdue(at(2), after_seconds=1) == ()
    (row,) = tracker.feed(Idle("a"), at(3))
    assert row.id == pending.id


def test_a_request_that_may_be_silent_is_not_announced() -> None:
    tracker = ExecutionTracker(Place("k"))
    tracker.feed(Busy("a"), at(0))
    assert tracker.overdue(at(9), after_seconds=1) == ()


def test_a_lost_end_is_counted() -> None:
    tracker = ExecutionTracker(Place("k"))
    for event in (Busy("a"), Input("a", "1"), Busy("b")):
        tracker.feed(event, at(0))
    assert tracker.ends_lost == 1


OK, FAILED = Answer("ok"), Answer("error")
SHOWN = (asked("a"), Busy("a"), Input("a", "%tb"), Failed("a", "E"), Idle("a"))


def heard(answer: Answer | None, *events: Event) -> tuple[ExecutionTracker, list[Execution]]:
    tracker = ExecutionTracker(Place("k"), lambda _: answer)
    return tracker, [row for event in events for row in tracker.feed(event, at(0))]


@pytest.mark.parametrize(
    ("answer", "events", "expected"),
    [
        (OK, SHOWN, (S, "%tb", None)),
        (FAILED, SHOWN, (E, "%tb", "E")),
        (OK, SHOWN[1:], (E, "%tb", "E")),  # not through a websocket: no answer to be heard
        (OK, (*SHOWN[:2], *SHOWN[3:]), (S, "x = 1", None)),
        (OK, (*SHOWN[:3], Failed("a", "E", closing=True), Idle("a")), None),
        (OK, (*SHOWN[:4], Busy("b")), (S, "%tb", None)),
        (None, (*SHOWN, KernelEnded(Ending.DIED)), (E, "%tb", "E")),
    ],
)
def test_the_answer_tells_whether_an_error_was_a_failure(
    answer: Answer | None, events: tuple[Event, ...], expected: tuple[Any, ...] | None
) -> None:
    (row,) = heard(answer, *events)[1]
    if expected is None:
        assert row.status is K
    else:
        assert (row.status, row.source, row.error) == expected


@pytest.mark.parametrize(("late", "status"), [(OK, S), (FAILED, E), (None, E)])
def test_a_late_answer_is_waited_for(late: Answer | None, status: Status) -> None:
    answers: list[Answer | None] = [None]
    tracker = ExecutionTracker(Place("k"), lambda _: answers[-1])
    assert [row for event in SHOWN for row in tracker.feed(event, at(0))] == []
    assert tracker.open_count == 1
    assert tracker.overdue(at(ANSWER_SECONDS / 2), 60) == ()
    answers.append(late)
    (row,) = tracker.overdue(at(ANSWER_SECONDS), 60)
    assert (row.status, row.duration_ms) == (status, 0)
    assert tracker.open_count == 0


@pytest.mark.parametrize(
    ("answered", "then", "status"),
    [
        (True, KernelEnded(Ending.RESTARTED), S),
        (False, KernelEnded(Ending.RESTARTED), K),
        (False, Busy("x", SHUTDOWN), K),
        (False, KernelEnded(Ending.DIED), S),
    ],
)
def test_a_cell_without_an_answer_never_ran_when_its_kernel_is_ended(
    answered: bool, then: Event, status: Status
) -> None:
    """The interrupt that comes first can meet the kernel on its way to the cell."""
    tracker = ExecutionTracker(Place("k"), lambda _: None, lambda _: answered)
    events = (asked("a"), Busy("a"), Input("a", "1"), Idle("a"), then)
    (row,) = (row for event in events for row in tracker.feed(event, at(0)))
    assert row.status is status
    assert (row.error is None) is (status is S)


def test_a_cell_whose_answer_is_not_heard_is_believed_after_a_while() -> None:
    tracker = ExecutionTracker(Place("k"), lambda _: None, lambda _: False)
    events = (asked("a"), Busy("a"), Input("a", "1"), Idle("a"))
    assert [row for event in events for row in tracker.feed(event, at(0))] == []
    (row,) = tracker.overdue(at(ANSWER_SECONDS), 60)
    assert (row.status, row.duration_ms) == (S, 0)


def test_a_shared_msg_id_is_never_believed() -> None:
    cell = (asked("a"), Busy("a"), Input("a", "1"), Idle("a"))
    rows = heard(OK, *cell, *SHOWN)[1]
    assert [row.status for row in rows] == [S, E]


CELL = (asked("a"), Busy("a"), Input("a", "1"))
INTERRUPTED = (*CELL, Failed("a", "KeyboardInterrupt"), Idle("a"))


def relayed(answer: Answer | None, *events: Event) -> tuple[ExecutionTracker, list[Execution]]:
    tracker = ExecutionTracker(Place("k", relayed=True), lambda _: answer)
    return tracker, [row for event in events for row in tracker.feed(event, at(1))]


@pytest.mark.parametrize(
    ("answer", "events", "expected"),
    [
        (OK, (*CELL, Idle("a")), [(S, None)]),
        (
            Answer("error", "E: dropped on its way"),
            (*CELL, Idle("a")),
            [(E, "E: dropped on its way")],
        ),
        (FAILED, (*CELL, Failed("a", "E"), Idle("a")), [(E, "E")]),
        (None, (*CELL, Idle("a")), []),
        (None, (*CELL, Idle("a"), KernelEnded(Ending.DIED)), [(S, None)]),
        (OK, (Busy("a"), Input("a", "1"), Failed("a", "E"), Idle("a")), [(E, "E")]),
        (FAILED, INTERRUPTED, []),
        (FAILED, (*INTERRUPTED, Busy("s", "shutdown_request")), [(K, "KeyboardInterrupt")]),
        (FAILED, (*INTERRUPTED, KernelEnded(Ending.RESTARTED)), [(K, "KeyboardInterrupt")]),
        (FAILED, (*INTERRUPTED, KernelEnded(Ending.SERVER_STOPPED)), [(E, "KeyboardInterrupt")]),
    ],
)
def test_the_end_of_a_relayed_cell(
    answer: Answer | None, events: tuple[Event, ...], expected: list[tuple[Status, str | None]]
) -> None:
    rows = relayed(answer, *events)[1]
    assert [(row.status, row.error and row.error.split("\n")[-1]) for row in rows] == expected


def test_a_relayed_answer_that_comes_after_the_end_settles_it() -> None:
    answers: list[Answer | None] = [None]
    tracker = ExecutionTracker(Place("k", relayed=True), lambda _: answers[-1])
    assert [row for event in (*CELL, Idle("a")) for row in tracker.feed(event, at(0))] == []
    answers.append(FAILED)
    (row,) = tracker.feed(Answered("a"), at(0.1))
    assert row.status is E


def test_an_interrupt_that_somebody_asked_for_needs_no_waiting() -> None:
    tracker, rows = relayed(FAILED, *INTERRUPTED)
    assert rows == []
    (row,) = tracker.interrupt(at(1.1))
    assert row.status is E
    for event in INTERRUPTED[:-1]:
        tracker.feed(event._replace(msg_id="b"), at(1.1))  # type: ignore[union-attr]
    assert [r.status for r in tracker.feed(Idle("b"), at(2))] == [E]


def test_an_unexplained_interrupt_is_an_error_after_a_while() -> None:
    tracker, _ = relayed(FAILED, *INTERRUPTED)
    assert tracker.overdue(at(1 + CLOSING_SECONDS / 2), 60) == ()
    (row,) = tracker.overdue(at(1 + CLOSING_SECONDS), 60)
    assert row.status is E


def test_what_ended_out_of_sight_is_said_to_be_unseen() -> None:
    silent = asked("s", silent=True)
    tracker, _ = relayed(None, *CELL, asked("b", "2"), silent)
    assert not tracker.out_of_sight
    assert tracker.give_up_unseen(at(2)) == ()
    tracker.lose_sight(at(3))
    assert tracker.out_of_sight
    tracker.feed(asked("c", "3"), at(4))  # after sight came back: it will be seen
    rows = tracker.give_up_unseen(at(5))
    assert [(row.status, row.source, row.finished_at, row.duration_ms) for row in rows] == [
        (K, "1", None, None),
        (A, "2", None, None),
    ]
    assert all("not seen" in (row.error or "") for row in rows)
    assert (tracker.open_count, tracker.ends_unseen, tracker.out_of_sight) == (1, 2, False)


def test_a_cell_whose_end_was_missed_is_unseen_when_the_next_begins() -> None:
    tracker, _ = relayed(None, *CELL)
    tracker.lose_sight(at(2))
    (row,) = tracker.feed(Busy("b"), at(3))
    assert (row.status, row.finished_at) == (K, None)


def test_a_cell_that_was_out_of_sight_for_a_while_ends_as_it_ends() -> None:
    tracker, _ = relayed(OK, *CELL)
    tracker.lose_sight(at(2))
    (row,) = tracker.feed(Idle("a"), at(3))
    assert (row.status, row.duration_ms) == (S, 2000)


def test_a_huge_source_keeps_its_beginning_and_says_so() -> None:
    (row,) = fed(Busy("a"), Input("a", "x" * (SOURCE_LIMIT + 5)), Idle("a"))
    assert row.source == "x" * SOURCE_LIMIT + "\n# [5 characters more]"


def test_a_huge_error_keeps_both_ends() -> None:
    error = "Cause" + "." * ERROR_LIMIT + "where"
    (row,) = fed(Busy("a"), Input("a", "1"), Failed("a", error), Idle("a"))
    assert row.error is not None
    assert len(row.error) < ERROR_LIMIT + 100
    assert row.error.startswith("Cause")
    assert row.error.endswith("where")
    assert "[10 characters left out]" in row.error


def test_nothing_grows_without_bound() -> None:
    tracker = ExecutionTracker(Place("k"))
    for number in range(QUEUE_LIMIT + 10):
        tracker.feed(asked(f"q{number}"), at(0))
    assert tracker.open_count == QUEUE_LIMIT
    for number in range(OPEN_LIMIT + 10):
        tracker.feed(Busy(f"b{number}", subshell=f"{number}"), at(0))
    assert tracker.open_count == QUEUE_LIMIT + OPEN_LIMIT
    for number in range(REMEMBERED + 10):
        tracker.feed(Busy(f"s{number}"), at(0))
    assert len(tracker._seen) == REMEMBERED


@pytest.mark.parametrize(
    ("name", "value", "traceback", "text"),
    [
        ("E", "v", ["a", "b"], "E: v\na\nb"),
        ("E", "", [], "E"),
        ("KeyboardInterrupt", "", ["line"], "KeyboardInterrupt\nline"),
    ],
)
def test_error_text(name: str, value: str, traceback: list[str], text: str) -> None:
    assert error_text(name, value, traceback) == text
