"""A notebook file's content: read, checked, and written as nbformat writes it.

Only the structure that we rely on is checked here, which costs microseconds; the
full JSON schema is nbformat's, and costs its import.
Source: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any

from blackroad_nb.errors import InvalidNotebook

Document = dict[str, Any]

_CELL_TYPES = ("code", "markdown", "raw")
_SPLIT = ("application/javascript", "image/svg+xml")  # split into lines besides text/*


def new_document(kernel: str, cell_id: str) -> Document:
    """Return a notebook of format 4.5 with one empty code cell."""
    return {
        "cells": [code_cell("", cell_id)],
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def code_cell(source: str, cell_id: str) -> dict[str, Any]:
    """Return a code cell that has not run."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": {},
        "outputs": [],
        "source": source,
    }


def parse_document(content: bytes) -> Document:
    """Read a version 4 notebook; multi-line strings come back joined.

    Cells of a type that we do not know, from a later format, stay as they are.

    Raises:
        InvalidNotebook: not JSON, not a notebook, or not of version 4.
    """
    try:
        document = json.loads(content)
    except ValueError as error:
        raise InvalidNotebook(f"The file is not JSON: {error}.") from None
    except RecursionError:
        raise InvalidNotebook("The file is nested too deeply to be a notebook.") from None
    _check(document)
    document.setdefault("nbformat_minor", 0)  # what nbformat takes a missing one for
    for cell in document["cells"]:
        if cell["cell_type"] in _CELL_TYPES:
            cell["source"] = _joined(cell["source"])
        if cell["cell_type"] == "code":
            cell.setdefault("execution_count", None)
    return dict(document)


def repair_ids(document: Document) -> None:
    """Give each cell an id of its own where the format, from 4.5 on, wants one.

    A new id is made of the cell's place, so that a file which is read again gets the
    same ones: a resumed run finds its cells by them.
    """
    if document["nbformat_minor"] < 5:
        return
    cells, seen = document["cells"], set()
    given = {cell["id"] for cell in cells if isinstance(cell.get("id"), str)}
    for place, cell in enumerate(cells):
        if not isinstance(cell.get("id"), str) or cell["id"] in seen:
            numbers = range(place, place + len(given) + 1)
            cell["id"] = next(f"cell-{n}" for n in numbers if f"cell-{n}" not in given)
            given.add(cell["id"])
        seen.add(cell["id"])


