"""Listens to one kernel's IOPub channel, whoever its clients are.

Jupyter Server has such a listener of its own, which notes the kernel's activity. We
share its socket where we can: a second one costs the server 5 % of a cell. Messages
are put aside as they come and read some time later, all at once (see gathering.py);
the kernel's own time stamps keep the times exact meanwhile.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from typing import Any, Generic, Protocol, TypeVar

from jupyter_client.session import Session

from blackroad_nb.core.witness import Busy, Event, Failed, Idle, Input, error_text, storable
from blackroad_nb.server.gathering import READ_AT_ONCE, Tap
from blackroad_nb.server.iopub_source import DELIMITER, Source

CLOSING_READS = 1000  # of READ_AT_ONCE messages, when the tap closes

# A JSON string cannot hold an unescaped quote, so these match fields of a header only.
_INTERESTING = re.compile(rb'"msg_type":\s*"(status|execute_input|error)"')
_DATE = re.compile(rb'"date":\s*"([^"\\]{1,40})"')
_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_LARGEST_COUNT = 2**53
# Nearly every status message is one of these, letter by letter.
_STATES = {b'{"execution_state": "%b"}' % state: state.decode() for state in (b"busy", b"idle")}


class MessageReader:
    """Turns a kernel's IOPub frames into events; what is of no interest gives None.

    `read` raises ValueError, TypeError, KeyError, IndexError or RecursionError for
    malformed messages.

    Args:
        kernel: the server's manager of the kernel; its key checks the signature of
            messages whose content is recorded.
    """

    def __init__(self, kernel: Any) -> None:
        known = kernel.session
        self._kernel = kernel
        self._session = Session(key=known.key, signature_scheme=known.signature_scheme)
        self._parent_raw = b""
        self._parent: dict[str, Any] = {}

    def read(self, frames: list[bytes]) -> Event | None:
        start = 1 if frames[1] == DELIMITER else frames.index(DELIMITER)
        header = frames[start + 2]
        found = _INTERESTING.search(header)
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
            closing = getattr(self._kernel, "shutting_down", False)
            return Failed(msg_id, failure_text(fields), closing)
        return Input(
            msg_id,
            storable(fields["code"]),
            execution_count(fields.get("execution_count")),
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
        if not compare_digest(frames[start + 1], session.sign(frames[start + 2 : start + 6])):
            raise ValueError("The message is not signed by this kernel.")


Message = TypeVar("Message")
Message_contra = TypeVar("Message_contra", contravariant=True)


class Reader(Protocol[Message_contra]):
    """Makes events of a source's messages; None for what is of no interest."""

    def read(self, message: Message_contra, /) -> Event | None: ...


class IopubTap(Generic[Message]):
    """Reads a kernel's IOPub channel until it is closed.

    Args:
        source: where the kernel's messages come from.
        reader: makes events of them.
        on_events: gets the events of a burst in order; must not raise.
        on_malformed: is told of each message that could not be read.
        on_waiting: is told that there is something to drain.
    """

    def __init__(
        self,
        source: Source[Message],
        reader: Reader[Message],
        on_events: Callable[[list[Event]], None],
        on_malformed: Callable[[Exception], None],
        on_waiting: Callable[[Tap], None],
    ) -> None:
        self._source = source
        self._reader = reader
        self._on_events = on_events
        self._on_malformed = on_malformed
        source.open(lambda: on_waiting(self))

    @property
    def open(self) -> bool:
        """Whether messages can still come."""
        return self._source.is_open()

    def drain(self) -> int:
        """Read what has arrived, READ_AT_ONCE messages at most; returns how many."""
        read = self._reader.read
        events: list[Event] = []
        taken = self._source.take(READ_AT_ONCE)
        for message in taken:
            try:
                event = read(message)
            except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
                self._on_malformed(error)
                continue
            if event is not None:
                events.append(event)
        if events:
            self._on_events(events)
        return len(taken)

    def close(self) -> None:
        """Read the rest and let go of the source."""
        for _ in range(CLOSING_READS):
            if self.drain() < READ_AT_ONCE:
                break
        self._source.close()


def _status(msg_id: str, parent: dict[str, Any], header: bytes, content: bytes) -> Event | None:
    state = _STATES.get(content) or json.loads(content)["execution_state"]
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


def execution_count(value: object) -> int | None:
    """Return a count that a database takes; None for anything else."""
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT
    return value if fits else None  # type: ignore[return-value]


def failure_text(fields: Any) -> str:
    """Say the error in a message's content as the history keeps it.

    Raises:
        TypeError: the content is no object.
    """
    if not isinstance(fields, dict):
        raise TypeError("The content of an error is not an object.")
    traceback = fields.get("traceback")
    lines = [str(line) for line in traceback] if isinstance(traceback, list) else []
    text = error_text(str(fields.get("ename", "Error")), str(fields.get("evalue", "")), lines)
    return storable(_COLOURS.sub("", text))
