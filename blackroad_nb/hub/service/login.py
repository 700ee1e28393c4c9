"""Who asks: tokens of programs, and browsers that log in through the hub (OAuth 2).

JupyterHub's own HubOAuth does the same, but it brings SQLAlchemy, Alembic and aiohttp into
a process that needs none of them: 46 MB of memory beside every hub.
Source: RFC 6749, section 4.1 (authorization code), RFC 7636 (PKCE, method S256), and
https://jupyterhub.readthedocs.io/en/stable/reference/services.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from blackroad_nb.adapters.hub_client import CONNECT_SECONDS, READ_SECONDS, RestHubClient
from blackroad_nb.errors import HubUnreachable
from blackroad_nb.hub.scopes import LAUNCH, MANAGE
from blackroad_nb.hub.service.settings import ServiceSettings
from blackroad_nb.hub.service_role import ACCESS

KNOWN_SECONDS = 5.0  # a permission that was taken away works no longer than this
_MOST_KNOWN = 1000
_ACCESS = frozenset({ACCESS, "access:services"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the hub knows the token.

    Attributes:
        scopes: what the token may at this moment, which may be less than its owner.
        kind: "user", or "service" for a service of the hub.
    """

    name: str
    token: str = field(repr=False)
    scopes: frozenset[str] = frozenset()
    kind: str = "user"

    @property
    def user(self) -> str:
        """The user whose sessions are the caller's own; "" for a service.

        A service may be called like a user, and is not that user.
        """
        return self.name if self.kind == "user" else ""

    @property
    def may_enter(self) -> bool:
        return bool(self.scopes & _ACCESS)

    @property
    def may_launch(self) -> bool:
        return LAUNCH in self.scopes

    @property
    def may_manage(self) -> bool:
        return MANAGE in self.scopes


@dataclass(frozen=True, slots=True)
class LoginState:
    """One login under way; kept by the browser in a signed cookie."""

    state: str
    verifier: str
    next: str


class Logins:
    """Asks the hub who a token is, and turns its codes into tokens."""

    def __init__(self, settings: ServiceSettings, client: AsyncHTTPClient) -> None:
        self._settings = settings
        self._client = client
        self._known: dict[str, tuple[float, Caller | None]] = {}

    async def caller(self, token: str, fresh: bool = False) -> Caller | None:
        """Return whose token this is; None when the hub does not know it.

        Args:
            fresh: ask the hub also when it answered a moment ago.

        Raises:
            HubUnreachable: it cannot be asked.
        """
        key = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        at, caller = self._known.get(key, (0.0, None))
        if not fresh and key in self._known and time.monotonic() - at < KNOWN_SECONDS:
            return caller
        if not token.isascii() or not token.isprintable():
            return None
        model = await RestHubClient(self._settings.api_url, token, self._client).whoami()
        caller = None if model is None else _caller(model, token)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = (time.monotonic(), caller)
        return caller

    def begin(self, next_path: str) -> tuple[LoginState, str]:
        """Return a new login and the address of the hub that a browser goes to for it."""
        login = LoginState(secrets.token_urlsafe(16), secrets.token_urlsafe(48), next_path)
        digest = hashlib.sha256(login.verifier.encode()).digest()
        query = {
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "response_type": "code",
            "state": login.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return login, f"{self._settings.hub_url}api/oauth2/authorize?{urlencode(query)}"

    async def token_for(self, code: str, login: LoginState) -> str | None:
        """Return the token for a code; None when the hub does not take it.

        Raises:
            HubUnreachable: it cannot be asked.
        """
        form = {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.token,
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": login.verifier,
            "redirect_uri": self._settings.redirect_uri,
        }
        try:
            response = await self._client.fetch(
                f"{self._settings.api_url.rstrip('/')}/oauth2/token",
                method="POST",
                body=urlencode(form),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                connect_timeout=CONNECT_SECONDS,
                request_timeout=READ_SECONDS,
                raise_error=False,
            )
        except (HTTPClientError, OSError) as error:
            raise HubUnreachable(f"The hub does not answer: {error}.") from None
        if response.code >= 500:
            raise HubUnreachable("The hub does not answer; try again in a moment.")
        if response.code != 200:
            return None
        try:
            return str(json.loads(response.body)["access_token"])
        except (ValueError, KeyError, TypeError):
            raise HubUnreachable("The hub did not answer a login as a hub does.") from None


def _caller(model: dict[str, Any], token: str) -> Caller | None:
    name, scopes = model.get("name"), model.get("scopes")
    if not isinstance(name, str) or not isinstance(scopes, list):
        return None
    return Caller(name, token, frozenset(map(str, scopes)), str(model.get("kind")))
