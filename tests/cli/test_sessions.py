"""`sessions list|start|stop|status` through the real program, a real hub and its service."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hub_process import HubProcess, start_hub, until
from tiny_session import CONFIG

from blackroad_nb.adapters.session_client import hub_url
from blackroad_nb.errors import InvalidInput

SCRIPT = Path(sys.executable).parent / "blackroad-nb"
PEOPLE = {"ada": ("researchers",), "bob": ("researchers",), "mia": ("admins",), "nobody": ()}
PROFILES = """\
max_sessions_per_user: 2
profiles:
  - name: small
  - name: broken
    environment: {TINY_EXIT: "7"}
  - name: slow
    environment: {TINY_DELAY: "1.5"}
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        assert self.err == ""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        lines = self.err.splitlines()
        assert self.code != 0, self.out
        assert len(lines) == 1, self.err
        assert self.out == ""
        assert "unexpected" not in self.err
        return lines[0].removeprefix("blackroad-nb: ")


def command(*words: str, home: Path, url: str | None = None, token: str | None = None) -> Done:
    own = {"BLACKROAD_HUB_URL": url, "BLACKROAD_HUB_TOKEN": token, "HOME": str(home)}
    variables = {**os.environ, **{name: value for name, value in own.items() if value is not None}}
    done = subprocess.run(
        [str(SCRIPT), "sessions", *words],
        env=variables, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Person:
    """Somebody with a token of the hub."""

    hub: HubProcess
    token: str
    home: Path

    def __call__(self, *words: str) -> Done:
        return command(*words, home=self.home, url=self.hub.url, token=self.token)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with start_hub(
        tmp_path_factory.mktemp("hub"),
        users=PEOPLE, docker=False, profiles=PROFILES, extra_config=CONFIG,
    ) as running:  # fmt: skip
        until(
            lambda: running.call("GET", f"{running.url}services/blackroad/health", None)[0] == 200
        )
        yield running


@pytest.fixture
def person(hub: HubProcess, tmp_path: Path) -> Iterator[Any]:
    yield lambda name, scopes=None: Person(hub, hub.token_for(name, scopes), tmp_path)
    for user in PEOPLE:
        for name in hub.servers(user):
            hub.stop_session(user, server=name)
            hub.wait_gone(user, name)


# what it does --------------------------------------------------------------------


def test_a_session_from_its_start_to_its_end(person):
    ada = person("ada")
    assert ada("list").json == []
    started = ada("start", "--profile", "small").json
    assert (started["state"], started["user"], started["profile"]) == ("running", "ada", "small")
    assert ada("status").json["id"] == started["id"]
    assert [s["id"] for s in ada("list").json] == [started["id"]]
    stopped = ada("stop").json
    assert (stopped["id"], stopped["state"]) == (started["id"], "stopped")
    assert stopped["ended_at"]
    assert ada("stop").json == ada("status").json == stopped
    assert ada("list").json == []
    assert ada("list", "--ended", "--limit", "1").json == [stopped]


def test_a_start_waits_until_it_runs_unless_told_not_to(person, hub):
    ada = person("ada")
    begun = ada("start", "--profile", "slow", "--no-wait").json
    assert begun["state"] in ("starting", "running")
    hub.wait_ready("ada")
    assert ada("status").json["state"] == "running"
    assert ada("stop", "--no-wait").json["state"] in ("stopping", "stopped")


def test_a_start_that_is_called_off_is_stopped_and_no_error(person, hub):
    ada = person("ada")
    asked = threading.Thread(target=lambda: ada("start", "--profile", "slow"))
    asked.start()
    until(lambda: "" in hub.servers("ada"))
    stopped = ada("stop").json
    asked.join()
    assert (stopped["state"], stopped["reason"]) == ("stopped", "cancelled")
    assert hub.servers("ada") == {}


def test_named_sessions_and_those_of_others(person):
    mia, bob = person("mia"), person("bob")
    assert mia("start", "--user", "bob", "--name", "second").json["server_name"] == "second"
    assert bob("status", "--name", "second").json["user"] == "bob"
    assert [(s["user"], s["server_name"]) for s in mia("list").json] == [("bob", "second")]
    assert mia("list", "--user", "ada").json == []
    assert mia("stop", "--user", "bob", "--name", "second").json["state"] == "stopped"


def test_a_start_that_fails_says_why_and_what_the_exit_code_was(person):
    ada = person("ada")
    failed = ada("start", "--profile", "broken")
    assert failed.code == 10
    assert "exit code 7" in failed.complaint
    assert ada("status").json["state"] == "error"


# what it refuses -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "words", "code", "said"),
    [
        ("nobody", ["start"], 9, "LAUNCH_NOTEBOOKS"),
        ("ada", ["status", "--user", "bob"], 9, "MANAGE_NOTEBOOKS"),
        ("ada", ["stop", "--user", "bob"], 9, "MANAGE_NOTEBOOKS"),
        ("ada", ["list", "--user", "bob"], 9, "MANAGE_NOTEBOOKS"),
        ("ada", ["start", "--user", "bob"], 9, "MANAGE_NOTEBOOKS"),
        ("bob", ["status", "--name", "never"], 3, "no session called 'never'"),
        ("mia", ["status", "--user", "stranger"], 3, "stranger"),
        ("ada", ["start", "--profile", "nope"], 2, "no profile 'nope'"),
        ("ada", ["start", "--template", "../../etc/passwd"], 2, "no template"),
        ("ada", ["status", "--user", "../bob"], 2, "cannot be the name"),
        ("ada", ["status", "--name", ".."], 2, "cannot be the name"),
        ("ada", ["start", "--name", "\x1b[31mred"], 2, "one line"),
        ("ada", ["list", "--limit", "0"], 2, "0 is too small"),
        ("ada", ["launch"], 2, "list, start, stop, status"),
    ],
)
def test_each_refusal_is_one_line_with_its_exit_code(person, who, words, code, said):
    done = person(who)(*words)
    assert said in done.complaint
    assert done.code == code
    assert "\x1b" not in done.err


