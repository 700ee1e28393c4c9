"""Putting new content into a file that stays the same file: its owner, mode, attributes, links.

All names are those of entries of one folder, which is open already: nothing here follows
a path.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from blackroad_nb.errors import InvalidInput

# O_NONBLOCK: opening a named pipe would wait for somebody to write into it.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OVERWRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = 0o666  # less what the umask takes
_PRIVATE = 0o600  # until it is known who may read it
_STEM = 40  # characters of the name that a temporary file shows
_ATTRIBUTES = hasattr(os, "listxattr")  # Linux
_ACL = "system.posix_acl_access"
_OURS = ("user.", _ACL)  # others belong to the system, which sets them by itself


def replace_content(folder: int, path: Path, content: bytes, durable: bool) -> None:
    """Give a file new content, whole at any moment where that is possible.

    A new file takes the place of the old one. Where it could not have the same owner and
    attributes, or the old one has other names too, the content is written into the old one.
    """
    if not _replace(folder, path.name, content, durable):
        _write_in_place(folder, path, content)


def _replace(folder: int, name: str, content: bytes, durable: bool) -> bool:
    """Put a new file in the place of the old one.

    Returns False, and changes nothing, when the new one could not be like the old one.
    """
    before = regular(folder, name)
    if before is not None and before.st_nlink > 1:
        return False
    mode = _NEW if before is None else _PRIVATE
    with temporary_file(folder, name, content, durable, mode) as temporary:
        if before is not None and not _alike(folder, temporary, name, before):
            return False
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    if durable:
        sync(folder)
    return True


def _alike(folder: int, temporary: str, name: str, before: os.stat_result) -> bool:
    with ExitStack() as opened:
        new = os.open(temporary, READ, dir_fd=folder)
        opened.callback(os.close, new)
        old = None
        with suppress(PermissionError):  # closed even to its owner
            old = os.open(name, READ, dir_fd=folder)
            opened.callback(os.close, old)
        return _take_after(new, old, before)


def _write_in_place(folder: int, path: Path, content: bytes) -> None:
    """Write into the file that is there, once the whole content is safe beside it.

    A crash in the middle leaves half a file, and next to it the hidden copy.
    """
    copy = _temporary_name(path.name)
    write_exclusively(folder, copy, content, True, _PRIVATE)
    try:
        sync(folder)
        descriptor = os.open(path.name, _OVERWRITE, dir_fd=folder)
    except OSError:
        os.unlink(copy, dir_fd=folder)  # nothing has been changed
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise InvalidInput(
            f"{str(path)!r} could be written in part only: {error.strerror}. The whole content"
            f" is in {str(path.with_name(copy))!r}; copy it over the file once there is room."
        ) from None
    os.unlink(copy, dir_fd=folder)


def _take_after(new: int, old: int | None, before: os.stat_result) -> bool:
    """Give the open file `new` what the one has that it will replace.

    Args:
        old: the other one, opened; None when it cannot be read, nor then its attributes.
        before: what the system says of the other one.

    Returns False when the system does not allow it; `new` cannot take the place then.
    """
    now = os.fstat(new)
    try:
        if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
            os.fchown(new, before.st_uid, before.st_gid)
        os.fchmod(new, before.st_mode & 0o7777)
        if _ATTRIBUTES and old is not None:
            _copy_attributes(new, old)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP):
            raise
        return False
    return True


def _copy_attributes(new: int, old: int) -> None:
    wanted, there = _attributes(old), _attributes(new)
    for name in there - wanted:  # a folder may give an ACL to each new file in it
        os.removexattr(new, name)
    for name in wanted:
        os.setxattr(new, name, os.getxattr(old, name))


def _attributes(file: int) -> set[str]:
    with suppress(OSError):  # a file system without attributes
        return {name for name in os.listxattr(file) if name.startswith(_OURS)}
    return set()


def regular(folder: int, name: str) -> os.stat_result | None:
    """Look at a file; None when there is none, or it is a folder, a link or a device."""
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return found if stat.S_ISREG(found.st_mode) else None
    return None


@contextmanager
def temporary_file(
    folder: int, name: str, content: bytes, durable: bool, mode: int = _NEW
) -> Iterator[str]:
    """Write the content beside its place; whatever is not moved away goes again."""
    temporary = _temporary_name(name)
    try:
        write_exclusively(folder, temporary, content, durable, mode)
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


def _temporary_name(name: str) -> str:
    return f".{Path(name).stem[:_STEM]}-{secrets.token_hex(6)}.tmp"


def write_exclusively(
    folder: int, name: str, content: bytes, durable: bool, mode: int = _NEW
) -> None:
    descriptor = os.open(name, _CREATE, mode, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise


def sync(folder: int) -> None:
    """Make the new name itself durable."""
    descriptor = os.open(".", _FOLDER, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
