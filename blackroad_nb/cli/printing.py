"""JSON and text on stdout, safe for terminals, for pipes and for narrow encodings."""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# JSON escapes the C0 controls; DEL, the C1 controls and the marks that reorder or
# break lines steer terminals too, and mean the same to a JSON reader when escaped.
_STEERING = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def print_json(value: Any) -> None:
    """Print one JSON document; a list gets one line for each of its items."""
    if isinstance(value, list):
        print_json_list(value)
    else:
        write(dumps(value, indent=2) + "\n")


def print_json_list(values: Iterable[Any]) -> None:
    """Print a JSON array item by item, each on its own line, holding none of them."""
    opened = False
    for value in values:
        write((",\n" if opened else "[\n") + dumps(value))
        opened = True
    write("\n]\n" if opened else "[]\n")


def print_json_lines(values: Iterable[Any]) -> None:
    """Print one JSON document a line."""
    for value in values:
        write(dumps(value) + "\n")


def dumps(value: Any, indent: int | None = None) -> str:
    """Return JSON that stdout can encode and that cannot steer a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text if text.isascii() and "\x7f" not in text else text.translate(_STEERING)


def write(text: str) -> None:
    """Put text on stdout. Raises InvalidInput when it is closed."""
    if sys.stdout is None:
        from blackroad_nb.errors import InvalidInput

        raise InvalidInput("stdout is closed, so the result has nowhere to go.")
    sys.stdout.write(text)
