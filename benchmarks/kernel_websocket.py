"""A kernel's websocket as JupyterLab uses it; as much of protocol v1 as is needed."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from notebook_server import TOKEN, NotebookServer
from tornado.httpclient import HTTPRequest
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    websocket_connect,
)

CONNECT_SECONDS = 60.0  # on a busy machine a kernel takes long to answer
SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"


class OpenNotebook:
    """A notebook in a browser tab: a session, its kernel and the websocket."""

    _socket: WebSocketClientConnection | None = None

    def __init__(self, server: NotebookServer, kernel_id: str) -> None:
        self.kernel_id = kernel_id
        self._server = server
        self._session = ""

    @classmethod
    async def open(cls, server: NotebookServer, name: str) -> OpenNotebook:
        asked = {"path": name, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        created = await asyncio.to_thread(server.call, "POST", "api/sessions", asked)
        notebook = cls(server, created["kernel"]["id"])
        await notebook.connect()
        return notebook

    async def connect(self) -> None:
        """Open the websocket, or another one as a page that is loaded again does."""
        self.close()  # nobody would read it, and the server would keep what it could not send
        # A new session: for a known one the server replays what it has kept.
        self._session = uuid4().hex
        request = HTTPRequest(
            f"ws://{self._server.address}/api/kernels/{self.kernel_id}/channels"
            f"?session_id={self._session}",
            headers={"Authorization": f"token {TOKEN}"},
            request_timeout=CONNECT_SECONDS,
        )
        self._socket = await websocket_connect(request, subprotocols=[SUBPROTOCOL])

    async def run(
        self, source: str, cell_id: str, on_reply: Callable[[], object] = lambda: None
    ) -> None:
        """Run a cell until reply and idle status are there; `on_reply` hears of the reply.

        Raises:
            ConnectionError: the server went away.
        """
        msg_id = uuid4().hex
        request = execute_request(msg_id, self._session, source, cell_id)
        if self._socket is None:
            raise ConnectionError("The websocket is not open.")
        try:
            await self._socket.write_message(request, binary=True)
        except WebSocketClosedError:
            raise ConnectionError("The websocket was closed.") from None
        missing = {"shell", "iopub"}
        while missing:
            ended = ended_on(await self._socket.read_message(), msg_id)
            if ended == "shell":
                on_reply()
            missing.discard(ended or "")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


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


def ended_on(message: str | bytes | None, msg_id: str) -> str | None:
    """Return the channel of a message that ends a cell: its reply, or its idle status."""
    if not isinstance(message, bytes):
        raise ConnectionError("The websocket was closed.")
    channel, header, parent, content = unpack(message)
    if parent.get("msg_id") != msg_id:
        return None
    if channel == "shell":
        return channel if header["msg_type"] == "execute_reply" else None
    idle = header["msg_type"] == "status" and json.loads(content)["execution_state"] == "idle"
    return channel if idle else None
