"""A registered notebook: the row, and what makes a name acceptable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from blackroad_nb.core.kinds import check_mapping, check_text
from blackroad_nb.errors import InvalidInput

DEFAULT_KERNEL = "python3"
NAME_LIMIT = 200  # characters; a name is a label on one line
METADATA_LIMIT = 1_000_000  # characters as JSON; it comes along with every list


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
    name = check_text(name, "The name").strip()
    if not name:
        raise InvalidInput("A notebook needs a name; give it at least one visible character.")
    if len(name) > NAME_LIMIT:
        raise InvalidInput(f"The name has {len(name)} characters; {NAME_LIMIT} is the most.")
    if not name.isprintable():
        raise InvalidInput("The name holds a line break or control character; remove it.")
    return name


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata, or refuse what JSON cannot hold.

    Raises:
        InvalidInput: a value, or its nesting, has no JSON form, or there is too much.
    """
    check_mapping(metadata, "The metadata")
    try:
        size = len(json.dumps(dict(metadata), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"The metadata cannot be written as JSON: {error}.") from None
    if size > METADATA_LIMIT:
        raise InvalidInput(f"The metadata has {size} characters; {METADATA_LIMIT} is the most.")
    return dict(metadata)


def name_for(path: str) -> str:
    """Return the name a notebook gets that ran without being registered: its file's."""
    stem = path.rpartition("/")[2].removesuffix(".ipynb")
    visible = "".join(c if c.isprintable() else " " for c in stem).strip()
    return visible[:NAME_LIMIT].strip() or "notebook"
