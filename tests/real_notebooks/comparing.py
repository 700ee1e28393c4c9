"""What a reader sees of a cell, without what no two runs have in common."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat

# What differs between any two runs of one program, each as narrow as it can be.
_MASKS = (
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "<address>"),
    (re.compile(r"ipykernel_\d+/\d+\.py"), "<file of a cell>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<model of a widget>"),
    (re.compile(r"\b20\d\d-\d\d-\d\d(T|,? )\d\d:\d\d:\d\d(\.\d+)?"), "<time>"),
    (re.compile(r"datetime\.datetime\([\d, ]+\)"), "<time>"),
    (re.compile(r"(?<=time: )[\d.]+ [nµm]?s\b"), "<duration>"),
    (re.compile(r"\b[mp][0-9a-f]{10}\b"), "<id in a drawing of matplotlib>"),
)
_WORD = re.compile(r"[A-Za-z_]{2,}")
_BACKSPACE = re.compile(r"[^\n]\x08")


def cells_of(result: Path) -> list[Any] | None:
    """Return the cells of an executed notebook, or None when there is no such file."""
    return nbformat.read(result, as_version=4).cells if result.exists() else None


def shown(cell: Any, folder: Path, varies: bool = False) -> list[str]:
    """Return a cell's number and its outputs, ready to be compared.

    Args:
        folder: where it ran.
        varies: it draws random numbers, so only words are compared.
    """
    if cell.cell_type != "code":
        return [str(cell.get("source"))]  # a type from a later format may have none
    outputs = [_comparable(output, folder, varies) for output in joined(cell.outputs)]
    return [f"[{cell.execution_count}]", *outputs]


def joined(outputs: list[Any]) -> list[dict[str, Any]]:
    """Join adjacent pieces of one stream: where a kernel cuts them is chance."""
    pieces: list[dict[str, Any]] = []
    for output in outputs:
        if pieces and output.output_type == "stream" and pieces[-1].get("name") == output.name:
            pieces[-1]["text"] += output.text
        else:
            pieces.append(dict(output))
    for piece in pieces:
        if piece["output_type"] == "stream":
            piece["text"] = _as_on_a_terminal(piece["text"])
    return pieces


def _as_on_a_terminal(text: str) -> str:
    """Apply backspaces and carriage returns."""
    while _BACKSPACE.search(text):
        text = _BACKSPACE.sub("", text)
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _comparable(output: dict[str, Any], folder: Path, varies: bool) -> str:
    if varies:
        data = output.get("data", {})
        pictures = {kind: "<picture>" for kind in data if kind.startswith("image/")}
        output = {**output, "data": {**data, **pictures}}
    text = json.dumps(output, sort_keys=True, ensure_ascii=False)
    text = text.replace(str(folder), "<folder>")
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return " ".join(_WORD.findall(text)) if varies else text
