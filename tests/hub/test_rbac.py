"""Who may start, see and stop what, asked of a real hub by page, link and REST."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from hub_process import HubProcess, start_hub
from tiny_session import CONFIG
from visitor import Visitor

from blackroad_nb.hub.scopes import LAUNCH, MANAGE

# Named only after `configure`, so that root holds JupyterHub's own role alone.
BUILT_IN = """\
c.Authenticator.admin_users = {"root"}
"""

PEOPLE: dict[str, tuple[str, ...]] = {
    "ada": ("researchers",),
    "bob": ("researchers",),
    "root": (),  # JupyterHub's own role admin, and nothing of ours
    "mia": ("admins",),
    "nobody": (),
}
PROFILES = """\
max_sessions: 20
profiles:
  - name: small
  - name: quant
    groups: [quant]
"""
# A service with every right of JupyterHub's own over servers, called like a user.
SERVICES = """\
c.JupyterHub.services.append({"name": "ada", "api_token": "fedcba9876543210"})
c.JupyterHub.load_roles.append(
    {"name": "namesake", "services": ["ada"], "scopes": ["admin:servers", "list:users"]}
)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with start_hub(
        tmp_path_factory.mktemp("hub"),
        users=PEOPLE,
        docker=False,
        proxy=False,
        profiles=PROFILES,
        extra_config=CONFIG + SERVICES + BUILT_IN,
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def everything_stopped(hub: HubProcess) -> Iterator[None]:
    yield
    for user in PEOPLE:
        for name in hub.servers(user):
            hub.stop_session(user, server=name)
            hub.wait_gone(user, name)
    assert "Traceback" not in hub.log()


def message(answer: Any) -> str:
    return str(answer[1]["message"])


MAY_NOT = "Starting a session needs the permission LAUNCH_NOTEBOOKS, which you do not hold."


@pytest.mark.parametrize(
    ("asker", "owner", "status", "says"),
    [
        ("ada", "ada", 201, ""),
        ("mia", "mia", 201, ""),
        ("mia", "ada", 201, ""),
        ("nobody", "nobody", 403, "not authorized"),  # JupyterHub itself refuses already
        ("root", "root", 403, MAY_NOT),
        ("root", "ada", 403, "needs the permission MANAGE_NOTEBOOKS"),
        ("mia", "nobody", 403, "nobody does not hold the permission LAUNCH_NOTEBOOKS"),
        ("ada", "bob", 404, "No access to resources or resources not found"),
        ("nobody", "ada", 403, "not authorized"),
    ],
)
def test_who_may_start_for_whom_by_rest(
    hub: HubProcess, asker: str, owner: str, status: int, says: str
) -> None:
    answer = hub.start(owner, hub.token_for(asker), profile="small")
    assert answer[0] == status, answer
    if says:
        assert says in message(answer)
    assert bool(hub.servers(owner)) is (status == 201)


@pytest.mark.parametrize(
    ("asker", "owner", "status"),
    [("ada", "ada", 204), ("mia", "ada", 204), ("root", "ada", 204), ("bob", "ada", 404)],
)
def test_who_may_stop_whose(hub: HubProcess, asker: str, owner: str, status: int) -> None:
    assert hub.start(owner, profile="small")[0] == 201
    assert hub.stop_session(owner, hub.token_for(asker))[0] == status
    assert bool(hub.servers(owner)) is (status != 204)


@pytest.mark.parametrize(
    ("asker", "status"), [("ada", 200), ("bob", 404), ("nobody", 404), ("mia", 200)]
)
def test_who_sees_whose(hub: HubProcess, asker: str, status: int) -> None:
    assert hub.start("ada", profile="small")[0] == 201
    assert hub.api("GET", "users/ada", hub.token_for(asker))[0] == status


def test_the_page_of_a_researcher_starts_a_session(hub: HubProcess) -> None:
    ada = Visitor(hub, "ada")
    page = ada.spawn_page()
    assert page.status == 200
    assert 'name="profile"' in page.html
    assert "It is for the group quant; ask an administrator to join." in page.text
    assert ada.submit(profile="small").status == 302
    hub.wait_ready("ada")
    assert hub.servers("ada")[""]["user_options"] == {
        "profile": "small", "template": None, "original": False,
    }  # fmt: skip


def test_a_link_starts_a_session(hub: HubProcess) -> None:
    assert Visitor(hub, "ada").spawn_page("opt-profile=small&next=/user/ada/lab").status == 302
    hub.wait_ready("ada")


@pytest.mark.parametrize("asker", ["nobody", "root"])
def test_pages_refuse_whoever_may_not_start(hub: HubProcess, asker: str) -> None:
    visitor = Visitor(hub, asker)
    for page in (visitor.submit(profile="small"), visitor.spawn_page("opt-profile=small")):
        assert page.status == 403
        assert "Traceback" not in page.html
        assert "SpawnException" not in page.html
    assert hub.servers(asker) == {}


def test_somebody_elses_page_is_not_there(hub: HubProcess) -> None:
    bob = Visitor(hub, "bob")
    assert bob.get("hub/spawn/ada").status == 404
    assert bob.post("hub/spawn/ada", {"profile": "small"}).status == 404
    assert bob.get("hub/spawn/ada?opt-profile=small").status == 404
    assert hub.servers("ada") == {}


def test_a_manager_starts_for_somebody_by_page_within_that_persons_profiles(
    hub: HubProcess,
) -> None:
    mia = Visitor(hub, "mia")
    refused = mia.post("hub/spawn/ada", {"profile": "quant"})
    assert refused.status == 403
    assert "The profile 'Quant' cannot be used here." in refused.text.replace("&#39;", "'")
    assert mia.post("hub/spawn/ada", {"profile": "small"}).status == 302
    hub.wait_ready("ada")


def test_whoever_lost_the_permission_may_stop_but_not_start(hub: HubProcess) -> None:
    token = hub.token_for("bob")
    visitor = Visitor(hub, "bob")
    assert hub.start("bob", token, profile="small")[0] == 201
    hub.leave("researchers", "bob")
    try:
        assert hub.api("GET", "users/bob", token)[1]["servers"][""]["ready"]
        assert visitor.get("hub/home").status == 200
        assert hub.start("bob", token, "second", profile="small")[0] == 403
        assert visitor.submit(profile="small").status == 403
        assert hub.stop_session("bob", token)[0] == 204
        assert hub.start("bob", token, profile="small")[0] == 403
        # who may start it for others cannot give bob back what was taken from him
        assert hub.start("bob", hub.token_for("mia"), profile="small")[0] == 403
    finally:
        hub.join("researchers", "bob")
    assert hub.start("bob", token, profile="small")[0] == 201  # and at once again


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        (["servers!user"], 403),
        (["start:servers!user", "read:users!user"], 403),
        ([LAUNCH], 403),
        ([f"{LAUNCH}!user=bob", "servers!user"], 403),
        (["servers!user", LAUNCH], 201),
        ([f"{LAUNCH}!user", "servers!user"], 201),
        (["inherit"], 201),
    ],
)
def test_a_token_may_what_its_scopes_say(hub: HubProcess, scopes: list[str], status: int) -> None:
    status_made, made = hub.api("POST", "users/ada/tokens", json={"scopes": scopes})
    if status_made != 201:  # a scope that ada does not hold is not given out at all
        assert "bob" in str(scopes), made
        return
    answer = hub.start("ada", made["token"], profile="small")
    assert answer[0] == status, answer
    if "servers!user" in scopes and status == 403:
        assert "lacks the scope custom:blackroad:launch" in message(answer)


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(["servers"], 403), (["servers", LAUNCH], 403), (["servers", MANAGE], 201)],
)
def test_a_managers_token_needs_manage_for_somebody_else(
    hub: HubProcess, scopes: list[str], status: int
) -> None:
    answer = hub.start("ada", hub.token_for("mia", scopes), profile="small")
    assert answer[0] == status, answer


