"""What every answer of the service shares: who asks, and what browsers may do with it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from blackroad_nb.errors import LaunchRefused
from blackroad_nb.hub.service.login import Caller
from blackroad_nb.hub.service.wiring import Parts

LARGEST_BODY = 64 * 1024  # bytes; a start has a few names in it
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class ServiceHandler(RequestHandler):
    """A route of the service."""

    def initialize(self, parts: Parts) -> None:
        self.parts = parts

    def set_default_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.clear_header("Server")  # the version is nobody's business

    def data_received(self, chunk: bytes) -> None:
        """Nothing is streamed to us."""

    def compute_etag(self) -> str | None:
        return None

    async def caller_of(self, token: str, fresh: bool) -> Caller | None:
        """Return who this token is.

        Raises:
            LaunchRefused: the token may not be used here, as a session's own.
            HubUnreachable: the hub cannot be asked.
        """
        caller = await self.parts.logins.caller(token, fresh)
        if caller is not None and not caller.may_enter:
            raise LaunchRefused(
                "This token may not use the sessions service; it lacks the scope"
                " access:services!service=blackroad.",
                "token_not_permitted",
            )
        if caller is not None:
            self.asker = caller.name
        return caller

    asker: str = "-"  # for the log of requests


def is_cross_site(request: HTTPServerRequest) -> bool:
    """Whether another site had the browser send this.

    Browsers say so in Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/), but only to
    secure origins; Origin comes with every POST.
    """
    site = request.headers.get("Sec-Fetch-Site", "").lower()
    if site and site not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != request.host.lower()


def log_request(handler: RequestHandler) -> None:
    """Write one line without the query: a login's code stands in there."""
    import logging

    request = handler.request
    status = handler.get_status()
    level = logging.INFO if status < 400 else logging.WARNING
    if status < 400 and request.path.endswith(("/health", "/style.css")):
        level = logging.DEBUG
    logging.getLogger("blackroad").log(
        level,
        "%d %s %s (%s) %.1f ms",
        status,
        request.method,
        _printable(request.path),
        _printable(getattr(handler, "asker", "-")),
        1000 * request.request_time(),
    )


def _printable(text: Any) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(text))[:300]
