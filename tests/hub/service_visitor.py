"""Somebody with a browser's cookies at the sessions service, but free to lie."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import quote, urlencode, urljoin, urlsplit

from hub_process import PASSWORD, HubProcess, until

PREFIX = "/services/blackroad/"
# What a browser sends when somebody follows a link or sends a form of the same site.
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


def service_is_up(hub: HubProcess) -> None:
    """Wait until the proxy leads to the service."""
    address = f"{hub.url}{PREFIX.lstrip('/')}health"
    until(lambda: hub.call("GET", address, None)[0] == 200)


def fetch(
    hub: HubProcess,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request as it is, path and all; no client in between tidies it."""
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


@dataclass
class Shown:
    """A page as it came."""

    status: int
    headers: http.client.HTTPMessage
    html: str
    path: str

    @property
    def text(self) -> str:
        bare = re.sub(r"(?s)<head\b.*?</head>", " ", self.html)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())

    @property
    def xsrf(self) -> str:
        found = re.search(r'name="_xsrf" value="([^"]+)"', self.html)
        assert found, self.text
        return found[1]


@dataclass
class ServiceVisitor:
    """Goes through the proxy, follows redirects, keeps cookies by path."""

    hub: HubProcess
    user: str | None = None
    cookies: dict[tuple[str, str], str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.user is not None:
            self.get("/hub/login")
            xsrf = next(value for (_, name), value in self.cookies.items() if name == "_xsrf")
            fields = {"username": self.user, "password": PASSWORD, "_xsrf": xsrf}
            done = self.post("/hub/login", fields, follow=False)
            assert done.status == 302, done.text

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, follow: bool = True
    ) -> Shown:
        shown = self._ask("GET", path, None, headers or {})
        for _ in range(10):
            if not follow or shown.status not in (301, 302, 303):
                return shown
            place = urlsplit(urljoin(shown.path, shown.headers["Location"]))
            target = f"{place.path}?{place.query}" if place.query else place.path
            shown = self._ask("GET", target, None, {})
        raise AssertionError("It leads in circles.")

    def post(
        self,
        path: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
    ) -> Shown:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        shown = self._ask("POST", path, urlencode(fields).encode(), {**kind, **(headers or {})})
        if follow and shown.status == 303:
            return self.get(shown.headers["Location"])
        return shown

    def page(self, path: str = "") -> Shown:
        return self.get(PREFIX + path)

    def stop(self, user: str, name: str = "", **headers: str) -> Shown:
        """Press Stop; the form is read from a page of one's own."""
        form = {"user": user, "server_name": name, "_xsrf": self.xsrf}
        renamed = {header.replace("_", "-"): value for header, value in headers.items()}
        return self.post(f"{PREFIX}stop", form, renamed)

    @property
    def xsrf(self) -> str:
        shown = self.page()
        return self.cookies.get((PREFIX, "blackroad-xsrf")) or shown.xsrf

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Shown:
        kept = [f"{n}={v}" for (place, n), v in self.cookies.items() if path.startswith(place)]
        own = {**NAVIGATION, "Cookie": "; ".join(kept)}
        status, answer, content = fetch(self.hub, method, quote(path, safe="/?&=%+,:;@!~*'()"),
                                        body, {**own, **headers})  # fmt: skip
        for line in answer.get_all("Set-Cookie") or []:
            self.set_cookies.append(line)
            for name, morsel in SimpleCookie(line).items():
                self.cookies[(morsel["path"] or "/", name)] = morsel.value
        return Shown(status, answer, content.decode(errors="replace"), path)