def test_a_service_called_like_a_user_is_not_that_user(hub: HubProcess) -> None:
    answer = hub.start("ada", "fedcba9876543210", profile="small")
    assert answer[0] == 403
    assert "MANAGE_NOTEBOOKS" in message(answer)


def test_the_token_of_a_session_opens_nothing_else(hub: HubProcess) -> None:
    for user in ("ada", "bob"):
        assert hub.start(user, profile="small")[0] == 201
    token = session_token(hub, "ada")
    assert hub.api("GET", "user", token)[0] == 200  # it is a valid one
    for method, path in [
        ("POST", "users/ada/servers/more"),
        ("DELETE", "users/ada/server"),
        ("POST", "users/bob/servers/more"),
        ("DELETE", "users/bob/server"),
        ("GET", "users"),
        ("GET", "users/bob"),
        ("POST", "users/ada/tokens"),
        ("POST", "users/bob/activity"),
        ("POST", "groups/admins/users"),
        ("GET", "proxy"),
        ("POST", "shutdown"),
    ]:
        status, _ = hub.api(method, path, token, json={} if method == "POST" else None)
        assert status in (403, 404), (method, path, status)
    assert hub.servers("bob")[""]["ready"]


def test_no_credentials_start_nothing(hub: HubProcess) -> None:
    assert hub.call("POST", f"{hub.hub_url}hub/api/users/ada/server", None, {})[0] == 403
    assert hub.start("ada", "0" * 32, profile="small")[0] == 403


