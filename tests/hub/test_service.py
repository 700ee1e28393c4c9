"""The sessions service behind a real hub and its proxy: who sees, starts and stops what."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_process import HubProcess, start_hub, until
from service_visitor import PREFIX, ServiceVisitor, fetch, service_is_up
from tiny_session import CONFIG

PEOPLE: dict[str, tuple[str, ...]] = {
    "ada": ("researchers",),
    "bob": ("researchers",),
    "o'brien <b>@example.com": ("researchers",),
    "mia": ("admins",),
    "nobody": (),
}
PROFILES = """\
max_sessions: 20
profiles:
  - name: small
    title: Small & quick
  - name: broken
    environment: {TINY_EXIT: "7"}
  - name: slow
    environment: {TINY_DELAY: "1.5"}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with start_hub(
        tmp_path_factory.mktemp("hub"),
        users=PEOPLE, docker=False, profiles=PROFILES, extra_config=CONFIG,
    ) as running:  # fmt: skip
        service_is_up(running)
        yield running


@pytest.fixture(autouse=True)
def everything_stopped(hub: HubProcess) -> Iterator[None]:
    yield
    for user in PEOPLE:
        for name in hub.servers(user):
            hub.stop_session(user, server=name)
            hub.wait_gone(user, name)


def rest(
    hub: HubProcess, method: str, path: str, token: str | None = None, body: Any = None
) -> tuple[int, Any]:
    return hub.call(method, f"{hub.url}services/blackroad/api/{path}", token, body)


def launch(hub: HubProcess, user: str, server: str = "") -> None:
    """Start a session; the hub remembers options, so they are given each time."""
    status, said = hub.start(user, hub.token_for(user), server, profile="small")
    assert status in (201, 202), said
    hub.wait_ready(user, server)


# logging in ----------------------------------------------------------------------


def test_a_browser_is_led_through_the_hubs_login_and_back(hub):
    stranger = ServiceVisitor(hub)
    shown = stranger.page()
    assert shown.path.startswith("/hub/login")
    ada = ServiceVisitor(hub, "ada")
    shown = ada.page()
    assert (shown.status, shown.path) == (200, PREFIX)
    assert "No session of yours is running" in shown.text or "Start again" in shown.text
    kept = [line for line in ada.set_cookies if line.startswith("service-blackroad=")]
    assert kept
    for line in kept:
        assert {"HttpOnly", f"Path={PREFIX}", "SameSite=Lax"} <= set(line.split("; "))
    assert [name for _, name in ada.cookies if "state" in name] == []


def test_a_login_begun_elsewhere_is_not_finished_here(hub):
    """Or somebody could be logged in as somebody else without noticing."""
    eve, ada = ServiceVisitor(hub, "bob"), ServiceVisitor(hub, "ada")
    first = eve.get(PREFIX, follow=False)
    answer = eve.get(first.headers["Location"], follow=False)
    callback = answer.headers["Location"]
    assert callback.startswith(f"{PREFIX}oauth_callback?code=")
    shown = ada.get(callback)
    assert shown.status == 403
    assert "begun elsewhere" in shown.text
    assert "bob" not in ada.page().text
    assert eve.get(callback).status == 200
    again = eve.get(callback, follow=False)  # a code works once
    assert again.status == 403


@pytest.mark.parametrize("query", ["", "?code=x", "?state=", "?state=%00%ff&code=x", "?error=x"])
def test_a_callback_without_a_login_is_refused(hub, query):
    assert ServiceVisitor(hub).get(f"{PREFIX}oauth_callback{query}").status in (400, 403)


def test_a_forged_cookie_logs_nobody_in(hub):
    stranger = ServiceVisitor(hub)
    stranger.cookies[(PREFIX, "service-blackroad")] = "2|1:0|10:1|1:x|4:YWRh|" + "0" * 64
    assert stranger.get(PREFIX, follow=False).status == 302


def test_logging_out_at_the_hub_ends_it_here_too(hub):
    ada = ServiceVisitor(hub, "ada")
    assert ada.page().status == 200
    ada.get("/hub/logout")
    until(lambda: ada.page().path.startswith("/hub/login"), 15)


