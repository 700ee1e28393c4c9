"""Notebook files in memory, held to the same contract tests as those on disk."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from blackroad_nb.core.document import Document, digest, parse_document, serialize_document
from blackroad_nb.errors import (
    FileChanged,
    FileExists,
    InvalidInput,
    InvalidNotebook,
    NotebookNotFound,
    PathNotAllowed,
)
from blackroad_nb.ports import NotebookFile


class MemoryNotebookFiles:
    """`ports.NotebookFiles` in a dictionary; there are no links to follow.

    Args:
        roots: folders under which every path must lie.
        files: what is there at first, by absolute path.
    """

    def __init__(
        self, roots: Iterable[Path] = (Path("/"),), files: dict[Path, bytes] | None = None
    ) -> None:
        self._roots = tuple(roots)
        self.files: dict[Path, bytes] = dict(files or {})

    def resolve(self, path: str | Path) -> Path:
        text = os.fspath(path)
        if not text or "\0" in text:
            raise InvalidInput("The path is empty or holds a NUL character; give a file path.")
        if not text.isascii() and any(unicodedata.category(c) == "Cs" for c in text):
            raise InvalidInput(f"The path {text!r} is not UTF-8 text; rename the file.")
        real = Path(posixpath.normpath("/" + text.lstrip("/")))
        if not any(PurePosixPath(real).is_relative_to(root) for root in self._roots):
            allowed = ", ".join(str(root) for root in self._roots)
            raise PathNotAllowed(f"{text!r} leads outside the allowed folders ({allowed}).")
        return real

    async def create(self, path: Path, document: Document) -> None:
        await self.write_new(path, serialize_document(document))

    async def read_bytes(self, path: Path) -> bytes:
        if path not in self.files:
            raise NotebookNotFound(f"There is no file {str(path)!r}.")
        return self.files[path]

    async def read(self, path: Path) -> NotebookFile:
        content = await self.read_bytes(path)
        try:
            document = parse_document(content)
        except InvalidNotebook as error:
            raise InvalidNotebook(f"{str(path)!r} is not a readable notebook. {error}") from None
        return NotebookFile(path, document, digest(content))

    async def write(
        self,
        path: Path,
        content: bytes,
        expected: str | None,
        durable: bool = True,  # noqa: ARG002, a dictionary has no disk
    ) -> str:
        current = digest(self.files[path]) if path in self.files else None
        if expected is not None and current != expected:
            raise FileChanged(
                f"{str(path)!r} changed on disk since it was read; it was left as it is."
            )
        self.files[path] = content
        return digest(content)

    async def write_new(self, path: Path, content: bytes) -> None:
        if path in self.files:
            raise FileExists(
                f"{str(path)!r} exists already; choose another path or adopt the file."
            )
        self.files[path] = content

    async def check_place(self, path: Path) -> None:
        """A dictionary takes every path."""

    async def delete(self, path: Path) -> bool:
        return self.files.pop(path, None) is not None
