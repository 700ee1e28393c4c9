"""Watches what browsers send to kernels, and takes the delay out of the answer.

The connection class that the server uses, whichever it is, gets a subclass; the
original does all the work, and nothing here can make it fail. Messages are put aside as
they pass, and read together with what the kernel publishes (see gathering.py).
"""

from __future__ import annotations

import json
import logging
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from jupyter_server.gateway.connections import GatewayWebSocketConnection

from blackroad_nb.core.witness import EXECUTE, Requested, storable
from blackroad_nb.server.answers import share
from blackroad_nb.server.iopub_source import Frames

_log = logging.getLogger(__name__)

SETTING = "kernel_websocket_connection_class"
CELL_ID_LIMIT = 500  # characters; some clients send a URI as the cell's id
_SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
_EXECUTE_BYTES = EXECUTE.encode()
# Number of offsets, then where channel, header, parent, metadata and content begin,
# and where content ends. Source: jupyter_server's websocket protocol v1.
_OFFSETS = struct.Struct("<7Q")

Who = tuple[str | None, str | None]


class Sent(NamedTuple):
    """A message that a websocket carries to a kernel, not read yet.

    `v1` tells which protocol it speaks (a closed websocket does not), `at` when it came
    (monotonic seconds).
    """

    connection: WatchedConnection
    message: Any
    v1: bool
    at: float


class Watcher(Protocol):
    """What a watched connection tells."""

    def on_sent(self, kernel_id: str, sent: Sent) -> None: ...

    def on_answer(self, kernel_id: str, frames: Frames) -> None: ...

    def on_relay(self, kernel_id: str, connection: Any) -> None: ...

    def on_relayed(self, kernel_id: str, message: Any) -> None: ...

    def on_fault(self, where: str, error: Exception) -> None: ...


class PromptConnection:
    """Mixed into the server's own connection class: answers leave at once."""

    def connect(self) -> Any:
        try:
            # Nagle's algorithm and delayed ACKs cost 40 ms a cell.
            self.websocket_handler.set_nodelay(True)  # type: ignore[attr-defined]
        except Exception as error:  # a slow websocket still works
            _log.warning("The delay of a kernel's websocket cannot be taken out: %s", error)
        return super().connect()  # type: ignore[misc]


class WatchedConnection:
    """Mixed into the server's own connection class: what passes is told to `_watcher`."""

    _watcher: Watcher
    _who: Who | None = None

    def connect(self) -> Any:
        connected = super().connect()  # type: ignore[misc]
        # Runs after the original has put its own callbacks on the streams.
        if hasattr(connected, "add_done_callback"):
            connected.add_done_callback(lambda _: self._hear_answers())
        return connected

    def _hear_answers(self) -> None:
        """Answers pass one stream of four, once a cell: only there it costs anything."""
        watcher, kernel_id = self._watcher, self.kernel_id  # type: ignore[attr-defined]
        try:
            stream = getattr(self, "channels", {}).get("shell")
            if stream is not None:
                share(stream, lambda frames: watcher.on_answer(kernel_id, frames))
        except Exception as error:  # the connection works; only the record suffers
            watcher.on_fault("websocket", error)

    def handle_incoming_message(self, incoming_msg: Any) -> Any:
        answer = super().handle_incoming_message(incoming_msg)  # type: ignore[misc]
        try:
            self._watch(incoming_msg)
        except Exception as error:  # the request is on its way; only the record suffers
            self._watcher.on_fault("websocket", error)
        return answer

    def _watch(self, message: Any) -> None:
        v1 = getattr(self, "subprotocol", None) == _SUBPROTOCOL
        sent = Sent(self, message, v1, time.monotonic())
        self._watcher.on_sent(self.kernel_id, sent)  # type: ignore[attr-defined]


