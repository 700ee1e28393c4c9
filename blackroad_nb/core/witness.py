"""What can be seen of a kernel at work: frozen events, made by the server's taps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

EXECUTE = "execute_request"
SHUTDOWN = "shutdown_request"


class Moment(NamedTuple):
    """Now: `wall` (aware UTC) places an event, `monotonic` (seconds) measures."""

    wall: datetime
    monotonic: float


class Requested(NamedTuple):
    """A websocket carried an execute_request to the kernel.

    `content` is the request's content as JSON text; it is read only when the
    kernel does not repeat the source itself.
    """

    msg_id: str
    content: bytes | str
    cell_id: str | None = None
    user: str | None = None
    user_source: str | None = None


class Busy(NamedTuple):
    """The kernel took up a request. `sent` is the kernel's own time stamp."""

    msg_id: str
    msg_type: str = EXECUTE
    subshell: str | None = None
    sent: datetime | None = None


class Input(NamedTuple):
    """The kernel repeats the source it is about to run."""

    msg_id: str
    source: str
    execution_count: int | None = None
    subshell: str | None = None
    sent: datetime | None = None


class Failed(NamedTuple):
    """The kernel reports an error; `closing` when it is being shut down just now."""

    msg_id: str
    error: str
    closing: bool = False


class Idle(NamedTuple):
    """The kernel has done with a request."""

    msg_id: str
    sent: datetime | None = None


class Answered(NamedTuple):
    """An answer can be asked for now."""

    msg_id: str


class Answer(NamedTuple):
    """What the kernel replied to the client: `status` is ok, error or aborted.

    Only the reply tells how a request ended: a cell may publish an error, with `%tb`
    for one, and still end well.
    """

    status: str
    error: str | None = None


class Ending(StrEnum):
    """Why a kernel's requests come to an end."""

    DIED = "died"
    RESTARTED = "restarted"
    SHUT_DOWN = "shut_down"
    SERVER_STOPPED = "server_stopped"


class KernelEnded(NamedTuple):
    """The kernel process is gone, or the server that watches it stops.

    `cause` says more when more is known, as one sentence.
    """

    ending: Ending
    cause: str | None = None


Event = Requested | Busy | Input | Failed | Idle | Answered | KernelEnded


def error_text(name: str, value: str, traceback: Iterable[str]) -> str:
    """Say an error as the history keeps it: `Name: value`, then the traceback."""
    head = ": ".join(part for part in (name, value) if part)
    lines = "\n".join(traceback)
    return f"{head}\n{lines}" if lines else head


def storable(text: object) -> str:
    """Return text that a database takes: lone surrogates become question marks."""
    if not isinstance(text, str):
        raise TypeError("A field that must be text is not.")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()
