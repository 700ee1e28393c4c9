"""What programs send to the REST interface, checked before anything happens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blackroad_nb.core.launch import LONGEST
from blackroad_nb.errors import BodyTooLarge, InvalidInput, MediaTypeUnsupported
from blackroad_nb.managers.sessions import MOST

_TEXTS = ("profile", "template", "user", "server_name")
_FIELDS = (*_TEXTS, "original")
_FLAGS = {"0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A launch somebody asks for; `user` None is the asker herself."""

    user: str | None
    server_name: str
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Which sessions somebody wants listed."""

    user: str | None = None
    ended: bool = False
    limit: int = 50


def read_start(body: bytes, media_type: str | None, largest: int) -> StartRequest:
    """Read the body of a start. An empty one takes the defaults.

    Raises:
        BodyTooLarge, MediaTypeUnsupported, InvalidInput: one sentence each.
    """
    if len(body) > largest:
        raise BodyTooLarge(f"The body has {len(body)} bytes; {largest} is the most.")
    if not body.strip():
        return StartRequest(None, "", {})
    if (media_type or "").partition(";")[0].strip().lower() != "application/json":
        raise MediaTypeUnsupported("Send the body as JSON, with Content-Type: application/json.")
    sent = _json(body)
    unknown = [str(name)[:40] for name in sent if name not in _FIELDS]
    if unknown:
        known = ", ".join(_FIELDS)
        raise InvalidInput(f"The body holds the unknown field {unknown[0]!r}; known are: {known}.")
    texts = {name: _text(sent, name) for name in _TEXTS}
    original = sent.get("original", False)
    if not isinstance(original, bool):
        raise InvalidInput("original must be true or false.")
    options: dict[str, object] = {
        name: texts[name] for name in ("profile", "template") if texts[name] is not None
    }
    if original:
        options["original"] = True
    return StartRequest(texts["user"], texts["server_name"] or "", options)


def read_list(query: Mapping[str, Sequence[bytes]]) -> ListRequest:
    """Read the query of a list. Raises InvalidInput."""
    values: dict[str, str] = {}
    for name, given in query.items():
        if name not in ("user", "ended", "limit"):
            raise InvalidInput(f"There is no parameter {name[:40]!r}; known: user, ended, limit.")
        if len(given) != 1:
            raise InvalidInput(f"{name} is given more than once; give it once.")
        try:
            values[name] = given[0].decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"{name} is not UTF-8 text.") from None
    ended = values.get("ended", "0")
    if ended not in _FLAGS:
        raise InvalidInput("ended must be 1 or 0.")
    return ListRequest(values.get("user") or None, _FLAGS[ended], _limit(values.get("limit", "50")))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= len(text) <= 6):
        raise InvalidInput(f"limit must be a whole number from 1 to {MOST}.")
    if not 1 <= int(text) <= MOST:
        raise InvalidInput(f"limit must be a whole number from 1 to {MOST}.")
    return int(text)


def _json(body: bytes) -> dict[str, Any]:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("The body is not JSON.") from None
    if not isinstance(sent, dict):
        raise InvalidInput("The body must be an object with names and values.")
    return sent


def _text(sent: Mapping[str, Any], name: str) -> str | None:
    value = sent.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise InvalidInput(f"{name} must be a short text of one line, or null.")
    return value
