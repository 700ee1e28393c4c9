"""A session's container: the whole specification against literals, and names that differ."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.container import (
    ContainerSpec,
    Place,
    container_name,
    container_spec,
    slug,
    template_targets,
    with_inner_mounts,
    workspace_folder,
)
from blackroad_nb.core.launch import LaunchChoice
from blackroad_nb.core.profile import DEFAULT_PROFILE, GIB, Mount, Profile
from blackroad_nb.core.server import ServerRecord, ServerState
from blackroad_nb.errors import InvalidInput

PLACE = Place(
    hub_id="lab1",
    image="blackroad-notebook:latest",
    network="blackroad",
    workspaces="/srv/workspaces",
    templates=("/srv/templates",),
    mounts=(Mount("/srv/wrds", "/data/wrds"), Mount("/srv/app", "/app")),
)
RECORD = ServerRecord(
    id="7a1c",
    user="ada.l",
    server_name="",
    profile="standard",
    template=None,
    state=ServerState.STARTING,
    started_at=datetime(2026, 11, 21, tzinfo=UTC),
)


def spec(profile: Profile = DEFAULT_PROFILE, place: Place = PLACE, **choice: object) -> object:
    return container_spec(profile, LaunchChoice(profile.name, **choice), RECORD, place)  # type: ignore[arg-type]


def test_the_default_session_whole() -> None:
    assert spec() == ContainerSpec(
        name="blackroad-lab1--ada-2el",
        image="blackroad-notebook:latest",
        command=("blackroad-nb", "singleuser"),
        user="1000:1000",
        working_dir="/home/jovyan",
        network="blackroad",
        nano_cpus=2_000_000_000,
        memory_bytes=8_589_934_592,
        memory_swap_bytes=8_589_934_592,
        pids=1024,
        labels={
            "blackroad.hub": "lab1",
            "blackroad.session": "7a1c",
            "blackroad.user": "ada.l",
            "blackroad.server": "",
            "blackroad.profile": "standard",
        },
        environment={
            "PYTHONPATH": "/app",
            "DATA_PATH": "/data",
            "USER_ID": "ada.l",
            "NOTEBOOK_DB": "/home/jovyan/work/.blackroad/notebooks.db",
            "JUPYTERLAB_SETTINGS_DIR": "/home/jovyan/work/.jupyter/user-settings",
            "JUPYTERLAB_WORKSPACES_DIR": "/home/jovyan/work/.jupyter/workspaces",
            "BLACKROAD_TEMPLATES": "/templates",
        },
        mounts=(
            Mount("/srv/templates", "/templates", read_only=True),
            Mount("/srv/wrds", "/data/wrds", read_only=True),
            Mount("/srv/app", "/app", read_only=True),
            Mount("/srv/workspaces/ada-2el/work", "/home/jovyan/work", read_only=False),
        ),
        cap_drop=("ALL",),
        cap_add=(),
        security_opt=("no-new-privileges:true",),
        log_bytes=10_485_760,
        stop_seconds=10,
    )


def test_a_profile_decides_what_it_may() -> None:
    large = Profile(
        name="large",
        title="Large",
        image="lab/torch:2",
        cpus=0.5,
        memory_bytes=3 * GIB,
        pids=99,
        environment={"OMP_NUM_THREADS": "1", "USER_ID": "root", "DATA_PATH": "/elsewhere"},
        mounts=(Mount("/srv/scratch", "/scratch", read_only=False),),
    )
    named = replace(RECORD, server_name="gpu")
    choice = LaunchChoice("large", template="alpha", original=True)
    made = container_spec(large, choice, named, replace(PLACE, templates=(), mounts=()))
    assert made.name == "blackroad-lab1--ada-2el--gpu"
    assert (made.image, made.nano_cpus, made.pids) == ("lab/torch:2", 500_000_000, 99)
    assert (made.memory_bytes, made.memory_swap_bytes) == (3_221_225_472, 3_221_225_472)
    assert made.mounts == (
        Mount("/srv/scratch", "/scratch", read_only=False),
        Mount("/srv/workspaces/ada-2el/work", "/home/jovyan/work", read_only=False),
    )
    assert made.environment == {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "/app",
        "DATA_PATH": "/data",
        "USER_ID": "ada.l",
        "NOTEBOOK_DB": "/home/jovyan/work/.blackroad/notebooks.db",
        "JUPYTERLAB_SETTINGS_DIR": "/home/jovyan/work/.jupyter/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": "/home/jovyan/work/.jupyter/workspaces",
        "BLACKROAD_TEMPLATE": "alpha",
        "BLACKROAD_TEMPLATE_ORIGINAL": "1",
    }


@pytest.mark.parametrize(
    "target",
    ["/data", "/data/x", "/data/", "//data", "/x/../data/y", "/./data", "/app", "/app/a/b",
     "/templates", "/templates/mine"],
)  # fmt: skip
def test_data_code_and_templates_are_never_writable(target: str) -> None:
    profile = replace(DEFAULT_PROFILE, mounts=(Mount("/srv/x", target, read_only=False),))
    made = container_spec(
        profile, LaunchChoice("standard"), RECORD, replace(PLACE, templates=(), mounts=())
    )
    assert made.mounts[0].read_only


@pytest.mark.parametrize("target", ["/database", "/apple", "/scratch/data"])
def test_other_targets_may_be_writable(target: str) -> None:
    profile = replace(DEFAULT_PROFILE, mounts=(Mount("/srv/x", target, read_only=False),))
    made = container_spec(profile, LaunchChoice("standard"), RECORD, PLACE)
    assert Mount("/srv/x", target, read_only=False) in made.mounts


def test_what_is_mounted_below_a_read_only_folder_is_read_only_too() -> None:
    made = container_spec(DEFAULT_PROFILE, LaunchChoice("standard"), RECORD, PLACE)
    points = ["/", "/srv", "/srv/wrds", "/srv/wrds/crsp", "/srv/wrds/crsp/new", "/srv/wrdsx",
              "/srv/workspaces/ada-2el/work/nfs", "/proc"]  # fmt: skip
    assert with_inner_mounts(made, points).mounts == (
        *made.mounts,
        Mount("/srv/wrds/crsp", "/data/wrds/crsp", read_only=True),
        Mount("/srv/wrds/crsp/new", "/data/wrds/crsp/new", read_only=True),
    )
    assert with_inner_mounts(made, []) == made


@pytest.mark.parametrize("target", ["/home/jovyan/work", "/home/jovyan/./work", "/app/"])
def test_a_target_is_used_once(target: str) -> None:
    profile = replace(DEFAULT_PROFILE, mounts=(Mount("/srv/x", target),))
    with pytest.raises(InvalidInput, match="each target can be used once"):
        spec(profile)


def test_several_folders_of_templates_lie_side_by_side() -> None:
    assert template_targets(["/a"]) == {"/a": "/templates"}
    assert template_targets(["/a", "/b", "/a"]) == {"/a": "/templates/1", "/b": "/templates/2"}
    made = spec(place=replace(PLACE, templates=("/a", "/b")))
    assert isinstance(made, ContainerSpec)
    assert made.environment["BLACKROAD_TEMPLATES"] == "/templates/1:/templates/2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ada", "ada"),
        ("Ada", "-41da"),
        ("ada-lovelace", "ada-2dlovelace"),
        ("ada_l", "ada-5fl"),
        ("ada@lab.org", "ada-40lab-2eorg"),
        ("..", "-2e-2e"),
        ("$(id)", "-24-28id-29"),
        ("å", "-c3-a5"),
        ("a" * 40, "a" * 40),
    ],
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_a_long_name_is_cut_and_told_apart() -> None:
    assert re.fullmatch(r"a{16}-z[0-9a-f]{32}", slug("a" * 41))
    assert slug("a" * 41) != slug("a" * 42)


NAMES = st.text(min_size=1, max_size=300)


@given(NAMES)
def test_a_slug_suits_engines_and_folders(name: str) -> None:
    made = slug(name)
    assert re.fullmatch(r"[a-z0-9-]{1,50}", made)
    assert "--" not in made
    assert not made.endswith("-")
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", container_name("h", name))
    assert workspace_folder("/srv/w/", name) == f"/srv/w/{made}/work"


@given(st.lists(st.tuples(NAMES, st.text(max_size=60)), min_size=2, max_size=8, unique=True))
def test_no_two_servers_share_a_name(servers: list[tuple[str, str]]) -> None:
    assert len({container_name("h", user, server) for user, server in servers}) == len(servers)


def test_names_that_try_to_be_another() -> None:
    """What one name's escape looks like, another name may simply be."""
    tricky = ["a-2eb", "a.b", "a-b", "a--b", "A", "a", "-41", "a" * 41, slug("a" * 41), "a\u0000"]
    assert len({slug(name) for name in tricky}) == len(tricky)
    pairs = [("a", "b"), ("a--b", ""), ("a-b", ""), ("a", ""), ("ab", "")]
    assert len({container_name("h", *pair) for pair in pairs}) == len(pairs)
