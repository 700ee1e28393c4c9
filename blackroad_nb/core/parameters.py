"""Parameters of a run: named values written into the notebook as one cell.

The convention is papermill's, so that its notebooks work here: defaults stand in
the cell tagged `parameters`, values for one run in a cell tagged
`injected-parameters` right after it.
Source: https://papermill.readthedocs.io/en/latest/usage-parameterize.html
"""

from __future__ import annotations

import ast
import json
import keyword
import math
from collections.abc import Mapping, Sequence
from typing import Any

from blackroad_nb.errors import InvalidInput

TAG = "parameters"
INJECTED_TAG = "injected-parameters"

_WORDS = {"True": True, "False": False, "None": None}
_FLOAT = "$float"
_DEPTH = 40  # Python's own parser gives up at about 100 nested brackets
_INTEGER_BITS = 14_000  # 4300 digits: what Python turns into text by default


def value_of(text: str) -> Any:
    """Read a value that was typed: papermill's words and numbers, then JSON, else text.

    `True`, `False` and `None` are Python's; what `int` or `float` takes is a number, so
    `1e5`, `NaN` and `-Infinity` are, too. Lists, objects, `true`, `null` and text in
    double quotes are JSON.
    Source: https://github.com/nteract/papermill/blob/main/papermill/cli.py (_resolve_type)
    """
    if text in _WORDS:
        return _WORDS[text]
    for read in (int, float, json.loads):
        try:
            return read(text)
        except (ValueError, RecursionError):
            continue
    return text


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse names that are no identifiers and values that are not JSON.

    Raises:
        InvalidInput: names the parameter and says what is wrong with it.
    """
    for name, value in parameters.items():
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidInput(
                f"The parameter name {name!r} is not a Python name; use letters, digits and '_'."
            )
        try:
            literal(value)
        except InvalidInput as error:
            raise InvalidInput(f"The parameter {name!r} cannot be used: {error.message}") from None


def literal(value: Any, depth: int = 0) -> str:
    """Write a JSON value as a Python expression that evaluates to it.

    Raises:
        InvalidInput: not a JSON value, nested too deeply, or an absurdly long integer.
    """
    if depth > _DEPTH:
        raise InvalidInput(f"its value is nested deeper than {_DEPTH} levels.")
    if value is None or isinstance(value, bool | str):
        return repr(value)
    if isinstance(value, int):
        if value.bit_length() > _INTEGER_BITS:
            raise InvalidInput("its value is an integer of more than 4200 digits.")
        return repr(int(value))
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else f'float("{float(value)!r}")'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(item, depth + 1) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(_items(value, depth + 1)) + "}"
    raise InvalidInput(f"its value has the type {type(value).__name__}, which JSON does not know.")


def _items(value: Mapping[Any, Any], depth: int) -> list[str]:
    if not all(isinstance(key, str) for key in value):
        raise InvalidInput("it holds an object whose keys are not all text.")
    return [f"{key!r}: {literal(item, depth)}" for key, item in value.items()]


def as_json(value: Any) -> Any:
    """Return the value as JSON can hold it: `{"$float": "nan"}` for a float that it cannot."""
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(float(value))}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    return value


def from_json(value: Any) -> Any:
    """Return what `as_json` was given."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if list(value) == [_FLOAT] and value[_FLOAT] in ("nan", "inf", "-inf"):
        return float(value[_FLOAT])
    return {key: from_json(item) for key, item in value.items()}


def injected_source(parameters: Mapping[str, Any]) -> str:
    """Return the source of the cell that sets the parameters."""
    lines = [f"{name} = {literal(value)}" for name, value in parameters.items()]
    return "\n".join(["# Parameters", *lines])


def tags(cell: Mapping[str, Any]) -> Sequence[str]:
    """Return the tags of a cell, whatever its metadata holds in their place."""
    metadata = cell.get("metadata")  # a cell of an unknown type need not have any
    found = metadata.get("tags") if isinstance(metadata, Mapping) else None
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []


def inject(
    cells: Sequence[dict[str, Any]], parameters: Mapping[str, Any], cell: dict[str, Any]
) -> tuple[list[dict[str, Any]], int, int]:
    """Put `cell` where the parameters belong; an earlier injected cell is replaced.

    Args:
        cell: a new code cell; its source and tags are set here.

    Returns:
        The new list, the index of the injected cell, and how many cells the ones
        behind it have moved (0 or 1).
    """
    injected = {
        **cell,
        "metadata": {**cell["metadata"], "tags": [INJECTED_TAG]},
        "source": injected_source(parameters),
    }
    for index, old in enumerate(cells):
        if INJECTED_TAG in tags(old):
            return [*cells[:index], injected, *cells[index + 1 :]], index, 0
    index = next((i + 1 for i, old in enumerate(cells) if TAG in tags(old)), 0)
    return [*cells[:index], injected, *cells[index:]], index, 1


def unknown_names(cells: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> list[str]:
    """Return the parameters for which the cell tagged `parameters` has no default.

    Without such a cell, or when it cannot be parsed, nothing is known and nothing said.
    """
    source = next((cell.get("source") for cell in cells if TAG in tags(cell)), None)
    if not isinstance(source, str):
        return []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # magics, or not Python
    known = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return [name for name in parameters if name not in known]


def speaks_python(metadata: Mapping[str, Any], kernel: str, registered: str | None) -> bool:
    """Tell whether a notebook's kernel takes Python, from what is known without starting it.

    Args:
        kernel: the kernel's name.
        registered: its language, if it was registered here.
    """
    if registered is not None:
        return registered.lower() == "python"
    for place, name in (("kernelspec", "language"), ("language_info", "name")):
        found = metadata.get(place)
        language = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(language, str):
            return language.lower() in ("python", "ipython")
    return kernel.lower().startswith("python")
