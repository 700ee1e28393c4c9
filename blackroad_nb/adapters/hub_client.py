"""A hub's REST interface, used with one token.

Nothing here logs, and no message holds a token.
Source: https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from blackroad_nb.core.sessions import HubServer, check_names
from blackroad_nb.errors import (
    BlackRoadError,
    HubUnreachable,
    InvalidInput,
    LaunchRefused,
    LimitReached,
    SessionActive,
    SessionFailed,
    SessionNotFound,
)
from blackroad_nb.ports import LaunchProgress

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0  # the hub waits ten for a start before it answers
READ_SECONDS = 15.0  # a hub that only has to look and does not answer is away
PROGRESS_SECONDS = 900.0  # no start takes longer than what an operator may allow it
_PAGE = 200  # users at once; the hub gives no more
_PAGED = "application/jupyterhub-pagination+json"
_SENTENCE = 2000  # characters of what a hub says that are passed on
_WORD = re.compile(r"[a-z][a-z0-9_]{1,40}")  # a reason of ours, not a phrase of HTTP
_ACTIVE = ("already running", "is pending")


class RestHubClient:
    """`ports.HubClient` over HTTP.

    Args:
        api_url: where the hub's REST interface is, ending in `/hub/api`.
        token: of whoever this acts for.
        client: shared by several of these; None makes one.
    """

    def __init__(self, api_url: str, token: str, client: AsyncHTTPClient | None = None) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._client = client or AsyncHTTPClient()

    def __repr__(self) -> str:
        return f"RestHubClient({self._api_url!r})"

    async def whoami(self) -> dict[str, Any] | None:
        """Return the hub's model of the token's owner; None when the token is not valid."""
        response = await self._fetch("GET", "/user")
        if response.code in (401, 403):
            return None
        model = self._json(self._good(response))
        if not isinstance(model, dict):
            raise self._stranger(response)
        return model

    async def servers(self) -> tuple[HubServer, ...]:
        """Every active server that the token may see."""
        found: list[HubServer] = []
        offset: int | None = 0
        while offset is not None:
            query = urlencode({"state": "active", "offset": offset, "limit": _PAGE})
            model = self._json(self._good(await self._fetch("GET", f"/users?{query}")))
            users, offset = self._page(model, offset)
            for user in users:
                found.extend(_servers(user))
        return tuple(found)

    async def servers_of(self, user: str) -> tuple[HubServer, ...]:
        """The active servers of one user. Raises SessionNotFound."""
        check_names(user, "")
        response = await self._fetch("GET", f"/users/{_quoted(user)}")
        if response.code == 404:
            raise SessionNotFound(f"There is no user {user!r}, or not for you to see.")
        model = self._json(self._good(response))
        if not isinstance(model, dict) or not isinstance(model.get("servers"), dict):
            raise LaunchRefused(
                f"This token may not see the sessions of {user!r}; it lacks the scope"
                " read:servers.",
                "token_not_permitted",
            )
        return tuple(_servers(model))

    async def start(self, user: str, name: str, options: Mapping[str, Any]) -> None:
        """Ask for a server; returns when it runs or after the hub's short patience."""
        body = {"user_options": dict(options), "display_name": name}
        response = await self._fetch("POST", self._server(user, name), body)
        if response.code not in (201, 202):
            raise self._refusal(response, f"user {user!r}")

    async def stop(self, user: str, name: str) -> None:
        """Ask a server to end; one that has ended is no error."""
        response = await self._fetch("DELETE", self._server(user, name))
        if response.code not in (202, 204):
            raise self._refusal(response, f"session {name!r} of {user!r}")

    async def progress(self, user: str, name: str) -> AsyncIterator[LaunchProgress]:
        """Follow a start to its end; yields nothing when nothing is starting."""
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        listening = True

        def take(piece: bytes) -> None:
            if not listening:  # nothing else makes the client hang up
                raise ConnectionAbortedError
            pieces.put_nowait(piece)

        request = self._request("GET", f"{self._server(user, name)}/progress")
        request.headers["Accept"] = "text/event-stream"
        request.request_timeout = PROGRESS_SECONDS
        request.streaming_callback = take
        fetching = asyncio.ensure_future(self._client.fetch(request, raise_error=False))
        fetching.add_done_callback(lambda _done: pieces.put_nowait(None))
        rest = b""
        try:
            while (piece := await pieces.get()) is not None:
                *lines, rest = (rest + piece).split(b"\n")
                for line in filter(None, map(_progress, lines)):
                    yield line
            self._followed(fetching, rest)
        finally:
            listening = False
            fetching.cancel()

    def _followed(self, fetching: asyncio.Future[HTTPResponse], body: bytes) -> None:
        error = fetching.exception()
        if error is not None:
            raise self._unreachable(error) from None
        response = fetching.result()
        # 400: nothing is starting; 404: there never was such a server.
        if response.code not in (200, 400, 404):
            raise self._refusal(response, "session", body)

    def _server(self, user: str, name: str) -> str:
        check_names(user, name)
        path = f"/users/{_quoted(user)}"
        return f"{path}/servers/{_quoted(name)}" if name else f"{path}/server"

    def _request(self, method: str, path: str, body: object = None) -> HTTPRequest:
        headers = {"Authorization": f"token {self._token}", "Accept": _PAGED}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return HTTPRequest(
            self._api_url + path,
            method=method,
            headers=headers,
            body=None if body is None else json.dumps(body),
            connect_timeout=CONNECT_SECONDS,
            request_timeout=READ_SECONDS if method == "GET" else ANSWER_SECONDS,
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )

    async def _fetch(self, method: str, path: str, body: object = None) -> HTTPResponse:
        try:
            return await self._client.fetch(self._request(method, path, body), raise_error=False)
        except (HTTPClientError, OSError, ValueError) as error:
            raise self._unreachable(error) from None

    def _good(self, response: HTTPResponse) -> HTTPResponse:
        if response.code != 200:
            raise self._refusal(response, "user")
        return response

    def _refusal(
        self, response: HTTPResponse, what: str, body: bytes | None = None
    ) -> BlackRoadError:
        """Say what the hub said, as an error of ours."""
        if response.code == 599:  # Tornado's own, for what never answered
            return self._unreachable(response.error)
        said = _sentence(response.body if body is None else body)
        if said is None:
            return self._stranger(response)
        reason = response.reason if _WORD.fullmatch(response.reason or "") else ""
        match response.code:
            case 401:
                return LaunchRefused("The hub does not know this token.", "token_unknown")
            case 403:
                return LaunchRefused(said, reason or "not_permitted")
            case 404:
                return SessionNotFound(f"The hub knows no {what}, or not for you to see.")
            case 429:
                return LimitReached(said, reason or "limit")
            case 400 if any(words in said for words in _ACTIVE):
                return SessionActive(f"The session cannot be started now: {said}.")
            case 400 | 409 | 410 | 413 | 415:
                return InvalidInput(said)
            case 502 | 503 | 504 if not reason:
                return HubUnreachable(f"The hub is not there at the moment: {said}")
            case _:
                return SessionFailed(said, reason or "failed")

    def _page(self, model: Any, offset: int) -> tuple[list[Any], int | None]:
        if isinstance(model, list):  # a hub that does not page
            return model, None
        try:
            following = model["_pagination"]["next"]
            after = int(following["offset"]) if following else None
            users = list(model["items"])
        except (KeyError, TypeError, ValueError):
            raise HubUnreachable(f"What answers at {self._api_url} is no hub we know.") from None
        return users, after if after is not None and after > offset else None

    def _json(self, response: HTTPResponse) -> Any:
        try:
            return json.loads(response.body)
        except ValueError:
            raise self._stranger(response) from None

    def _stranger(self, response: HTTPResponse) -> HubUnreachable:
        return HubUnreachable(f"{self._api_url} answered {response.code}, but not as a hub does.")

    def _unreachable(self, error: BaseException | None) -> HubUnreachable:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        return HubUnreachable(f"No hub answers at {self._api_url}: {reason}.")


