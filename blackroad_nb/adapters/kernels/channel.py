"""The sockets of one kernel client: sent and read so that nothing is overslept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.session import new_id

RECONNECT_MS = 5  # zmq's own 100 ms is half of a kernel's start
# Messages zmq may hold for us; what a kernel sends beyond its own thousand is lost.
RECEIVE_LIMIT = 10_000
SLICE_SECONDS = 0.005  # reading this long without a pause for the event loop
_LARGE = 1_000_000  # bytes; only larger parts are worth not copying

log = logging.getLogger(__name__)


def client_context() -> zmq.asyncio.Context:
    """Return a context whose sockets connect quickly and hold what comes in a burst."""
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    context.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
    return context


class ShellChannel(AsyncZMQSocketChannel):
    """Sends in the way that zmq's asyncio sockets know of.

    jupyter_client's own `send` goes past them. zmq tells of a message once only, and a
    send may take that sign away: the reader would then never wake up.
    Source: ZMQ_FD in http://api.zeromq.org/master:zmq-getsockopt
    """

    def send(self, msg: dict[str, Any]) -> None:
        self.socket.send_multipart(self.session.serialize(msg))


async def read_on(channel: Any, take: Callable[[list[Any]], None]) -> None:
    """Read a channel for ever; what comes quickly is read in batches, with pauses.

    Args:
        take: gets the parts of each message after its delimiter; of large ones, views.
    """
    queue: zmq.Socket[bytes] = zmq.Socket.shadow(channel.socket.underlying)
    while True:
        frames = await channel.socket.recv_multipart(copy=False)
        until = monotonic() + SLICE_SECONDS
        while True:
            try:
                take(channel.session.feed_identities(_parts(frames))[1])
            except Exception:  # one bad message must not make the kernel deaf
                log.warning("a message of a kernel was ignored", exc_info=True)
            if monotonic() > until:
                await asyncio.sleep(0)
                until = monotonic() + SLICE_SECONDS
            try:
                frames = queue.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break


def fresh_session(session: Any) -> Any:
    """Copy a kernel manager's session under an identity of its own.

    Two clients with one identity would take each other's replies.
    """
    own = session.clone()
    own.session = new_id()
    return own


def _parts(frames: list[Any]) -> list[Any]:
    """Return the parts of a message; a large one stays where zmq has put it."""
    return [frame.bytes if len(frame) < _LARGE else frame.buffer for frame in frames]
