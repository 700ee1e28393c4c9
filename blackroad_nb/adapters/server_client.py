"""A notebook server's REST interface as the command line uses it.

Synchronous and over http.client alone: a command through a warm server should cost
little more than its own start.
"""

from __future__ import annotations

import http.client
import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from blackroad_nb.errors import BlackRoadError, ServerUnreachable, error_class

_ANSWER_SECONDS = 60.0  # a start answers at once, but a busy server may take a while
_SILENCE_SECONDS = 90.0  # without even a keep-alive the stream is taken for dead
_RETRY_SECONDS = 0.25
_BRIEF_SECONDS = 2.0  # a break that nobody needs to hear of
_FORBIDDEN = "forbidden"  # of the server itself; none of our errors has this code
_PASSING = (502, 504)  # a proxy whose server restarts
_PAGES = ("lab", "tree", "notebooks", "login", "blackroad")  # ends of what people copy


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server listens and what it wants to see.

    Attributes:
        url: scheme, host and base path; ends in a slash.
        socket: the path of a Unix socket to use instead of the host.
    """

    url: str
    token: str = ""
    socket: str | None = None


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event of a run."""

    number: int
    kind: str
    data: Mapping[str, Any]


def parse_address(text: str, token: str | None = None) -> ServerAddress:
    """Read a server's address, also one copied from a browser with its token in it.

    Raises:
        ServerUnreachable: the text is no address.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ServerUnreachable(f"{text!r} is no address of a server.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerUnreachable(f"{text!r} is no address of a server; it starts with http://.")
    given = token or parse_qs(parts.query).get("token", [""])[0]
    kept: list[str] = []
    for word in parts.path.split("/"):
        if word in _PAGES:
            break
        kept.append(word)
    base = "/".join(kept).rstrip("/") + "/"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return ServerAddress(f"{parts.scheme}://{place}{base}", given)


class ServerClient:
    """Talks to one server; every method raises what the server refused with.

    Args:
        patience_seconds: how long a broken stream is tried again before giving up.

    Raises:
        ServerUnreachable: nobody answered, or what answered is not this extension.
        BlackRoadError: the server's own error, of the same class as it had there.
    """

    def __init__(self, address: ServerAddress, patience_seconds: float = 30.0) -> None:
        self._address = address
        self._patience = patience_seconds
        self._parts = urlsplit(address.url)

    def health(self) -> dict[str, Any]:
        """Return how the extension stands there."""
        return dict(self._call("GET", "health"))

    def start_run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Hand over a run and return it as it was accepted."""
        return dict(self._call("POST", "executions", request))

    def get_run(self, run_id: str, outputs: bool = False) -> dict[str, Any]:
        """Return how a run stands; `outputs` brings those of its cells, however large."""
        query = "?outputs=1" if outputs else ""
        return dict(self._call("GET", f"executions/{quote(run_id, safe='')}{query}"))

    def cancel_run(self, run_id: str) -> dict[str, Any]:
        return dict(self._call("POST", f"executions/{quote(run_id, safe='')}/cancel", {}))

    def list_runs(
        self,
        limit: int,
        cursor: int | None = None,
        notebook_id: str | None = None,
        path: str | None = None,
    ) -> dict[str, Any]:
        """Return one page of runs, newest first, as `items` and `next_cursor`."""
        asked = {"notebook_id": notebook_id, "path": path, "limit": limit, "cursor": cursor}
        query = {name: value for name, value in asked.items() if value is not None}
        return dict(self._call("GET", f"executions?{urlencode(query)}"))

    def watch_run(
        self, run_id: str, after: int = 0, on_break: Callable[[float], None] | None = None
    ) -> Iterator[ServerEvent]:
        """Yield the run's events until it has finished.

        A stream that breaks is taken up again after the last event that came. A cell
        may be silent for hours, so the patience counts from the break.

        Args:
            on_break: called once for a break that lasts, with the seconds of patience left.
        """
        last, broken_at, told = after, math.inf, False
        while True:
            broken: Exception = ConnectionError("the stream ended early")
            try:
                for event in self._stream(run_id, last):
                    broken_at, told = math.inf, False
                    if event is None:
                        continue
                    last = event.number
                    yield event
                    if event.kind == "run_finished":
                        return
            except (OSError, http.client.HTTPException) as error:
                broken = error
            now = time.monotonic()
            broken_at = min(broken_at, now)
            if now - broken_at > self._patience:
                raise self._unreachable(broken)
            if on_break is not None and not told and now - broken_at > _BRIEF_SECONDS:
                on_break(self._patience - (now - broken_at))
                told = True
            time.sleep(_RETRY_SECONDS)

    def _stream(self, run_id: str, after: int) -> Iterator[ServerEvent | None]:
        connection = self._connection(_SILENCE_SECONDS)
        try:
            headers = {**self._headers(), "Accept": "text/event-stream"}
            if after:
                headers["Last-Event-ID"] = str(after)
            path = f"executions/{quote(run_id, safe='')}/events"
            connection.request("GET", self._target(path), headers=headers)
            with connection.getresponse() as response:
                if response.status in _PASSING:
                    raise ConnectionError(f"it answered {response.status}")
                if response.status != http.client.OK:
                    raise _refusal(response.status, response.read())
                yield from _events(response)
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = self._headers()
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            status, answer = self._exchange(method, path, content, headers)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        if not http.client.OK <= status < http.client.MULTIPLE_CHOICES:
            raise _refusal(status, answer)
        try:
            return json.loads(answer)
        except ValueError:
            raise ServerUnreachable(f"{self._address.url} did not answer with JSON.") from None

    def _exchange(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection = self._connection(_ANSWER_SECONDS)
        try:
            connection.request(method, self._target(path), body=content, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _target(self, path: str) -> str:
        return f"{self._parts.path}blackroad/{path}"

    def _headers(self) -> dict[str, str]:
        if self._address.token:
            return {"Authorization": f"token {self._address.token}"}
        # An open server still wants the same value in a cookie and in a header.
        return {"Cookie": "_xsrf=blackroad", "X-XSRFToken": "blackroad"}

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "localhost", self._parts.port
        if self._address.socket:
            return _SocketConnection(self._address.socket, timeout)
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _unreachable(self, error: Exception) -> ServerUnreachable:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ServerUnreachable(f"No notebook server answers at {self._address.url}: {reason}.")


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _events(response: http.client.HTTPResponse) -> Iterator[ServerEvent | None]:
    """Parse a stream; None stands for a sign of life. Source: HTML Standard, section 9.2.6."""
    fields: dict[str, str] = {}
    while line := response.readline():
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
            continue
        if "data" in fields:
            number = int(fields.get("id") or 0)
            yield ServerEvent(number, fields.get("event", "message"), json.loads(fields["data"]))
        else:
            yield None
        fields = {}


def _refusal(status: int, answer: bytes) -> BlackRoadError:
    try:
        said = json.loads(answer)
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        return ServerUnreachable(_stranger(status))
    if code == _FORBIDDEN:
        return ServerUnreachable(f"The server refused this (--token gives its token): {message}")
    return error_class(code)(message)


def _stranger(status: int) -> str:
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN, http.client.FOUND):
        return "The server did not accept the token; give the right one with --token."
    if status in (http.client.NOT_FOUND, http.client.METHOD_NOT_ALLOWED):
        return (
            "The server answers, but without this extension; "
            "`jupyter server extension enable blackroad_nb` switches it on."
        )
    return f"The server answered {status} and did not say why; see its log."
