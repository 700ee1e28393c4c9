"""The hub's sessions as the command line uses them: over REST, with one token.

Synchronous and over http.client alone, so that a command costs little more than its own
start. The token goes into a header and nowhere else.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from blackroad_nb.core.sessions import check_names
from blackroad_nb.errors import (
    BlackRoadError,
    HubUnreachable,
    InvalidInput,
    LaunchRefused,
    SessionFailed,
    error_class,
)

_ANSWER_SECONDS = 90.0  # a start answers when the hub's own patience has ended
_SILENCE_SECONDS = 60.0  # of a stream that says every fifteen seconds that it is there
_PAGES = ("hub", "services", "user")  # ends of what people copy from a browser


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a hub is; `url` ends in a slash."""

    url: str
    token: str = field(repr=False)


def hub_url(text: str) -> str:
    """Read a hub's address, also one copied from a browser; it ends in a slash.

    Raises:
        InvalidInput: it is no address.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidInput(f"{text[:80]!r} is no address of a hub.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise InvalidInput(f"{text[:80]!r} is no address of a hub; it starts with http://.")
    kept: list[str] = []
    for word in parts.path.split("/"):
        if word in _PAGES:
            break
        kept.append(word)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{place}{'/'.join(kept).rstrip('/')}/"


class SessionClient:
    """Talks to one hub; every method raises what the hub refused with.

    Raises:
        HubUnreachable: nobody answered, or what answered is no hub of ours.
        BlackRoadError: the hub's own error, of the same class as it had there.
    """

    def __init__(self, address: HubAddress) -> None:
        self._address = address
        self._parts = urlsplit(address.url)

    def owner(self) -> str:
        """Return the name of the token's user.

        Raises:
            InvalidInput: the token is a service's, so a user has to be named.
        """
        model = self._call("GET", "hub/api/user")
        if not isinstance(model, dict) or model.get("kind") not in ("user", "service"):
            raise self._stranger()
        if model["kind"] != "user":
            raise InvalidInput("The token is not a user's; say whose session with --user.")
        return str(model["name"])

    def list(self, user: str | None, ended: bool, limit: int) -> list[dict[str, Any]]:
        """Return sessions, newest first."""
        query = {"limit": limit, "ended": int(ended), **({"user": user} if user else {})}
        answer = self._call("GET", f"{_API}/sessions?{urlencode(query)}")
        if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
            raise self._stranger()
        return [self._session(item) for item in answer["items"]]

    def get(self, user: str, name: str) -> dict[str, Any]:
        """Return one session. Raises SessionNotFound."""
        return self._session(self._call("GET", f"{_API}/sessions/{_place(user, name)}"))

    def start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a session and return it as it is then, running or starting."""
        return self._session(self._call("POST", f"{_API}/sessions", request))

    def stop(self, user: str, name: str) -> dict[str, Any]:
        """Ask a session to end and return it as it is then."""
        return self._session(self._call("DELETE", f"{_API}/sessions/{_place(user, name)}"))

    def progress(self, user: str, name: str) -> Iterator[dict[str, Any]]:
        """Yield what the hub does to start a session; nothing when it starts none."""
        connection = self._connection(_SILENCE_SECONDS)
        try:
            path = f"{_API}/progress/{_place(user, name)}"
            connection.request("GET", self._parts.path + path, headers=self._headers())
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise self._refusal(response.status, response.read())
            while line := response.readline():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = self._headers()
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection = self._connection(_ANSWER_SECONDS)
        try:
            connection.request(method, self._parts.path + path, body=content, headers=headers)
            response = connection.getresponse()
            status, answer = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        if not http.client.OK <= status < http.client.MULTIPLE_CHOICES:
            raise self._refusal(status, answer)
        try:
            return json.loads(answer)
        except ValueError:
            raise self._stranger() from None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self._address.token}"}

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "localhost", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _session(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict) or not {"user", "server_name", "state"} <= answer.keys():
            raise self._stranger()
        return answer

    def _refusal(self, status: int, answer: bytes) -> BlackRoadError:
        try:
            said = json.loads(answer)
            if "code" not in said and status in (401, 403):  # the hub itself, not its service
                said = {"code": "unauthorized", "message": ""}
            code, message = str(said["code"]), str(said["message"])
            reason = str(said.get("reason") or code)
        except (ValueError, KeyError, TypeError):
            return self._stranger(status)
        if code == "unauthorized":
            return LaunchRefused(
                "The hub does not know this token; make a new one on the hub's Token page and"
                " set BLACKROAD_HUB_TOKEN.",
                "token_unknown",
            )
        kind = error_class(code)
        if issubclass(kind, LaunchRefused | SessionFailed):
            return kind(message, reason)
        return kind(message)

    def _stranger(self, status: int = 200) -> HubUnreachable:
        passing = (502, 503, 504)
        said = "the hub behind it does not" if status in passing else "it is no hub of ours"
        return HubUnreachable(f"{self._address.url} answers ({status}), but {said}.")

    def _unreachable(self, error: Exception) -> HubUnreachable:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return HubUnreachable(f"No hub answers at {self._address.url}: {reason}.")


_API = "services/blackroad/api"


def _place(user: str, name: str) -> str:
    check_names(user, name)  # a proxy would make another path of some
    return "/".join(quote(part, safe="") for part in (user, name) if part)
