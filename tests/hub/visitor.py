"""Somebody with a browser's cookies, but without a browser: fast, and free to lie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

from hub_process import DEADLINE, PASSWORD, HubProcess

# What a browser sends when somebody follows a link on the same site.
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-User": "?1",
}


@dataclass(frozen=True)
class Page:
    """What came back: the status, where it leads to, and the text people read."""

    status: int
    location: str
    html: str

    @property
    def text(self) -> str:
        bare = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", self.html)
        return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass
class Visitor:
    """A user who is logged in at a hub."""

    hub: HubProcess
    user: str
    cookies: CookieJar = field(default_factory=CookieJar)

    def __post_init__(self) -> None:
        self._open = build_opener(HTTPCookieProcessor(self.cookies), _Stay())
        self.get("hub/login")
        page = self.post("hub/login", {"username": self.user, "password": PASSWORD})
        assert page.status == 302, page.text
        self.get("hub/home")  # it brings the token of the logged-in user

    @property
    def xsrf(self) -> str:
        return next(str(cookie.value) for cookie in self.cookies if cookie.name == "_xsrf")

    def get(self, path: str, headers: Mapping[str, str] = NAVIGATION) -> Page:
        return self._ask("GET", path, None, headers)

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | list[tuple[str, str]],
        headers: Mapping[str, str] = NAVIGATION,
        *,
        xsrf: bool = True,
    ) -> Page:
        pairs = list(fields.items()) if isinstance(fields, Mapping) else fields
        own = [("_xsrf", self.xsrf)] if xsrf else []
        body = urlencode([*own, *pairs], errors="surrogatepass").encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, body, {**headers, **kind})

    def send(self, path: str, body: bytes, content_type: str) -> Page:
        """POST a body as it is; the token goes into the address."""
        path = f"{path}?{urlencode({'_xsrf': self.xsrf})}"
        return self._ask("POST", path, body, {**NAVIGATION, "Content-Type": content_type})

    def spawn_page(self, query: str = "", headers: Mapping[str, str] = NAVIGATION) -> Page:
        path = f"hub/spawn/{quote(self.user, safe='')}"
        return self.get(f"{path}?{query}" if query else path, headers)

    def submit(self, *, xsrf: bool = True, **fields: str) -> Page:
        return self.post(f"hub/spawn/{quote(self.user, safe='')}", fields, xsrf=xsrf)

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Page:
        request = Request(f"{self.hub.hub_url}{path}", body, dict(headers), method=method)
        try:
            with self._open.open(request, timeout=DEADLINE) as reply:
                return Page(reply.status, "", reply.read().decode())
        except HTTPError as error:
            with error:
                location = error.headers.get("Location", "")
                return Page(error.code, location, error.read().decode(errors="replace"))
