"""What a cell's outputs may grow to, and how streamed text is put together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Output = Mapping[str, Any]

OUTPUT_OVERHEAD = 512  # bytes charged for each output object besides its content

_MANY = 1024  # parts of a stream's text before they are joined

# What ipykernel sends for text: the name first, the text last.
_STREAM = re.compile(rb'\{"name":\s*"(\w+)",\s*"text":\s*"')
_CUT_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$")

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
# Anchored to the start of a line: a search from each of its characters takes minutes for 1 MB.
_OVERWRITTEN = re.compile(r"^.*\r(?=[^\n])", re.MULTILINE)
_BACKSPACES = re.compile("(\b+)")
_TAIL = 1024  # characters split off a long part before backspaces shorten it


class StreamText:
    """The text of one stream as a terminal would leave it.

    A carriage return starts the line again, a backspace takes one character of the
    line back. Text arrives in pieces; the result does not depend on where they are
    cut, and work grows with the text that arrives, not with the text that is there.

    Attributes:
        parts: the text in order, for an output's `text`; changed in place. nbformat
            allows a list of strings there and joins it.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._line = 0  # parts from here on belong to the last, unfinished line
        self._small = 0  # parts from here on have not been joined yet
        self.size = 0  # characters held

    def add(self, text: str) -> None:
        """Append what the kernel wrote."""
        if "\b" not in text:
            self._append(text)
            return
        for piece in _BACKSPACES.split(text):
            if piece.startswith("\b"):
                self._drop_last(len(piece))
            else:
                self._append(piece)

    def _append(self, text: str) -> None:
        if "\r" in text or self._waiting():
            text = self._take_line() + text
            text = _OVERWRITTEN.sub("", text)
        if not text:
            return
        end = text.rfind("\n") + 1
        if end:
            self.parts[self._line :] = ["".join(self.parts[self._line :]) + text[:end]]
            self._line = len(self.parts)
            self._small = min(self._small, self._line - 1)
        if end < len(text):
            self.parts.append(text[end:])
        self.size += len(text)
        if len(self.parts) - self._small > _MANY:
            self._join()

    def _join(self) -> None:
        """Make few long strings of many short ones: each costs memory of its own."""
        if self._small < self._line:
            self.parts[self._small : self._line] = ["".join(self.parts[self._small : self._line])]
            self._line = self._small + 1
        first = max(self._small, self._line)
        if first < len(self.parts):
            self.parts[first:] = ["".join(self.parts[first:])]
        self._small = len(self.parts)

    def clear(self) -> None:
        """Forget all of it."""
        self.parts.clear()
        self._line = self._small = self.size = 0

    def _waiting(self) -> bool:
        return len(self.parts) > self._line and self.parts[-1].endswith("\r")

    def _take_line(self) -> str:
        line = "".join(self.parts[self._line :])
        del self.parts[self._line :]
        self._small = min(self._small, self._line)
        self.size -= len(line)
        return line

    def _drop_last(self, count: int) -> None:
        """Take back `count` characters of the last line, or what there is of it."""
        while count and len(self.parts) > self._line and not self.parts[-1].endswith("\r"):
            last = self.parts.pop()
            if len(last) > max(count, _TAIL):
                keep = len(last) - max(count, _TAIL)
                self.parts.append(last[:keep])
                last = last[keep:]
            dropped = min(count, len(last))
            self.size -= dropped
            count -= dropped
            if dropped < len(last):
                self.parts.append(last[: len(last) - dropped])
        self._small = min(self._small, len(self.parts))


