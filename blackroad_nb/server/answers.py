"""The kernels' answers to execute requests, kept for a moment and read only when needed.

Nearly every cell's end is known once it is known that there was an answer. A cell that
published an error is in doubt (`%tb` publishes one and ends well), and then the answer
itself is looked up here.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from blackroad_nb.core.witness import Answer
from blackroad_nb.server.iopub_source import DELIMITER, Frames

KEPT = 512  # answers of one kernel; they are read up to half a second after they passed
REMEMBERED = 4096  # requests of which it is known that they were answered
LARGEST = 16 * 1024  # bytes of an answer that is kept; larger ones carry a pager's text
UNREAD = 100  # answers that may wait to be read
BUFFERED = 1000  # newest messages for a closed tab that are looked through


_ANSWERS_TO = re.compile(rb'"msg_id":\s*"([^"\\]{1,200})"')


class Answers:
    """The newest messages of one kernel's shell channels.

    Args:
        buffered: returns what the server keeps for a tab that was closed, newest first.
    """

    def __init__(self, buffered: Callable[[], Iterable[Frames]] = tuple) -> None:
        self._kept: deque[Frames] = deque(maxlen=KEPT)
        self._unread: list[Frames] = []
        self._heard: dict[bytes, None] = {}  # requests, in order of their answers
        self._buffered = buffered

    def keep(self, frames: Frames) -> None:
        """Put a message of a shell channel aside."""
        self._unread.append(frames)
        if len(self._unread) == UNREAD or len(frames[-1]) > LARGEST:
            self._read()

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for frames in unread:
            if len(frames[-1]) <= LARGEST:
                self._kept.append(frames)
            found = _ANSWERS_TO.search(frames[-3]) if len(frames) > 3 else None  # the parent header
            if found:
                self._heard[found[1]] = None
                if len(self._heard) > REMEMBERED:
                    del self._heard[next(iter(self._heard))]

    def heard(self, msg_id: str) -> bool:
        """Tell whether this request was answered."""
        self._read()
        return msg_id.encode("utf-8", "replace") in self._heard

    def of(self, msg_id: str) -> Answer | None:
        """Return what was answered to this request; None when unheard or ambiguous."""
        self._read()
        found = set()
        for messages in (self._kept, self._buffered()):
            found.update(_read_all(messages, msg_id))
        return found.pop() if len(found) == 1 else None


def buffered_for(kernel_manager: Any, kernel_id: str) -> Callable[[], Iterable[Frames]]:
    """Return a look at what the server keeps for the last tab, since that was closed."""

    def buffered() -> Iterable[Frames]:
        buffers = getattr(kernel_manager, "_kernel_buffers", {})
        messages = buffers.get(kernel_id, {}).get("buffer", [])
        newest = islice(reversed(messages), BUFFERED)
        return [frames for channel, frames in newest if channel == "shell"]

    return buffered


def share(stream: Any, keep: Callable[[Frames], None]) -> None:
    """Hear what a stream hears, before its own callback does; that one stays in charge."""
    original = getattr(stream, "_recv_callback", None)
    if original is None or stream.closed() or not getattr(stream, "_recv_copy", True):
        return

    def heard(frames: Frames) -> Any:
        keep(frames)
        return original(frames)

    stream.on_recv(heard)


def _read_all(messages: Iterable[Frames], msg_id: str) -> set[Answer]:
    key = msg_id.encode("utf-8", "replace")
    found = set()
    for frames in messages:
        start = frames.index(DELIMITER)
        if key not in frames[start + 3]:
            continue
        header, parent = json.loads(frames[start + 2]), json.loads(frames[start + 3])
        if header["msg_type"] == "execute_reply" and parent["msg_id"] == msg_id:
            found.add(Answer(str(json.loads(frames[start + 5])["status"])))
    return found
