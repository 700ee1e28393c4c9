"""Hostile launches: options by form, link, REST and memory, other sites, odd user names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import pytest
from hub_process import HubProcess, start_hub
from tiny_session import CONFIG
from visitor import NAVIGATION, Page, Visitor

from blackroad_nb.core.template import LANDING
from blackroad_nb.hub.cross_site import is_navigation

PROFILES = "max_sessions: 20\nprofiles:\n  - name: small\n  - name: other\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("hub")
    templates = folder / "templates"
    templates.mkdir()
    document = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for name in ("alpha", "a {user} & co", ".hidden"):
        (templates / f"{name}.ipynb").write_text(json.dumps(document))
    (folder / "secret.ipynb").write_text(json.dumps(document))
    with start_hub(
        folder,
        docker=False,
        proxy=False,
        profiles=PROFILES,
        extra_config=CONFIG,
        templates=[str(templates)],
    ) as running:
        yield running


@pytest.fixture
def ada(hub: HubProcess) -> Iterator[Visitor]:
    """A researcher whose session is stopped again, and whose hub logged no traceback."""
    begun = len(hub.log())
    yield Visitor(hub, "ada")
    if hub.servers("ada"):
        hub.stop_session("ada")
        hub.wait_gone("ada")
    assert "Traceback" not in hub.log()[begun:]


def environment(hub: HubProcess, user: str) -> dict[str, str]:
    """Return what the user's session was started with."""
    server = hub.servers(user)[""]
    with urlopen(f"http://127.0.0.1:{server['state']['port']}{server['url']}environment") as reply:
        return dict(json.loads(reply.read()))


HOSTILE: list[dict[str, Any]] = [
    {"image": "evil/image:latest"},
    {"profile": "small", "image": "evil/image:latest"},
    {"mem_limit": "512G", "cpu_limit": 64},
    {"mounts": [{"source": "/", "target": "/host"}]},
    {"volumes": {"/": "/host"}},
    {"environment": {"LD_PRELOAD": "/tmp/evil.so"}},
    {"cmd": ["sh", "-c", "id"]},
    {"notebook_dir": "/"},
    {"profile": "../../etc/passwd"},
    {"profile": "none"},
    {"profile": 7},
    {"profile": {"name": "small"}},
    {"profile": ["small", "other"]},
    {"profile": None, "original": "perhaps"},
    {"profile": "x" * 1_000_000},
    {"template": "../secret"},
    {"template": "../templates/alpha"},
    {"template": "/etc/passwd"},
    {"template": "alpha.ipynb"},
    {"template": ".hidden"},
    {"template": "*"},
    {"template": "alph[a]"},
    {"template": "alpha\x00"},
    {"template": "\ud800"},
    {"template": {"$ne": None}},
    {"template": {"__jupyterhub_bytes__": True, "data": "YWxwaGE="}},
    {"": ""},
    {"constructor": {"prototype": {}}},
    {f"option{number}": number for number in range(5000)},
]


@pytest.mark.parametrize("options", HOSTILE, ids=lambda options: repr(options)[:50])
def test_hostile_options_by_rest_and_remembered(
    hub: HubProcess, ada: Visitor, options: dict[str, Any]
) -> None:
    token = hub.token_for("ada")
    for answer in (
        hub.api("POST", "users/ada/server", token, json={"user_options": options}),
        hub.api("POST", "users/ada/server", token, json=options),  # as older clients say it
        remembered(hub, token, options),
    ):
        assert answer[0] == 400, answer
        assert len(answer[1]["message"]) < 400
    assert hub.servers("ada") == {}


def remembered(hub: HubProcess, token: str, options: dict[str, Any]) -> tuple[int, Any]:
    changed = hub.api("PATCH", "users/ada/server", token, json={"user_options": options})
    assert changed[0] == 200, changed
    return hub.api("POST", "users/ada/server", token)


def test_what_was_refused_is_not_remembered(hub: HubProcess, ada: Visitor) -> None:
    assert hub.start("ada", image="evil")[0] == 400
    assert hub.api("POST", "users/ada/server", hub.token_for("ada"))[0] == 201
    assert hub.servers("ada")[""]["user_options"]["profile"] == "small"


TEXTS = [
    options
    for options in HOSTILE
    if all(isinstance(value, str) and "\ud800" not in value for value in options.values())
    and len(str(options)) < 10_000
]


