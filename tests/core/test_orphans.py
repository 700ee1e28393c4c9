"""Orphans: what is removed, and what is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from blackroad_nb.core.container import LABEL_SESSION, Container
from blackroad_nb.core.orphans import ENDED_UNOWNED, RUNS_UNOWNED, orphans

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def container(state: str, session: str = "s1", age_seconds: float = 60) -> Container:
    return Container(
        id=f"{state}-{session}",
        name="n",
        state=state,
        labels={LABEL_SESSION: session} if session else {},
        created_at=NOW - timedelta(seconds=age_seconds),
    )


@pytest.mark.parametrize(
    ("found", "active", "reason"),
    [
        (container("running"), ["s1"], None),
        (container("exited"), ["s1"], None),  # its exit code is yet to be read
        (container("running"), [], RUNS_UNOWNED),
        (container("paused"), ["s2"], RUNS_UNOWNED),
        (container("exited"), ["s2"], ENDED_UNOWNED),
        (container("created"), [], ENDED_UNOWNED),  # its hub was killed before it could start it
        (container("dead"), [], ENDED_UNOWNED),
        (container("removing"), [], None),
        (container("running", session=""), ["s1"], RUNS_UNOWNED),
        (container("running", age_seconds=30), [], RUNS_UNOWNED),
        (container("running", age_seconds=29.9), [], None),
        (container("running", age_seconds=-5), [], None),  # the engine's clock is ahead
    ],
)
def test_who_is_an_orphan(found: Container, active: list[str], reason: str | None) -> None:
    expected = () if reason is None else ((found, reason),)
    assert orphans([found], active, NOW, grace_seconds=30) == expected


def test_only_orphans_of_many() -> None:
    mine, gone = container("running", "s1"), container("running", "s2")
    assert orphans([mine, gone], {"s1"}, NOW, 30) == ((gone, RUNS_UNOWNED),)
