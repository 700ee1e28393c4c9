"""A session's record as JupyterHub keeps it in its own database, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from blackroad_nb.core.server import ServerRecord, ServerState


def record_to_state(record: ServerRecord) -> dict[str, str | None]:
    """Return what is needed to know a running session again, JSON-ready."""
    return {
        "id": record.id,
        "user": record.user,
        "server_name": record.server_name,
        "profile": record.profile,
        "template": record.template,
        "state": record.state.value,
        "started_at": record.started_at.isoformat(),
        "ready_at": record.ready_at.isoformat() if record.ready_at else None,
    }


def record_from_state(state: object) -> ServerRecord | None:
    """Return the record; None when there is none, or none that can be read."""
    if not isinstance(state, Mapping):
        return None
    try:
        ready_at = state["ready_at"]
        return ServerRecord(
            id=str(state["id"]),
            user=str(state["user"]),
            server_name=str(state["server_name"]),
            profile=str(state["profile"]),
            template=state["template"],
            state=ServerState(state["state"]),
            started_at=datetime.fromisoformat(state["started_at"]),
            ready_at=datetime.fromisoformat(ready_at) if ready_at else None,
        )
    except (KeyError, TypeError, ValueError):
        return None
