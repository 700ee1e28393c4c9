"""Notebook files on disk: kept under their roots, read checked, written whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from blackroad_nb.core.document import (
    Document,
    digest,
    major_version,
    parse_document,
    serialize_document,
)
from blackroad_nb.errors import (
    FileChanged,
    FileExists,
    InvalidInput,
    InvalidNotebook,
    NotebookNotFound,
    PathNotAllowed,
)
from blackroad_nb.ports import NotebookFile


class DiskNotebookFiles:
    """`NotebookFiles` on the local file system.

    Args:
        roots: folders under which every path must lie after links are followed.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(Path(os.path.realpath(root)) for root in roots)

    def resolve(self, path: str | Path) -> Path:
        text = os.fspath(path)
        if not text or "\0" in text:
            raise InvalidInput("The path is empty or holds a NUL character; give a file path.")
        try:
            real = Path(os.path.realpath(os.path.expanduser(text)))
        except OSError as error:
            raise InvalidInput(f"The path {text!r} cannot be followed: {error.strerror}.") from None
        if not any(real.is_relative_to(root) for root in self._roots):
            allowed = ", ".join(str(root) for root in self._roots)
            raise PathNotAllowed(f"{text!r} leads outside the allowed folders ({allowed}).")
        return real

    async def create(self, path: Path, document: Document) -> None:
        await asyncio.to_thread(_create, path, serialize_document(document))

    async def read(self, path: Path) -> NotebookFile:
        return await asyncio.to_thread(_read, path)

    async def write(
        self, path: Path, content: bytes, expected: str | None, durable: bool = True
    ) -> str:
        return await asyncio.to_thread(_write, path, content, expected, durable)

    async def write_new(self, path: Path, content: bytes) -> None:
        await asyncio.to_thread(_write_new, path, content)

    async def delete(self, path: Path) -> None:
        await asyncio.to_thread(_delete, path)


def _create(path: Path, content: bytes) -> None:
    temporary = _temporary(path, content)
    try:
        os.link(temporary, path)  # unlike a rename, this fails when the name is taken
    except FileExistsError:
        raise FileExists(
            f"{str(path)!r} exists already; choose another path or adopt the file."
        ) from None
    except OSError as error:
        raise _refused(path, error) from None
    finally:
        os.unlink(temporary)


def _read(path: Path) -> NotebookFile:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotebookNotFound(f"There is no file {str(path)!r}.") from None
    except IsADirectoryError:
        raise InvalidNotebook(f"{str(path)!r} is a folder, not a notebook file.") from None
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    try:
        document = _parse(content)
    except InvalidNotebook as error:
        raise InvalidNotebook(f"{str(path)!r} is not a readable notebook. {error}") from None
    return NotebookFile(path, document, digest(content))


def _parse(content: bytes) -> Document:
    version = major_version(content)
    if version is None or version >= 4:
        return parse_document(content)
    nbformat: Any = import_module("nbformat")  # only old formats pay for the import

    try:
        upgraded = nbformat.reads(content.decode("utf-8"), as_version=4)
    except Exception as error:  # nbformat raises many kinds for a broken old file
        raise InvalidNotebook(f"Its format {version} cannot be upgraded: {error}.") from None
    return parse_document(nbformat.writes(upgraded).encode())


def _write(path: Path, content: bytes, expected: str | None, durable: bool) -> str:
    if expected is not None:
        try:
            current = digest(path.read_bytes())
        except OSError:
            current = None
        if current != expected:
            raise FileChanged(
                f"{str(path)!r} changed on disk since it was read; it was left as it is."
            )
    temporary = _temporary(path, content, durable)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        raise _refused(path, error) from None
    return digest(content)


def _write_new(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _refused(path.parent, error) from None
    _create(path, content)


def _temporary(path: Path, content: bytes, durable: bool = True) -> str:
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}-", suffix=".tmp", dir=path.parent
        )
    except OSError as error:
        raise _refused(path, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
    except OSError as error:
        os.unlink(temporary)
        raise _refused(path, error) from None
    return temporary


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"{str(path)!r} cannot be written: {error.strerror}.")
