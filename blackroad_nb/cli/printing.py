"""JSON and text on stdout, safe for terminals, for pipes and for narrow encodings."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def print_json(value: Any) -> None:
    """Print one JSON document; a list gets one line for each of its items."""
    if isinstance(value, list):
        print_json_list(dumps(item) for item in value)
    else:
        write(dumps(value, indent=2) + "\n")


def print_json_list(items: Iterable[str]) -> None:
    """Print a JSON array of items that are JSON already, each on its own line."""
    opened = False
    for item in items:
        write((",\n" if opened else "[\n") + printable(item))
        opened = True
    write("\n]\n" if opened else "[]\n")


def print_json_lines(values: Iterable[Any]) -> None:
    """Print one JSON document a line."""
    for value in values:
        write(dumps(value) + "\n")


def dumps(value: Any, indent: int | None = None) -> str:
    """Return JSON that stdout can encode and that cannot steer a terminal."""
    import json

    return printable(json.dumps(value, ensure_ascii=False, indent=indent))


def printable(text: str) -> str:
    """Return the JSON text with escapes for what stdout should not get.

    JSON escapes the C0 controls; DEL, the C1 controls and the marks that reorder or
    break lines steer terminals too, and mean the same to a JSON reader when escaped.
    """
    if text.isascii() and "\x7f" not in text:
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return "".join(map(_escaped, text)) if _is_narrow(text, encoding) else text.translate(_STEERING)


def write(text: str) -> None:
    """Put text on stdout. Raises InvalidInput when it is closed."""
    if sys.stdout is None:
        from blackroad_nb.errors import InvalidInput

        raise InvalidInput("stdout is closed, so the result has nowhere to go.")
    sys.stdout.write(text)


def write_bytes(content: bytes) -> None:
    """Put a file's content on stdout, in its own encoding. Raises InvalidInput."""
    write("")
    sys.stdout.flush()
    sys.stdout.buffer.write(content)


def drop_stdout() -> None:
    """Let what is printed from now on, and what still waits in the buffer, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _is_narrow(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


def _escaped(character: str) -> str:
    if character.isascii() and character != "\x7f":
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


_RANGES = ((0x7F, 0xA0), (0x2028, 0x202F), (0x2066, 0x206A))
_STEERING = {code: f"\\u{code:04x}" for first, end in _RANGES for code in range(first, end)}
