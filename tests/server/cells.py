"""Clients as browsers are: they run cells over a kernel's websocket."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tornado.websocket import WebSocketClientConnection

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
DEADLINE_SECONDS = 30.0


async def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Wait for a condition and return its value; fail when it never comes true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.02)
    return value


def pack_v1(channel: str, header: Any, metadata: Any, content: Any) -> bytes:
    parts = [channel.encode()]
    parts += [json.dumps(part).encode() for part in (header, {}, metadata, content)]
    start = 8 * (len(parts) + 2)
    offsets = [start]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def unpack_v1(message: bytes) -> tuple[str, list[dict[str, Any]]]:
    (count,) = struct.unpack_from("<Q", message)
    offsets = struct.unpack_from(f"<{count}Q", message, 8)
    parts = [message[start:end] for start, end in itertools.pairwise(offsets)]
    return parts[0].decode(), [json.loads(part) for part in parts[1:5]]


class Browser:
    """One open tab: sends cells, hears what the kernel says about them."""

    def __init__(self, socket: WebSocketClientConnection, session: str) -> None:
        self.socket = socket
        self.session = session
        self.heard: list[tuple[str, str, dict[str, Any]]] = []  # parent, type, content
        self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        while (message := await self.socket.read_message()) is not None:
            channel, header, parent, content = self.unpack(message)
            if channel in ("iopub", "shell"):
                self.heard.append((parent.get("msg_id", ""), header["msg_type"], content))

    def send(
        self,
        code: str,
        cell_id: str | None = None,
        msg_id: str | None = None,
        msg_type: str = "execute_request",
        subshell: str | None = None,
        **content: Any,
    ) -> str:
        """Send a cell as JupyterLab does; return the msg_id."""
        msg_id = msg_id or uuid4().hex
        header = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "session": self.session,
            "username": "",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.4",
        }
        if subshell is not None:
            header["subshell_id"] = subshell
        request = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
            **content,
        }
        metadata = {"deletedCells": [], "recordTiming": False}
        if cell_id is not None:
            metadata["cellId"] = cell_id
        self.write(self.pack("shell", header, metadata, request))
        return msg_id

    def write(self, message: bytes | str) -> None:
        binary = isinstance(message, bytes)
        asyncio.ensure_future(self.socket.write_message(message, binary=binary))  # noqa: RUF006

    @staticmethod
    def pack(channel: str, header: Any, metadata: Any, content: Any) -> bytes | str:
        return pack_v1(channel, header, metadata, content)

    @staticmethod
    def unpack(message: bytes | str) -> tuple[str, Any, Any, Any]:
        """Return channel, header, parent header and content."""
        assert isinstance(message, bytes)
        channel, (header, parent, _, content) = unpack_v1(message)
        return channel, header, parent, content

    def said(self, msg_id: str, msg_type: str) -> list[dict[str, Any]]:
        return [
            content for parent, kind, content in self.heard if parent == msg_id and kind == msg_type
        ]

    def is_idle(self, msg_id: str) -> bool:
        return any(c["execution_state"] == "idle" for c in self.said(msg_id, "status"))

    async def done(self, msg_id: str) -> str:
        """Wait until the kernel is idle again after this request."""
        await until(lambda: self.is_idle(msg_id), f"the end of {msg_id}")
        return msg_id

    async def running(self, msg_id: str) -> str:
        """Wait until the kernel has taken the cell up."""
        await until(lambda: self.said(msg_id, "execute_input"), f"the start of {msg_id}")
        return msg_id

    async def run(self, code: str, **options: Any) -> str:
        return await self.done(self.send(code, **options))

    async def close(self) -> None:
        self.socket.close()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)


class LegacyBrowser(Browser):
    """A tab that speaks the older protocol, as all do to kernels behind a gateway."""

    @staticmethod
    def pack(channel: str, header: Any, metadata: Any, content: Any) -> str:
        message = {
            "header": header,
            "parent_header": {},
            "metadata": metadata,
            "content": content,
            "buffers": [],
            "channel": channel,
        }
        return json.dumps(message)

    @staticmethod
    def unpack(message: bytes | str) -> tuple[str, Any, Any, Any]:
        fields = json.loads(message)
        return fields["channel"], fields["header"], fields["parent_header"], fields["content"]


async def open_browser(
    fetch: Callable[..., Awaitable[WebSocketClientConnection]],
    kernel_id: str,
    browser: type[Browser] = Browser,
) -> Browser:
    """Open a kernel's websocket as a new tab does."""
    session = uuid4().hex
    socket = await fetch(
        "api",
        "kernels",
        kernel_id,
        "channels",
        params={"session_id": session},
        subprotocols=[SUBPROTOCOL],
    )
    return browser(socket, session)
