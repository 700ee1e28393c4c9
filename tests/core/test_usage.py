"""What counts, how far it is believed, and how a window is cut at midnights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.usage import (
    Trust,
    UsageEvent,
    UsageQuery,
    check_usage_query,
    day_windows,
    trust_of,
    usage_of,
)
from blackroad_nb.errors import InvalidInput

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("status", "finished_at", "duration_ms", "expected"),
    [
        (Status.SUCCESS, LATER, 60_000, (LATER, 60_000)),
        (Status.ERROR, LATER, 0, (LATER, 0)),
        (Status.TIMEOUT, LATER, 7, (LATER, 7)),
        (Status.KILLED, None, None, (NOON, 0)),
        (Status.SUCCESS, LATER, -5, (LATER, 0)),
        (Status.PENDING, None, None, None),
        (Status.ABORTED, LATER, 0, None),
    ],
)
def test_what_ran_counts_once_at_its_end(status, finished_at, duration_ms, expected):
    execution = Execution(
        "e", status, "1", NOON, finished_at, duration_ms, user="ada", user_source="os", path="/p"
    )
    event = None
    if expected:
        event = UsageEvent("e", expected[0], "ada", "/p", 1, expected[1], Trust.OPERATOR)
    assert usage_of(execution) == event


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("os", Trust.OPERATOR),
        ("token", Trust.OPERATOR),
        ("hub", Trust.REPORTED),
        ("identity", Trust.REPORTED),
        (None, Trust.REPORTED),
        ("anything", Trust.REPORTED),
    ],
)
def test_only_an_operators_own_report_is_believed(source, expected):
    assert trust_of(source) is expected


DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "days", "parts"),
    [
        (MIDNIGHT, MIDNIGHT + 2 * DAY, ("2026-03-01", "2026-03-03"), 0),
        (NOON, NOON + 2 * DAY, ("2026-03-02", "2026-03-03"), 24),
        (NOON, MIDNIGHT + 2 * DAY, ("2026-03-02", "2026-03-03"), 12),
        (NOON, LATER, ("", ""), 1 / 60),
        (NOON, NOON + DAY, ("", ""), 24),
        (NOON, NOON, ("", ""), 0),
        (LATER, NOON, ("", ""), 0),
        (NOON.astimezone(timezone(timedelta(hours=9))), NOON, ("", ""), 0),
    ],
)
def test_a_window_is_whole_days_and_what_is_left(since, until, days, parts):
    windows = day_windows(since, until)
    assert (windows.first_day, windows.end_day) == days
    left = (windows.head[1] - windows.head[0]) + (windows.tail[1] - windows.tail[0])
    assert left == timedelta(hours=parts)


MOMENTS = st.integers(0, 8 * 24 * 4).map(lambda quarter: MIDNIGHT + quarter * DAY / 96)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_each_moment_of_a_window_is_in_exactly_one_part(since, until, moment):
    windows = day_windows(since, until)
    day = moment.date().isoformat()
    times = sum(
        (
            windows.first_day <= day < windows.end_day,
            windows.head[0] <= moment < windows.head[1],
            windows.tail[0] <= moment < windows.tail[1],
        )
    )
    assert times == (since <= moment < until)


def test_an_open_window_holds_every_day():
    windows = day_windows(None, None)
    assert windows.first_day <= "0001-01-01" < "9999-12-31" < windows.end_day


def test_usage_is_summed_by_what_exists():
    assert check_usage_query(UsageQuery("user")).by == "user"
    with pytest.raises(InvalidInput, match="notebook"):
        check_usage_query(UsageQuery("moon"))