@pytest.mark.parametrize("options", TEXTS, ids=lambda options: repr(options)[:50])
def test_hostile_options_by_form_and_link(
    hub: HubProcess, ada: Visitor, options: dict[str, str]
) -> None:
    linked = urlencode({f"opt-{name}": value for name, value in options.items()})
    older = urlencode(options)
    pages = [ada.submit(**options), ada.spawn_page(linked), ada.spawn_page(older)]
    for page in pages:
        assert page.status in (400, 422), page.text
        assert_readable(page)
    assert hub.servers("ada") == {}


def assert_readable(page: Page) -> None:
    assert "Traceback" not in page.html
    assert "SpawnException" not in page.html
    assert "Internal Server Error" not in page.html


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (urlencode([(f"o{n}", "x") for n in range(20_000)]).encode(), ""),
        (b"profile=" + b"x" * 5_000_000, ""),
        (b"profile=small&profile=other", ""),
        (b"profile=small&profile%00=x", ""),
        (
            b'--b\r\nContent-Disposition: form-data; name="profile"; filename="p"\r\n\r\n'
            b"small\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="template"; filename="../../x"\r\n\r\n'
            + b"x" * 2_000_000
            + b"\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
        ),
    ],
    ids=["fields", "value", "twice", "nul", "file", "upload"],
)
def test_oversized_and_misshapen_forms(
    hub: HubProcess, ada: Visitor, body: bytes, content_type: str
) -> None:
    page = ada.send("hub/spawn/ada", body, content_type or "application/x-www-form-urlencoded")
    assert page.status == 400
    assert_readable(page)
    assert hub.servers("ada") == {}


def test_a_form_that_is_no_text_starts_nothing(hub: HubProcess) -> None:
    ada = Visitor(hub, "ada")
    page = ada.send("hub/spawn/ada", b"profile=%ff%fe", "application/x-www-form-urlencoded")
    assert page.status in (400, 500)  # JupyterHub reads it before any spawner hears of it
    assert "Traceback" not in page.html
    assert hub.servers("ada") == {}


def test_a_template_with_an_odd_name_reaches_its_session(hub: HubProcess, ada: Visitor) -> None:
    assert ada.submit(profile="small", template="a {user} & co", original="1").status == 302
    hub.wait_ready("ada")
    told = environment(hub, "ada")
    assert told["BLACKROAD_TEMPLATE"] == "a {user} & co"
    assert told["BLACKROAD_TEMPLATE_ORIGINAL"] == "1"
    assert told["JUPYTERHUB_DEFAULT_URL"] == LANDING


def test_a_session_gets_its_environment_and_no_secret_of_the_hub(tmp_path: Path) -> None:
    profiles = "profiles:\n  - name: small\n    environment: {OMP_NUM_THREADS: 2}\n"
    secrets = {
        "CONFIGPROXY_AUTH_TOKEN": "c" * 32,
        "JUPYTERHUB_CRYPT_KEY": "d" * 64,
        "STRIPE_SECRET_KEY": "sk_test_x",
        "AWS_SECRET_ACCESS_KEY": "aws",
        "NOTEBOOK_IMAGE": "our/image",
    }
    with start_hub(
        tmp_path,
        docker=False,
        proxy=False,
        profiles=profiles,
        extra_config=CONFIG,
        environment=secrets,
    ) as hub:
        assert hub.start("ada")[0] == 201
        told = environment(hub, "ada")
        cookie_secret = (hub.state / "cookie_secret").read_text().strip()
    assert told["OMP_NUM_THREADS"] == "2"
    assert (told["USER_ID"], told["DATA_PATH"]) == ("ada", "/data")
    assert told["PYTHONPATH"].split(":")[0] == "/app"
    assert not set(secrets) & set(told)
    values = " ".join(told.values())
    assert cookie_secret not in values
    assert not [value for value in secrets.values() if value in values]


CROSS = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}


