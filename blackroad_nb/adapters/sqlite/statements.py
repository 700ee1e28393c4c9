"""The SQL, read from the files beside this one and named there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"
_NAME = re.compile(r"^-- name: (\w+)$\n?", re.MULTILINE)


@cache
def statements(noun: str) -> Mapping[str, str]:
    """Return the statements of `sql/<noun>.sql` by name, without their comments."""
    parts = _NAME.split((_FOLDER / f"{noun}.sql").read_text("utf-8"))
    return {name: _bare(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _bare(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return "\n".join(lines).strip()
