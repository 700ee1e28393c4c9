"""How the pages say states, times and reasons. Pure, so that each can be tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from blackroad_nb.core.server import ServerState
from blackroad_nb.core.sessions import Session
from blackroad_nb.errors import (
    BlackRoadError,
    HubUnreachable,
    InvalidInput,
    LaunchRefused,
    SessionNotFound,
)

_STATES = {
    ServerState.STARTING: "Starting",
    ServerState.RUNNING: "Running",
    ServerState.STOPPING: "Stopping",
    ServerState.STOPPED: "Stopped",
    ServerState.ERROR: "Ended with an error",
}
_HEADINGS: tuple[tuple[type[BlackRoadError], str], ...] = (
    (HubUnreachable, "The hub does not answer"),
    (LaunchRefused, "You may not do this"),
    (SessionNotFound, "There is no such session"),
    (InvalidInput, "That cannot be done"),
)
_LOGIN_REASONS = ("login", "logged_out", "cross_site")


@dataclass(frozen=True, slots=True)
class Words:
    """What is said at one moment.

    Attributes:
        titles: what each profile is called, by its name.
    """

    now: datetime
    titles: Mapping[str, str] = field(default_factory=dict)

    def state(self, session: Session) -> str:
        return _STATES[session.state]

    def name(self, session: Session) -> str:
        """Return what a card is called: its profile, which is what was chosen."""
        named = (session.server_name, self.profile(session) or "Session")
        return " · ".join(word for word in named if word)

    def profile(self, session: Session) -> str:
        """Return the title of its profile; the name of one that is not there any more."""
        name = session.profile or ""
        return self.titles.get(name, name)

    def moment(self, moment: datetime) -> str:
        """Say a time in UTC; the year only when it is another one."""
        at = moment.astimezone(UTC)
        if at.date() == self.now.date():
            return f"today, {at:%H:%M} UTC"
        year = "" if at.year == self.now.year else f" {at.year}"
        return f"{at.day} {at:%B}{year}, {at:%H:%M} UTC"

    def iso(self, moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat(timespec="seconds")

    def ago(self, moment: datetime) -> str:
        """Say how long ago something was, in the two largest units that count."""
        return lasted(self.now - moment)

    def why(self, session: Session) -> str:
        """Say why it ended, or what an error was; "" when there is nothing to say."""
        if session.message:
            return session.message
        if session.reason:
            return f"Reason: {session.reason.replace('_', ' ')}."
        return ""


def lasted(time: timedelta) -> str:
    """Say a length of time."""
    seconds = max(0, int(time.total_seconds()))
    if seconds < 60:
        return "less than a minute"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    if days:
        return _units((days, "day"), (hours, "hour"))
    return _units((hours, "hour"), (minutes, "minute"))


def heading(error: BlackRoadError) -> str:
    """Return the heading of the page that shows an error."""
    if isinstance(error, LaunchRefused) and error.reason in _LOGIN_REASONS:
        return "Nothing was done"
    for kind, said in _HEADINGS:
        if isinstance(error, kind):
            return said
    return "That did not work"


def current_and_earlier(sessions: Iterable[Session]) -> tuple[list[Session], list[Session]]:
    """Part the newest session of each server from those before; the unnamed one leads.

    A named server that ended long ago is no current one: only what runs, and the
    unnamed server whatever became of it.
    """
    current: dict[str, Session] = {}
    earlier: list[Session] = []
    for session in sessions:  # newest first
        name = session.server_name
        if name not in current and (session.active or not name):
            current[name] = session
        else:
            earlier.append(session)
    return sorted(current.values(), key=lambda session: session.server_name), earlier


def _units(*counted: tuple[int, str]) -> str:
    return " ".join(
        f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counted if count
    )
