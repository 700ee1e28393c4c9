"""Looking, every so often, for containers that no session owns any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

from blackroad_nb.core.server import ServerRecord
from blackroad_nb.core.sessions import HubServer
from blackroad_nb.errors import BlackRoadError
from blackroad_nb.ports import HubClient, ServerLog

_MOST = 100_000  # more sessions than any one hub holds

# Removes containers that belong to none of the ids it gets on asking; returns how many.
Sweep = Callable[[Callable[[], Awaitable[Collection[str]]]], Awaitable[int]]

_log = logging.getLogger("blackroad")


class NotCertain(BlackRoadError):
    """Hub and log disagree on what runs, so nothing may be removed now."""

    code = "not_certain"


@dataclass(slots=True)
class SweepHealth:
    """How the sweep fares; `fault` is "" when the last one went well."""

    sweeps: int = 0
    removed: int = 0
    fault: str = ""


class Sweeper:
    """Removes containers without a session, as often as it is told.

    Args:
        hub: acts with the service's own token.
        sweep: None where sessions are no containers; then nothing is ever looked for.
    """

    def __init__(self, hub: HubClient, log: ServerLog, sweep: Sweep | None) -> None:
        self._hub = hub
        self._log = log
        self._sweep = sweep
        self.health = SweepHealth()

    @property
    def enabled(self) -> bool:
        return self._sweep is not None

    async def run(self, every_seconds: float) -> None:
        """Sweep for ever. What goes wrong is said once, and tried again."""
        while self.enabled:
            await asyncio.sleep(every_seconds)
            await self.sweep_once()

    async def sweep_once(self) -> None:
        """Sweep, and note how it went."""
        if self._sweep is None:
            return
        try:
            removed = await self._sweep(self.active_ids)
        except (BlackRoadError, OSError) as error:
            self._note(str(error))
        except Exception as error:  # whatever it is, the pages must stay
            self._note(f"{type(error).__name__}: {error}")
        else:
            self._note("")
            self.health.sweeps += 1
            self.health.removed += removed

    async def active_ids(self) -> frozenset[str]:
        """Return the ids of the sessions that own their containers.

        Ask this after the containers were listed: a container that is made in between is
        then in neither list, and never taken for one without a session.

        Raises:
            NotCertain: the hub runs a session that the log does not know.
            HubUnreachable, StoreError: one of the two cannot be asked.
        """
        servers = await self._hub.servers()
        return owners(servers, self._log.list(ended=False, limit=_MOST))

    def _note(self, fault: str) -> None:
        if fault and fault != self.health.fault:
            _log.warning("Looking for containers without a session: %s", fault)
        self.health.fault = fault


def owners(servers: Iterable[HubServer], records: Iterable[ServerRecord]) -> frozenset[str]:
    """Return the ids of the open records whose server the hub says is active.

    Raises:
        NotCertain: an active server has no open record, so its container has an id that
            nobody knows.
    """
    open_records = {(record.user, record.server_name): record.id for record in records}
    ids = set()
    for server in servers:
        found = open_records.get((server.user, server.name))
        if found is None:
            raise NotCertain("A session runs that the log does not know; nothing is removed.")
        ids.add(found)
    return frozenset(ids)
