"""What an execution adds to the meter, and how much may be believed of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Trust(StrEnum):
    """Who measured: a user's own server can forge what it reports."""

    OPERATOR = "operator"  # the operator is the user: a stand-alone server or the CLI
    REPORTED = "reported"  # came out of a user's container


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Executions and their time for one key within a window."""

    key: str | None
    executions: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Sum usage over `[since, until)` by `user`, `notebook` or `day`."""

    by: str = "day"
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
