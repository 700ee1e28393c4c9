"""`ports.ServerLog` in memory, held to the same contract tests as the one on a file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from itertools import islice

from blackroad_nb.core.server import ServerRecord
from blackroad_nb.errors import SessionNotFound


class MemoryServerLog:
    """Sessions of one process, forgotten with it."""

    def __init__(self) -> None:
        self._records: dict[str, ServerRecord] = {}

    def put(self, record: ServerRecord) -> None:
        """Insert or replace."""
        self._records[record.id] = _in_utc(record)

    def get(self, server_id: str) -> ServerRecord:
        """Raises SessionNotFound."""
        try:
            return self._records[server_id]
        except KeyError:
            raise SessionNotFound(f"There is no session {server_id[:80]!r}.") from None

    def last(self, user: str, server_name: str) -> ServerRecord | None:
        """The newest session of this server, whatever became of it."""
        return next((r for r in self._newest_first(user) if r.server_name == server_name), None)

    def list(
        self, user: str | None = None, ended: bool | None = None, limit: int = 50
    ) -> tuple[ServerRecord, ...]:
        """Newest first."""
        found = (r for r in self._newest_first(user) if ended is None or r.ended is ended)
        return tuple(islice(found, max(limit, 0)))

    def close(self) -> None:
        """Nothing to let go of."""

    def _newest_first(self, user: str | None) -> tuple[ServerRecord, ...]:
        kept = [r for r in self._records.values() if user is None or r.user == user]
        kept.reverse()  # put later counts as newer among equal times; sorting keeps that
        return tuple(sorted(kept, key=lambda r: r.started_at, reverse=True))


def _in_utc(record: ServerRecord) -> ServerRecord:
    ready, ended = record.ready_at, record.ended_at
    return replace(
        record,
        started_at=record.started_at.astimezone(UTC),
        ready_at=ready and ready.astimezone(UTC),
        ended_at=ended and ended.astimezone(UTC),
    )