class RelayedConnection(WatchedConnection):
    """The same for kernels behind a gateway: what comes back is told as well."""

    ws: Any
    disconnected: bool

    @property
    def live(self) -> bool:
        """Whether messages pass to the gateway and back."""
        protocol = getattr(self.ws, "protocol", None)
        return not self.disconnected and protocol is not None and not protocol.is_closing()

    def connect(self) -> Any:
        try:
            self._watcher.on_relay(self.kernel_id, self)  # type: ignore[attr-defined]
        except Exception as error:  # the connection works; only the record suffers
            self._watcher.on_fault("websocket", error)
        return super().connect()

    def _watch(self, message: Any) -> None:
        # Before the gateway is reached, a request is kept and handed in once more;
        # after that it is lost.
        if self.live:
            super()._watch(message)

    def handle_outgoing_message(self, incoming_msg: Any, *args: Any) -> Any:
        answer = super().handle_outgoing_message(incoming_msg, *args)  # type: ignore[misc]
        try:
            self._watcher.on_relayed(self.kernel_id, incoming_msg)  # type: ignore[attr-defined]
        except Exception as error:  # the message is on its way; only the record suffers
            self._watcher.on_fault("websocket", error)
        return answer


def improved(base: type, watcher: Watcher | None, nodelay: bool) -> type:
    """Return a subclass of the server's connection class with what is asked for."""
    mixins: tuple[type, ...] = (PromptConnection,) if nodelay else ()
    members: dict[str, Any] = {"__module__": __name__}
    if watcher is not None:
        relayed = issubclass(base, GatewayWebSocketConnection)
        mixins = (RelayedConnection if relayed else WatchedConnection, *mixins)
        members["_watcher"] = watcher
    if not mixins:
        return base
    return type(base)(f"Watched{base.__name__}", (*mixins, base), members)


def read_request(sent: Sent, identify: Callable[[Any], Who]) -> Requested | None:
    """Read a message; None when it is no execute_request.

    Args:
        identify: returns the user behind a websocket's handler and where the name comes from.

    Raises:
        ValueError, TypeError, KeyError, struct.error: the message is malformed.
    """
    connection = sent.connection
    found = read_v1(sent.message) if sent.v1 else read_legacy(sent.message)
    if found is None:
        return None
    if connection._who is None:
        connection._who = identify(connection.websocket_handler)  # type: ignore[attr-defined]
    msg_id, cell_id, content = found
    return Requested(msg_id, content, cell_id, *connection._who)


Found = tuple[str, str | None, bytes | str]


def read_v1(message: bytes) -> Found | None:
    """Read msg_id, cell id and content of an execute_request; None for anything else.

    Raises:
        ValueError, TypeError, KeyError, struct.error: the message is malformed.
    """
    _, _, header_at, parent_at, metadata_at, content_at, end = _OFFSETS.unpack_from(message)
    header = message[header_at:parent_at]
    if _EXECUTE_BYTES not in header:
        return None
    fields = json.loads(header)
    if fields["msg_type"] != EXECUTE:
        return None
    metadata = message[metadata_at:content_at]
    cell_id = _cell_id(json.loads(metadata)) if b'"cellId"' in metadata else None
    return storable(fields["msg_id"]), cell_id, message[content_at:end]


def read_legacy(message: str | bytes) -> Found | None:
    """The same for the older protocol: one JSON text, or one with buffers behind."""
    if isinstance(message, bytes):
        count, start = struct.unpack_from("!2I", message)
        end = struct.unpack_from("!I", message, 8)[0] if count > 1 else len(message)
        message = message[start:end].decode("utf-8")
    if EXECUTE not in message:
        return None
    fields = json.loads(message)
    if fields["header"]["msg_type"] != EXECUTE:
        return None
    cell_id = _cell_id(fields.get("metadata"))
    return storable(fields["header"]["msg_id"]), cell_id, json.dumps(fields["content"])


def _cell_id(metadata: Any) -> str | None:
    cell_id = metadata.get("cellId") if isinstance(metadata, dict) else None
    return storable(cell_id)[:CELL_ID_LIMIT] if isinstance(cell_id, str) else None