def test_what_runs_is_not_started_twice_and_a_full_house_is_told(person):
    ada = person("ada")
    assert ada("start").json["state"] == "running"
    again = ada("start")
    assert (again.code, "running already" in again.complaint) == (4, True)
    assert ada("start", "--name", "second").json["state"] == "running"
    third = ada("start", "--name", "third")
    assert (third.code, "2" in third.complaint) == (9, True)


def test_a_token_with_fewer_scopes_may_less_than_its_user(person):
    looking = person(
        "ada", ["read:servers!user", "read:users!user", "access:services!service=blackroad"]
    )
    assert looking("list").json == []
    assert looking("start").code == 9
    outside = person("ada", ["read:servers!user"])
    done = outside("list")
    assert (done.code, "access:services" in done.complaint) == (9, True)


def test_a_token_that_the_hub_does_not_know(hub, tmp_path):
    for words in (["list"], ["status"], ["start"]):
        done = command(*words, home=tmp_path, url=hub.url, token="f" * 32)
        assert "does not know this token" in done.complaint
        assert done.code == 9
        assert "ffff" not in done.err


# progress ------------------------------------------------------------------------


def test_progress_is_shown_on_a_terminal_only(person, hub):
    ada = person("ada")
    assert ada("start", "--profile", "slow").err == ""
    ada("stop")
    with on_a_terminal(ada, "start", "--profile", "slow") as (done, shown):
        pass
    assert json.loads(done.stdout)["state"] == "running"
    lines = shown.decode().splitlines()
    assert lines
    assert len(set(lines)) == len(lines)
    assert any("answers" in line for line in lines), lines


@contextmanager
def on_a_terminal(person: Person, *words: str) -> Iterator[tuple[Any, bytearray]]:
    """Run a command whose stderr is a terminal; yields how it ended and what was shown."""
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 4096):
                shown.extend(piece)
        except OSError:  # the other side was closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    variables = {
        **os.environ,
        "BLACKROAD_HUB_URL": person.hub.url,
        "BLACKROAD_HUB_TOKEN": person.token,
    }
    done = subprocess.run(
        [str(SCRIPT), "sessions", *words],
        env=variables, stdout=subprocess.PIPE, stderr=theirs, timeout=60,
    )  # fmt: skip
    os.close(theirs)
    reader.join(10)
    os.close(ours)
    yield done, shown


# which hub -----------------------------------------------------------------------


def kept(home: Path, content: str) -> Path:
    folder = home / ".blackroad" / "hub"
    folder.mkdir(parents=True)
    (folder / "hub.json").write_text(content)
    return folder


def test_the_hub_of_up_is_found_by_itself(hub, tmp_path):
    token = hub.token_for("ada")
    folder = kept(tmp_path, json.dumps({"url": hub.url, "token": token}))
    assert command("list", home=tmp_path).json == []
    assert command("list", "--state", str(folder), home=Path("/nonexistent")).json == []
    assert command("list", "--hub", f"{hub.url}hub/home", home=tmp_path).json == []


def test_a_kept_token_is_sent_to_no_other_hub(tmp_path):
    asked: list[str | None] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{stranger.server_port}"
        kept(tmp_path, json.dumps({"url": "http://127.0.0.1:1/", "token": "kept-secret"}))
        done = command("list", "--hub", url, home=tmp_path)
        assert (done.code, "no token for" in done.complaint, asked) == (7, True, [])
        done = command("list", home=tmp_path, url=url, token="given")
        assert (done.code, "no hub of ours" in done.complaint) == (7, True)
        assert asked == ["token given"]
        stranger.shutdown()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": "http://x"}', "null"])
def test_a_damaged_note_is_told(tmp_path, content):
    kept(tmp_path, content)
    done = command("list", home=tmp_path)
    assert (done.code, "damaged" in done.complaint) == (7, True)


def test_no_hub_is_told_with_what_to_do(tmp_path):
    done = command("list", home=tmp_path)
    assert (done.code, "blackroad-nb up" in done.complaint) == (7, True)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = command("list", home=tmp_path, url=url, token="x")
    assert (done.code, "No hub answers at" in done.complaint) == (7, True)


def test_a_sessions_own_token_is_not_taken_silently(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://127.0.0.1:1/hub/api")
    assert "No hub is known" in command("list", home=tmp_path).complaint


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h", "http://h/"),
        ("http://h:8000/hub/home?x=1", "http://h:8000/"),
        ("https://h/base/hub/spawn", "https://h/base/"),
        ("http://[::1]:80/services/blackroad/", "http://[::1]:80/"),
        ("http://h/user/ada/lab", "http://h/"),
    ],
)
def test_addresses_are_read_as_people_copy_them(text, url):
    assert hub_url(text) == url


@pytest.mark.parametrize("text", ["", "h", "ftp://h", "http://", "http://h:x", "http://u:p@h/"])
def test_what_is_no_address_is_told(text):
    with pytest.raises(InvalidInput):
        hub_url(text)
