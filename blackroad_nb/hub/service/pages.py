"""My session and All sessions, as plain pages that need no script."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.web import HTTPError

from blackroad_nb.core.sessions import Session
from blackroad_nb.errors import BlackRoadError, HubUnreachable, InvalidInput, LaunchRefused
from blackroad_nb.hub.service.handler import LARGEST_BODY, ServiceHandler, is_cross_site
from blackroad_nb.hub.service.login import Caller, LoginState
from blackroad_nb.hub.service.titles import profile_titles
from blackroad_nb.hub.service.wording import Words, current_and_earlier, heading

_EARLIER = 10  # ended sessions on a page; the command line shows more
_LISTED = 200
_LOGIN_MINUTES = 10
_AGAIN_SECONDS = 3  # a page of something that goes on looks again by itself
_AWAY_SECONDS = 5


class PageHandler(ServiceHandler):
    """A page; whoever is not logged in is sent through the hub's login first."""

    caller: Caller

    async def prepare(self) -> None:
        try:
            await self._prepare()
        except BlackRoadError as error:
            self.show_error(error)

    async def _prepare(self) -> None:
        acts = self.request.method == "POST"
        if acts and is_cross_site(self.request):
            raise LaunchRefused("Another site sent this form; nothing was done.", "cross_site")
        if acts and len(self.request.body) > LARGEST_BODY:
            raise InvalidInput("The form is larger than any that this page sends.")
        cookie = self.get_signed_cookie(self.cookie_name)
        token = cookie.decode("ascii", "replace") if cookie else ""
        caller = await self.caller_of(token, fresh=acts) if token else None
        if caller is not None:
            self.caller = caller
        elif acts:
            raise LaunchRefused(
                "You are not logged in any more, so nothing was done; open the page again.",
                "logged_out",
            )
        else:
            self.log_in()

    def check_xsrf_cookie(self) -> None:
        """Say in our words what Tornado finds; it asks before `prepare` is called."""
        try:
            super().check_xsrf_cookie()
        except HTTPError:
            self.show_error(
                LaunchRefused(
                    "This form is too old or came from elsewhere, so nothing was done; open the"
                    " page again.",
                    "cross_site",
                )
            )

    @property
    def cookie_name(self) -> str:
        return cookie_name(self)

    def log_in(self) -> None:
        """Send the browser to the hub, which sends it back with a code."""
        login, address = self.parts.logins.begin(self.request.path)
        kept = json.dumps([login.state, login.verifier, login.next])
        name = f"{self.cookie_name}-{login.state[:8]}"
        self.keep_cookie(name, kept, max_age=60 * _LOGIN_MINUTES)
        self.redirect(address)

    def keep_cookie(self, name: str, value: str, **more: Any) -> None:
        """Set a signed cookie that no script reads and no other site sends along."""
        kept: dict[str, Any] = {"samesite": "Lax", **self.parts.settings.cookie_options}
        fixed = {"path": cookie_path(self), "httponly": True, "secure": is_secure(self)}
        self.set_signed_cookie(name, value, expires_days=None, **kept | fixed | more)

    def show(self, template: str, status: int = 200, **values: Any) -> None:
        self.set_status(status)
        caller = getattr(self, "caller", None)
        self.render(
            template,
            words=Words(datetime.now(UTC), profile_titles(self.parts.settings.profiles)),
            settings=self.parts.settings,
            caller=caller,
            hub_page=self.hub_page,
            again_after=values.pop("again_after", None),
            form_token=self.xsrf_token,  # also where no form is: one may open in another tab
            **values,
        )

    def show_error(self, error: BlackRoadError) -> None:
        away = isinstance(error, HubUnreachable)
        self.show(
            "error.html",
            503 if away else error.status,
            title=heading(error),
            message=error.message,
            again_after=_AWAY_SECONDS if away and self.request.method == "GET" else None,
        )

    def hub_page(self, *path: str, **query: str) -> str:
        """Return the address of one of the hub's pages."""
        from urllib.parse import quote

        address = self.parts.settings.hub_url + "/".join(quote(part, safe="") for part in path)
        return f"{address}?{urlencode(query)}" if query else address

    def start_address(self, session: Session | None) -> str:
        """Return the link that starts this session again as it was."""
        if session is None:
            return self.hub_page("spawn")
        place = (session.user, session.server_name) if session.server_name else (session.user,)
        options = {"opt-profile": session.profile, "opt-template": session.template}
        return self.hub_page("spawn", *place, **{k: v for k, v in options.items() if v})

    def open_address(self, session: Session) -> str:
        """Return where the session is opened; "" for an address that is none of a hub."""
        parts = urlsplit(session.url)
        if parts.scheme in ("http", "https"):
            return session.url
        if parts.scheme or parts.netloc or not session.url.startswith("/"):
            return ""
        return f"{self.parts.settings.hub_host}{session.url}"

    def write_error(self, status_code: int, **_: Any) -> None:
        """Show what went wrong without where; that is in the log."""
        known = {404: "There is nothing here.", 405: "This page cannot do that."}
        message = known.get(status_code, "The service failed; the hub's log says why.")
        self.show("error.html", status_code, title="That did not work", message=message)


