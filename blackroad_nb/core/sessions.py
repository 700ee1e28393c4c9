"""What people are told of a session: the hub's word on its state, our record on the rest.

JupyterHub's own model is the truth about whether a server runs. Our record adds what the
hub does not keep: an id, the profile, why it ended and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from blackroad_nb.core.server import TRANSITIONS, ServerEvent, ServerRecord, ServerState
from blackroad_nb.errors import InvalidInput

LOST = "lost"
LOST_MESSAGE = "The hub does not know this session any more; start it again."
LONGEST_NAME = 255  # characters of a user's or a server's name
# The record is made a moment after the hub began; both clocks are the hub's.
_SAME_LIFE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class HubServer:
    """An active server as JupyterHub's REST interface shows it.

    Attributes:
        pending: what the hub is at: "spawn", "stop", "check", "rename" or nothing.
        url: the path of the server below the hub's own address.
    """

    user: str
    name: str
    ready: bool
    pending: str | None = None
    started_at: datetime | None = None
    last_activity_at: datetime | None = None
    url: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """One session as pages, REST and the command line show it.

    Attributes:
        id: of our record; None when the hub runs a server that has none.
        url: where it is opened; "" when it does not run.
    """

    user: str
    server_name: str
    state: ServerState
    id: str | None = None
    profile: str | None = None
    template: str | None = None
    started_at: datetime | None = None
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    last_activity_at: datetime | None = None
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    url: str = ""

    @property
    def active(self) -> bool:
        return bool(TRANSITIONS[self.state])


def merge(server: HubServer | None, record: ServerRecord | None) -> Session | None:
    """Return the session of one server; None when there is none and never was.

    Args:
        server: what the hub says now; None when it runs no such server.
        record: the newest record of this server.
    """
    if server is None:
        return None if record is None else _ended(record)
    mine = record if record is not None and _same_life(server, record) else None
    state = _state(server, mine)
    if mine is None:
        return _unrecorded(server, state)
    told = _of_record(mine, state)
    return _with_hub(told, server)


def contradict(server: HubServer | None, record: ServerRecord | None) -> bool:
    """Whether one of the two was asked too early, so that asking again may help."""
    if record is None:
        return server is not None
    if server is None:
        return not record.ended
    return not _same_life(server, record) or record.ended


def session_record(session: Session) -> dict[str, object]:
    """Return it ready for JSON; the same in REST and on the command line."""
    return {
        "id": session.id,
        "user": session.user,
        "server_name": session.server_name,
        "state": session.state.value,
        "profile": session.profile,
        "template": session.template,
        "started_at": _moment(session.started_at),
        "ready_at": _moment(session.ready_at),
        "ended_at": _moment(session.ended_at),
        "last_activity_at": _moment(session.last_activity_at),
        "reason": session.reason,
        "message": session.message,
        "exit_code": session.exit_code,
        "url": session.url,
    }


def check_names(user: str, server_name: str) -> None:
    """Refuse what can be no name at the hub, before it becomes part of a path.

    Raises:
        InvalidInput: too long, unprintable, or a name that means another place.
    """
    for what, name in (("user", user), ("session", server_name)):
        if len(name) > LONGEST_NAME or not name.isprintable() or "/" in name:
            raise InvalidInput(f"{name[:40]!r} cannot be the name of a {what}.")
        if name and not name.strip("."):
            raise InvalidInput(f"{name!r} cannot be the name of a {what}.")
    if not user:
        raise InvalidInput("The name of the user is missing.")


def states_table() -> str:
    """Return the transitions as the table that the documentation shows."""
    events = list(ServerEvent)
    lines = [
        "| state | " + " | ".join(event.value for event in events) + " |",
        "|---|" + "---|" * len(events),
    ]
    for state, after in TRANSITIONS.items():
        cells = (after[event].value if event in after else "" for event in events)
        lines.append(f"| **{state.value}** | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _same_life(server: HubServer, record: ServerRecord) -> bool:
    """Whether the record tells of what runs now, not of an earlier session."""
    if not record.ended:
        return True  # the hub ends a record before it lets go of the server
    started = server.started_at
    return started is not None and record.started_at >= started - _SAME_LIFE


def _state(server: HubServer, record: ServerRecord | None) -> ServerState:
    if server.pending == "stop":
        return ServerState.STOPPING
    if server.pending == "spawn":
        return ServerState.STARTING
    if server.ready:
        return ServerState.RUNNING
    # The hub came back and looks whether it is there still ("check").
    return record.state if record is not None and not record.ended else ServerState.RUNNING


def _ended(record: ServerRecord) -> Session:
    if record.ended:
        return _of_record(record, record.state)
    state = TRANSITIONS[record.state][ServerEvent.LOST]
    told = _of_record(record, state)
    return told if told.reason else replace(told, reason=LOST, message=LOST_MESSAGE)


def _of_record(record: ServerRecord, state: ServerState) -> Session:
    return Session(
        user=record.user,
        server_name=record.server_name,
        state=state,
        id=record.id,
        profile=record.profile,
        template=record.template,
        started_at=record.started_at,
        ready_at=record.ready_at,
        ended_at=record.ended_at,
        reason=record.reason,
        message=record.message,
        exit_code=record.exit_code,
    )


def _with_hub(session: Session, server: HubServer) -> Session:
    return replace(
        session,
        last_activity_at=server.last_activity_at,
        url=server.url if session.state is ServerState.RUNNING else "",
        ended_at=None,
    )


def _unrecorded(server: HubServer, state: ServerState) -> Session:
    return Session(
        user=server.user,
        server_name=server.name,
        state=state,
        profile=_text(server.options.get("profile")),
        template=_text(server.options.get("template")),
        started_at=server.started_at,
        last_activity_at=server.last_activity_at,
        url=server.url if state is ServerState.RUNNING else "",
    )


def _text(value: object) -> str | None:
    """Options come from anywhere; only a short text is shown."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value[:LONGEST_NAME] if isinstance(value, str) and value else None


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