def major_version(content: bytes) -> int | None:
    """Return the `nbformat` a file claims, or None when it is not a notebook at all."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    version = document.get("nbformat") if isinstance(document, dict) else None
    return version if isinstance(version, int) else None


def serialize_document(document: Document) -> bytes:
    """Write the content as nbformat does: indented by 1, long texts as lists of lines."""
    return assemble_document(document, [serialize_cell(cell) for cell in document["cells"]])


def serialize_cell(cell: dict[str, Any]) -> str:
    """Write one cell as it stands inside the file.

    Whoever writes a notebook again and again keeps these texts and only makes
    those of changed cells anew.
    """
    if cell["cell_type"] not in _CELL_TYPES:
        return _indented(cell, 2)
    split = {**cell, "source": _lines(_joined(cell["source"]))}
    if cell["cell_type"] == "code":
        split["outputs"] = [_split_output(output) for output in cell["outputs"]]
    return _indented(split, 2)


def assemble_document(document: Document, cells: Sequence[str]) -> bytes:
    """Write the content whose cells have been written by `serialize_cell` already.

    Text that UTF-8 cannot hold (half a surrogate pair) is written as a JSON escape.
    """
    texts = {key: _indented(document[key], 1) for key in document if key != "cells"}
    texts["cells"] = "[\n" + ",\n".join(f"  {cell}" for cell in cells) + "\n ]" if cells else "[]"
    body = ",\n".join(f" {json.dumps(key)}: {texts[key]}" for key in sorted(texts))
    return f"{{\n{body}\n}}\n".encode("utf-8", "backslashreplace")


def _indented(value: object, depth: int) -> str:
    try:
        return _written(value, "\n" + " " * depth)
    except RecursionError:
        raise InvalidNotebook("The notebook holds values that are nested too deeply.") from None
    except (TypeError, ValueError) as error:
        raise InvalidNotebook(f"The notebook holds a value that is not JSON: {error}.") from None


def check_serializable(value: object) -> None:
    """Raise InvalidNotebook for a value that a notebook file cannot hold."""
    _indented(value, 1)


def _written(value: Any, line: str) -> str:
    """Write a value as `json.dumps(indent=1, sort_keys=True)` does, which is much slower.

    Args:
        line: the line break with the indentation of the value itself.
    """
    if isinstance(value, str):
        return encode_basestring(value)
    inner = line + " "
    if isinstance(value, dict):
        if not value:
            return "{}"
        items = [
            f"{encode_basestring(key)}: {_written(value[key], inner)}" for key in sorted(value)
        ]
        return "{" + inner + f",{inner}".join(items) + line + "}"
    if isinstance(value, list | tuple):
        if not value:
            return "[]"
        if type(value[0]) is str and all(type(item) is str for item in value):
            texts = list(map(encode_basestring, value))  # the lines of a long output
        else:
            texts = [_written(item, inner) for item in value]
        return "[" + inner + f",{inner}".join(texts) + line + "]"
    return json.dumps(value)


def digest(content: bytes) -> str:
    """Name a content, so that a later reader can tell whether it changed."""
    return hashlib.sha256(content).hexdigest()


def kernel_name(document: Document) -> str | None:
    """Return the kernelspec the notebook names, if it names one."""
    kernelspec = document["metadata"].get("kernelspec")
    name = kernelspec.get("name") if isinstance(kernelspec, dict) else None
    return name if isinstance(name, str) and name else None


def _check(document: object) -> None:
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise InvalidNotebook("The file is JSON but not a notebook: it has no list of cells.")
    if document.get("nbformat") != 4:
        raise InvalidNotebook(
            f"The notebook's format is {document.get('nbformat')!r}; version 4 is needed."
        )
    if not isinstance(document.get("nbformat_minor", 0), int):
        raise InvalidNotebook(
            f"The notebook's nbformat_minor is {document['nbformat_minor']!r}, not a whole number; "
            "open and save it in JupyterLab to repair it."
        )
    if not isinstance(document.get("metadata"), dict):
        raise InvalidNotebook("The notebook's metadata is not an object.")
    for index, cell in enumerate(document["cells"]):
        problem = _cell_problem(cell)
        if problem:
            raise InvalidNotebook(f"Cell {index} {problem}.")


def _cell_problem(cell: object) -> str | None:
    if not isinstance(cell, dict):
        return "is not an object"
    if not isinstance(cell.get("cell_type"), str):
        return f"has the type {cell.get('cell_type')!r}, which is not text"
    if cell["cell_type"] not in _CELL_TYPES:
        return None
    if not isinstance(cell.get("metadata"), dict):
        return "has no metadata object"
    source = cell.get("source")
    if isinstance(source, list):
        if not all(isinstance(line, str) for line in source):
            return "has a source that is not text"
    elif not isinstance(source, str):
        return "has a source that is not text"
    if cell["cell_type"] == "code" and not isinstance(cell.get("outputs"), list):
        return "has no list of outputs"
    return None


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _lines(source: str) -> list[str]:
    return source.splitlines(keepends=True)


def _split_output(output: Any) -> Any:
    if not isinstance(output, dict):
        return output
    text, data = output.get("text"), output.get("data")
    if output.get("output_type") == "stream" and isinstance(text, str | list):
        return {**output, "text": _lines(_joined(text))}
    if not isinstance(data, dict):
        return output
    return {**output, "data": {mime: _split_data(mime, data[mime]) for mime in data}}


def _split_data(mime: str, value: object) -> object:
    split = mime.startswith("text/") or mime in _SPLIT
    return _lines(value) if split and isinstance(value, str) else value
