"""Sessions as one person may see and handle them: list, look, start, stop, follow.

The hub decides what is allowed: every question goes to it with that person's token. What
is added from our own log is shown only for servers that she may see.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from blackroad_nb.core.server import ServerRecord
from blackroad_nb.core.sessions import HubServer, Session, check_names, contradict, merge
from blackroad_nb.errors import LaunchRefused, SessionActive, SessionNotFound, StoreError
from blackroad_nb.ports import HubClient, LaunchProgress, ServerLog

MOST = 500  # sessions in a list
_ASKED_AGAIN = 2  # times, when hub and log were asked on either side of a change


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks.

    Attributes:
        may_manage: holds MANAGE_NOTEBOOKS, so sees everybody's sessions.
        may_launch: holds LAUNCH_NOTEBOOKS.
    """

    name: str
    may_manage: bool = False
    may_launch: bool = True


class SessionManager:
    """The sessions of one viewer.

    Args:
        hub: acts with the viewer's own token.
        log: may fail; sessions are then shown without what only it knows.
    """

    def __init__(self, hub: HubClient, log: ServerLog, viewer: Viewer) -> None:
        self._hub = hub
        self._log = log
        self._viewer = viewer
        self.log_fault: str | None = None  # what the log last said instead of answering

    async def list(
        self, user: str | None = None, ended: bool = False, limit: int = 50
    ) -> tuple[Session, ...]:
        """Return sessions, the newest first.

        Args:
            user: whose; None is everybody's for whoever may manage, else the viewer's own.
            ended: add those that have ended.

        Raises:
            LaunchRefused: they are somebody else's.
            SessionNotFound: there is no such user.
        """
        if user is None and not self._viewer.may_manage:
            user = self._viewer.name
        if user is not None:
            self._check_viewer(user, "")
        servers = await (self._hub.servers() if user is None else self._hub.servers_of(user))
        told = [merge(server, self._last(server.user, server.name)) for server in servers]
        sessions = [session for session in told if session is not None]
        if ended:
            known = {session.id for session in sessions if session.id is not None}
            records = self._ended(user, limit + len(known))
            sessions += [_certain(merge(None, r)) for r in records if r.id not in known]
        sessions.sort(key=_newest, reverse=True)
        return tuple(sessions[: max(0, min(limit, MOST))])

    async def get(self, user: str, name: str = "") -> Session:
        """Return the session of one server, or the last one that it had.

        Raises:
            SessionNotFound: there is none and never was.
            LaunchRefused: it is somebody else's.
        """
        self._check_viewer(user, name)
        session = await self._look(user, name)
        if session is None:
            whose = "You have" if user == self._viewer.name else f"{user!r} has"
            called = f" called {name!r}" if name else ""
            raise SessionNotFound(f"{whose} no session{called} yet.")
        return session

    async def start(
        self, user: str, name: str = "", options: Mapping[str, Any] | None = None
    ) -> Session:
        """Start a session and return it as it is a moment later.

        Raises:
            SessionActive: it runs, starts or stops already.
            LaunchRefused, LimitReached, SessionFailed, InvalidInput: as the hub says.
        """
        self._check_viewer(user, name)
        if not self._viewer.may_launch:
            raise LaunchRefused(
                "Starting sessions needs the permission LAUNCH_NOTEBOOKS, which you do not hold or"
                " which this token does not carry.",
                "not_permitted",
            )
        session = await self._look(user, name)
        if session is not None and session.active:
            raise SessionActive(
                f"The session is {session.state.value} already; stop it first to start it anew."
            )
        await self._hub.start(user, name, options or {})
        return await self.get(user, name)

    async def stop(self, user: str, name: str = "") -> Session:
        """Ask a session to end and return it as it is a moment later.

        One that has ended is returned as it is.
        """
        session = await self.get(user, name)
        if not session.active:
            return session
        await self._hub.stop(user, name)
        return await self.get(user, name)

    async def progress(self, user: str, name: str = "") -> AsyncIterator[LaunchProgress]:
        """Follow a start to its end; yields nothing when nothing is starting."""
        self._check_viewer(user, name)
        async for line in self._hub.progress(user, name):
            yield line

    async def _look(self, user: str, name: str) -> Session | None:
        """Ask hub and log; again when something changed between the two questions."""
        for _ in range(_ASKED_AGAIN):
            server = await self._server(user, name)
            record = self._last(user, name)
            if not contradict(server, record):
                break
        return merge(server, record)

    async def _server(self, user: str, name: str) -> HubServer | None:
        servers = await self._hub.servers_of(user)
        return next((server for server in servers if server.name == name), None)

    def _check_viewer(self, user: str, name: str) -> None:
        check_names(user, name)
        if user != self._viewer.name and not self._viewer.may_manage:
            raise LaunchRefused(
                "Sessions of others need the permission MANAGE_NOTEBOOKS, which you do not hold.",
                "not_permitted",
            )

    def _last(self, user: str, name: str) -> ServerRecord | None:
        try:
            return self._log.last(user, name)
        except StoreError as error:
            self.log_fault = error.message
            return None

    def _ended(self, user: str | None, limit: int) -> tuple[ServerRecord, ...]:
        try:
            return self._log.list(user, ended=True, limit=min(limit, MOST))
        except StoreError as error:
            self.log_fault = error.message
            return ()


def _certain(session: Session | None) -> Session:
    assert session is not None  # a record always makes a session
    return session


def _newest(session: Session) -> tuple[float, str]:
    started = session.started_at
    return (started.timestamp() if started else 0.0, session.user)
