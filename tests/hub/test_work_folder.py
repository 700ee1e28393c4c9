"""The folder that keeps a user's work: made, owned by the session's user, or refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import ContainerSpec, Place, container_spec
from blackroad_nb.core.launch import LaunchChoice
from blackroad_nb.core.profile import DEFAULT_PROFILE
from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.errors import SessionFailed
from blackroad_nb.hub.work_folder import prepare_work

NOT_ASKED = DockerEngine(address="unix:///nowhere/docker.sock")


def spec(workspaces: Path, image: str = "any:1") -> ContainerSpec:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    record = ServerRecord("id", "ada", "", "standard", None, ServerState.STARTING, now)
    place = Place(f"test-{os.getpid()}", image, "none", str(workspaces))
    return container_spec(DEFAULT_PROFILE, LaunchChoice("standard"), record, place)


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_a_hub_that_is_not_root_gives_the_folder_away_through_a_container(
    tmp_path: Path, engine: DockerEngine, notebook_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() == 1000:
        pytest.skip("this user is the sessions' user already")
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    wanted = spec(tmp_path / "w", notebook_image)
    prepare_work(engine, wanted)
    made = tmp_path / "w" / "ada" / "work"
    assert (made.stat().st_uid, made.stat().st_gid, made.stat().st_mode & 0o777) == (
        1000,
        1000,
        0o700,
    )
    prepare_work(NOT_ASKED, wanted)  # a second time there is nothing to do
    assert not engine.list_containers(wanted.labels["blackroad.hub"])


def test_a_folder_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    if os.getuid() == 1000:
        pytest.skip("this user is the sessions' user already")
    folder = tmp_path / "ada" / "work"
    folder.mkdir(parents=True)
    (folder / "theirs.txt").write_text("x")
    with pytest.raises(SessionFailed, match="chown -R 1000:1000") as refused:
        prepare_work(NOT_ASKED, spec(tmp_path))
    assert refused.value.reason == "work_not_yours"
    assert folder.stat().st_uid == os.getuid()


def test_a_place_where_nothing_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionFailed, match=r"cannot be made: Not a directory\.") as refused:
        prepare_work(NOT_ASKED, spec(tmp_path / "file"))
    assert refused.value.reason == "work_unusable"
