"""What tells a hub's containers from those of another hub on the same engine."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from blackroad_nb.errors import InvalidInput
from blackroad_nb.hub.up_state import write_private

FILE = "hub_id"
_VALID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def hub_id_of(state: Path) -> str:
    """Return the id that is kept in a state folder; a folder without one gets one.

    It is random: two hubs that share an engine would remove each other's containers if
    they had one id, and neither their hosts' names nor their paths need differ.

    Raises:
        InvalidInput: what is kept there is no id.
        OSError: it can neither be read nor written.
    """
    file = state / FILE
    try:
        kept = file.read_text(errors="replace").strip()
    except FileNotFoundError:
        kept = f"hub-{uuid4().hex[:12]}"
        write_private(file, f"{kept}\n")
    if not _VALID.fullmatch(kept):
        raise InvalidInput(
            f"{file} holds {kept[:40]!r}, which is no id of a hub; write the value of the label "
            "blackroad.hub of its containers there, or remove the file if it has none."
        )
    return kept
