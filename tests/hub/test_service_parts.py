"""What the service is made of: words, orphans' owners, settings, and how it starts."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application

from blackroad_nb.adapters.memory_servers import MemoryServerLog
from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.core.sessions import HubServer, Session
from blackroad_nb.errors import HubUnreachable, InvalidInput, LaunchRefused
from blackroad_nb.hub.service import __main__ as program
from blackroad_nb.hub.service.handler import is_cross_site
from blackroad_nb.hub.service.login import Caller, _caller
from blackroad_nb.hub.service.settings import read_settings
from blackroad_nb.hub.service.sweeping import NotCertain, Sweeper, owners
from blackroad_nb.hub.service.titles import profile_titles
from blackroad_nb.hub.service.wording import Words, current_and_earlier, heading, lasted
from blackroad_nb.hub.service_role import ACCESS, OAUTH_SCOPES, OWN_SCOPES, roles, service

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GUIDE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "manage-sessions.md"
ENVIRONMENT = {
    "JUPYTERHUB_API_TOKEN": "secret",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
    "JUPYTERHUB_CLIENT_ID": "service-blackroad",
    "JUPYTERHUB_SERVICE_PREFIX": "/base/services/blackroad/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:4711",
    "JUPYTERHUB_BASE_URL": "/base/",
    "BLACKROAD_STATE": "/var/lib/hub",
}


def session(state: str, minutes: int = 0, name: str = "") -> Session:
    at = NOON - timedelta(minutes=minutes)
    return Session("ada", name, ServerState(state), id=f"{name}{minutes}", started_at=at)


# words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (7260, "2 hours 1 minute"),
        (86400, "1 day"),
        (3 * 86400 + 3600 * 5 + 59, "3 days 5 hours"),
    ],
)
def test_lengths_of_time(seconds, said):
    assert lasted(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (NOON - timedelta(hours=3), "today, 09:00 UTC"),
        (NOON - timedelta(days=1), "28 February, 12:00 UTC"),
        (NOON - timedelta(days=365), "1 March 2025, 12:00 UTC"),
    ],
)
def test_moments(moment, said):
    assert Words(NOON).moment(moment) == said


def test_each_server_shows_its_newest_and_the_rest_is_earlier():
    running, named = session("running", 1), session("starting", 2, "x")
    gone, old = session("stopped", 3, "y"), session("error", 4)
    current, earlier = current_and_earlier([running, named, gone, old])
    assert (current, earlier) == ([running, named], [gone, old])
    assert current_and_earlier([old, gone]) == ([old], [gone])
    assert current_and_earlier([]) == ([], [])


def test_headings_fit_what_went_wrong():
    assert heading(HubUnreachable("x")) == "The hub does not answer"
    assert heading(LaunchRefused("x", "not_permitted")) == "You may not do this"
    assert heading(LaunchRefused("x", "cross_site")) == "Nothing was done"


@pytest.mark.parametrize(
    ("headers", "cross"),
    [
        ({}, False),
        ({"Origin": "http://hub:8000"}, False),
        ({"Origin": "http://HUB:8000", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": "http://hub"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://hub:8000", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
    ],
)
def test_who_sent_a_form(headers, cross):
    request = HTTPServerRequest(
        start_line=RequestStartLine("POST", "/", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "hub:8000", **headers}),
        connection=SimpleNamespace(context=None),  # type: ignore[arg-type]
    )
    assert is_cross_site(request) is cross


def test_a_service_called_like_a_user_is_not_that_user():
    ada = _caller({"kind": "user", "name": "ada", "scopes": [ACCESS]}, "t")
    namesake = _caller({"kind": "service", "name": "ada", "scopes": ["access:services"]}, "t")
    assert ada is not None
    assert namesake is not None
    assert (ada.user, ada.may_enter) == ("ada", True)
    assert (namesake.user, namesake.may_enter) == ("", True)
    assert "secret" not in repr(Caller("ada", "secret"))


@pytest.mark.parametrize("model", [{}, {"name": 3, "scopes": []}, {"name": "ada", "scopes": None}])
def test_what_is_no_answer_on_a_token_lets_nobody_in(model):
    assert _caller(model, "t") is None


# containers without a session ----------------------------------------------------


def record(id: str, user: str, name: str = "") -> ServerRecord:
    return ServerRecord(id, user, name, "p", None, ServerState.RUNNING, NOON)


def test_owners_are_the_open_sessions_that_the_hub_runs():
    servers = [HubServer("ada", "", ready=True), HubServer("bob", "x", ready=False)]
    records = [record("1", "ada"), record("2", "bob", "x"), record("3", "bob")]
    assert owners(servers, records) == {"1", "2"}
    assert owners([], records) == frozenset()


def test_nobody_is_sure_while_a_session_runs_that_the_log_does_not_know():
    with pytest.raises(NotCertain):
        owners([HubServer("ada", "", ready=True)], [record("1", "bob")])


class Hub:
    def __init__(self, *servers: HubServer, away: bool = False) -> None:
        self.running, self.away = servers, away

    async def servers(self) -> tuple[HubServer, ...]:
        if self.away:
            raise HubUnreachable("No hub answers.")
        return self.running


def swept(hub: Hub, log: MemoryServerLog) -> tuple[Sweeper, list[frozenset[str]]]:
    asked: list[frozenset[str]] = []

    async def sweep(active: Callable[[], Awaitable[Collection[str]]]) -> int:
        asked.append(frozenset(await active()))
        return 2

    sweeper = Sweeper(hub, log, sweep)  # type: ignore[arg-type]
    asyncio.run(sweeper.sweep_once())
    return sweeper, asked


def test_a_sweep_asks_for_the_owners_and_counts():
    log = MemoryServerLog()
    log.put(record("1", "ada"))
    sweeper, asked = swept(Hub(HubServer("ada", "", ready=True)), log)
    assert asked == [{"1"}]
    assert (sweeper.health.sweeps, sweeper.health.removed, sweeper.health.fault) == (1, 2, "")


@pytest.mark.parametrize(
    ("hub", "said"),
    [(Hub(away=True), "No hub"), (Hub(HubServer("ada", "", ready=True)), "nothing is removed")],
)
def test_whoever_does_not_know_removes_nothing(hub, said):
    sweeper, asked = swept(hub, MemoryServerLog())
    assert asked == []
    assert said in sweeper.health.fault
    assert sweeper.health.removed == 0


def test_any_fault_of_a_sweep_leaves_the_service_up():
    async def broken(_: object) -> int:
        raise ImportError("docker is not installed")

    sweeper = Sweeper(Hub(), MemoryServerLog(), broken)  # type: ignore[arg-type]
    asyncio.run(sweeper.sweep_once())
    assert "docker is not installed" in sweeper.health.fault


def test_processes_are_never_swept():
    sweeper = Sweeper(Hub(away=True), MemoryServerLog(), None)  # type: ignore[arg-type]
    asyncio.run(sweeper.run(60.0))  # it returns at once
    asyncio.run(sweeper.sweep_once())
    assert (sweeper.enabled, sweeper.health.fault) == (False, "")


def test_titles_follow_the_file_and_names_stand_in(tmp_path):
    file = tmp_path / "profiles.yaml"
    file.write_text("profiles:\n  - name: small\n    title: Small one\n")
    one = replace(session("running"), profile="small")
    told = service(tmp_path, profiles=file)["environment"]
    settings = read_settings(ENVIRONMENT | told)

    def name() -> str:
        return Words(NOON, profile_titles(settings.profiles)).name(one)

    assert name() == "Small one"
    file.write_text("profiles:\n  - name: small\n    title: The small one\n")
    assert name() == "The small one"
    file.write_text("profiles: 7\n")
    assert name() == "small"
    assert "standard" in profile_titles("")


# how the hub starts it -----------------------------------------------------------


def test_the_hub_is_told_what_it_needs_and_no_more(tmp_path):
    made = service(tmp_path, hub_id="h", sweep=True, environment={"DOCKER_HOST": "d", "PATH": "p"})
    assert made["environment"] == {
        "BLACKROAD_STATE": str(tmp_path),
        "BLACKROAD_HUB_ID": "h",
        "BLACKROAD_PROFILES": "",
        "BLACKROAD_SWEEP": "1",
        "BLACKROAD_HUB_PID": str(os.getpid()),
        "DOCKER_HOST": "d",
    }
    assert made["url"].startswith("http://127.0.0.1:")
    assert "admin" not in made
    assert service(tmp_path, port=4711)["url"] == "http://127.0.0.1:4711"


def test_how_often_and_how_soon_to_sweep_is_the_operators(tmp_path):
    said = {"BLACKROAD_SWEEP_SECONDS": "1.5", "BLACKROAD_SWEEP_GRACE_SECONDS": "30"}
    told = service(tmp_path, sweep=True, environment=said)["environment"]
    settings = read_settings(ENVIRONMENT | told)
    assert (settings.sweep_seconds, settings.grace_seconds) == (1.5, 30.0)
    unsaid = read_settings(ENVIRONMENT)
    assert (unsaid.sweep_seconds, unsaid.grace_seconds) == (60.0, 120.0)


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan", "inf"])
def test_a_grace_that_is_no_time_is_one_sentence(tmp_path, said):
    with pytest.raises(InvalidInput, match=r"^BLACKROAD_SWEEP_GRACE_SECONDS is .*above 0\.$"):
        service(tmp_path, sweep=True, environment={"BLACKROAD_SWEEP_GRACE_SECONDS": said})


def test_each_scope_has_its_reason_in_the_guide():
    text = GUIDE.read_text()
    (role,) = roles()
    assert set(role["scopes"]) == set(OWN_SCOPES)
    for scope in (*OWN_SCOPES, *OAUTH_SCOPES):
        assert f"| `{scope}` |" in text, scope


def test_settings_come_from_the_environment():
    settings = read_settings(ENVIRONMENT)
    assert (settings.host, settings.port) == ("127.0.0.1", 4711)
    assert settings.hub_url == "/base/hub/"
    assert settings.redirect_uri == "/base/services/blackroad/oauth_callback"
    assert settings.sweep is False
    assert "secret" not in repr(settings)
    assert b"secret" not in settings.cookie_secret


@pytest.mark.parametrize("missing", sorted(set(ENVIRONMENT) - {"JUPYTERHUB_BASE_URL"}))
def test_without_a_hub_it_says_who_starts_it(missing):
    with pytest.raises(InvalidInput, match="JupyterHub"):
        read_settings({name: value for name, value in ENVIRONMENT.items() if name != missing})


def test_started_by_hand_it_ends_with_one_line():
    plain = {name: value for name, value in os.environ.items() if "JUPYTERHUB" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "blackroad_nb.hub.service"],
        env=plain, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "started by JupyterHub" in done.stderr


def test_a_port_that_is_taken_is_waited_for(monkeypatch):
    monkeypatch.setattr(program, "_LONGEST_WAIT", 0.2)

    async def scenario() -> None:
        server = HTTPServer(Application([]))
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            listening = asyncio.create_task(program._listen(server, "127.0.0.1", port))
            done, _ = await asyncio.wait([listening], timeout=0.5)
            assert not done
        await asyncio.wait_for(listening, 5)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        server.stop()

    asyncio.run(scenario())


def test_it_imports_neither_the_hub_nor_a_database_toolkit():
    """Its memory is spent beside every hub."""
    script = (
        "import sys; import blackroad_nb.hub.service.app, blackroad_nb.hub.service.__main__;"
        "print([m for m in ('jupyterhub', 'sqlalchemy', 'docker', 'aiohttp', 'jinja2', 'yaml')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
