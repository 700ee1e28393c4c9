"""What a cell printed, made fit for where it is shown; and the bar while it runs."""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO

# Source: ECMA-48, sections 5.4 (CSI) and 5.6 (strings: DCS, SOS, OSC, PM, APC).
_STRINGS = r"(?:\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])(?:(?!\x1b\\)[^\x07\x9c])*(?:\x07|\x9c|\x1b\\|$)"
_CSI = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)"
_OTHER = r"\x1b[ -/]*[0-~]?"
_SEQUENCE = re.compile(f"{_STRINGS}|{_CSI}|{_OTHER}")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_MARKS = {
    "success": ("\N{CHECK MARK}", "+"),
    "error": ("\N{BALLOT X}", "x"),
    "timeout": ("\N{BALLOT X}", "x"),
    "killed": ("\N{BALLOT X}", "x"),
    "aborted": ("-", "-"),
    "cancelled": ("-", "-"),
    "pending": ("\N{HORIZONTAL ELLIPSIS}", "."),
}
_RESET = "\x1b[0m"
_CONTROLS = dict.fromkeys(
    code
    for first, end in ((0, 9), (11, 27), (28, 32), (0x7F, 0xA0), (0x202A, 0x202F), (0x2066, 0x206A))
    for code in range(first, end)
)


def safe_text(text: str, colours: bool) -> str:
    """Return the text without anything that steers a terminal but, if wanted, colours.

    What a carriage return would overwrite is dropped, as a terminal shows it: a
    finished progress bar is one line and not a hundred.
    """
    kept = _SEQUENCE.sub(lambda found: _keep_colour(found[0]) if colours else "", text)
    lines = (_last_written(line) for line in kept.split("\n"))
    shown = "\n".join(line.translate(_CONTROLS) for line in lines)
    if "\x1b" not in shown:
        return shown
    last = shown.rstrip("\n")  # a reset behind the line's end would be one more line
    return last + _RESET + shown[len(last) :]


def wants_colours(stream: TextIO | None) -> bool:
    """Tell whether colours may go there. Source: https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _keep_colour(sequence: str) -> str:
    return sequence if _COLOUR.fullmatch(sequence) else ""


def _last_written(line: str) -> str:
    segments = [segment for segment in line.split("\r") if segment]
    return segments[-1] if segments else ""


def mark(status: str) -> str:
    """Return the sign of a status, in ASCII where stdout cannot show the others."""
    shown, plain = _MARKS.get(status, ("?", "?"))
    try:
        shown.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return plain
    return shown
