"""What every route under /blackroad shares: checked requests, typed refusals, JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, cast

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.decorator import authorized as jupyter_authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.web import HTTPError

from blackroad_nb.errors import BlackRoadError
from blackroad_nb.server.answer import json_text
from blackroad_nb.server.openapi import operations
from blackroad_nb.server.operation import Asked, Operation, Verb
from blackroad_nb.server.request import parse_body, parse_query

if TYPE_CHECKING:
    from blackroad_nb.server.wiring import Parts

SETTING = "blackroad_nb_parts"
_CODES = {
    400: "invalid_input",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}
_SIGN_IN = "Sign in first: send the server's token, or the cookie of a signed-in browser."
_FAILED = "The server failed to answer; its log says why."


def authorized(action: str, resource: str) -> Callable[[Verb], Verb]:
    """Jupyter's decorator, typed; the resource is always given, since Jupyter's would
    keep that of the first subclass it sees."""
    return cast("Callable[[Verb], Verb]", jupyter_authorized(action, resource=resource))


class BlackRoadHandler(APIHandler):
    """A route under /blackroad; each verb carries its `Operation`."""

    @property
    def parts(self) -> Parts:
        parts: Parts = self.settings[SETTING]
        return parts

    async def prepare(self) -> None:  # type: ignore[override]
        """Let Jupyter sign the user in; what is polled does not count as activity."""
        verb = (self.request.method or "").lower()
        described = operations(type(self)).get("get" if verb == "head" else verb)
        self._track_activity = described is None or not described.polled
        await super().prepare()

    @web.authenticated
    def head(self, *path: str) -> Awaitable[None] | None:
        """Answer as to GET; Tornado leaves the body out."""
        return self.get(*path)

    @allow_unauthenticated
    def options(self, *path: str) -> None:
        """Say what is possible here, to programs and to browsers that ask ahead."""
        super().options(*path)
        self.set_header("Allow", self._allowed())

    def _allowed(self) -> str:
        verbs = [*operations(type(self)), "options"]
        if "get" in verbs:
            verbs.insert(1, "head")
        return ", ".join(verbs).upper()

    def read_request(self, described: Operation) -> Asked:
        """Check the request. Raises InvalidInput."""
        query = parse_query(self.request.query_arguments, described.query)
        given = {one.name: self.request.headers.get_list(one.name) for one in described.headers}
        headers = parse_query(
            {name: [value.encode("latin-1") for value in values] for name, values in given.items()},
            described.headers,
        )
        body: dict[str, Any] = {}
        if described.body is not None:
            content_type = self.request.headers.get("Content-Type")
            body = parse_body(self.request.body, content_type, described.body)
        return Asked(query, body, headers)

    def answer(self, value: Any, status: int = 200) -> None:
        """Finish with a JSON document."""
        self.answer_text(json_text(value), status)

    def answer_text(self, text: str, status: int = 200) -> None:
        """Finish with a JSON document that is written already."""
        self.set_status(status)
        self.finish(text)

    async def finish_head(self, media_type: str) -> None:
        """Answer HEAD where GET sends a stream, whose length is not known."""
        self.set_header("Content-Type", media_type)
        await self.flush()
        self.finish(set_content_type=media_type)

    def refuse(self, error: BlackRoadError) -> None:
        """Answer with a typed error; after the first byte only hanging up is honest."""
        if self._headers_written:
            self.log.error("An answer under /blackroad broke off: %s", error.message)
            self.hang_up()
            return
        self.clear()
        self.set_cors_headers()
        self.answer({"code": error.code, "message": error.message}, error.status)

    def hang_up(self) -> None:
        """Close the connection, so that a part is not taken for the whole."""
        self.request.connection.close()  # type: ignore[union-attr]

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer a fault; Tornado would end an answer that has begun as if it were whole."""
        if self._headers_written:
            self.hang_up()
        else:
            super().send_error(status_code, **kwargs)

    def location(self, *parts: str) -> str:
        """Return the URL path of something under /blackroad."""
        return str(url_path_join(self.base_url, "blackroad", *parts))

    async def require(self, action: str, resource: str) -> None:
        """Ask the authorizer for more than the verb itself needs. Raises 403."""
        user = self.current_user
        allowed = self.authorizer.is_authorized(self, user, action, resource)
        if not await ensure_async(allowed):
            raise HTTPError(403, f"User is not authorized to {action} on resource: {resource}.")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer what Jupyter or Tornado refused in the same form as our own errors."""
        if status_code == 405:
            self.set_header("Allow", self._allowed())
        code = _CODES.get(status_code, "internal_error" if status_code >= 500 else "refused")
        exception = (kwargs.get("exc_info") or (None, None))[1]
        self.answer({"code": code, "message": self._message(status_code, exception)}, status_code)

    def _message(self, status_code: int, exception: BaseException | None) -> str:
        if status_code == 405:
            return f"{self.request.method} is not possible here; the Allow header says what is."
        if status_code == 403 and not self.current_user:
            return _SIGN_IN
        if isinstance(exception, HTTPError) and exception.log_message:
            template = exception.log_message
            return template % exception.args if exception.args else template.replace("%%", "%")
        return _FAILED if status_code >= 500 else HTTPStatus(status_code).phrase


class NothingHere(BlackRoadHandler):
    """Any other path under /blackroad: said in JSON, not as Jupyter's page."""

    async def prepare(self) -> NoReturn:  # type: ignore[override]
        await super().prepare()
        if not self.current_user:
            raise HTTPError(403)
        raise HTTPError(404, "There is nothing here; GET /blackroad/openapi.json lists the routes.")
