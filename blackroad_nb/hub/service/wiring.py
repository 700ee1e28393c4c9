"""The one place where the service's parts are put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from tornado.httpclient import AsyncHTTPClient
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from blackroad_nb.adapters.hub_client import RestHubClient
from blackroad_nb.adapters.sqlite.servers import SqliteServerLog
from blackroad_nb.hub.service.login import Caller, Logins
from blackroad_nb.hub.service.settings import SESSIONS_FILE, ServiceSettings
from blackroad_nb.hub.service.sweeping import Sweep, Sweeper
from blackroad_nb.managers.sessions import SessionManager, Viewer
from blackroad_nb.ports import ServerLog

_MOST_AT_ONCE = 200  # calls to the hub; a start is watched through one of them


@dataclass(frozen=True, slots=True)
class Parts:
    """What handlers work with."""

    settings: ServiceSettings
    logins: Logins
    log: ServerLog
    client: AsyncHTTPClient
    sweeper: Sweeper

    def sessions(self, caller: Caller) -> SessionManager:
        """Return the sessions as this caller may see them; it acts with her token."""
        hub = RestHubClient(self.settings.api_url, caller.token, self.client)
        viewer = Viewer(caller.user, caller.may_manage, caller.may_launch)
        return SessionManager(hub, self.log, viewer)


def parts_for(settings: ServiceSettings) -> Parts:
    """Make the parts. Nothing is opened or asked yet."""
    client = SimpleAsyncHTTPClient(force_instance=True, max_clients=_MOST_AT_ONCE)
    log = SqliteServerLog(settings.state / SESSIONS_FILE, read_only=True)
    own = RestHubClient(settings.api_url, settings.token, client)
    return Parts(
        settings=settings,
        logins=Logins(settings, client),
        log=log,
        client=client,
        sweeper=Sweeper(own, log, _engine_sweep(settings) if settings.sweep else None),
    )


def _engine_sweep(settings: ServiceSettings) -> Sweep:
    """Return what removes containers; Docker's library is loaded with the first sweep."""

    async def sweep(active_ids: Callable[[], Awaitable[Collection[str]]]) -> int:
        from blackroad_nb.hub.orphans import sweep as sweep_engine

        grace = settings.grace_seconds
        return len(await sweep_engine(settings.hub_id, active_ids, grace_seconds=grace))

    return sweep
