"""Values as JSON that every client can read, whatever a notebook holds."""

from __future__ import annotations

import json
import math
from typing import Any

from blackroad_nb.errors import InvalidNotebook


def json_text(value: Any) -> str:
    """Write a value as JSON in ASCII.

    Notebook files may hold what Python writes and JSON does not know: numbers that
    are not finite become null. Half a surrogate pair stays the escape it was.

    Raises:
        InvalidNotebook: the value is nested too deeply.
    """
    try:
        try:
            return json.dumps(value, allow_nan=False)
        except ValueError:
            return json.dumps(_finite(value))
    except RecursionError:
        raise InvalidNotebook("The content is nested too deeply to be sent as JSON.") from None


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    return value
