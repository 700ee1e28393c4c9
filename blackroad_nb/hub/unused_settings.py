"""Settings of JupyterHub's and DockerSpawner's that do nothing here, and what does it instead.

Profiles decide what a session gets. Whoever brings a configuration along from another
spawner must not believe that a limit or a mount of it still holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_IMAGE = "name the image with `image` of a profile, or with NOTEBOOK_IMAGE"
_LIMITS = "a profile's `memory` and `cpus` are what holds"
_MOUNTS = "use `c.BlackRoadSpawner.shared_mounts`, or `mounts` of a profile"
_FIXED = "how a container is made is fixed"
_NAMED = "containers are named after the hub, the user and the session"
_REACHED = "sessions are reached inside their own network"
_PAGE = "the spawn page asks for a profile and a template"
_FOLDER = "a session works in the user's folder below `workspaces`"

UNUSED: Mapping[str, Mapping[str, str]] = {
    "PolicyMixin": {
        "options_form": _PAGE,
        "options_from_form": _PAGE,
        "default_url": "a session opens JupyterLab, at the template that was chosen",
        "notebook_dir": _FOLDER,
    },
    "LocalSpawner": {
        "home_dir_template": _FOLDER,
        "popen_kwargs": "how a process is started is fixed",
    },
    "BlackRoadSpawner": {
        "image": _IMAGE,
        "container_image": _IMAGE,
        "allowed_images": _IMAGE,
        "image_whitelist": _IMAGE,
        "mem_limit": _LIMITS,
        "mem_guarantee": _LIMITS,
        "cpu_limit": _LIMITS,
        "cpu_guarantee": _LIMITS,
        "volumes": _MOUNTS,
        "read_only_volumes": _MOUNTS,
        "mounts": _MOUNTS,
        "extra_create_kwargs": _FIXED,
        "extra_host_config": _FIXED,
        "links": _FIXED,
        "post_start_cmd": "put what has to run into the image",
        "remove": "containers are always removed; the user's work is outside of them",
        "remove_containers": "containers are always removed; the user's work is outside of them",
        "name_template": _NAMED,
        "container_name_template": _NAMED,
        "prefix": _NAMED,
        "container_prefix": _NAMED,
        "use_internal_ip": _REACHED,
        "use_internal_hostname": _REACHED,
        "host_ip": _REACHED,
    },
}


def unused_settings(config: Mapping[str, Mapping[str, Any]], spawner: type) -> list[str]:
    """Return one sentence for each setting of the operator's that has no effect.

    Args:
        config: all that was configured, by section, as `JupyterHub.config` has it.
        spawner: the class of the hub's spawners.
    """
    classes = [cls.__name__ for cls in spawner.__mro__]
    instead = {name: use for cls in classes for name, use in UNUSED.get(cls, {}).items()}
    return [
        f"c.{section}.{name} does nothing here: {instead[name]}."
        for section in classes
        if section in config
        for name in sorted(config[section])
        if name in instead
    ]
