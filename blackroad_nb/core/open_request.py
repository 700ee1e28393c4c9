"""One request between its first event and its last, and the row that becomes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.witness import Moment, Requested, storable

SOURCE_LIMIT = 1024 * 1024  # characters of a source that are kept
ERROR_LIMIT = 32 * 1024  # characters of an error that are kept
# The kernel's own time stamps are finer than the moment we read them. They are
# believed while they agree this well with our monotonic clock.
CLOCK_TOLERANCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """What every execution of one kernel has in common.

    `user` is who is recorded when no websocket told who asked. A `relayed` kernel is
    heard through its clients' websockets only: errors may be missing there, so each
    answer is asked for, and there may be times when nothing is heard.
    """

    kernel_id: str
    server: str | None = None
    user: str | None = None
    user_source: str | None = None
    relayed: bool = False


@dataclass(slots=True)
class OpenRequest:
    """What is known of a request so far.

    Attributes:
        sent: when the kernel took it up, by the kernel's own clock.
        killed: it failed because its kernel was to end.
        announced: it is in the history already, as pending.
        path: the kernel's notebook when the row is made.
    """

    msg_id: str
    id: str
    subshell: str | None = None
    request: Requested | None = None
    queued: Moment | None = None
    started: Moment | None = None
    sent: datetime | None = None
    source: str | None = None
    execution_count: int | None = None
    error: str | None = None
    killed: bool = False
    announced: bool = False
    path: str | None = None

    def recover_source(self) -> bool:
        """Read the source from the request; False when it is silent or unknown."""
        if self.request is None:
            return False
        try:
            content: Any = json.loads(self.request.content)
        except (ValueError, RecursionError):
            return False
        if not isinstance(content, dict) or content.get("silent"):
            return False
        source = content.get("code")
        if not isinstance(source, str):
            return False
        self.source = kept_source(storable(source))
        return True

    def execution(
        self, place: Place, status: Status, now: Moment, sent: datetime | None
    ) -> Execution:
        """Make the row; `sent` is when it ended by the kernel's own clock."""
        started = self.started or now
        request = self.request
        elapsed = max(0.0, now.monotonic - started.monotonic)
        started_at = started.wall
        if self.sent is not None and _near(self.sent - started_at):
            started_at = self.sent
            if sent is not None:
                measured = (sent - self.sent).total_seconds()
                if measured >= 0 and abs(measured - elapsed) <= CLOCK_TOLERANCE_SECONDS:
                    elapsed = measured
        queued_at = None
        if self.queued is not None:
            waited = timedelta(seconds=started.monotonic - self.queued.monotonic)
            queued_at = min(started.wall - waited, started_at)
        final = status is not Status.PENDING
        return Execution(
            id=self.id,
            status=status,
            source=self.source or "",
            started_at=started_at,
            finished_at=started_at + timedelta(seconds=elapsed) if final else None,
            duration_ms=round(elapsed * 1000) if final else None,
            path=self.path,
            cell_id=request.cell_id if request else None,
            execution_count=self.execution_count,
            error=self.error,
            kernel_id=place.kernel_id,
            user=request.user if request else place.user,
            user_source=request.user_source if request else place.user_source,
            server=place.server,
            queued_at=queued_at,
        )


def _near(difference: timedelta) -> bool:
    return abs(difference.total_seconds()) <= CLOCK_TOLERANCE_SECONDS


def kept_source(source: str) -> str:
    """Keep the beginning of a source that is too long, and say so."""
    if len(source) <= SOURCE_LIMIT:
        return source
    return f"{source[:SOURCE_LIMIT]}\n# [{len(source) - SOURCE_LIMIT} characters more]"


def shortened(text: str, limit: int) -> str:
    """Keep the beginning and the end, where the cause of an error stands."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
