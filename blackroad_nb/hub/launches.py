"""The sessions of one hub: who holds a place, and what became of those that did.

JupyterHub's own database stays the truth on what runs. This keeps count, reasons and
times beside it, so that a limit holds and a page can say why a session ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from blackroad_nb.core.launch import LaunchChoice, find_profile
from blackroad_nb.core.policy import ActiveServer, Launcher, check_launch
from blackroad_nb.core.profile import LaunchPolicy
from blackroad_nb.core.server import (
    TRANSITIONS,
    ServerEvent,
    ServerRecord,
    ServerState,
    after,
)
from blackroad_nb.errors import LaunchRefused, LimitReached, StoreError
from blackroad_nb.ports import ServerLog

FILE = "sessions.db"
MOST_ROWS = 100_000  # more sessions than any one hub holds
MOST_UNWRITTEN = 1000  # sessions kept in memory while the log cannot be written

Key = tuple[str, str]  # user, server name

_log = logging.getLogger("JupyterHub")
_opened: dict[Path, Launches] = {}


@dataclass(frozen=True, slots=True)
class LogHealth:
    """How the log fares; a launch never waits for it.

    Attributes:
        failures: writes and reads that failed since the hub started.
        behind: sessions whose last change is not in the log yet.
        last_failure: what the last failure said; "" when there was none.
    """

    failures: int = 0
    behind: int = 0
    last_failure: str = ""


class Launches:
    """Counts and reserves. Nothing in here awaits, so no two launches share a place.

    Args:
        clock: returns the time in UTC.
        new_id: returns an id for a session.
    """

    def __init__(
        self,
        log: ServerLog,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._active: dict[str, ServerRecord] = {}
        self._unwritten: dict[str, ServerRecord] = {}
        self._health = LogHealth()
        self._unclaimed = {record.id: record for record in self._left_open()}

    @property
    def health(self) -> LogHealth:
        return replace(self._health, behind=len(self._unwritten))

    def active(self) -> tuple[ServerRecord, ...]:
        """Return the sessions that hold a place, oldest first."""
        held = [*self._unclaimed.values(), *self._active.values()]
        return tuple(sorted(held, key=lambda record: record.started_at))

    def begin(
        self,
        launcher: Launcher,
        choice: LaunchChoice,
        policy: LaunchPolicy,
        server_name: str = "",
        used: Mapping[Key, datetime] | None = None,
    ) -> ServerRecord:
        """Check a launch and take its place in the same breath.

        Args:
            used: when each server was last used, as far as it is known.

        Returns:
            The record of a session that is starting. Its place is held until `event`
            is told that it ended.

        Raises:
            LimitReached: every place is taken.
            LaunchRefused: it may not start whatever is free.
            InvalidInput: there is no such profile.
        """
        profile = find_profile(policy, choice.profile)
        now = self._clock()
        self._supersede((launcher.user, server_name))
        holders = [_holder(record, used or {}) for record in self.active()]
        refusal = check_launch(launcher, profile, policy, holders, now)
        if refusal is not None:
            kind = LimitReached if refusal.limit else LaunchRefused
            raise kind(refusal.message, refusal.reason)
        record = ServerRecord(
            id=self._new_id(),
            user=launcher.user,
            server_name=server_name,
            profile=profile.name,
            template=choice.template,
            state=ServerState.STARTING,
            started_at=now,
        )
        self._keep(record)
        return record

    def event(
        self,
        server_id: str,
        event: ServerEvent,
        *,
        reason: str = "",
        message: str = "",
        exit_code: int | None = None,
    ) -> ServerRecord | None:
        """Note what happened to a session; None when it holds no place any more."""
        record = self._active.get(server_id)
        if record is None or event not in TRANSITIONS[record.state]:
            return None
        changed = after(
            record, event, self._clock(), reason=reason, message=message, exit_code=exit_code
        )
        if changed != record:
            self._keep(changed)
        return changed

    def get(self, server_id: str) -> ServerRecord | None:
        """Return a session that holds a place."""
        return self._active.get(server_id)

    def last(self, user: str, server_name: str) -> ServerRecord | None:
        """Return the newest session of a server, ended or not; None when nobody knows."""
        held = [r for r in self.active() if (r.user, r.server_name) == (user, server_name)]
        if held:
            return held[-1]
        try:
            return self._log.last(user, server_name)
        except StoreError as error:
            self._failed(error)
            return None

    def claim(self, user: str, server_name: str) -> ServerRecord | None:
        """Take over the session that a killed hub left open for this server."""
        for record in self._unclaimed.values():
            if (record.user, record.server_name) == (user, server_name):
                self.adopt(record)
                return record
        return None

    def adopt(self, record: ServerRecord) -> ServerRecord:
        """Take over a session that was found again; the log's word on it counts first."""
        known = self._unclaimed.pop(record.id, None)
        if known is None:
            self._keep(record)
            return record
        self._active[known.id] = known
        return known

    def settle(self) -> tuple[ServerRecord, ...]:
        """End what nobody claimed. To be called once the hub knows all of its servers.

        Returns:
            The sessions that are lost: the hub that started them was killed, and
            nothing of them is left.
        """
        lost = []
        for record in tuple(self._unclaimed.values()):
            self._active[record.id] = self._unclaimed.pop(record.id)
            ended = self.event(
                record.id,
                ServerEvent.LOST,
                reason="lost",
                message="The hub was restarted, and the session was not there any more.",
            )
            lost.append(ended or record)
        return tuple(lost)

    def close(self) -> None:
        """Write what is behind, if it can be written, and let go of the log."""
        self._write()
        self._log.close()

    def _left_open(self) -> tuple[ServerRecord, ...]:
        try:
            return self._log.list(ended=False, limit=MOST_ROWS)
        except StoreError as error:
            self._failed(error)
            return ()

    def _supersede(self, key: Key) -> None:
        # JupyterHub starts a server only when the one before it is gone: a record that
        # still holds its place missed the end, and would lock its user out for ever.
        for record in self.active():
            if (record.user, record.server_name) == key:
                self.adopt(record)
                self.event(
                    record.id,
                    ServerEvent.LOST,
                    reason="lost",
                    message="The hub did not notice how the session ended.",
                )

    def _keep(self, record: ServerRecord) -> None:
        if record.ended:
            self._active.pop(record.id, None)
        else:
            self._active[record.id] = record
        self._unwritten[record.id] = record
        if len(self._unwritten) > MOST_UNWRITTEN:  # what runs is known anyway
            ended = (each.id for each in self._unwritten.values() if each.ended)
            self._unwritten.pop(next(ended, record.id))
        self._write()

    def _write(self) -> None:
        try:
            for record in tuple(self._unwritten.values()):
                self._log.put(record)
                del self._unwritten[record.id]
        except StoreError as error:
            self._failed(error)

    def _failed(self, error: StoreError) -> None:
        self._health = LogHealth(self._health.failures + 1, 0, error.message)
        _log.error("The log of sessions cannot be used: %s", error.message)


def launches_of(state_folder: Path) -> Launches:
    """Return the one `Launches` of this process for a state folder."""
    from blackroad_nb.adapters.sqlite.servers import SqliteServerLog

    path = state_folder.absolute()
    if path not in _opened:
        _opened[path] = Launches(SqliteServerLog(path / FILE))
    return _opened[path]


def _holder(record: ServerRecord, used: Mapping[Key, datetime]) -> ActiveServer:
    return ActiveServer(
        user=record.user,
        server_name=record.server_name,
        profile=record.profile,
        state=record.state,
        since=record.started_at,
        active_at=used.get((record.user, record.server_name)),
    )
