"""A notebook's bytes, brought to format 4.5 and checked against nbformat's schema."""

# mypy: allow-untyped-calls
# (nbformat has no types)
from __future__ import annotations

import json
import re
import warnings
from hashlib import sha256
from typing import Any

import nbformat
from nbformat.validator import NotebookValidationError

from blackroad_nb.core.document import major_version, parse_document
from blackroad_nb.errors import InvalidNotebook

_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CELL_ID = re.compile(r"[a-zA-Z0-9-_]{1,64}\Z")
_LONGEST = 160  # characters of nbformat's complaint; it quotes the whole cell otherwise


def read_notebook(content: bytes) -> Any:
    """Return a valid 4.5 notebook with unique cell ids; unknown metadata stays.

    Raises:
        InvalidNotebook: says which part of the file is wrong.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbformat warns of what is mended right below
        document = _upgraded(content)
        if _ESCAPED_SURROGATE.search(content):
            document = _without_surrogates(document)
        _mend_ids(document["cells"])
        document["nbformat_minor"] = 5
        notebook = nbformat.from_dict(document)
        try:
            nbformat.validate(notebook, relax_add_props=True)
        except NotebookValidationError as error:
            raise InvalidNotebook(_complaint(error)) from None
        except RecursionError:
            raise InvalidNotebook("The notebook is nested too deeply to be read.") from None
    return nbformat.v4.rwbase.rejoin_lines(notebook)


def _upgraded(content: bytes) -> dict[str, Any]:
    try:
        return parse_document(content)
    except InvalidNotebook:
        version = major_version(content)
        if version is None or version >= 4:
            raise
    try:
        upgraded = nbformat.reads(content.decode("utf-8"), as_version=4)
    except Exception as error:  # nbformat raises many kinds for a broken old file
        reason = str(error).split("\n", 1)[0][:_LONGEST]
        raise InvalidNotebook(f"Its format {version} cannot be upgraded: {reason}.") from None
    return parse_document(nbformat.writes(upgraded).encode("utf-8", "surrogatepass"))


def _mend_ids(cells: list[dict[str, Any]]) -> None:
    """Give each cell an id of its own, the same one at every export of the same file."""
    taken: set[str] = set()
    for index, cell in enumerate(cells):
        wanted = cell.get("id")
        if not isinstance(wanted, str) or not _CELL_ID.match(wanted) or wanted in taken:
            source = cell.get("source")  # a cell of an unknown type need not have any
            wanted = sha256(f"{index}\n{source}".encode("utf-8", "replace")).hexdigest()[:8]
            while wanted in taken:
                wanted = sha256(wanted.encode()).hexdigest()[:8]
            cell["id"] = wanted
        taken.add(wanted)


def _without_surrogates(document: dict[str, Any]) -> dict[str, Any]:
    """Replace halves of characters: JSON can write them, no file or browser can hold them."""
    text = json.dumps(document, ensure_ascii=False)
    mended = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return dict(json.loads(mended))


def _complaint(error: Exception) -> str:
    path: list[object] = list(getattr(error, "relative_path", ()))
    reason = str(getattr(error, "message", error)).split("\n", 1)[0]
    if len(reason) > _LONGEST:
        reason = f"{reason[:_LONGEST]}..."
    if len(path) > 1 and path[0] == "cells":
        inner = ".".join(str(part) for part in path[2:])
        return f"Cell {path[1]} is not valid{f' at {inner}' if inner else ''}: {reason}."
    where = ".".join(str(part) for part in path)
    return f"The notebook is not valid{f' at {where}' if where else ''}: {reason}."
