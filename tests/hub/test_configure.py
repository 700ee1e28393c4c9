"""What an operator writes: read when the hub starts, and again when the file changes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hub_process import start_hub
from tiny_session import CONFIG
from traitlets.config import Config
from visitor import Visitor

from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.errors import InvalidInput
from blackroad_nb.hub.configure import configure, launcher_switch
from blackroad_nb.hub.server_state import record_from_state, record_to_state


@pytest.mark.parametrize(
    ("value", "on"),
    [("", True), ("1", True), ("TRUE", True), (" on ", True), ("yes", True),
     ("0", False), ("false", False), ("Off", False), ("no\n", False)],
)  # fmt: skip
def test_the_switch(value: str, *, on: bool) -> None:
    assert launcher_switch(value) is on


def test_a_typing_error_switches_nothing() -> None:
    with pytest.raises(InvalidInput, match="FEATURE_NOTEBOOK_LAUNCHER is 'fo'; set it to on or"):
        launcher_switch("fo")


def test_what_is_set_and_what_is_left_to_the_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTEBOOK_IMAGE", "our/image:1")
    c = Config()
    c.JupyterHub.db_url = "postgresql://hub"
    c.JupyterHub.load_groups = {"quant": {"users": ["ada"]}, "admins": {"users": ["mia"]}}
    c.JupyterHub.load_roles = [{"name": "theirs", "scopes": ["read:hub"]}]
    c.PAMAuthenticator.admin_users = {"root"}
    configure(c, state=tmp_path / "state", hub_id="team")
    assert c.JupyterHub.db_url == "postgresql://hub"
    assert c.JupyterHub.cookie_secret_file == str(tmp_path / "state" / "cookie_secret")
    assert c.JupyterHub.load_groups == {
        "quant": {"users": ["ada"]}, "admins": {"users": ["mia"]}, "researchers": {"users": []},
    }  # fmt: skip
    roles = {role["name"]: role for role in c.JupyterHub.load_roles}
    assert set(roles) >= {"theirs", "user", "researcher", "blackroad-admin"}
    assert roles["blackroad-admin"]["users"] == ["root"]
    assert c.JupyterHub.spawner_class.endswith(".BlackRoadSpawner")
    assert not c.JupyterHub.cleanup_servers
    assert c.Spawner.consecutive_failure_limit == 0
    assert (c.PolicyMixin.hub_id, c.PolicyMixin.default_image) == ("team", "our/image:1")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_two_hubs_have_two_ids_and_each_keeps_its_own(tmp_path: Path) -> None:
    def identity(state: Path) -> str:
        c = Config()
        configure(c, state=state)
        (sessions,) = c.JupyterHub.services
        assert sessions["environment"]["BLACKROAD_HUB_ID"] == c.PolicyMixin.hub_id
        return str(c.PolicyMixin.hub_id)

    one, other = identity(tmp_path / "one"), identity(tmp_path / "other")
    assert one != other
    assert identity(tmp_path / "one") == one
    (tmp_path / "one").rename(tmp_path / "moved")
    assert identity(tmp_path / "moved") == one
    assert (tmp_path / "moved" / "hub_id").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", ["", "Two words", "../x", "x" * 41, "a\nb"])
def test_an_id_that_is_none_ends_the_hub(tmp_path: Path, kept: str) -> None:
    (tmp_path / "hub_id").write_text(kept)
    with pytest.raises(SystemExit, match=r"hub_id holds .*, which is no id of a hub; write"):
        configure(Config(), state=tmp_path)


def test_groups_of_an_authenticator_are_left_to_it(tmp_path: Path) -> None:
    before = "c.Authenticator.manage_groups = True\nc.JupyterHub.load_groups = {}\n"
    with start_hub(
        tmp_path, users={}, docker=False, proxy=False, first_config=before, extra_config=CONFIG
    ) as hub:
        hub.add_users("ada")
        assert hub.start("ada")[0] == 403
        assert "researchers" in [group["name"] for group in hub.api("GET", "groups")[1]]


@pytest.mark.parametrize(
    ("profiles", "variables", "sentence"),
    [
        ("cpu: 1\n", {}, "jupyterhub: profiles.yaml, line 1: The file has no 'cpu'; there are: "),
        ("", {"FEATURE_NOTEBOOK_LAUNCHER": "maybe"}, "jupyterhub: FEATURE_NOTEBOOK_LAUNCHER is"),
    ],
)
def test_a_mistake_ends_the_hub_with_one_sentence(
    tmp_path: Path, profiles: str, variables: dict[str, str], sentence: str
) -> None:
    (tmp_path / "profiles.yaml").write_text(profiles)
    (tmp_path / "config.py").write_text(
        "c = get_config()\n"
        "from blackroad_nb.hub.configure import configure\n"
        "configure(c, state='state', profiles='profiles.yaml', docker=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", "config.py"],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_profiles_may_change_while_the_hub_runs(tmp_path: Path) -> None:
    with start_hub(
        tmp_path,
        docker=False,
        proxy=False,
        profiles="profiles:\n  - name: small\n",
        extra_config=CONFIG,
    ) as hub:
        file = tmp_path / "profiles.yaml"
        ada = Visitor(hub, "ada")
        assert "Huge" not in ada.spawn_page().text
        file.write_text("profiles:\n  - name: small\n  - name: huge\n    groups: [quant]\n")
        assert "Huge" in ada.spawn_page().text
        assert hub.start("ada", profile="huge")[0] == 403
        file.write_text("profiles:\n  - name: small\n    cpus: lots\n")
        status, body = hub.start("ada", profile="small")
        assert status == 403
        assert "The file of profiles has a mistake" in body["message"]
        assert "cpus" not in body["message"]  # the line is the operator's to read
        page = ada.spawn_page()
        assert page.status == 200
        assert "The file of profiles has a mistake" in page.text
        assert ada.submit(profile="small").status == 403
        assert "profiles.yaml, line 3: cpus must be a number" in hub.log()
        file.write_text("profiles:\n  - name: small\n")
        assert hub.start("ada", profile="small")[0] == 201
        assert "Traceback" not in hub.log()


RECORD = ServerRecord(
    id="id-1",
    user="ada",
    server_name="two",
    profile="small",
    template=None,
    state=ServerState.RUNNING,
    started_at=datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC),
    ready_at=datetime(2026, 11, 21, 9, 0, 2, tzinfo=UTC),
)


def test_a_record_survives_the_hubs_database() -> None:
    assert record_from_state(record_to_state(RECORD)) == RECORD


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        [],
        "id-1",
        {"id": "id-1"},
        {**record_to_state(RECORD), "state": "dancing"},
        {**record_to_state(RECORD), "started_at": "yesterday"},
        {**record_to_state(RECORD), "started_at": None},
    ],
)
def test_a_state_that_is_no_record_is_none(state: object) -> None:
    assert record_from_state(state) is None
