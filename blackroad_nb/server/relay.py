"""Kernels behind a gateway: all that can be heard of them passes their clients' websockets.

Such a kernel runs on another machine, and this server forwards messages without reading
them. Each open tab brings the same IOPub messages, and the replies to its own requests.
While no tab is open nothing is heard; the gateway is asked then whether the kernel works.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol
from weakref import WeakSet

from jupyter_server.gateway.managers import GatewayKernelManager

from blackroad_nb.core.witness import (
    Answer,
    Answered,
    Busy,
    Ending,
    Event,
    Failed,
    Idle,
    Input,
    KernelEnded,
    storable,
)
from blackroad_nb.server.iopub_tap import execution_count, failure_text

ASK_SECONDS = 2.0  # how often a gateway is asked about a kernel that nobody hears
PATIENCE_SECONDS = 60.0  # how long a gateway may be out of reach
REMEMBERED = 1000  # messages in which a repeat from another tab is noticed
ANSWERS = 128  # replies of one kernel that are kept

_KIND = re.compile(r'"msg_type"\s*:\s*"([^"\\]*)"')
_INTERESTING = frozenset(["status", "execute_input", "error", "execute_reply"])
_STARTS_WITH_HEADER = '{"header"'


class Connection(Protocol):
    """A tab's websocket to such a kernel."""

    @property
    def live(self) -> bool:
        """Whether it reaches the gateway."""
        ...


def is_relayed(kernel: Any) -> bool:
    """Tell whether a kernel runs behind a gateway."""
    return isinstance(kernel, GatewayKernelManager)


def interesting(message: str) -> bool:
    """Tell from the first message type in a text whether it is worth parsing.

    Jupyter Server writes the header first. In a text with another order the first
    message type may be anybody's, so all of that is read.
    """
    found = _KIND.search(message)
    if found is None:
        return False
    return found.group(1) in _INTERESTING or not message.startswith(_STARTS_WITH_HEADER)


class Relay:
    """What the websockets of one gateway kernel bring; a source for an `IopubTap`.

    Args:
        kernel: the server's stand-in for the kernel.
    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._connections: WeakSet[Any] = WeakSet()
        self._kept: list[str] = []
        self._wake: Callable[[], None] | None = None
        self._asked_at = 0.0
        self._idle_seen = 0
        self._unreachable_since: float | None = None
        self._asking = False

    # the source ------------------------------------------------------------------

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def hear(self, message: Any) -> None:
        """Take what a websocket brought, when it is of interest."""
        if self._wake is None or not isinstance(message, str) or not interesting(message):
            return
        self._kept.append(message)
        if len(self._kept) == 1:
            self._wake()

    def take(self, most: int) -> list[str]:
        kept = self._kept
        self._kept = kept[most:]
        return kept[:most]

    def is_open(self) -> bool:
        return True

    def close(self) -> None:
        self._wake = None
        self._kept.clear()

    # who listens -----------------------------------------------------------------

    def join(self, connection: Connection) -> None:
        """A websocket to this kernel is opening."""
        self._connections.add(connection)

    @property
    def live(self) -> bool:
        """Whether anything can be heard now."""
        return any(connection.live for connection in self._connections)

    async def ended_unheard(self) -> bool:
        """Ask the gateway, now and then, whether the kernel has stopped working.

        True when it says so twice (between two cells it says so for a moment), has no
        such kernel any more, or cannot be asked for a minute.
        """
        now = time.monotonic()
        if self._asking or now - self._asked_at < ASK_SECONDS:
            return False
        self._asked_at, self._asking = now, True
        try:
            model = await self._kernel.refresh_model()
        except Exception:  # whatever keeps the gateway from answering: it may come back
            self._unreachable_since = self._unreachable_since or now
            return now - self._unreachable_since >= PATIENCE_SECONDS
        finally:
            self._asking = False
        self._unreachable_since = None
        state = model["execution_state"] if model else "dead"
        self._idle_seen = self._idle_seen + 1 if state in ("idle", "dead") else 0
        return not model or self._idle_seen > 1

    def asked_enough(self) -> None:
        """Forget what the gateway said: there is nothing left to ask about."""
        self._idle_seen, self._unreachable_since = 0, None


class RelayedReader:
    """Turns relayed messages into events, and keeps the kernel's replies.

    `read` raises ValueError, TypeError, KeyError or RecursionError for malformed messages.
    """

    def __init__(self) -> None:
        self._read: OrderedDict[str, None] = OrderedDict()
        self._answers: OrderedDict[str, Answer | None] = OrderedDict()

    def answer_of(self, msg_id: str) -> Answer | None:
        """Return what was replied to this request; None when unheard or ambiguous."""
        return self._answers.get(msg_id)

    def read(self, message: str) -> Event | None:
        fields = json.loads(message)
        header, content = fields["header"], fields["content"]
        kind, parent = header["msg_type"], fields.get("parent_header") or {}
        if not isinstance(content, dict) or not isinstance(parent, dict):
            raise TypeError("Content and parent header must be objects.")
        if kind == "status":
            return self._status(header, parent, content)
        if "msg_id" not in parent:
            return None
        msg_id = storable(parent["msg_id"])
        if kind == "execute_reply":
            return self._replied(msg_id, content)
        if kind == "error":
            return Failed(msg_id, failure_text(content))
        if kind == "execute_input" and not self._repeated(header):
            count = execution_count(content.get("execution_count"))
            source = storable(content["code"])
            return Input(msg_id, source, count, parent.get("subshell_id"), _sent(header))
        return None

    def _status(
        self, header: dict[str, Any], parent: dict[str, Any], content: dict[str, Any]
    ) -> Event | None:
        state = content["execution_state"]
        if "msg_id" not in parent:  # the gateway itself speaks, to each tab
            return KernelEnded(Ending.DIED) if state in ("restarting", "dead") else None
        msg_id = storable(parent["msg_id"])
        if state == "idle":  # a repeat finds nothing that is open
            return Idle(msg_id, _sent(header))
        if state == "busy" and not self._repeated(header):
            return Busy(msg_id, parent["msg_type"], parent.get("subshell_id"), _sent(header))
        return None

    def _replied(self, msg_id: str, content: dict[str, Any]) -> Answered:
        status = storable(content["status"])
        error = failure_text(content) if status == "error" else None
        ambiguous = msg_id in self._answers
        self._answers[msg_id] = None if ambiguous else Answer(status, error)
        if len(self._answers) > ANSWERS:
            self._answers.popitem(last=False)
        return Answered(msg_id)

    def _repeated(self, header: dict[str, Any]) -> bool:
        """Tell whether another tab brought this message already."""
        name = str(header["msg_id"])
        if name in self._read:
            return True
        self._read[name] = None
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return False


def _sent(header: dict[str, Any]) -> datetime | None:
    try:
        sent = datetime.fromisoformat(header["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return sent if sent.tzinfo is not None else None
