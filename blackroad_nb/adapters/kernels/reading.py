"""Reading kernel messages, at the cost that thousands of small ones allow."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from typing import Any

from blackroad_nb.core.outputs import stream_beginning

Message = dict[str, Any]

_OURS = ("5.",)  # the protocol whose messages need no adapting


def read_message(session: Any, frames: list[Any]) -> Message:
    """Read a message after its delimiter; dates stay text, which is what we store.

    Raises:
        ValueError: the signature is wrong, or it is no message.
    """
    parts = [bytes(part) for part in frames[:5]]
    header = _read(parts[1])
    if not str(header.get("version", "")).startswith(_OURS):
        old: Message = session.deserialize([*parts, *frames[5:]])
        return old
    _check(session, parts)
    return {
        "header": header,
        "msg_id": header["msg_id"],
        "msg_type": header["msg_type"],
        "parent_header": _read(parts[2]),
        "metadata": {} if parts[3] == b"{}" else _read(parts[3]),
        "content": _read(parts[4]),
        "buffers": [memoryview(part) for part in frames[5:]],
    }


def read_some(session: Any, frames: list[Any], room: int) -> tuple[Message, int]:
    """Read a stream message whose text is longer than `room` bytes, but not all of it.

    Returns the message, and how many bytes were left out.
    """
    size = sum(map(len, frames[4:]))
    content = stream_beginning(bytes(frames[4][: room + 1000]), room)
    if content is None:
        return read_message(session, frames), 0
    _check(session, frames)
    empty = [*frames[:4], b"{}"]
    message = read_message(_Unsigned, empty)
    return {**message, "content": content}, size - room


def told_by(frames: list[Any]) -> tuple[str, str]:
    """Return the type of a message and the id of the request it belongs to, unchecked."""
    parent, header = _read(bytes(frames[2])), _read(bytes(frames[1]))
    return header.get("msg_type", ""), parent.get("msg_id", "")


def sent_at(message: Message) -> str:
    """Return when a message was sent, as text; now, where the kernel does not say it.

    Source: a header's date is mandatory since version 5.1 of the messaging protocol only.
    """
    date = message["header"].get("date")
    if isinstance(date, str):
        return date
    moment = date if isinstance(date, datetime) else datetime.now(UTC)
    return moment.isoformat()


def _read(part: bytes) -> Any:
    return json.loads(part.decode("utf-8", "replace"))


class _Unsigned:
    """Stands for a session whose signature has been checked already."""

    auth = None


def _check(session: Any, parts: list[Any]) -> None:
    if session.auth is not None and not hmac.compare_digest(
        session.sign(parts[1:5]), bytes(parts[0])
    ):
        raise ValueError("a message with a wrong signature")
