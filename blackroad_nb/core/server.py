"""The life of a session. Every transition there is lives in this file.

In code a session is a *server*, as JupyterHub calls it; users read "session".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from blackroad_nb.errors import InvalidInput


class ServerState(StrEnum):
    """What users see of a session."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"


class ServerEvent(StrEnum):
    """What can happen to a session."""

    READY = "ready"  # it answers
    STOP = "stop"  # somebody asked it to end
    ENDED = "ended"  # it ended as it was asked to
    FAILED = "failed"  # it never came up
    DIED = "died"  # it ended although nobody asked
    LOST = "lost"  # the hub came back and it was not there


_S, _E = ServerState, ServerEvent

TRANSITIONS: Mapping[ServerState, Mapping[ServerEvent, ServerState]] = {
    _S.STARTING: {
        _E.READY: _S.RUNNING,
        _E.STOP: _S.STOPPING,
        _E.ENDED: _S.STOPPED,
        _E.FAILED: _S.ERROR,
        _E.DIED: _S.ERROR,
        _E.LOST: _S.ERROR,
    },
    _S.RUNNING: {
        _E.READY: _S.RUNNING,  # the hub came back and found it again
        _E.STOP: _S.STOPPING,
        _E.ENDED: _S.STOPPED,
        _E.DIED: _S.ERROR,
        _E.LOST: _S.ERROR,
    },
    _S.STOPPING: {
        _E.READY: _S.RUNNING,  # the hub was killed before it had stopped it
        _E.STOP: _S.STOPPING,
        _E.ENDED: _S.STOPPED,
        _E.FAILED: _S.STOPPED,  # it was asked to stop before it was up
        _E.DIED: _S.STOPPED,
        _E.LOST: _S.STOPPED,
    },
    _S.STOPPED: {},
    _S.ERROR: {},
}


@dataclass(frozen=True, slots=True)
class LastWords:
    """What is known of a session's main process that is no more.

    Attributes:
        exit_code: None where it is not known.
        reason: a short word for programs, such as "out_of_memory" or "exited".
        message: one sentence for people, with what to do.
    """

    exit_code: int | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """One session from its start to its end; a new start is a new record.

    Attributes:
        id: UUIDv4 of the session; it stands in the container's labels too.
        server_name: JupyterHub's name of the server, "" for the default one.
        state: as of the last event.
        reason: a short word for programs on why it is so, such as "user",
            "out_of_memory", "image_missing"; "" when there is nothing to say.
        message: one sentence for people on the same, with what to do.
        exit_code: of the main process, where it is known.
    """

    id: str
    user: str
    server_name: str
    profile: str
    template: str | None
    state: ServerState
    started_at: datetime
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""
    message: str = ""
    exit_code: int | None = None

    @property
    def ended(self) -> bool:
        return not TRANSITIONS[self.state]


def after(
    record: ServerRecord,
    event: ServerEvent,
    at: datetime,
    *,
    reason: str = "",
    message: str = "",
    exit_code: int | None = None,
) -> ServerRecord:
    """Return the record as it is after an event.

    Of a session that was asked to stop, how its process then ended explains nothing:
    the reason and message of the asking stay.

    Raises:
        InvalidInput: nothing of the kind can happen in this state.
    """
    state = TRANSITIONS[record.state].get(event)
    if state is None:
        raise InvalidInput(f"A session that is {record.state} cannot meet {event.value!r}.")
    ended = not TRANSITIONS[state]
    if record.state is _S.STOPPING and event in (_E.FAILED, _E.DIED, _E.LOST):
        reason = message = ""
    return replace(
        record,
        state=state,
        ready_at=at if event is _E.READY and record.ready_at is None else record.ready_at,
        ended_at=at if ended else None,
        reason=reason or record.reason,
        message=message or record.message,
        exit_code=exit_code if exit_code is not None else record.exit_code,
    )
