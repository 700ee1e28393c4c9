"""The application: which path is answered by what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado.web import Application, RequestHandler

from blackroad_nb.errors import BlackRoadError
from blackroad_nb.hub.service.handler import ServiceHandler, log_request
from blackroad_nb.hub.service.pages import (
    AllSessionsPage,
    LoginCallback,
    MySessionPage,
    NoPage,
    StopPage,
    StyleSheet,
)
from blackroad_nb.hub.service.rest import (
    NothingThere,
    ProgressHandler,
    SessionHandler,
    SessionListHandler,
)
from blackroad_nb.hub.service.wiring import Parts

_PLACE = r"([^/]+)(?:/([^/]+))?"  # a user and maybe the name of a server


class HealthHandler(ServiceHandler):
    """`/health`: open to all, so it says what works and nothing else."""

    async def get(self) -> None:
        hub, log = await self._hub_state(), self._log_state()
        sweeper = self.parts.sweeper
        sweep = "off" if not sweeper.enabled else "failing" if sweeper.health.fault else "ok"
        status = "ok" if "failing" not in (hub, log, sweep) else "degraded"
        self.finish({"status": status, "hub": hub, "log": log, "sweep": sweep})

    async def _hub_state(self) -> str:
        try:
            known = await self.parts.logins.caller(self.parts.settings.token)
        except BlackRoadError:
            return "failing"
        return "ok" if known is not None else "failing"

    def _log_state(self) -> str:
        try:
            self.parts.log.list(limit=1)
        except BlackRoadError:
            return "failing"
        return "ok"


def make_app(parts: Parts) -> Application:
    """Return the application under the prefix that the hub gave."""
    prefix = parts.settings.prefix
    routes: list[tuple[str, type[RequestHandler]]] = [
        (r"", MySessionPage),
        (r"all", AllSessionsPage),
        (r"stop", StopPage),
        (r"oauth_callback", LoginCallback),
        (r"style\.css", StyleSheet),
        (r"health", HealthHandler),
        (r"api/sessions", SessionListHandler),
        (rf"api/sessions/{_PLACE}", SessionHandler),
        (rf"api/progress/{_PLACE}", ProgressHandler),
        (r"api(?:/(.*))?", NothingThere),
    ]
    given: dict[str, Any] = {"parts": parts}
    handlers: list[Any] = [(prefix + path, handler, given) for path, handler in routes]
    handlers.append((r"(.*)", NoPage, given))
    return Application(
        handlers,
        template_path=str(Path(__file__).parent / "templates"),
        cookie_secret=parts.settings.cookie_secret,
        xsrf_cookies=True,
        xsrf_cookie_name="blackroad-xsrf",
        xsrf_cookie_kwargs={"path": prefix, "httponly": True, "samesite": "Strict"},
        log_function=log_request,
    )
