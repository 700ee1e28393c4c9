"""Listens to one kernel's IOPub channel, whoever its clients are.

The socket is drained in bursts: after the first message of a burst we wait a few
milliseconds and then read all that came, because waking the event loop costs more
than reading. The kernel's own time stamps keep the times exact meanwhile.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import zmq
from jupyter_client.session import Session
from tornado.ioloop import IOLoop

from blackroad_nb.core.witness import Busy, Event, Failed, Idle, Input, error_text

BURST_SECONDS = 0.01  # how long a burst may gather
BURST_MESSAGES = 500  # read at once before others get their turn
CLOSING_BURSTS = 100  # of these when the tap closes
RECONNECT_MS = 10  # zmq's own 100 ms would miss the first cell of a fresh kernel
RECEIVE_LIMIT = 100_000  # messages zmq may hold for us; the kernel drops what is beyond

_DELIMITER = b"<IDS|MSG>"
# A JSON string cannot hold an unescaped quote, so these match header fields only.
_TYPE = re.compile(rb'"msg_type":\s*"(status|execute_input|error)"')
_DATE = re.compile(rb'"date":\s*"([^"\\]{1,40})"')
_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_LARGEST_COUNT = 2**53


class MessageReader:
    """Turns IOPub frames into tracker events; what is of no interest gives None.

    Raises ValueError, TypeError, KeyError or RecursionError for malformed messages.

    Args:
        session: checks the signature of messages whose content is recorded.
        is_closing: tells whether the kernel is being shut down at this moment.
    """

    def __init__(self, session: Session, is_closing: Callable[[], bool]) -> None:
        self._session = session
        self._is_closing = is_closing
        self._parent_raw = b""
        self._parent: dict[str, Any] = {}

    def read(self, frames: list[bytes]) -> Event | None:
        start = 1 if len(frames) > 1 and frames[1] == _DELIMITER else frames.index(_DELIMITER)
        header = frames[start + 2]
        found = _TYPE.search(header)
        if found is None:
            return None
        parent = self._read_parent(frames[start + 3])
        msg_id = parent.get("msg_id")
        if msg_id is None:  # status `starting` and the like have no parent
            return None
        if not isinstance(msg_id, str):
            raise TypeError("The parent's msg_id is not text.")
        kind, content = found.group(1), frames[start + 5]
        if kind == b"status":
            return _status(msg_id, parent, header, content)
        self._check_signature(frames, start)
        fields = json.loads(content)
        if kind == b"error":
            return Failed(msg_id, _error(fields), self._is_closing())
        return Input(
            msg_id,
            storable(fields["code"]),
            _count(fields.get("execution_count")),
            parent.get("subshell_id"),
            _sent(header),
        )

    def _read_parent(self, raw: bytes) -> dict[str, Any]:
        """All messages of one cell carry the same parent: parse it once."""
        if raw != self._parent_raw:
            parent = json.loads(raw)
            if not isinstance(parent, dict):
                raise TypeError("The parent header is not an object.")
            if isinstance(parent.get("msg_id"), str):
                parent["msg_id"] = storable(parent["msg_id"])
            self._parent, self._parent_raw = parent, raw
        return self._parent

    def _check_signature(self, frames: list[bytes], start: int) -> None:
        session = self._session
        if session.auth is None:
            return
        if frames[start + 1] != session.sign(frames[start + 2 : start + 6]):
            raise ValueError("The message is not signed by this kernel.")


class IopubTap:
    """Reads a kernel's IOPub channel until it is closed.

    Args:
        kernel: the server's manager of this kernel.
        on_events: gets the events of a burst in order; must not raise.
        on_malformed: is told of each message that could not be read.
    """

    def __init__(
        self,
        kernel: Any,
        on_events: Callable[[list[Event]], None],
        on_malformed: Callable[[Exception], None],
    ) -> None:
        self._on_events = on_events
        self._on_malformed = on_malformed
        self._loop = IOLoop.current()
        self._timer: object | None = None
        session = Session(key=kernel.session.key, signature_scheme=kernel.session.signature_scheme)
        self._reader = MessageReader(session, lambda: bool(getattr(kernel, "shutting_down", False)))
        self._socket = _connect(kernel)
        self._fd = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_handler(self._fd, self._on_readable, IOLoop.READ)
        self._on_readable()

    def drain(self) -> bool:
        """Read what has arrived, a bounded number; True when nothing is left."""
        receive, read = self._socket.recv_multipart, self._reader.read
        events: list[Event] = []
        empty = False
        for _ in range(BURST_MESSAGES):
            try:
                frames = receive(zmq.NOBLOCK)
            except zmq.Again:
                empty = True
                break
            try:
                event = read(frames)
            except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
                self._on_malformed(error)
                continue
            if event is not None:
                events.append(event)
        if events:
            self._on_events(events)
        return empty

    def close(self) -> None:
        """Read the rest and let go of the socket."""
        if self._socket.closed:
            return
        if self._timer is not None:
            self._loop.remove_timeout(self._timer)
        for _ in range(CLOSING_BURSTS):
            if self.drain():
                break
        self._loop.remove_handler(self._fd)
        self._socket.close(linger=0)

    def _on_readable(self, *_: object) -> None:
        # zmq signals a burst once: asking for the events takes the signal back, and
        # the next comes only after the queue was read to its end.
        if self._timer is None and int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._timer = self._loop.call_later(BURST_SECONDS, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._socket.closed and not self.drain():
            self._timer = self._loop.call_later(0, self._on_timer)


def storable(text: object) -> str:
    """Return text that a database takes: lone surrogates become question marks."""
    if not isinstance(text, str):
        raise TypeError("A field that must be text is not.")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


def _connect(kernel: Any) -> zmq.Socket[bytes]:
    """Connect as other clients do, but come back faster and hold more."""
    stream = kernel.connect_iopub()
    if hasattr(stream, "io_loop"):  # a stream would read one message a wake-up
        socket: zmq.Socket[bytes] = stream.socket
        stream.io_loop.remove_handler(socket)
    else:
        socket = zmq.Socket.shadow(stream.underlying)
    address = bytes(socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
    socket.disconnect(address)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
    socket.connect(address)
    return socket


def _status(msg_id: str, parent: dict[str, Any], header: bytes, content: bytes) -> Event | None:
    state = json.loads(content)["execution_state"]
    if state == "idle":
        return Idle(msg_id, _sent(header))
    if state == "busy":
        return Busy(msg_id, parent["msg_type"], parent.get("subshell_id"), _sent(header))
    return None


def _sent(header: bytes) -> datetime | None:
    found = _DATE.search(header)
    if found is None:
        return None
    try:
        sent = datetime.fromisoformat(found.group(1).decode("ascii"))
    except ValueError:
        return None
    return sent if sent.tzinfo is not None else None


def _count(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT
    return value if fits else None  # type: ignore[return-value]


def _error(fields: dict[str, Any]) -> str:
    traceback = fields.get("traceback")
    lines = [str(line) for line in traceback] if isinstance(traceback, list) else []
    text = error_text(str(fields.get("ename", "Error")), str(fields.get("evalue", "")), lines)
    return storable(_COLOURS.sub("", text))
