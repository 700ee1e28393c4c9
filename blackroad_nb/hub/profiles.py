"""The operator's file of profiles: read whole or refused, with the line that is wrong."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from blackroad_nb.core.profile import DEFAULT_PROFILE, GIB, LaunchPolicy, Mount, Profile
from blackroad_nb.errors import InvalidInput, LaunchRefused
from blackroad_nb.hub.numbered_yaml import Value, read_yaml

_log = logging.getLogger("JupyterHub")

DEFAULT_FILE = """\
# What people can start on this hub. The hub reads this file again at every start of a
# session; a mistake in it is named with its line in the hub's log, and nobody can start
# a session until it is mended.

# How many sessions may run at once, on the whole hub and for one user.
max_sessions: 5
max_sessions_per_user: 5

# One entry for each card of the spawn page; the first is the default.
profiles:
  - name: standard            # for links and labels: small letters, digits, hyphens
    title: Standard
    description: JupyterLab with Python, for everyday research.
    cpus: 2
    memory: 8 GB
    pids: 1024                # processes and threads
    idle: 4h                  # without activity; nothing stops by it yet

  # A larger one, with everything that can be said:
  #
  # - name: large
  #   title: Large
  #   description: For panels that do not fit into Standard.
  #   image: registry.example.org/notebook:2026-11   # without it, NOTEBOOK_IMAGE
  #   cpus: 8
  #   memory: 64 GB
  #   idle: 1h 30min
  #   max_age: 24h
  #   price: 1.60 EUR per hour                       # shown on the card
  #   max_sessions: 2                                # of this profile, on the whole hub
  #   groups: [quant]                                # without groups and users: everybody
  #   users: [ada]
  #   environment:
  #     OMP_NUM_THREADS: 8
  #   mounts:
  #     - source: /data/wrds                         # a folder of this machine
  #       target: /data/wrds
  #       read_only: true
"""

FILE_NAMES = ("max_sessions", "max_sessions_per_user", "profiles")
MOUNT_NAMES = ("source", "target", "read_only")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = re.compile(r"(?:JUPYTERHUB_|JPY_|BLACKROAD_).*|PYTHONPATH|DATA_PATH|USER_ID|NOTEBOOK_DB")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?(M|G|T)(?:B|iB)?")
_SPAN = re.compile(r"(?:(\d{1,5}) ?d)? ?(?:(\d{1,5}) ?h)? ?(?:(\d{1,5}) ?min)? ?(?:(\d{1,7}) ?s)?")
_UNITS = {"M": 1024**2, "G": GIB, "T": 1024 * GIB}
_LEAST_MEMORY, _MOST_MEMORY = 128 * 1024**2, 64 * 1024 * GIB
_KEPT_TARGETS = ("/", "/home/jovyan", "/home/jovyan/work", "/templates", "/proc", "/sys", "/dev")
_ENGINE_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/var/run", "/run", "/")


def read_profiles(path: Path) -> LaunchPolicy:
    """Read the file of profiles.

    Raises:
        InvalidInput: it cannot be used; the message names the file and the line.
    """
    document = read_yaml(path)
    if document is None:
        return LaunchPolicy()
    top = document.mapping(FILE_NAMES, "The file")
    values: dict[str, Any] = {
        name: _whole(top[name], name, 0, 100_000)
        for name in ("max_sessions", "max_sessions_per_user")
        if name in top
    }
    if "profiles" in top:
        values["profiles"] = _profiles(top["profiles"])
    return LaunchPolicy(**values)


class PolicyFile:
    """The file as it is now; it is parsed again when it has changed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._policy = LaunchPolicy()
        self._wrong: InvalidInput | None = None

    def read(self, enabled: bool = True) -> LaunchPolicy:
        """Return what is allowed now.

        Raises:
            LaunchRefused: the file has a mistake; the log says where. What was allowed
                before it is not taken instead: it may be what the operator took away.
        """
        if self._path is not None:
            self._look(self._path)
        if self._wrong is not None:
            raise LaunchRefused(
                "The file of profiles has a mistake, so that nobody can start a session. The "
                "hub's log names the line.",
                "policy_unreadable",
            )
        return replace(self._policy, enabled=enabled)

    def _look(self, path: Path) -> None:
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._policy, self._wrong = read_profiles(path), None
        except InvalidInput as error:
            self._wrong = error
            _log.error("Nobody can start a session: %s", error.message)


@cache
def policy_file(path: str) -> PolicyFile:
    """Return the one `PolicyFile` of this process for a path; "" stands for the defaults."""
    return PolicyFile(Path(path) if path else None)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError as error:
        return (error.errno or -1,)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _profiles(value: Value) -> tuple[Profile, ...]:
    found: dict[str, Profile] = {}
    for entry in value.items("profiles"):
        profile = _profile(entry)
        if profile.name in found:
            raise entry.wrong(f"There are two profiles of the name {profile.name!r}.")
        found[profile.name] = profile
    if not found:
        raise value.wrong("There must be at least one profile.")
    return tuple(found.values())


