"""What an execution adds to the meter, and how much may be believed of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.errors import InvalidInput

GROUPS = ("user", "notebook", "day")
# Where the user is the operator: at her own shell, or a server with one token.
_OPERATOR_SOURCES = ("os", "token")


class Trust(StrEnum):
    """Who measured: a user's own server can forge what it reports."""

    OPERATOR = "operator"  # the operator is the user: a stand-alone server or the CLI
    REPORTED = "reported"  # came out of a user's container


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One fact for the meter; `id` is the execution's, so it counts once for ever."""

    id: str
    occurred_at: datetime
    subject: str | None
    path: str | None
    executions: int
    duration_ms: int
    trust: Trust


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Executions and their time for one key within a window."""

    key: str | None
    executions: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Sum usage over `[since, until)` by `user`, `notebook` (its path) or `day` (UTC).

    Attributes:
        root: only what ran in files in this folder.
    """

    by: str = "day"
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    root: str | None = None


@dataclass(frozen=True, slots=True)
class DayWindows:
    """A half-open window cut at midnights: `[first_day, end_day)` whole days, and
    before and after them what is left of a day, each half-open and maybe empty."""

    first_day: str
    end_day: str
    head: tuple[datetime, datetime]
    tail: tuple[datetime, datetime]


def usage_of(execution: Execution) -> UsageEvent | None:
    """Return what an execution adds, or None when nothing ran or it runs still.

    An aborted execution never reached its kernel, so it costs nothing. One whose end
    nobody saw counts without time. It belongs to the moment it ended.
    """
    if execution.status in (Status.PENDING, Status.ABORTED):
        return None
    return UsageEvent(
        id=execution.id,
        occurred_at=execution.finished_at or execution.started_at,
        subject=execution.user,
        path=execution.path,
        executions=1,
        duration_ms=max(0, execution.duration_ms or 0),
        trust=trust_of(execution.user_source),
    )


def trust_of(user_source: str | None) -> Trust:
    """Return how far a row may be believed, from where its user's name came."""
    return Trust.OPERATOR if user_source in _OPERATOR_SOURCES else Trust.REPORTED


def check_usage_query(query: UsageQuery) -> UsageQuery:
    """Return the query, or refuse a grouping that does not exist.

    Raises:
        InvalidInput: `by` is not one of user, notebook, day.
    """
    if query.by not in GROUPS:
        raise InvalidInput(f"Usage is summed by {', '.join(GROUPS)}; not by {query.by!r}.")
    return query


def day_windows(since: datetime | None, until: datetime | None) -> DayWindows:
    """Cut `[since, until)` at UTC midnights; an open end takes in every day there is."""
    start = (since or datetime.min.replace(tzinfo=UTC)).astimezone(UTC)
    end = (until or datetime.max.replace(tzinfo=UTC)).astimezone(UTC)
    first = start if start.time() == time() else _next_midnight(start)
    last = _midnight(end) if until else end
    if first >= last:
        return DayWindows("", "", (start, max(start, end)), (end, end))
    end_day = last.date().isoformat() if until else "9999-99"
    return DayWindows(first.date().isoformat(), end_day, (start, first), (last, end))


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), UTC)


def _next_midnight(moment: datetime) -> datetime:
    try:
        return _midnight(moment) + timedelta(days=1)
    except OverflowError:  # the last day of the calendar has no morning after
        return datetime.max.replace(tzinfo=UTC)
