"""A notebook file's content: read, checked, and written as nbformat writes it.

Only the structure that we rely on is checked here, which costs microseconds; the
full JSON schema is nbformat's, and costs its import.
Source: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from blackroad_nb.errors import InvalidNotebook

Document = dict[str, Any]

_CELL_TYPES = ("code", "markdown", "raw")


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
    for cell in document["cells"]:
        cell["source"] = _joined(cell["source"])
        if cell["cell_type"] == "code":
            cell.setdefault("execution_count", None)
    return dict(document)


def major_version(content: bytes) -> int | None:
    """Return the `nbformat` a file claims, or None when it is not a notebook at all."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    version = document.get("nbformat") if isinstance(document, dict) else None
    return version if isinstance(version, int) else None


def serialize_document(document: Document) -> bytes:
    """Write the content as nbformat does: indented by 1, sources as lists of lines."""
    cells = [{**cell, "source": _lines(cell["source"])} for cell in document["cells"]]
    text = json.dumps({**document, "cells": cells}, indent=1, ensure_ascii=False, sort_keys=True)
    return text.encode("utf-8", "surrogatepass") + b"\n"


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
    if not isinstance(document.get("nbformat_minor"), int):
        raise InvalidNotebook("The notebook has no whole number as nbformat_minor.")
    if not isinstance(document.get("metadata"), dict):
        raise InvalidNotebook("The notebook's metadata is not an object.")
    for index, cell in enumerate(document["cells"]):
        problem = _cell_problem(cell)
        if problem:
            raise InvalidNotebook(f"Cell {index} {problem}.")


def _cell_problem(cell: object) -> str | None:
    if not isinstance(cell, dict):
        return "is not an object"
    if cell.get("cell_type") not in _CELL_TYPES:
        return f"has the unknown type {cell.get('cell_type')!r}"
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
