"""A registered kernel and what makes one acceptable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from blackroad_nb.errors import InvalidInput

# jupyter_client.kernelspec accepts these names for a kernelspec folder.
NAME = re.compile(r"[a-z0-9._-]{1,100}", re.IGNORECASE)
CONNECTION_FILE = "{connection_file}"


@dataclass(frozen=True, slots=True)
class RegisteredKernel:
    """A kernel added through us; its kernelspec folder carries the same name."""

    id: str
    name: str
    language: str
    display_name: str
    argv: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """A kernel that can be started here, whoever installed it."""

    name: str
    language: str
    display_name: str
    argv: tuple[str, ...]
    registered: bool


def check_kernel(name: str, language: str, display_name: str, argv: Sequence[str]) -> None:
    """Refuse a registration that could not become a working kernelspec.

    Raises:
        InvalidInput: says which field is wrong and what it should hold.
    """
    if not NAME.fullmatch(name) or name.startswith("."):
        raise InvalidInput(
            f"The kernel name {name!r} may hold only letters, digits, '.', '_' and '-'."
        )
    for label, value in (("language", language), ("display name", display_name)):
        if not value.strip() or not value.isprintable():
            raise InvalidInput(f"The {label} must be one visible line of text.")
    if not argv or not all(isinstance(word, str) and word for word in argv):
        raise InvalidInput("The argv must be a list of non-empty words.")
    if any("\0" in word for word in argv):
        raise InvalidInput("A word of the argv holds a NUL character; remove it.")
    if not any(CONNECTION_FILE in word for word in argv):
        raise InvalidInput(f"The argv must hold {CONNECTION_FILE}, the file the kernel reads.")