@pytest.mark.parametrize(
    ("headers", "starts"),
    [
        (NAVIGATION, True),
        ({**NAVIGATION, "Sec-Fetch-Site": "none"}, True),  # typed, or a bookmark
        (CROSS, True),  # a link in a mail or a wiki
        ({"Accept": "text/html"}, True),  # a browser on plain HTTP says no more
        ({"Sec-Fetch-Mode": "navigate", "Accept": "*/*"}, True),  # a program that says it is one
        ({"Sec-Fetch-Dest": "document"}, False),
        ({**CROSS, "Sec-Fetch-Dest": "iframe"}, False),
        ({**CROSS, "Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}, False),
        ({**CROSS, "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}, False),
        ({**CROSS, "Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors"}, False),
        ({**CROSS, "Sec-Fetch-Dest": "object"}, False),
        (
            {**NAVIGATION, "Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"},
            False,  # another user's notebook lies on the same site
        ),
        ({**CROSS, "Sec-Purpose": "prefetch;prerender"}, False),
        ({"Accept": "image/avif,image/webp,*/*"}, False),
        ({"Accept": "*/*"}, False),
    ],
)
def test_a_link_may_start_a_session_but_a_page_may_not(
    hub: HubProcess, ada: Visitor, headers: dict[str, str], *, starts: bool
) -> None:
    assert is_navigation(headers) is starts
    page = ada.spawn_page("opt-profile=small", headers)
    assert page.status == (302 if starts else 403)
    assert bool(hub.servers("ada")) is starts


def test_a_foreign_page_does_not_choose_what_is_remembered(hub: HubProcess, ada: Visitor) -> None:
    assert ada.submit(profile="small").status == 302
    hub.wait_ready("ada")
    hub.stop_session("ada")
    hub.wait_gone("ada")
    frame = {**CROSS, "Sec-Fetch-Dest": "iframe"}
    assert ada.spawn_page("opt-profile=other", frame).status == 403
    assert hub.api("POST", "users/ada/server")[0] == 201
    assert hub.servers("ada")[""]["user_options"]["profile"] == "small"


def test_a_form_without_its_token_starts_nothing(hub: HubProcess, ada: Visitor) -> None:
    page = ada.submit(xsrf=False, profile="small")
    assert page.status == 403
    assert hub.servers("ada") == {}


def test_a_page_of_another_site_cannot_use_the_api(hub: HubProcess, ada: Visitor) -> None:
    path, body = "hub/api/users/ada/server", b'{"user_options": {"profile": "small"}}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
        page = ada._ask("POST", path, body, {**CROSS, "Content-Type": kind})
        assert page.status == 403
    assert hub.servers("ada") == {}


NAMES = [
    "ada@example.org",
    "ada lovelace",
    "o'brien",
    'quo"te',
    "<script>alert(1)<",
    "{username}",
    "{0.__class__}",
    "%41%2f",
    "a%",
    "a;b&c=d?e#f",
    "$(id)`id`|id",
    "a..b",
    "-rf",
    "--help",
    "~root",
    "back\\slash",
    "ünïcödé",
    "名前",
    "😀",
    "\u202egnp",
    "two\nlines",
    "*?[a-z]",
    "con",
    "n" * 200,
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_every_name_gets_its_own_folder_and_session(hub: HubProcess, name: str) -> None:
    begun = len(hub.log())
    hub.add_users(name, groups=["researchers"])
    assert hub.start(name, hub.token_for(name), profile="small", template="alpha")[0] == 201
    told = environment(hub, name)
    assert told["USER_ID"] == name
    home = Path(told["HOME"])
    assert home.parent == hub.state / "workspaces"
    assert home.resolve() == home
    assert (home / "work").is_dir()
    assert hub.stop_session(name)[0] in (202, 204)
    hub.wait_gone(name)
    assert "Traceback" not in hub.log()[begun:]


def test_names_that_look_alike_share_no_folder(hub: HubProcess) -> None:
    folders = set()
    alike = ("a-b", "a b", "a_b", "a-2db", "a--b")
    for name in alike:
        hub.add_users(name, groups=["researchers"])
        assert hub.start(name, profile="small")[0] == 201
        folders.add(environment(hub, name)["HOME"])
        hub.stop_session(name)
        hub.wait_gone(name)
    assert len(folders) == len(alike)


@pytest.mark.parametrize("name", ["a/b", "../../etc", "..", ".", " ada", "ada ", "/"])
def test_names_that_jupyterhub_refuses(hub: HubProcess, name: str) -> None:
    assert 400 <= hub.api("POST", f"users/{quote(name, safe='')}")[0] < 500
    begun = len(hub.log())
    assert hub.start(name, profile="small")[0] in (400, 404)
    assert "Traceback" not in hub.log()[begun:]


@pytest.mark.parametrize("name", ["..", "a/b", "../ada", "A B", "x" * 300, "<b>", "{user}", "-"])
def test_names_of_servers_that_are_refused(hub: HubProcess, ada: Visitor, name: str) -> None:
    answer = hub.start("ada", hub.token_for("ada"), name, profile="small")
    assert 400 <= answer[0] < 500
    assert hub.servers("ada") == {}
