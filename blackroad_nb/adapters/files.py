"""Notebook files on disk: kept under their roots, read checked, written whole.

A resolved path holds no link. Each operation walks it again from the top without
following any, so a link that is put in the way between the check and the use is
refused and never followed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from blackroad_nb.adapters.replacement import (
    READ,
    regular,
    replace_content,
    sync,
    temporary_file,
    write_exclusively,
)
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

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | _FOLDER  # a folder may be closed to reading
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_EFFECTIVE = os.access in os.supports_effective_ids


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
            real = os.path.realpath(os.path.expanduser(text))
            real.encode()
        except OSError as error:
            raise InvalidInput(f"The path {text!r} cannot be followed: {error.strerror}.") from None
        except ValueError:
            raise InvalidInput(f"The path {text!r} is not UTF-8 text; rename the file.") from None
        if not any(Path(real).is_relative_to(root) for root in self._roots):
            allowed = ", ".join(str(root) for root in self._roots)
            raise PathNotAllowed(f"{text!r} leads outside the allowed folders ({allowed}).")
        return Path(real)

    async def create(self, path: Path, document: Document) -> None:
        await asyncio.to_thread(_write_new, path, serialize_document(document))

    def create_now(self, path: Path, document: Document) -> None:
        """Do what `create` does without waiting for a loop."""
        _create(path, serialize_document(document))

    def ensure_folder(self, path: Path) -> None:
        """Make a folder in one that exists; one that is there already is left as it is.

        Raises:
            PathNotAllowed, InvalidInput: it cannot be made.
        """
        try:
            with _told(path, "made"), _folder(path.parent) as above, suppress(FileExistsError):
                os.mkdir(path.name, dir_fd=above)
        except FileNotFoundError:
            raise _no_folder(path) from None

    async def read(self, path: Path) -> NotebookFile:
        return await asyncio.to_thread(_read, path)

    async def read_bytes(self, path: Path) -> bytes:
        return await asyncio.to_thread(_read_bytes, path)

    async def write(
        self, path: Path, content: bytes, expected: str | None, durable: bool = True
    ) -> str:
        return await asyncio.to_thread(_write, path, content, expected, durable)

    async def write_new(self, path: Path, content: bytes) -> None:
        await asyncio.to_thread(_write_new, path, content)

    async def check_place(self, path: Path) -> None:
        await asyncio.to_thread(_check_place, path)

    async def delete(self, path: Path) -> bool:
        return await asyncio.to_thread(_delete, path)


def _read_bytes(path: Path) -> bytes:
    try:
        with _told(path, "read"), _folder(path.parent) as folder:
            content = _content(folder, path.name)
    except FileNotFoundError:
        raise NotebookNotFound(f"There is no file {str(path)!r}.") from None
    if content is None:
        raise InvalidNotebook(f"{str(path)!r} is a folder or device, not a notebook file.")
    return content


def _read(path: Path) -> NotebookFile:
    content = _read_bytes(path)
    try:
        document = _parse(content)
    except InvalidNotebook as error:
        raise InvalidNotebook(f"{str(path)!r} is not a readable notebook. {error}") from None
    return NotebookFile(path, document, digest(content))


def _parse(content: bytes) -> Document:
    try:
        return parse_document(content)
    except InvalidNotebook:
        version = major_version(content)
        if version is None or version >= 4:
            raise
    nbformat: Any = import_module("nbformat")  # only old formats pay for the import

    try:
        upgraded = nbformat.reads(content.decode("utf-8"), as_version=4)
    except Exception as error:  # nbformat raises many kinds for a broken old file
        raise InvalidNotebook(f"Its format {version} cannot be upgraded: {error}.") from None
    return parse_document(nbformat.writes(upgraded).encode())


def _create(path: Path, content: bytes) -> None:
    try:
        with _told(path, "written"), _folder(path.parent) as folder:
            with temporary_file(folder, path.name, content, True) as temporary:
                _put_in_place(folder, temporary, path.name, content)
            sync(folder)
    except FileNotFoundError:
        raise _no_folder(path) from None


def _put_in_place(folder: int, temporary: str, name: str, content: bytes) -> None:
    """Give the file its name; unlike a rename, this fails when the name is taken."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: exclusive all the same, if not whole at once.
        write_exclusively(folder, name, content, True)


def _write(path: Path, content: bytes, expected: str | None, durable: bool) -> str:
    try:
        with _told(path, "written"), _folder(path.parent) as folder:
            _check_unchanged(folder, path, expected)
            replace_content(folder, path, content, durable)
    except FileNotFoundError:
        raise _no_folder(path) from None
    return digest(content)


def _check_unchanged(folder: int, path: Path, expected: str | None) -> None:
    if expected is None:
        return
    try:
        current = _content(folder, path.name)
    except PermissionError:
        raise FileChanged(
            f"{str(path)!r} may not be read any more, so nobody can tell whether it changed; it"
            " was left as it is."
        ) from None
    except OSError:
        current = None
    if current is None or digest(current) != expected:
        raise FileChanged(f"{str(path)!r} changed on disk since it was read; it was left as it is.")


def _write_new(path: Path, content: bytes) -> None:
    try:
        with (
            _told(path.parent, "written"),
            _folder(path.parent.parent) as above,
            suppress(FileExistsError),
        ):
            os.mkdir(path.parent.name, dir_fd=above)
    except FileNotFoundError:
        raise _no_folder(path.parent) from None
    _create(path, content)


def _check_place(path: Path) -> None:
    try:
        with _told(path, "written"), _folder(path.parent) as folder:
            if not _may(".", os.W_OK | os.X_OK, folder):
                raise InvalidInput(
                    f"{str(path)!r} cannot be written: its folder is read-only; write elsewhere, or"
                    " ask for the right to write there."
                )
            # One's own too, which could be replaced: whoever made it read-only meant it.
            there = regular(folder, path.name) is not None
            if there and not _may(path.name, os.W_OK, folder):
                raise InvalidInput(
                    f"{str(path)!r} cannot be written: it is read-only for you; write elsewhere"
                    " (--output), or make it writable first."
                )
    except FileNotFoundError:
        raise _no_folder(path) from None


def _may(name: str, right: int, folder: int) -> bool:
    """Ask as the user that writes, not as the one that started us."""
    return os.access(name, right, dir_fd=folder, effective_ids=_EFFECTIVE)


def _delete(path: Path) -> bool:
    try:
        with _told(path, "deleted"), _folder(path.parent) as folder:
            os.unlink(path.name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """Open a folder, refusing any link on the way to it."""
    descriptor = os.open(path.anchor, _SEARCH)
    try:
        for name in path.parts[1:]:
            below = os.open(name, _SEARCH, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _content(folder: int, name: str) -> bytes | None:
    """Return what a file holds; None for what is no file."""
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV):
            return None  # a socket, a device without a driver
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """Say plainly what the system refused; a missing file is the caller's to tell."""
    try:
        yield
    except FileNotFoundError:
        raise
    except FileExistsError:
        raise FileExists(
            f"{str(path)!r} exists already; choose another path or adopt the file."
        ) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise PathNotAllowed(
                f"{str(path)!r} leads through a link or a file; give the path of a real file."
            ) from None
        raise InvalidInput(f"{str(path)!r} cannot be {done}: {error.strerror}.") from None


def _no_folder(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{str(path)!r} cannot be written: its folder does not exist; make it first."
    )
