"""Checks of plain types, for callers that no type checker has warned."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from blackroad_nb.errors import InvalidInput


def check_text(value: object, what: str) -> str:
    """Return text, or refuse anything else; `what` begins the sentence. Raises InvalidInput."""
    if not isinstance(value, str):
        raise InvalidInput(f"{what} must be text, not {_named(value)}.")
    return value


def check_path(value: object, what: str) -> str:
    """Return a path as text, or refuse what cannot be one. Raises InvalidInput."""
    text = check_text(value.__fspath__() if isinstance(value, PathLike) else value, what)
    if not text or "\0" in text:
        raise InvalidInput(f"{what} is empty or holds a NUL character; give a path.")
    return text


def check_whole(value: object, what: str) -> int:
    """Return a whole number, or refuse anything else. Raises InvalidInput."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(f"{what} must be a whole number, not {_named(value)}.")
    return value


def check_seconds(value: object, what: str) -> float:
    """Return a number, or refuse anything else. Raises InvalidInput."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidInput(f"{what} must be a number of seconds, not {_named(value)}.")
    return value


def check_flag(value: object, what: str) -> bool:
    """Return True or False, or refuse anything else. Raises InvalidInput."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{what} must be True or False, not {_named(value)}.")
    return value


def check_mapping(value: object, what: str) -> Mapping[Any, Any]:
    """Return a mapping, or refuse anything else. Raises InvalidInput."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{what} must be a mapping of names to values, not {_named(value)}.")
    return value


def _named(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"a {type(value).__name__}"
