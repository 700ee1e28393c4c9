"""Where a kernel's IOPub messages come from: the server's own socket, or one of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import zmq
from tornado.ioloop import IOLoop

RECONNECT_MS = 10  # zmq's own 100 ms may miss the first cell of a fresh kernel
RECEIVE_LIMIT = 100_000  # messages zmq may hold for us; the kernel drops what is beyond
DELIMITER = b"<IDS|MSG>"
NOTE_SECONDS = 1.0  # how often plain output is noted as activity
# The one callback whose work is known to be no more than noting activity.
_NOTES_ACTIVITY = "MappingKernelManager.start_watching_activity.<locals>.record_activity"

Frames = list[bytes]
Message_co = TypeVar("Message_co", covariant=True)


class Source(Protocol[Message_co]):
    """Messages in the order they came."""

    def open(self, wake: Callable[[], None]) -> None:
        """Begin; `wake` is called when there is something to take."""
        ...

    def take(self, most: int) -> Sequence[Message_co]: ...

    def is_open(self) -> bool: ...

    def close(self) -> None: ...


def source_of(kernel: Any, sparing: bool = True) -> Source[Frames]:
    """Choose the cheapest source there is for this kernel; see `SharedSource`."""
    stream = activity_stream(kernel)
    return SharedSource(stream, sparing) if stream is not None else OwnSource(kernel)


def activity_stream(kernel: Any) -> Any | None:
    """Return the stream on which the server notes activity, when it can be shared."""
    stream = getattr(kernel, "_activity_stream", None)
    if stream is None or stream.closed() or not callable(getattr(stream, "_recv_callback", None)):
        return None
    # After an automatic restart on other ports the server listens to the old ones.
    address = _address(stream.socket)
    return stream if address.endswith(f"{kernel.iopub_port}") else None


class SharedSource:
    """Hears what the server's activity stream hears.

    Noting activity costs the server 40 us a message, more than all our own reading.
    Messages that could only repeat within a second that a kernel is active are not
    handed on; each status message is, so states and idle times stay as they were.
    With `sparing` off everything is handed on.
    """

    def __init__(self, stream: Any, sparing: bool = True) -> None:
        self._stream = stream
        self._original: Callable[[Frames], Any] = stream._recv_callback
        known = getattr(self._original, "__qualname__", "") == _NOTES_ACTIVITY
        self._sparing = sparing and known
        self._noted_at = 0.0
        self._kept: list[Frames] = []
        self._wake: Callable[[], None] | None = None

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._stream.on_recv(self._hear)

    def _hear(self, frames: Frames) -> Any:
        if self._wake is not None and _may_matter(frames):
            self._kept.append(frames)
            if len(self._kept) == 1:
                self._wake()
        if self._sparing and len(frames) > 3 and b'"status"' not in frames[3]:
            now = time.monotonic()
            if now - self._noted_at < NOTE_SECONDS:
                return None
            self._noted_at = now
        return self._original(frames)

    def take(self, most: int) -> list[Frames]:
        kept = self._kept
        self._kept = kept[most:]
        return kept[:most]

    def is_open(self) -> bool:
        return not self._stream.closed()

    def close(self) -> None:
        self._wake = None
        if not self._stream.closed() and self._stream._recv_callback == self._hear:
            self._stream.on_recv(self._original)


def _may_matter(frames: Frames) -> bool:
    """Leave out what tells nothing of a cell's way, such as outputs, which can be large."""
    if len(frames) < 4 or frames[1] != DELIMITER:
        return True  # whoever reads it finds the header
    header = frames[3]
    return b'"status"' in header or b'"execute_input"' in header or b'"error"' in header


class OwnSource:
    """A subscription of our own, for kernel managers that do not note activity."""

    def __init__(self, kernel: Any) -> None:
        self._socket = _connect(kernel)
        self._fd = int(self._socket.getsockopt(zmq.FD))
        self._loop = IOLoop.current()
        self._wake: Callable[[], None] | None = None

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop.add_handler(self._fd, self._on_readable, IOLoop.READ)
        self._on_readable()

    def _on_readable(self, *_: object) -> None:
        # zmq signals a burst once: asking for the events takes the signal back, and
        # the next comes only after the queue was read to its end.
        if int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN and self._wake is not None:
            self._wake()

    def take(self, most: int) -> list[Frames]:
        taken: list[Frames] = []
        try:
            while len(taken) < most:
                taken.append(self._socket.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            pass
        return taken

    def is_open(self) -> bool:
        return not self._socket.closed

    def close(self) -> None:
        if not self._socket.closed:
            self._loop.remove_handler(self._fd)
            self._socket.close(linger=0)


def _connect(kernel: Any) -> zmq.Socket[bytes]:
    """Connect as other clients do, but come back faster and hold more."""
    stream = kernel.connect_iopub()
    if hasattr(stream, "io_loop"):  # a stream would wake the loop for each message
        socket: zmq.Socket[bytes] = stream.socket
        stream.io_loop.remove_handler(socket)
    else:
        socket = zmq.Socket.shadow(stream.underlying)
    quicken(socket)
    return socket


def quicken(socket: zmq.Socket[bytes]) -> None:
    """Let a socket hold more and, as long as it has heard nothing, connect sooner.

    One that has a message is connected, and must stay so: asked for events, zmq takes the
    first part of a message out of the connection, and when the other parts are gone with it,
    zmq ends the process (`!_more` in its fq.cpp). To ask takes the sign of the message away;
    whoever waits for that sign has to look for messages afterwards.
    """
    socket.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    if int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
        return
    address = _address(socket)
    socket.disconnect(address)
    socket.connect(address)


def _address(socket: zmq.Socket[bytes]) -> str:
    return bytes(socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