def stream_beginning(content: bytes, room: int) -> dict[str, str] | None:
    """Read the first bytes of a stream message's JSON without reading all of it.

    A cell can print a hundred megabytes between two messages; when most of it will be
    dropped, it need not become text first. Returns None when the JSON is not as expected.
    """
    match = _STREAM.match(content)
    if match is None:
        return None
    text = content[match.end() : match.end() + room]
    end = text.find(b'"')
    while end > 0 and text[end - 1 : end] == b"\\":
        end = text.find(b'"', end + 1)
    if end >= 0:
        return None  # it ends within the room: not worth the trouble
    text = _CUT_ESCAPE.sub(rb"\1", text)
    try:
        found = json.loads(b'"' + text.decode("utf-8", "ignore").encode() + b'"', strict=False)
    except ValueError:
        return None
    return {"name": match[1].decode(), "text": found}


def plain(text: str) -> str:
    """Return text without terminal colours and other escape sequences."""
    return _ANSI.sub("", text)


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: half a surrogate pair becomes an escape.

    Inside a JSON or Python string that escape means the same half.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def error_text(name: str, value: str, traceback: Sequence[str] = ()) -> str:
    """Return an error as the history keeps it: `Name: value`, then the traceback.

    Some kernels give no name (bash_kernel) or no value.
    """
    head = plain(": ".join(part for part in (name, value) if part))
    return "\n".join([head, *(plain(line) for line in traceback)])


def error_output(name: str, value: str) -> dict[str, Any]:
    """Return an output that tells the reader of a notebook what we know and the kernel can't."""
    return {
        "output_type": "error",
        "ename": name,
        "evalue": value,
        "traceback": [f"{name}: {value}"],
    }


def dropped_text(limit: int, dropped: int) -> str:
    """Return the line that stands where output was dropped; both in bytes."""
    return (
        f"[blackroad-nb] The outputs of this cell reached {megabytes(limit)}; "
        f"{megabytes(dropped)} more were dropped.\n"
    )


def left_out_text(count: int, size: int) -> str:
    """Return what stands in the history for outputs that only the notebook has."""
    what = "1 output of this cell was" if count == 1 else f"{count} outputs of this cell were"
    return (
        f"{what} too large for the history ({megabytes(size)}) and left out here; "
        "the notebook that the run wrote has everything."
    )


def megabytes(size: int) -> str:
    """Return a size in bytes as people read it."""
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size / 1000:.1f} kB"


def joined(text: str | list[str]) -> str:
    """Return a multi-line string of a notebook in one piece."""
    return text if isinstance(text, str) else "".join(text)


def settled(outputs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the outputs of a finished cell: in the kernel's order, each text in one piece."""
    return [
        {**output, "text": joined(output["text"])} if output["output_type"] == "stream" else output
        for output in outputs
    ]


def brief(output: Output, limit: int) -> dict[str, Any]:
    """Return an output short enough for a progress event.

    Streams keep their last `limit` characters, displays their plain text; what was
    left out is said by `truncated`, and is in the artefact.
    """
    kind = output["output_type"]
    if kind == "stream":
        return _brief_stream(output, limit)
    if kind == "error":
        text = [line[:limit] for line in output["traceback"]][:100]
        cut = sum(map(len, text)) < sum(map(len, output["traceback"]))
        short = {**output, "traceback": text, "evalue": output["evalue"][:limit]}
        return {**short, "truncated": True} if cut else short
    data = {
        mime: joined(value)
        for mime, value in output["data"].items()
        if mime.startswith("text/") and isinstance(value, str | list) and len(value) <= limit
    }
    left_out = sorted(set(output["data"]) - set(data))
    short = {"output_type": kind, "data": data, "metadata": {}}
    return {**short, "truncated": True, "left_out": left_out} if left_out else short


def _brief_stream(output: Output, limit: int) -> dict[str, Any]:
    text = output["text"]
    pieces: list[str] = [text] if isinstance(text, str) else text
    kept: list[str] = []
    room = limit
    for piece in reversed(pieces):
        kept.append(piece[-room:])
        room -= len(kept[-1])
        if room <= 0:
            break
    short = "".join(reversed(kept))
    whole = sum(map(len, pieces)) if len(kept) == len(pieces) else -1
    found = {"output_type": "stream", "name": output["name"], "text": short}
    return found if len(short) == whole else {**found, "truncated": True}
