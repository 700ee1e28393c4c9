"""`up` and `down` with the real hub, proxy and sessions, as their owner and others meet them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote

import pytest
from store_rows import mounted, remount
from up_process import LINK, Up, until, up_in, visitor

from blackroad_nb.cli.hub_process import answers
from blackroad_nb.hub.up_ports import inner_port
from blackroad_nb.hub.up_state import open_state


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up_in(tmp_path_factory.mktemp("up")) as up:
        up.open()
        yield up


def test_the_link_leads_to_the_page_that_starts_a_session(hub: Up) -> None:
    with visitor().open(hub.link) as page:
        assert page.url.endswith("/hub/spawn")
        text = page.read().decode()
    assert "Welcome" in text
    assert "not isolated" in text


@pytest.mark.parametrize("token", ["", "wrong", "é", "x" * 5000])
def test_nobody_else_gets_in(hub: Up, token: str) -> None:
    address = hub.link.partition("=")[0]
    with pytest.raises(HTTPError) as refused:
        visitor().open(f"{address}={quote(token)}")
    with refused.value as page:
        assert page.code == 403
        assert "blackroad-nb up" in page.read().decode()


def test_the_login_page_tells_where_the_link_is(hub: Up) -> None:
    with visitor().open(f"http://127.0.0.1:{hub.settings.port}/") as page:
        assert "/hub/login" in page.url
        text = page.read().decode()
    assert "Open the printed link" in text
    assert "<form" not in text


def test_a_login_form_that_nobody_shows_is_refused(hub: Up) -> None:
    browser = visitor()
    with browser.open(f"http://127.0.0.1:{hub.settings.port}/hub/login") as page:
        assert page.status == 200
    with pytest.raises(HTTPError) as refused:
        browser.open(f"http://127.0.0.1:{hub.settings.port}/hub/login", b"username=root&password=x")
    with refused.value:
        assert refused.value.code == 403


def test_the_token_is_in_no_log_and_goes_to_no_other_site(hub: Up) -> None:
    token = hub.link.partition("=")[2]
    with visitor().open(hub.link) as page:
        assert token not in page.url
    with pytest.raises(HTTPError) as refused:
        visitor().open(f"{hub.link}wrong")
    with refused.value as page:
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert token not in page.read().decode()
    assert token not in hub.log


def test_only_the_owner_can_read_what_is_kept(hub: Up) -> None:
    assert stat.S_IMODE(hub.state.path.stat().st_mode) == 0o700
    for name in ("hub.json", "up.json", "link_token", "hub.log", "cookie_secret", "routes.toml"):
        assert stat.S_IMODE((hub.state.path / name).stat().st_mode) == 0o600, name


def test_everything_listens_on_loopback_only(hub: Up) -> None:
    assert hub.start_session() in (201, 202)
    hub.wait_session()
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    pids = {f"pid={pid}," for pid in hub.processes()}
    ours = [line.split()[3] for line in listening.splitlines() if any(p in line for p in pids)]
    assert len(ours) >= 4  # pages, hub, proxy's own, session
    assert {address.rpartition(":")[0] for address in ours} == {"127.0.0.1"}


def test_what_a_session_runs_is_found_from_the_shell(hub: Up) -> None:
    assert hub.start_session(template="welcome") in (201, 202, 400)
    path = hub.wait_session()
    status, health = hub.call("GET", f"{path}blackroad/health")
    assert status == 200, health
    work = hub.state.path / "workspaces" / hub.settings.owner / "work"
    work.mkdir(exist_ok=True)
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "outputs": [],
            "execution_count": None, "source": "print('a rare zebra')"}  # fmt: skip
    document = {"cells": [cell], "metadata": {"kernelspec": {"name": "python3",
                "display_name": "Python 3", "language": "python"}}, "nbformat": 4,
                "nbformat_minor": 5}  # fmt: skip
    (work / "zoo.ipynb").write_text(json.dumps(document))
    status, run = hub.call("POST", f"{path}blackroad/executions", {"path": "work/zoo.ipynb"})
    assert status in (200, 201, 202), run
    found = until(lambda: hub.run("zebra", program="search").stdout.strip() not in ("", "[]"))
    assert found
    (row, *_) = json.loads(hub.run("zebra", program="search").stdout)
    assert "zebra" in row["source"]


def test_a_second_up_prints_the_link_again(hub: Up) -> None:
    again = hub.run()
    assert again.returncode == 0, again.stderr
    assert hub.link in again.stdout
    assert "open already" in again.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--port", "1"], "on port"), (["--folder", "other"], "with the folder"),
     (["--docker"], "with local sessions")],
)  # fmt: skip
def test_a_second_up_that_wants_something_else_is_told(
    hub: Up, words: list[str], said: str
) -> None:
    refused = hub.run(*words)
    assert refused.returncode == 4
    assert said in refused.stderr
    assert "down" in refused.stderr


def test_a_new_link_voids_the_old_one_at_once(hub: Up) -> None:
    before = hub.link
    renewed = hub.run("--new-link").stdout
    assert before not in renewed
    with pytest.raises(HTTPError) as refused:
        visitor().open(before)
    with refused.value:
        assert refused.value.code == 403
    (link,) = [word for word in renewed.split() if "token=" in word]
    with visitor().open(link) as page:
        assert page.url.endswith("/lab?") or "/hub/" in page.url or "/user/" in page.url


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    with up_in(tmp_path) as up:
        up.open()
        assert up.start_session() in (201, 202)
        up.wait_session()
        assert up.stop(number) == 0
        assert "Stopped the hub, its proxy and 1 session." in up.text
        until(lambda: not up.processes())


def test_down_stops_it_from_elsewhere_and_up_goes_on_with_the_state(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        link = up.open()
        up.start_session(template="welcome")
        up.wait_session()
        kept = up.state.path / "workspaces" / up.settings.owner / "work" / "welcome.ipynb"
        assert kept.exists()
        kept.write_text(kept.read_text().replace("dice", "cards"))
        done = up.run(program="down")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "Stopped the hub, its proxy and 1 session.\n"
        assert up.process is not None
        assert up.process.wait(10) == 0
        until(lambda: not up.processes())
        assert "Nothing is running" in up.run(program="down").stdout
        assert up.open() == link
        assert up.start_session(template="welcome") in (201, 202)
        up.wait_session()
        assert "cards" in kept.read_text()


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 2.5])
def test_a_signal_at_any_time_of_the_start_leaves_nothing(tmp_path: Path, moment: float) -> None:
    with up_in(tmp_path) as up:
        process = up.begin()
        time.sleep(moment)  # any moment is as good; the point is that there are many
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)
        assert "Traceback" not in up.text
        until(lambda: not up.processes())


def test_down_ends_a_hub_whose_up_was_killed(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        up.open()
        up.start_session()
        up.wait_session()
        assert up.process is not None
        up.process.kill()
        up.process.wait()
        assert up.asks("hub/api/")[0] == 200
        assert up.run(program="down").stdout == "Stopped the hub, its proxy and 1 session.\n"
        until(lambda: not up.processes())


def test_the_next_up_takes_a_hub_over_whose_up_was_killed(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        up.open()
        first = up.claim("hub")
        assert up.process is not None
        up.process.kill()
        up.process.wait()
        up.open()
        assert "running already" in up.text
        assert up.claim("hub") == first
        assert up.stop() == 0
        until(lambda: not up.processes())


def test_a_taken_port_is_told_or_passed_over(tmp_path: Path) -> None:
    with socket.socket() as taken, up_in(tmp_path) as up:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "home").mkdir()
        refused = up.run("--port", str(port))
        assert refused.returncode == 2
        assert f"port {port} is in use" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert not up.processes()


def test_a_hub_of_somebody_else_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with up_in(tmp_path) as up, up_in(tmp_path / "other") as other:
        up.open()
        other.open()
        assert answers(up.settings)
        assert answers(other.settings)
        assert not answers(replace(other.settings, port=inner_port()))
        mixed = replace(up.settings, proxy_secret=other.settings.proxy_secret)
        assert not answers(mixed)


def test_two_that_start_at_the_same_moment_both_come_up(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with up_in(tmp_path) as up, up_in(tmp_path / "other") as other:
        for each in (up, other):
            each.begin()
        for each in (up, other):
            process = each.process
            assert process is not None
            until(lambda each=each, process=process: LINK.search(each.text) or process.poll())
            assert process.poll() is None, each.text
            assert each.asks("hub/api/user")[0] == 200  # the link is its own
        assert up.settings.port != other.settings.port


def test_the_folder_above_is_private_too(tmp_path: Path) -> None:
    """It is ~/.blackroad, where the history lies."""
    above = tmp_path / "dot-blackroad"
    open_state(str(above / "hub"))
    assert stat.S_IMODE(above.stat().st_mode) == 0o700


def test_faults_of_the_state_folder_are_one_sentence_each(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        (tmp_path / "home").mkdir()
        (tmp_path / "file").write_text("")
        cases = {str(tmp_path / "file"): "cannot be made"}
        if os.geteuid() != 0:
            (tmp_path / "locked").mkdir(mode=0o500)
            cases[str(tmp_path / "locked" / "state")] = "cannot be written"
        for place, said in cases.items():
            refused = up.run("--state", place)
            assert refused.returncode in (2, 8)
            assert said in refused.stderr
            assert "--state" in refused.stderr
            assert len(refused.stderr.splitlines()) == 1


def test_a_state_that_is_newer_or_damaged_is_refused(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with up_in(tmp_path) as up:
        up.state.path.mkdir(parents=True)
        database = up.state.path / "jupyterhub.sqlite"
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            connection.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
            connection.commit()
        refused = up.run()
        assert refused.returncode == 8
        assert "newer JupyterHub" in refused.stderr
        database.write_bytes(b"no database at all" * 100)
        refused = up.run()
        assert refused.returncode == 8
        assert "damaged" in refused.stderr
        assert not up.processes()


def test_a_hub_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        up.state.path.mkdir(parents=True)
        (up.state.path / "hub_config.py").write_text("raise RuntimeError('mine is wrong')")
        refused = up.run()
        assert refused.returncode == 7
        assert "mine is wrong" in refused.stderr
        assert str(up.state.log) in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        until(lambda: not up.processes())


def test_a_start_that_fails_leaves_the_sessions_from_before_alone(tmp_path: Path) -> None:
    with up_in(tmp_path) as up, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        up.open()
        up.start_session()
        path = up.wait_session()
        assert up.asks(f"{path}api/status")[0] == 200  # the session remembers who this is
        before = up.sessions()
        assert up.process is not None
        up.process.kill()
        up.process.wait()
        os.kill(up.claim("hub"), signal.SIGKILL)
        until(lambda: not up.claim("hub"))
        port = str(taken.getsockname()[1])
        for words in (["--docker"], ["--port", port], ["--folder", "/proc/none"]):
            assert up.run(*words).returncode in (2, 4, 11)
        (up.state.path / "hub_config.py").write_text("raise RuntimeError('mine is wrong')")
        assert up.run().returncode == 7
        assert up.sessions() == before
        assert up.asks(f"{path}api/status")[0] == 200
        (up.state.path / "hub_config.py").unlink()
        up.open()
        until(lambda: "" in up.servers() and up.servers()[""]["ready"])
        assert up.sessions() == before


def test_a_hub_port_that_sessions_need_is_not_given_up(tmp_path: Path) -> None:
    with up_in(tmp_path) as up, socket.socket() as taken:
        up.open()
        up.start_session()
        up.wait_session()
        assert up.process is not None
        up.process.kill()
        up.process.wait()
        os.kill(up.claim("hub"), signal.SIGKILL)
        until(lambda: not up.claim("hub"))
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", up.settings.hub_port))
        taken.listen()
        refused = up.run()
        assert refused.returncode == 4
        assert f"port {up.settings.hub_port}, by which 1 running session knows" in refused.stderr
        assert up.run(program="down").stdout == "Stopped the proxy and 1 session.\n"
        port = up.settings.hub_port
        up.open()
        assert up.settings.hub_port != port


def test_a_disk_that_is_full_or_read_only_is_told(tmp_path: Path) -> None:
    with up_in(tmp_path) as up, mounted(tmp_path / "disk", size="64k") as disk:
        (tmp_path / "home").mkdir()
        with pytest.raises(OSError, match="No space"):
            (disk / "filler").write_bytes(b"x" * 1_000_000)
        refused = up.run("--state", str(disk / "hub"))
        assert (refused.returncode, len(refused.stderr.splitlines())) == (8, 1)
        assert "No space is left" in refused.stderr
        remount(disk, "ro")
        refused = up.run("--state", str(disk / "other"))
        assert (refused.returncode, len(refused.stderr.splitlines())) == (8, 1)
        assert "cannot be written" in refused.stderr
        assert not up.processes()


def test_a_mistake_in_the_profiles_is_told_with_its_line(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        up.state.path.mkdir(parents=True)
        up.state.profiles.write_text("max_sessions: many\n")
        refused = up.run()
        assert refused.returncode == 7
        assert "profiles.yaml, line 1" in refused.stderr
        assert "errors." not in refused.stderr
        assert not up.claim("proxy")


@pytest.mark.parametrize(
    "name", ["100%.txt", "what?.txt", "a#b;c.txt", "back\\slash.txt", "ä ö.txt"]
)
def test_files_of_any_name_pass_the_proxy(hub: Up, name: str) -> None:
    hub.start_session()
    path = hub.wait_session()
    place = f"{path}api/contents/{quote(name, safe='')}"
    status, made = hub.call("PUT", place, {"type": "file", "format": "text", "content": "x"})
    assert status in (200, 201), made
    status, found = hub.call("GET", place)
    assert (status, found["name"]) == (200, name)
    beneath = f"{path}api/contents/{quote('work/' + name, safe='')}"
    assert hub.call("PUT", beneath, {"type": "file", "format": "text", "content": "y"})[0] in (
        200,
        201,
    )


def test_shutting_the_hub_down_on_its_page_ends_up_too(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        up.open()
        up.start_session()
        up.wait_session()
        assert up.call("POST", "hub/api/shutdown", {})[0] == 202
        assert up.process is not None
        assert up.process.wait(30) == 0
        assert "was shut down" in up.text
        until(lambda: not up.processes())


def test_a_hub_that_fails_after_its_start_is_started_again(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        up.open()
        first = up.claim("hub")
        up.start_session()
        up.wait_session()
        before = up.sessions()
        os.kill(first, signal.SIGABRT)
        until(lambda: up.claim("hub") not in (0, first))
        until(lambda: up.asks("hub/api/")[0] == 200)
        until(lambda: "" in up.servers() and up.servers()[""]["ready"])
        assert up.sessions() == before
        assert "starting it again" in up.text
        assert up.stop() == 0


def test_a_hub_that_fails_again_and_again_is_given_up(tmp_path: Path) -> None:
    with up_in(tmp_path) as up:
        process = up.begin()
        for _ in range(6):
            pid = until(lambda: up.claim("hub") or process.poll() is not None)
            if process.poll() is not None:
                break
            until(lambda: up.asks("hub/api/")[0] == 200 or process.poll() is not None)
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: up.claim("hub") != pid)
        assert process.wait(60) == 7
        assert "again and again" in up.text
        until(lambda: not up.processes())