def test_every_answer_carries_the_headers_that_protect_it(hub):
    ada = ServiceVisitor(hub, "ada")
    for path in ("", "all", "nowhere", "style.css", "health", "api/sessions"):
        headers = ada.get(PREFIX + path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Server" not in headers or "Tornado" not in headers["Server"]
        if path != "style.css":
            assert headers["Cache-Control"] == "no-store"


# pages ---------------------------------------------------------------------------


def test_my_session_from_start_to_stop(hub):
    launch(hub, "ada")
    ada = ServiceVisitor(hub, "ada")
    shown = ada.page()
    assert "Running" in shown.text
    assert "Small & quick" in shown.text  # what the card said on the page that started it
    assert "Small & quick" in ServiceVisitor(hub, "mia").page("all").text
    assert 'href="/user/ada/"' in shown.html
    stopped = ada.stop("ada")
    assert (stopped.status, stopped.path) == (200, PREFIX)
    assert "Stopped" in stopped.text
    assert "/hub/spawn/ada?opt-profile=small" in stopped.html
    assert hub.servers("ada") == {}


def test_a_session_that_failed_says_why(hub):
    status, _ = hub.start("ada", hub.token_for("ada"), profile="broken")
    assert status >= 400
    shown = ServiceVisitor(hub, "ada").page()
    assert "Ended with an error" in shown.text
    assert "exit code 7" in shown.text


def test_nobody_gets_a_clear_page(hub):
    shown = ServiceVisitor(hub, "nobody").page()
    assert shown.status == 403
    assert "LAUNCH_NOTEBOOKS" in shown.text
    assert "administrator" in shown.text


def test_the_page_of_all_is_for_managers(hub):
    launch(hub, "bob", server="second")
    refused = ServiceVisitor(hub, "ada").page("all")
    assert (refused.status, "MANAGE_NOTEBOOKS" in refused.text) == (403, True)
    assert "bob" not in refused.text
    mia = ServiceVisitor(hub, "mia")
    shown = mia.page("all")
    assert (shown.status, "bob / second" in shown.text) == (200, True)
    form = {"user": "bob", "server_name": "second", "from": "all", "_xsrf": shown.xsrf}
    stopped = mia.post(f"{PREFIX}stop", form)
    assert (stopped.status, stopped.path) == (200, f"{PREFIX}all")
    assert hub.servers("bob") == {}


def test_a_researcher_stops_only_her_own(hub):
    launch(hub, "bob")
    shown = ServiceVisitor(hub, "ada").stop("bob")
    assert shown.status == 403
    assert hub.servers("bob")[""]["ready"]


def test_a_permission_that_was_taken_away_stops_starting_but_not_stopping(hub):
    token = hub.token_for("ada")
    launch(hub, "ada")
    ada = ServiceVisitor(hub, "ada")
    assert "Running" in ada.page().text
    hub.leave("researchers", "ada")
    try:
        assert rest(hub, "POST", "sessions", token, {"server_name": "more"})[0] == 403
        assert "Running" in ada.page().text
        ada.stop("ada")
        assert hub.servers("ada") == {}
        until(lambda: ada.page().status == 403, 15)  # what was known of her is forgotten soon
    finally:
        hub.join("researchers", "ada")


def test_names_are_shown_as_they_are_and_never_as_markup(hub):
    name = "o'brien <b>@example.com"
    launch(hub, name)
    shown = ServiceVisitor(hub, name).page()
    assert shown.status == 200
    assert name in shown.text
    assert "<b>@" not in shown.html
    assert "<b>@" not in ServiceVisitor(hub, "mia").page("all").html
    status, told = rest(
        hub, "GET", "sessions/o%27brien%20%3Cb%3E%40example.com", hub.token_for(name)
    )
    assert (status, told["user"], told["state"]) == (200, name, "running")


# forged forms --------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_from_another_site_does_nothing(hub, headers):
    launch(hub, "ada")
    shown = ServiceVisitor(hub, "ada").stop("ada", **headers)
    assert (shown.status, "nothing was done" in shown.text) == (403, True)
    assert hub.servers("ada")[""]["ready"]


def test_a_form_without_its_token_does_nothing(hub):
    launch(hub, "ada")
    ada = ServiceVisitor(hub, "ada")
    ada.page()
    for sent in ({}, {"_xsrf": "x"}, {"_xsrf": ServiceVisitor(hub, "bob").xsrf}):
        shown = ada.post(f"{PREFIX}stop", {"user": "ada", **sent})
        assert (shown.status, "nothing was done" in shown.text) == (403, True)
    assert ada.get(f"{PREFIX}stop?user=ada").status == 200  # a link is no form
    assert hub.servers("ada")[""]["ready"]


def test_an_oversized_form_is_refused(hub):
    ada = ServiceVisitor(hub, "ada")
    big = {"user": "ada" * 50_000, "_xsrf": ada.xsrf}
    assert ada.post(f"{PREFIX}stop", big).status == 400


# REST ----------------------------------------------------------------------------


def test_sessions_over_rest(hub):
    token = hub.token_for("ada")
    status, made = rest(hub, "POST", "sessions", token, {"profile": "small"})
    assert (status, made["state"], made["profile"]) == (201, "running", "small")
    assert rest(hub, "GET", "sessions/ada", token) == (200, made | {"last_activity_at": _ANY})
    status, listed = rest(hub, "GET", "sessions", token)
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert listed["log_fault"] is None
    assert rest(hub, "POST", "sessions", token, {})[0] == 409
    status, stopped = rest(hub, "DELETE", "sessions/ada", token)
    assert (status, stopped["state"], stopped["id"]) == (200, "stopped", made["id"])
    assert rest(hub, "GET", "sessions", token)[1]["items"] == []
    newest = rest(hub, "GET", "sessions?ended=1&limit=1", token)[1]["items"]
    assert newest == [stopped]


class _Any:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


_ANY = _Any()


def test_the_token_of_one_session_opens_nothing_here(hub):
    launch(hub, "ada")
    launch(hub, "bob")
    status, told = hub.call("GET", f"{hub.url}user/ada/environment", None)
    assert status == 200
    token = told["JUPYTERHUB_API_TOKEN"]
    for method, path, body in (
        ("GET", "sessions", None),
        ("GET", "sessions/bob", None),
        ("DELETE", "sessions/bob", None),
        ("DELETE", "sessions/ada", None),
        ("POST", "sessions", {"user": "bob", "server_name": "more"}),
    ):
        status, said = rest(hub, method, path, token, body)
        assert (status, said["reason"]) == (403, "token_not_permitted")
    assert hub.servers("ada")[""]["ready"]
    assert hub.servers("bob")[""]["ready"]


def test_cookies_open_nothing_over_rest(hub):
    ada = ServiceVisitor(hub, "ada")
    ada.page()
    shown = ada.get(f"{PREFIX}api/sessions")
    assert (shown.status, json.loads(shown.html)["code"]) == (401, "unauthorized")
    assert rest(hub, "GET", "sessions", "f" * 32)[0] == 401


@pytest.mark.parametrize(
    ("body", "media_type", "status", "said"),
    [
        (b"{", "application/json", 400, "not JSON"),
        (b"[" * 100_0, "application/json", 400, "not JSON"),
        (b"[]", "application/json", 400, "object"),
        (b'"x"', "application/json", 400, "object"),
        (b"\xff\xfe", "application/json", 400, "not JSON"),
        (b'{"image": "evil"}', "application/json", 400, "unknown field 'image'"),
        (b'{"profile": 7}', "application/json", 400, "profile"),
        (b'{"profile": "a\\nb"}', "application/json", 400, "profile"),
        (b'{"profile": "\\ud800"}', "application/json", 400, "profile"),
        (b'{"original": "yes"}', "application/json", 400, "original"),
        (b'{"user": "../bob"}', "application/json", 400, "cannot be the name"),
        (b'{"server_name": ".."}', "application/json", 400, "cannot be the name"),
        (b'{"profile": "nope"}', "application/json", 400, "no profile"),
        (b"profile=small", "application/x-www-form-urlencoded", 415, "JSON"),
        (b"{}", "", 415, "JSON"),
        (b" " * 70_000, "application/json", 413, "the most"),
    ],
)
def test_a_start_that_cannot_be_understood_starts_nothing(hub, body, media_type, status, said):
    headers = {"Authorization": f"token {hub.token_for('ada')}", "Content-Type": media_type}
    code, _, answer = fetch(hub, "POST", f"{PREFIX}api/sessions", body, headers)
    assert (code, said in json.loads(answer)["message"]) == (status, True)
    assert hub.servers("ada") == {}


@pytest.mark.parametrize(
    "path",
    [
        "api/sessions/..%2f..%2fbob",
        "api/sessions/%2e%2e",
        "api/sessions/ada/..%2f",
        "api/sessions/%00",
        "api/sessions/ada%0d%0aX-Evil:%201",
        "api/sessions/%ff%fe",
        "api/sessions/ada/a/b",
        "api/sessions//",
        "api/sessions/" + "x" * 3000,
        "api/progress/%2e%2e",
        "api/sessions?limit=-1",
        "api/sessions?limit=9999999999999999999",
        "api/sessions?limit=%D9%A3",
        "api/sessions?ended=maybe",
        "api/sessions?user=a&user=b",
        "api/sessions?x=1",
        "api/sessions?user=%ff",
        "api/nothing",
        "api",
    ],
)
def test_hostile_paths_are_refused_in_json(hub, path):
    headers = {"Authorization": f"token {hub.token_for('mia')}", "Accept": "*/*"}
    code, answer, body = fetch(hub, "GET", PREFIX + path, None, headers)
    assert 400 <= code < 500
    assert "X-Evil" not in answer
    if answer.get_content_type() == "application/json":  # the proxy refuses some by itself
        assert {"code", "message"} <= json.loads(body).keys()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_change_nothing(hub, method):
    headers = {"Authorization": f"token {hub.token_for('ada')}"}
    assert fetch(hub, method, f"{PREFIX}api/sessions", None, headers)[0] == 405


def test_progress_is_followed_while_a_session_starts(hub):
    token = hub.token_for("ada")
    starting = threading.Thread(target=lambda: hub.start("ada", token, profile="slow"))
    starting.start()
    until(lambda: "" in hub.servers("ada"))
    code, headers, body = fetch(
        hub, "GET", f"{PREFIX}api/progress/ada", None, {"Authorization": f"Bearer {token}"}
    )
    starting.join()
    assert (code, headers.get_content_type()) == (200, "text/event-stream")
    lines = [json.loads(line[5:]) for line in body.decode().splitlines() if line[:5] == "data:"]
    assert lines[-1]["ready"]
    assert all(line["message"] for line in lines)
    assert len(lines) > 1


def test_health_says_what_works_to_anybody(hub):
    status, told = hub.call("GET", f"{hub.url}services/blackroad/health", None)
    assert (status, told) == (200, {"status": "ok", "hub": "ok", "log": "ok", "sweep": "off"})


def test_no_token_and_no_code_is_written_to_the_log(hub):
    token = hub.token_for("ada")
    rest(hub, "GET", "sessions", token)
    ada = ServiceVisitor(hub, "ada")
    ada.page()
    kept = ada.cookies[(PREFIX, "service-blackroad")]
    lines = [line for line in hub.log().splitlines() if " blackroad]" in line]
    assert any("oauth_callback" in line for line in lines)
    assert not [line for line in lines if "code=" in line or token in line or kept in line]


def test_the_service_may_do_no_more_than_it_needs(hub):
    environment = _service_environment(hub)
    own = environment["JUPYTERHUB_API_TOKEN"]
    status, model = hub.api("GET", "user", own)
    assert status == 200
    extra = [
        s
        for s in model["scopes"]
        if not s.startswith(("list:users", "read:servers", "read:users:name"))
    ]
    assert extra == []
    assert hub.start("ada", own)[0] == 403
    assert "BLACKROAD_STATE" in environment


def _service_environment(hub: HubProcess) -> dict[str, str]:
    for pid in hub.processes():
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"blackroad_nb.hub.service" in command:
            pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            return dict(pair.split("=", 1) for pair in pairs if pair)
    raise AssertionError("The service does not run.")
