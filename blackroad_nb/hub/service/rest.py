"""Sessions over REST, for programs that send a token of the hub."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from tornado.iostream import StreamClosedError

from blackroad_nb.core.server import ServerState
from blackroad_nb.core.sessions import Session, session_record
from blackroad_nb.errors import BlackRoadError, HubUnreachable, LaunchRefused, SessionFailed
from blackroad_nb.hub.service.asked import read_list, read_start
from blackroad_nb.hub.service.handler import LARGEST_BODY, ServiceHandler
from blackroad_nb.hub.service.login import Caller
from blackroad_nb.managers.sessions import SessionManager
from blackroad_nb.ports import LaunchProgress

_TOKEN = re.compile(r"(?:token|bearer)[ \t]+(\S+)", re.IGNORECASE)
_KEEP_ALIVE_SECONDS = 15.0
_SIGN_IN = "Send a token of the hub: Authorization: token …"
_CODES = {404: "not_found", 405: "method_not_allowed"}


class RestHandler(ServiceHandler):
    """A route under /api; refusals come as JSON of one form."""

    caller: Caller

    def check_xsrf_cookie(self) -> None:
        """Cookies open nothing here, so no other site can make use of them."""

    async def prepare(self) -> None:
        try:
            found = _TOKEN.fullmatch(self.request.headers.get("Authorization", ""))
            acts = self.request.method not in ("GET", "HEAD")
            caller = await self.caller_of(found[1], fresh=acts) if found else None
            if caller is None:
                self.set_header("WWW-Authenticate", "Bearer")
                said = "The hub does not know this token." if found else _SIGN_IN
                self.answer({"code": "unauthorized", "message": said}, 401)
            else:
                self.caller = caller
        except BlackRoadError as error:
            self.refuse(error)

    @property
    def sessions(self) -> SessionManager:
        return self.parts.sessions(self.caller)

    def answer(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))

    def refuse(self, error: BlackRoadError) -> None:
        body = {"code": error.code, "message": error.message}
        if isinstance(error, LaunchRefused | SessionFailed):
            body["reason"] = error.reason
        self.answer(body, error.status)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what Tornado refused in the same form."""
        code = _CODES.get(status_code, "internal_error" if status_code >= 500 else "refused")
        message = HTTPStatus(status_code).phrase
        if status_code >= 500:
            message = "The service failed to answer; the hub's log says why."
        self.answer({"code": code, "message": message}, status_code)

    def answer_session(self, session: Session, begun: ServerState) -> None:
        """Answer with a session; 202 while what was asked for goes on."""
        self.answer(session_record(session), 202 if session.state is begun else 200)


class SessionListHandler(RestHandler):
    """`/api/sessions`"""

    async def get(self) -> None:
        try:
            asked = read_list(self.request.query_arguments)
            sessions = self.sessions
            found = await sessions.list(asked.user, asked.ended, asked.limit)
        except BlackRoadError as error:
            self.refuse(error)
        else:
            items = [session_record(session) for session in found]
            self.answer({"items": items, "log_fault": sessions.log_fault})

    async def post(self) -> None:
        try:
            media_type = self.request.headers.get("Content-Type")
            asked = read_start(self.request.body, media_type, LARGEST_BODY)
            user = asked.user or self.caller.user
            session = await self.sessions.start(user, asked.server_name, asked.options)
        except BlackRoadError as error:
            self.refuse(error)
        else:
            place = "/".join(quote(part, safe="") for part in (user, asked.server_name) if part)
            self.set_header("Location", f"{self.parts.settings.prefix}api/sessions/{place}")
            self.answer(session_record(session), 202 if session.state == "starting" else 201)


class SessionHandler(RestHandler):
    """`/api/sessions/{user}` and `/api/sessions/{user}/{server_name}`"""

    async def get(self, user: str, server_name: str | None = None) -> None:
        try:
            session = await self.sessions.get(user, server_name or "")
        except BlackRoadError as error:
            self.refuse(error)
        else:
            self.answer(session_record(session))

    async def delete(self, user: str, server_name: str | None = None) -> None:
        try:
            session = await self.sessions.stop(user, server_name or "")
        except BlackRoadError as error:
            self.refuse(error)
        else:
            self.answer_session(session, ServerState.STOPPING)


class ProgressHandler(RestHandler):
    """`/api/progress/{user}` and `/api/progress/{user}/{server_name}`: server-sent events."""

    async def get(self, user: str, server_name: str | None = None) -> None:
        lines = self.sessions.progress(user, server_name or "")
        try:
            first = await anext(lines, None)
        except BlackRoadError as error:
            self.refuse(error)
            return
        self.set_header("Content-Type", "text/event-stream")
        try:
            await self._send(first, lines)
        except StreamClosedError:
            logging.getLogger("blackroad").debug("Nobody follows the start of %s", user)
        except HubUnreachable as error:
            self.write(f"event: error\ndata: {json.dumps({'message': error.message})}\n\n")
        finally:
            await lines.aclose()  # type: ignore[attr-defined]

    async def _send(
        self, first: LaunchProgress | None, lines: AsyncIterator[LaunchProgress]
    ) -> None:
        line = first
        while line is not None:
            self.write(f"data: {json.dumps(asdict(line))}\n\n")
            await self.flush()
            following = asyncio.ensure_future(anext(lines, None))
            try:
                while not (await asyncio.wait([following], timeout=_KEEP_ALIVE_SECONDS))[0]:
                    self.write(": still at it\n\n")
                    await self.flush()
            finally:
                following.cancel()  # does nothing to one that is done
                await asyncio.wait([following])
            line = following.result()


class NothingThere(RestHandler):
    """Any other path under /api."""

    def get(self, _path: str) -> None:
        self.send_error(404)

    post = put = patch = delete = get
