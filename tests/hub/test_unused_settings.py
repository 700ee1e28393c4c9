"""What an operator brings along from another spawner and is told that it does nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dockerspawner import DockerSpawner
from hub_process import start_hub, until
from tiny_session import CONFIG
from traitlets.config import Config

from blackroad_nb.hub.configure import configure
from blackroad_nb.hub.docker_spawner import BlackRoadSpawner
from blackroad_nb.hub.local_spawner import LocalSpawner
from blackroad_nb.hub.unused_settings import UNUSED, unused_settings

MOUNTS = "use `c.BlackRoadSpawner.shared_mounts`, or `mounts` of a profile"
LIMITS = "a profile's `memory` and `cpus` are what holds"


class Derived(BlackRoadSpawner):
    """An operator's own, with settings under its own name."""


@pytest.mark.parametrize(
    ("spawner", "section", "name", "said"),
    [
        (BlackRoadSpawner, "DockerSpawner", "volumes", [MOUNTS]),
        (BlackRoadSpawner, "BlackRoadSpawner", "mem_limit", [LIMITS]),
        (BlackRoadSpawner, "Spawner", "mem_limit", [LIMITS]),
        (Derived, "Derived", "cpu_limit", [LIMITS]),
        (LocalSpawner, "Spawner", "default_url",
         ["a session opens JupyterLab, at the template that was chosen"]),
        (BlackRoadSpawner, "LocalProcessSpawner", "popen_kwargs", []),
        (LocalSpawner, "DockerSpawner", "volumes", []),
        (BlackRoadSpawner, "BlackRoadSpawner", "shared_mounts", []),
        (BlackRoadSpawner, "DockerSpawner", "pull_policy", []),
        (BlackRoadSpawner, "Spawner", "environment", []),
    ],
)  # fmt: skip
def test_each_is_named_with_what_does_it(
    spawner: type, section: str, name: str, said: list[str]
) -> None:
    config = Config({section: {name: object()}})
    assert unused_settings(config, spawner) == [
        f"c.{section}.{name} does nothing here: {instead}." for instead in said
    ]


@pytest.mark.parametrize("spawner", [BlackRoadSpawner, LocalSpawner])
def test_they_are_settings_that_there_are(spawner: Any) -> None:
    for cls in spawner.__mro__:
        assert set(UNUSED.get(cls.__name__, {})) <= set(spawner.class_traits(config=True))


def test_what_we_set_ourselves_is_none_of_them(tmp_path: Path) -> None:
    c = Config()
    configure(c, state=tmp_path)
    assert unused_settings(c, BlackRoadSpawner) == unused_settings(c, LocalSpawner) == []
    assert issubclass(BlackRoadSpawner, DockerSpawner)


def test_the_log_of_a_hub_that_starts_names_them(tmp_path: Path) -> None:
    more = f"{CONFIG}c.SimpleLocalProcessSpawner.home_dir_template = '/srv/{{username}}'\n"
    with start_hub(tmp_path, docker=False, proxy=False, extra_config=more) as hub:
        line = "c.SimpleLocalProcessSpawner.home_dir_template does nothing here: a session works"
        until(lambda: line in hub.log())
        assert hub.log().count("does nothing here") == 1