class MySessionPage(PageHandler):
    """`/`: the caller's own sessions."""

    async def get(self) -> None:
        try:
            await self._show()
        except BlackRoadError as error:
            self.show_error(error)

    async def _show(self) -> None:
        sessions = self.parts.sessions(self.caller)
        found = await sessions.list(self.caller.name, ended=True, limit=_LISTED)
        current, earlier = current_and_earlier(found)
        if not self.caller.may_launch and not any(s.active for s in current):
            raise LaunchRefused(
                "Starting sessions needs the permission LAUNCH_NOTEBOOKS, which you do not hold."
                " Ask an administrator of this hub to make you a researcher.",
                "not_permitted",
            )
        going_on = any(s.state in ("starting", "stopping") for s in current)
        self.show(
            "mine.html",
            current=current,
            earlier=earlier[:_EARLIER],
            log_fault=sessions.log_fault,
            start_address=self.start_address,
            open_address=self.open_address,
            again_after=_AGAIN_SECONDS if going_on else None,
        )


class AllSessionsPage(PageHandler):
    """`/all`: everybody's sessions, for managers."""

    async def get(self) -> None:
        try:
            await self._show()
        except BlackRoadError as error:
            self.show_error(error)

    async def _show(self) -> None:
        if not self.caller.may_manage:
            raise LaunchRefused(
                "Seeing everybody's sessions needs the permission MANAGE_NOTEBOOKS, which you do"
                " not hold.",
                "not_permitted",
            )
        sessions = self.parts.sessions(self.caller)
        found = await sessions.list(ended=True, limit=_LISTED)
        active = [session for session in found if session.active]
        going_on = any(s.state in ("starting", "stopping") for s in active)
        self.show(
            "all.html",
            active=active,
            ended=[session for session in found if not session.active][: 2 * _EARLIER],
            log_fault=sessions.log_fault,
            open_address=self.open_address,
            again_after=_AGAIN_SECONDS if going_on else None,
        )


class StopPage(PageHandler):
    """`/stop`: the form behind every Stop button."""

    async def get(self) -> None:
        self.redirect(self.parts.settings.prefix)

    async def post(self) -> None:
        try:
            user = self.get_body_argument("user", self.caller.name)
            name = self.get_body_argument("server_name", "")
            await self.parts.sessions(self.caller).stop(user, name)
        except BlackRoadError as error:
            self.show_error(error)
        else:
            back = "all" if self.get_body_argument("from", "") == "all" else ""
            self.redirect(self.parts.settings.prefix + back, status=303)


class LoginCallback(PageHandler):
    """`/oauth_callback`: the browser comes back from the hub with a code."""

    async def _prepare(self) -> None:
        """Nobody is logged in yet."""

    async def get(self) -> None:
        try:
            await self._finish_login()
        except BlackRoadError as error:
            self.show_error(error)

    async def _finish_login(self) -> None:
        login = self._state()
        if self.get_query_argument("error", None):
            raise LaunchRefused("The hub did not let you in here.", "not_permitted")
        code = self.get_query_argument("code", "")
        token = await self.parts.logins.token_for(code, login)
        if token is None:
            raise LaunchRefused("The hub did not accept the login; open the page again.", "login")
        self.keep_cookie(self.cookie_name, token)
        self.redirect(login.next)

    def _state(self) -> LoginState:
        state = self.get_query_argument("state", "")
        name = f"{self.cookie_name}-{state[:8]}"
        cookie = self.get_signed_cookie(name, max_age_days=1) if state.isascii() else None
        kept = json.loads(cookie) if cookie else ["", "", ""]
        if not state or kept[0] != state:
            raise LaunchRefused(
                "This login was begun elsewhere or too long ago; open the page again.", "login"
            )
        self.clear_cookie(name, path=cookie_path(self), secure=is_secure(self))
        return LoginState(*kept)


class StyleSheet(ServiceHandler):
    """`/style.css`; the pages' policy allows no other styles."""

    def get(self) -> None:
        from pathlib import Path

        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.set_header("Cache-Control", "max-age=3600")
        self.finish((Path(__file__).parent / "templates" / "style.css").read_bytes())


class NoPage(PageHandler):
    """Any other path."""

    async def _prepare(self) -> None:
        """There is nothing to protect."""

    def get(self, _path: str) -> None:
        self.send_error(404)


def is_secure(handler: PageHandler) -> bool:
    """Whether the browser came by https, maybe through a proxy that says so."""
    told = handler.request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower()
    schemes = (handler.parts.settings.public_scheme, told or handler.request.protocol)
    return "https" in schemes or handler.parts.settings.host_prefix


def cookie_name(handler: PageHandler) -> str:
    settings = handler.parts.settings
    return f"__Host-{settings.client_id}" if settings.host_prefix else settings.client_id


def cookie_path(handler: PageHandler) -> str:
    settings = handler.parts.settings
    return "/" if settings.host_prefix else settings.prefix
