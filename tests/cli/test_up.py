"""What `up` decides before a hub is started: folder, ports, packages, names."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from blackroad_nb.cli import main
from blackroad_nb.cli.hub_process import counted, listed
from blackroad_nb.cli.up import owner_name
from blackroad_nb.errors import Conflict, InvalidInput
from blackroad_nb.hub.up_ports import FIRST_PORT, hub_port, inner_port, is_free, public_port
from blackroad_nb.hub.up_state import Settings, StateFolder, find_state, open_state, write_private

SETTINGS = Settings(
    owner="ada",
    port=8000,
    hub_port=20_001,
    proxy_port=20_002,
    proxy_secret="p" * 64,
    api_token="t" * 64,
    database="/home/ada/notebooks.db",
)


@pytest.mark.parametrize(
    ("wanted", "kept", "ours", "taken", "expected"),
    [
        (None, None, False, (), FIRST_PORT),
        (None, None, False, (FIRST_PORT, FIRST_PORT + 1), FIRST_PORT + 2),
        (9000, None, False, (), 9000),
        (None, 8005, False, (), 8005),
        (None, 8005, False, (8005,), FIRST_PORT),
        (None, 8005, True, (8005,), 8005),
        (8005, 8005, True, (8005,), 8005),
        (9000, 8005, True, (8005,), 9000),
    ],
)
def test_the_port_of_the_pages(
    wanted: int | None, kept: int | None, ours: bool, taken: tuple[int, ...], expected: int
) -> None:
    assert public_port(wanted, kept, ours, lambda port: port not in taken) == expected


@pytest.mark.parametrize("kept", [None, 8005])
def test_a_port_that_was_asked_for_is_not_replaced(kept: int | None) -> None:
    with pytest.raises(InvalidInput, match="port 9000 is in use"):
        public_port(9000, kept, False, lambda port: port != 9000)


def test_no_port_at_all() -> None:
    with pytest.raises(InvalidInput, match="--port"):
        public_port(None, None, False, lambda _port: False)


@pytest.mark.parametrize(("sessions", "word"), [(1, "session knows"), (2, "sessions know ")])
def test_the_hubs_port_stays_while_sessions_know_it(sessions: int, word: str) -> None:
    assert hub_port(21_000, sessions, lambda _port: True) == 21_000
    with pytest.raises(Conflict, match=word):
        hub_port(21_000, sessions, lambda port: port != 21_000)
    assert hub_port(21_000, 0, lambda port: port != 21_000) != 21_000


def test_inner_ports_are_not_handed_out_by_the_system() -> None:
    port = inner_port()
    assert 20_000 <= port < 32_000
    assert is_free(port)


@pytest.mark.parametrize(
    ("account", "name"),
    [("ada", "ada"), ("Ada Lovelace", "ada-lovelace"), ("CORP\\ada", "corp-ada"),
     ("ada@corp.example", "ada-corp.example"), ("../..", "owner"), ("研究", "owner")],
)  # fmt: skip
def test_the_owner_is_named_like_the_user_of_the_machine(account: str, name: str) -> None:
    assert owner_name(account) == name


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    state = open_state(str(tmp_path / "open"))
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    before = os.umask(0)
    try:
        state.keep(SETTINGS)
        link = state.link(SETTINGS)
    finally:
        os.umask(before)
    for path in (*state.path.glob("*.json"), state.link_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.settings() == SETTINGS
    assert state.link(SETTINGS) == link
    assert state.link(SETTINGS, new=True) != link
    assert len(link.partition("=")[2]) >= 43  # 256 bits


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12_345, 12_345)
    with pytest.raises(InvalidInput, match="belongs to another user"):
        open_state(str(tmp_path / "theirs"))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"owner": "ada"}'])
def test_settings_that_cannot_be_read_are_made_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "up.json").write_text(content)
    assert StateFolder(tmp_path).settings() is None


def test_settings_of_a_later_version_are_read(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.keep(SETTINGS)
    text = (tmp_path / "up.json").read_text()
    write_private(tmp_path / "up.json", text.replace("{", '{"colour": "red",', 1))
    assert state.settings() == SETTINGS


def test_a_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    write_private(tmp_path / "file", "before")
    with pytest.raises(UnicodeEncodeError):
        write_private(tmp_path / "file", "\udce4")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_looking_for_a_state_makes_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_state(str(tmp_path / "none")) is None
    assert main(["down", "--state", str(tmp_path / "none")]) == 0
    assert "never been a hub" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("module", "words"),
    [("jupyterhub", []), ("jupyterhub_traefik_proxy", []), ("jupyterlab", []),
     ("dockerspawner", ["--docker"])],
)  # fmt: skip
def test_a_missing_package_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    words: list[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["up", "--state", str(tmp_path / "state"), *words]) == 6
    said = capsys.readouterr().err
    assert f"{module} is not installed" in said
    assert "pip install 'blackroad-nb[lab,hub]'" in said
    assert not (tmp_path / "state").exists()


def test_words() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [counted(number) for number in (0, 1, 2)] == [[], ["1 session"], ["2 sessions"]]
