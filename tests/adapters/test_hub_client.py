"""The hub's REST interface as a client meets it, also when what answers is odd.

A real hub is asked in tests/hub; here every answer that one may give is given by a server
of our own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from blackroad_nb.adapters import hub_client
from blackroad_nb.adapters.hub_client import RestHubClient
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

TOKEN = "secret-token-of-ada"
Answer = Callable[[RequestHandler], Awaitable[None]]


def asked_of(answer: Answer, work: Callable[[RestHubClient], Awaitable[Any]]) -> Any:
    """Do the work on a hub that answers so."""

    class Handler(RequestHandler):
        async def prepare(self) -> None:
            await answer(self)
            if not self._finished:
                self.finish()

    async def carried_out() -> Any:
        (listener,) = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)
        server = HTTPServer(Application([(r".*", Handler)], log_function=lambda _: None))
        server.add_sockets([listener])
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/hub/api/"
            return await work(RestHubClient(url, TOKEN))
        finally:
            server.stop()
            await server.close_all_connections()

    return asyncio.run(carried_out())


def answering(code: int, body: object, reason: str | None = None) -> Answer:
    async def answer(handler: RequestHandler) -> None:
        handler.set_status(code, reason)
        if code not in (204, 304):
            handler.write(body if isinstance(body, str) else json.dumps(body))

    return answer


def refusing(code: int, message: str, reason: str | None = None) -> Answer:
    return answering(code, {"status": code, "message": message}, reason)


def server_model(name: str, **changes: object) -> dict[str, object]:
    return {
        "name": name,
        "ready": True,
        "pending": None,
        "stopped": False,
        "started": "2026-03-01T12:00:00.000000Z",
        "last_activity": None,
        "url": f"/user/ada/{name}",
        "user_options": {"profile": "large"},
        **changes,
    }


def user_model(name: str, *servers: dict[str, object]) -> dict[str, object]:
    return {"kind": "user", "name": name, "servers": {str(s["name"]): s for s in servers}}


def start(client: RestHubClient) -> Awaitable[None]:
    return client.start("ada", "", {"profile": "large"})


# what is sent --------------------------------------------------------------------


def test_requests_name_users_and_servers_safely_and_carry_the_token():
    seen: list[HTTPServerRequest] = []

    async def answer(handler: RequestHandler) -> None:
        seen.append(handler.request)
        handler.set_status(202)

    async def work(client: RestHubClient) -> None:
        await client.start("ö b?#%2e", "a&b", {"profile": "large"})
        await client.start("ada", "", {})
        await client.stop("ada", "x y")

    asked_of(answer, work)
    assert [f"{request.method} {request.path}" for request in seen] == [
        "POST /hub/api/users/%C3%B6%20b%3F%23%252e/servers/a%26b",
        "POST /hub/api/users/ada/server",
        "DELETE /hub/api/users/ada/servers/x%20y",
    ]
    assert {request.headers["Authorization"] for request in seen} == {f"token {TOKEN}"}
    assert json.loads(seen[0].body) == {"user_options": {"profile": "large"}, "display_name": "a&b"}


@pytest.mark.parametrize("name", ["../..", "a/b", ".", "..", "x\r\nHost: evil"])
def test_a_name_that_leads_elsewhere_is_never_sent(name):
    async def work(client: RestHubClient) -> None:
        for call in (
            client.start(name, "", {}),
            client.start("ada", name, {}),
            client.stop("ada", name),
            client.servers_of(name),
        ):
            with pytest.raises(InvalidInput):
                await call

    asked_of(answering(500, "must not be asked"), work)


# what comes back -----------------------------------------------------------------


def test_active_servers_are_read_page_by_page():
    async def answer(handler: RequestHandler) -> None:
        offset = int(handler.get_query_argument("offset"))
        assert handler.get_query_argument("state") == "active"
        assert "pagination" in handler.request.headers["Accept"]
        following = {"offset": offset + 1} if offset < 2 else None
        items = [user_model(f"user{offset}", server_model(""), server_model("x", ready=False))]
        handler.write(json.dumps({"items": items, "_pagination": {"next": following}}))

    found = asked_of(answer, lambda client: client.servers())
    assert [(s.user, s.name, s.ready) for s in found] == [
        (f"user{page}", name, ready)
        for page in range(3)
        for name, ready in (("", True), ("x", False))
    ]
    assert found[0].started_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert found[0].last_activity_at is None
    assert found[0].options == {"profile": "large"}


def test_pages_that_never_end_end_here():
    model = {"items": [], "_pagination": {"next": {"offset": 0}}}
    assert asked_of(answering(200, model), lambda client: client.servers()) == ()


def test_stopped_servers_are_none_and_odd_fields_no_accident():
    model = user_model(
        "ada",
        server_model("gone", stopped=True),
        server_model("odd", started="yesterday", user_options="x", pending="", url=None),
    )
    (odd,) = asked_of(answering(200, model), lambda client: client.servers_of("ada"))
    assert (odd.name, odd.started_at, odd.options, odd.pending, odd.url) == (
        "odd",
        None,
        {},
        None,
        "",
    )


def test_a_token_that_may_not_see_servers_is_told_apart_from_no_servers():
    model = {"kind": "user", "name": "ada"}
    with pytest.raises(LaunchRefused, match="read:servers"):
        asked_of(answering(200, model), lambda client: client.servers_of("ada"))
    assert asked_of(answering(200, user_model("ada")), lambda c: c.servers_of("ada")) == ()


def test_whoami_knows_a_token_that_is_not_valid():
    assert asked_of(refusing(403, "Missing"), lambda client: client.whoami()) is None
    model = {"name": "ada", "scopes": []}
    assert asked_of(answering(200, model), lambda client: client.whoami()) == model


@pytest.mark.parametrize(
    ("answer", "kind", "reason", "said"),
    [
        (refusing(403, "You may not.", "not_permitted"), LaunchRefused, "not_permitted", "may not"),
        (refusing(403, "No scopes", "Forbidden"), LaunchRefused, "not_permitted", "No scopes"),
        (refusing(401, "Who?"), LaunchRefused, "token_unknown", "does not know"),
        (refusing(429, "Five run.", "limit_per_hub"), LimitReached, "limit_per_hub", "Five run"),
        (refusing(429, "Too many users"), LimitReached, "limit", "Too many"),
        (refusing(400, "ada is already running"), SessionActive, None, "already running"),
        (refusing(400, "ada is pending stop"), SessionActive, None, "pending stop"),
        (refusing(400, "There is no profile 'x'."), InvalidInput, None, "no profile"),
        (refusing(404, "Not Found"), SessionNotFound, None, "ada"),
        (refusing(502, "No image.", "image_missing"), SessionFailed, "image_missing", "No image"),
        (refusing(500, "Internal Server Error"), SessionFailed, "failed", "Internal"),
        (refusing(503, "Proxy sees no hub"), HubUnreachable, None, "not there"),
        (answering(200, "<html>A router's login page</html>"), HubUnreachable, None, "200"),
        (answering(302, ""), HubUnreachable, None, "302"),
        (answering(502, "Bad Gateway"), HubUnreachable, None, "502"),
    ],
)
def test_what_a_hub_refuses_becomes_an_error_of_ours(answer, kind, reason, said):
    with pytest.raises(BlackRoadError, match=said) as caught:
        asked_of(answer, start)
    assert type(caught.value) is kind
    assert getattr(caught.value, "reason", None) == reason
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"items": 3}', "null", "7", '{"name": 3}'])
def test_what_is_no_hub_is_told(body):
    async def work(client: RestHubClient) -> None:
        with pytest.raises(HubUnreachable):
            await client.servers()
        with pytest.raises((HubUnreachable, LaunchRefused)):
            await client.servers_of("ada")

    if body == "[]":
        assert asked_of(answering(200, body), lambda client: client.servers()) == ()
    else:
        asked_of(answering(200, body), work)


# a hub that is not there ---------------------------------------------------------


def test_nobody_answering_is_told_without_the_token(caplog):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/hub/api"

        async def work() -> None:
            client = RestHubClient(url, TOKEN)
            assert TOKEN not in repr(client)
            with pytest.raises(HubUnreachable, match="No hub answers at") as caught:
                await client.servers()
            assert TOKEN not in caught.value.message
            with pytest.raises(HubUnreachable):
                await anext(client.progress("ada", ""))

        with caplog.at_level(logging.DEBUG):
            asyncio.run(work())
    assert TOKEN not in caplog.text


def test_a_hub_that_says_nothing_is_given_up_on(monkeypatch):
    monkeypatch.setattr(hub_client, "READ_SECONDS", 0.2)

    async def silent(_: RequestHandler) -> None:
        await asyncio.sleep(2)

    with pytest.raises(HubUnreachable):
        asked_of(silent, lambda client: client.servers())


def test_an_address_that_is_none_is_told():
    with pytest.raises(HubUnreachable):
        asyncio.run(in_loop(lambda: RestHubClient("http+unix://socket", TOKEN).servers()))


async def in_loop(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


# progress ------------------------------------------------------------------------


def test_progress_comes_line_by_line_and_ends():
    events = [
        {"progress": 10, "message": "Creating"},
        {"progress": "7", "message": None},
        {"progress": 900, "ready": True, "message": "Up ü"},
    ]

    async def answer(handler: RequestHandler) -> None:
        assert handler.request.path == "/hub/api/users/ada/server/progress"
        for event in events:
            text = f"data: {json.dumps(event)}\n\n".encode()
            for piece in (text[:9], text[9:]):
                handler.write(piece)
                await handler.flush()
        handler.write("data: no JSON\n\ndata: 3\n\n: comment\n\n")

    async def work(client: RestHubClient) -> list[tuple[int, str, bool]]:
        return [(p.percent, p.message, p.ready) async for p in client.progress("ada", "")]

    assert asked_of(answer, work) == [(10, "Creating", False), (7, "", False), (100, "Up ü", True)]


@pytest.mark.parametrize("code", [400, 404])
def test_where_nothing_starts_there_is_no_progress(code):
    async def work(client: RestHubClient) -> list[object]:
        return [line async for line in client.progress("ada", "x")]

    assert asked_of(refusing(code, "not starting"), work) == []


def test_progress_that_may_not_be_seen_is_refused():
    async def work(client: RestHubClient) -> None:
        await anext(client.progress("bob", ""))

    with pytest.raises(LaunchRefused):
        asked_of(refusing(403, "no"), work)


def test_whoever_stops_following_leaves_nothing_behind():
    async def endless(handler: RequestHandler) -> None:
        for _ in range(1000):
            handler.write(b'data: {"progress": 1, "message": "x"}\n\n')
            await handler.flush()
            await asyncio.sleep(0.01)

    async def work(client: RestHubClient) -> int:
        lines = client.progress("ada", "")
        first = await anext(lines)
        await lines.aclose()
        return first.percent

    assert asked_of(endless, work) == 1
