"""A registered notebook: the row, and what makes a name acceptable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from blackroad_nb.errors import InvalidInput

DEFAULT_KERNEL = "python3"
NAME_LIMIT = 200  # characters; a name is a label on one line


@dataclass(frozen=True, slots=True)
class Notebook:
    """One row of the registry; the file at `path` is the notebook itself."""

    id: str
    name: str
    path: str
    kernel: str
    created_at: datetime
    updated_at: datetime
    cell_count: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)


def check_name(name: str) -> str:
    """Return `name` without surrounding space, or say what is wrong with it.

    Raises:
        InvalidInput: the name is empty, too long or holds control characters.
    """
    name = name.strip()
    if not name:
        raise InvalidInput("A notebook needs a name; give it at least one visible character.")
    if len(name) > NAME_LIMIT:
        raise InvalidInput(f"The name has {len(name)} characters; {NAME_LIMIT} is the most.")
    if not name.isprintable():
        raise InvalidInput("The name holds a line break or control character; remove it.")
    return name


def name_for(path: str) -> str:
    """Return the name a notebook gets that ran without being registered: its file's."""
    stem = path.rpartition("/")[2].removesuffix(".ipynb")
    visible = "".join(c if c.isprintable() else " " for c in stem).strip()
    return visible[:NAME_LIMIT].strip() or "notebook"