def test_administrators_named_before_configure_hold_both_permissions(tmp_path: Path) -> None:
    with start_hub(
        tmp_path, users={"ada": ("researchers",), "root": ()}, admins=["root"],
        docker=False, proxy=False, extra_config=CONFIG,
    ) as hub:  # fmt: skip
        token = hub.token_for("root")
        assert hub.start("root", token)[0] == 201
        assert hub.start("ada", token)[0] == 201


def test_the_token_of_a_session_ends_with_it_also_after_a_restart(tmp_path: Path) -> None:
    with start_hub(tmp_path, docker=False, proxy=False, extra_config=CONFIG) as hub:
        ways = {"stop": lambda: hub.stop_session("ada"), "death": lambda: end_session(hub)}
        for restarted in (False, True):
            for name, end in ways.items():
                assert hub.start("ada")[0] == 201
                token = session_token(hub, "ada")
                if restarted:
                    hub.kill()
                    hub.restart()
                assert hub.api("GET", "user", token)[0] == 200
                end()
                hub.wait_gone("ada")
                assert hub.api("GET", "user", token)[0] == 403, (name, restarted)


def end_session(hub: HubProcess) -> None:
    os.kill(hub.servers("ada")[""]["state"]["pid"], signal.SIGKILL)
    # the hub looks for the dead when somebody asks it to start what it takes for running
    assert hub.start("ada", profile="none")[0] == 400


def session_token(hub: HubProcess, user: str) -> str:
    server = hub.servers(user)[""]
    with urlopen(f"http://127.0.0.1:{server['state']['port']}{server['url']}environment") as reply:
        return str(json.loads(reply.read())["JUPYTERHUB_API_TOKEN"])


def test_what_is_switched_off_can_still_be_stopped(tmp_path: Path) -> None:
    with start_hub(
        tmp_path,
        users={"ada": ("researchers",), "mia": ("admins",)},
        docker=False,
        proxy=False,
        extra_config=CONFIG,
    ) as hub:
        assert hub.start("ada", profile="standard")[0] == 201
        hub.terminate()
        hub.environment = {**hub.environment, "FEATURE_NOTEBOOK_LAUNCHER": "Off"}
        hub.restart()
        assert hub.servers("ada")[""]["ready"]
        for asker in ("ada", "mia"):
            answer = hub.start(asker, hub.token_for(asker), "more", profile="standard")
            assert answer[0] == 403
            assert "Starting sessions is switched off on this hub" in message(answer)
        mia = Visitor(hub, "mia")
        page = mia.spawn_page()
        assert page.status == 200
        assert "Sessions are switched off" in page.text
        assert 'name="profile"' not in page.html
        for refused in (mia.submit(profile="standard"), mia.spawn_page("opt-profile=standard")):
            assert refused.status == 403
            assert "switched off" in refused.text
        assert hub.stop_session("ada", hub.token_for("ada"))[0] in (202, 204)  # 202: it takes long
        hub.wait_gone("ada")
        assert "Traceback" not in hub.log()
