"""The kernel websocket's protocol v1, as much of it as a benchmark needs."""

from __future__ import annotations

import itertools
import json
import struct
from datetime import UTC, datetime
from typing import Any

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"


def execute_request(msg_id: str, session: str, source: str, cell_id: str) -> bytes:
    """Pack a cell the way JupyterLab sends it."""
    header = {
        "date": datetime.now(UTC).isoformat(),
        "msg_id": msg_id,
        "msg_type": "execute_request",
        "session": session,
        "username": "",
        "version": "5.2",
    }
    metadata = {"trusted": True, "deletedCells": [], "recordTiming": False, "cellId": cell_id}
    content = {
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": True,
        "stop_on_error": True,
        "code": source,
    }
    parts = [b"shell", *(json.dumps(part).encode() for part in (header, {}, metadata, content))]
    offsets = list(itertools.accumulate((len(p) for p in parts), initial=8 * (len(parts) + 2)))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def unpack(message: bytes) -> tuple[str, dict[str, Any], dict[str, Any], bytes]:
    """Return channel, header, parent header and raw content."""
    (count,) = struct.unpack_from("<Q", message)
    at = struct.unpack_from(f"<{count}Q", message, 8)
    channel, header, parent = (message[at[i] : at[i + 1]] for i in range(3))
    return channel.decode(), json.loads(header), json.loads(parent), message[at[4] : at[5]]


def ends_cell(message: str | bytes | None, msg_id: str) -> bool:
    """Whether this is one of the two messages after which a cell is over."""
    if not isinstance(message, bytes):
        raise ConnectionError("The websocket was closed.")
    channel, header, parent, content = unpack(message)
    if parent.get("msg_id") != msg_id:
        return False
    if channel == "shell":
        return bool(header["msg_type"] == "execute_reply")
    return header["msg_type"] == "status" and json.loads(content)["execution_state"] == "idle"
