"""Reading kernel messages, at the cost that thousands of small ones allow."""

from __future__ import annotations

import hmac
import json
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
    header = json.loads(parts[1])
    if not str(header.get("version", "")).startswith(_OURS):
        old: Message = session.deserialize([*parts, *frames[5:]])
        return old
    _check(session, parts)
    return {
        "header": header,
        "msg_id": header["msg_id"],
        "msg_type": header["msg_type"],
        "parent_header": json.loads(parts[2]),
        "metadata": json.loads(parts[3]),
        "content": json.loads(parts[4]),
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


class _Unsigned:
    """Stands for a session whose signature has been checked already."""

    auth = None


def _check(session: Any, parts: list[Any]) -> None:
    if session.auth is not None and not hmac.compare_digest(
        session.sign(parts[1:5]), bytes(parts[0])
    ):
        raise ValueError("a message with a wrong signature")
