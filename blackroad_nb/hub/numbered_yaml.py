"""YAML whose every value knows its line, so that a complaint can name it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackroad_nb.errors import InvalidInput

MOST_BYTES = 1_000_000
DEEPEST = 20
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the file and where it stands."""

    node: Any
    path: Path

    def wrong(self, problem: str) -> InvalidInput:
        """Return the complaint: file, line, problem."""
        return _wrong(self.path, self.node.start_mark.line, problem)

    @property
    def is_null(self) -> bool:
        return self._kind == "null"

    @property
    def _kind(self) -> str:
        return str(self.node.tag).removeprefix(_TAG)

    def mapping(self, known: Sequence[str] | None, what: str) -> dict[str, Value]:
        """Return names and values; `known` None allows any name.

        Raises:
            InvalidInput: it is no mapping, or a name is unknown or stands twice.
        """
        if self._kind != "map":
            raise self.wrong(f"{what} must be names with values, like `name: value`.")
        found: dict[str, Value] = {}
        for key, value in self.node.value:
            name = Value(key, self.path).text("A name")
            if known is not None and name not in known:
                raise Value(key, self.path).wrong(_unknown(name, known, what))
            if name in found:
                raise Value(key, self.path).wrong(f"{name!r} stands here a second time.")
            found[name] = Value(value, self.path)
        return found

    def items(self, what: str) -> Iterator[Value]:
        """Yield the entries of a list; nothing for an empty value."""
        if self.is_null:
            return
        if self._kind != "seq":
            raise self.wrong(f"{what} must be a list, with each entry after a hyphen.")
        for node in self.node.value:
            yield Value(node, self.path)

    def text(self, what: str) -> str:
        if self._kind != "str":
            quotes = "; put it in quotes" if self._kind in ("int", "float", "bool") else ""
            raise self.wrong(f"{what} must be text{quotes}.")
        return str(self.node.value)

    def written(self, what: str) -> str:
        """Return text or a number, as it is written."""
        if self._kind not in ("str", "int", "float"):
            raise self.wrong(f"{what} must be a number or text in quotes.")
        return str(self.node.value)

    def flag(self, what: str) -> bool:
        if self._kind == "bool" and self.node.value.lower() in ("true", "false"):
            return bool(self.node.value.lower() == "true")
        raise self.wrong(f"{what} must be true or false.")


def read_yaml(path: Path) -> Value | None:
    """Return the one document of a file; None if there is nothing in it.

    Raises:
        InvalidInput: it cannot be read, or is not YAML as we take it.
    """
    import yaml

    text = _read(path)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line if event.start_mark else 0
            if isinstance(event, yaml.AliasEvent):
                raise _wrong(path, line, "References (`*name`) are not read; write it out.")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise _wrong(path, line, "It is nested too deeply.")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark is not None else 0
        raise _wrong(path, line, f"This is not YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
        raise InvalidInput(f"{path.name}: This is not YAML: {problem}.") from None
    document = Value(node, path) if node is not None else None
    return None if document is None or document.is_null else document


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"The file {str(path)!r} cannot be read: {error.strerror}.") from None
    if len(content) > MOST_BYTES:
        raise InvalidInput(f"{path.name}: It is larger than {MOST_BYTES // 1_000_000} MB.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start)
        raise _wrong(path, line, "There are bytes that are not UTF-8 text.") from None


def _wrong(path: Path, line: int, problem: str) -> InvalidInput:
    return InvalidInput(f"{path.name}, line {line + 1}: {problem}")


def _unknown(name: str, known: Sequence[str], what: str) -> str:
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}."
    return f"{what} has no {name[:40]!r}; {hint}"