def _profile(entry: Value) -> Profile:
    said = entry.mapping(PROFILE_NAMES, "A profile")
    if "name" not in said:
        raise entry.wrong("A profile needs a `name`.")
    name = said["name"].text("name")
    if not _NAME.fullmatch(name):
        raise said["name"].wrong(
            f"The name {name[:40]!r} must be small letters, digits and hyphens, at most 32."
        )
    values: dict[str, Any] = {"title": name.replace("-", " ").capitalize()}
    for field, value in said.items():
        target, read = _FIELDS[field]
        if not value.is_null:
            values[target] = read(value, field)
    return Profile(**values)


def _line(value: Value, what: str) -> str:
    text = value.text(what)
    if not text.strip() or not text.isprintable() or len(text) > 200:
        raise value.wrong(f"{what} must be one line of 1 to 200 characters.")
    return text


def _paragraph(value: Value, what: str) -> str:
    text = " ".join(value.text(what).split())
    if not text.isprintable() or len(text) > 1000:
        raise value.wrong(f"{what} must be at most 1000 printable characters.")
    return text


def _image(value: Value, what: str) -> str:
    text = _line(value, what)
    if any(letter.isspace() for letter in text) or text.startswith("-"):
        raise value.wrong(f"{what} must be the name of a Docker image, like `name:tag`.")
    return text


def _whole(value: Value, what: str, least: int, most: int) -> int:
    text = value.written(what)
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise value.wrong(f"{what} must be a whole number from {least} to {most}.")
    return int(text)


def _cpus(value: Value, what: str) -> float:
    text = value.written(what)
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", text) or not 0.01 <= float(text) <= 1024:
        raise value.wrong(f"{what} must be a number from 0.01 to 1024.")
    return float(text)


def _memory(value: Value, what: str) -> int:
    match = _SIZE.fullmatch(value.written(what))
    count = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not _LEAST_MEMORY <= count <= _MOST_MEMORY:
        raise value.wrong(f"{what} must be a size from 128 MB to 64 TB, such as `8 GB`.")
    return count


def _seconds(value: Value, what: str) -> int:
    match = _SPAN.fullmatch(value.written(what).strip())
    days, hours, minutes, seconds = (
        (int(part or 0) for part in match.groups()) if match else (0,) * 4
    )
    span = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 60 <= span <= 366 * 86400:
        raise value.wrong(f"{what} must be a time from 1min to 366d, such as `4h` or `1h 30min`.")
    return span


def _names(value: Value, what: str) -> frozenset[str]:
    return frozenset(_line(entry, f"An entry of {what}") for entry in value.items(what))


def _environment(value: Value, _what: str) -> Mapping[str, str]:
    found = {}
    for name, entry in value.mapping(None, "environment").items():
        if not _VARIABLE.fullmatch(name):
            raise entry.wrong(f"{name[:40]!r} cannot be the name of a variable.")
        if _OURS.fullmatch(name):
            raise entry.wrong(f"The variable {name} is the hub's own and cannot be set here.")
        text = entry.written(f"The variable {name}")
        if "\0" in text or len(text) > 10_000:
            raise entry.wrong(f"The variable {name} must be text of at most 10000 characters.")
        found[name] = text
    return found


def _mounts(value: Value, _what: str) -> tuple[Mount, ...]:
    found: dict[str, Mount] = {}
    for entry in value.items("mounts"):
        said = entry.mapping(MOUNT_NAMES, "A mount")
        if "source" not in said or "target" not in said:
            raise entry.wrong("A mount needs a `source` and a `target`.")
        source, target = _folder(said["source"], "source"), _folder(said["target"], "target")
        if source in _ENGINE_SOCKETS:
            raise said["source"].wrong(f"{source} would hand the whole machine to the session.")
        if target in _KEPT_TARGETS:
            raise said["target"].wrong(f"{target} is the session's own; choose another target.")
        if target in found:
            raise said["target"].wrong(f"There are two mounts at {target}.")
        read_only = said["read_only"].flag("read_only") if "read_only" in said else True
        found[target] = Mount(source, target, read_only)
    return tuple(found.values())


def _folder(value: Value, what: str) -> str:
    text = _line(value, what)
    if not text.startswith("/") or ".." in text.split("/"):
        raise value.wrong(f"{what} must be an absolute path without `..`.")
    return "/" + posixpath.normpath(text).lstrip("/")


_Reader = Callable[[Value, str], Any]

# What a profile says in the file -> what it is called in the core, and how it is read.
_FIELDS: Mapping[str, tuple[str, _Reader]] = {
    "name": ("name", _line),
    "title": ("title", _line),
    "description": ("description", _paragraph),
    "image": ("image", _image),
    "cpus": ("cpus", _cpus),
    "memory": ("memory_bytes", _memory),
    "pids": ("pids", lambda value, what: _whole(value, what, 16, 4_194_304)),
    "environment": ("environment", _environment),
    "mounts": ("mounts", _mounts),
    "idle": ("idle_seconds", _seconds),
    "max_age": ("max_age_seconds", _seconds),
    "groups": ("groups", _names),
    "users": ("users", _names),
    "price": ("price", _line),
    "max_sessions": ("max_sessions", lambda value, what: _whole(value, what, 0, 100_000)),
}
PROFILE_NAMES = tuple(_FIELDS)
assert {target for target, _ in _FIELDS.values()} == {each.name for each in fields(DEFAULT_PROFILE)}