def _servers(user: object) -> list[HubServer]:
    if not isinstance(user, dict) or not isinstance(user.get("name"), str):
        return []
    servers = user.get("servers")
    if not isinstance(servers, dict):
        return []
    found = [_server(user["name"], name, model) for name, model in servers.items()]
    return [server for server in found if server is not None]


def _server(user: str, name: str, model: Mapping[str, Any]) -> HubServer | None:
    if model.get("stopped"):
        return None
    options = model.get("user_options")
    return HubServer(
        user=user,
        name=name,
        ready=bool(model.get("ready")),
        pending=model.get("pending") or None,
        started_at=_moment(model.get("started")),
        last_activity_at=_moment(model.get("last_activity")),
        url=str(model.get("url") or ""),
        options=options if isinstance(options, dict) else {},
    )


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _progress(line: bytes) -> LaunchProgress | None:
    name, _, value = line.partition(b":")
    if name != b"data":
        return None
    try:
        event = json.loads(value)
        return LaunchProgress(
            percent=max(0, min(100, int(event.get("progress") or 0))),
            message=str(event.get("message") or "")[:_SENTENCE],
            ready=bool(event.get("ready")),
            failed=bool(event.get("failed")),
        )
    except (ValueError, TypeError, AttributeError):
        return None


def _sentence(body: bytes) -> str | None:
    """Return what a hub said; None when it is not a hub that speaks."""
    try:
        said = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(said)[:_SENTENCE] or "it did not say why."


def _quoted(name: str) -> str:
    return quote(name, safe="")
