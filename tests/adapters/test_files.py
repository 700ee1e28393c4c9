"""Notebook files on a real disk: links, races, odd files, modes, and a full disk."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_rows import mounted, remount

from blackroad_nb.adapters import files as files_module
from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.core.document import new_document, serialize_document
from blackroad_nb.errors import (
    FileChanged,
    FileExists,
    InvalidInput,
    InvalidNotebook,
    NotebookNotFound,
    PathNotAllowed,
)

NOBODY = 65534
DOCUMENT = new_document("python3", "first")
CONTENT = serialize_document(DOCUMENT)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.ipynb").write_bytes(CONTENT)
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def files(root: Path) -> DiskNotebookFiles:
    return DiskNotebookFiles([root])


# links -----------------------------------------------------------------------------


def test_a_link_out_of_the_root_is_refused(files, root):
    (root / "file.ipynb").symlink_to(root.parent / "outside" / "secret.ipynb")
    (root / "folder").symlink_to(root.parent / "outside")
    (root / "dangling.ipynb").symlink_to(root.parent / "outside" / "new.ipynb")
    (root / "chain.ipynb").symlink_to(root / "file.ipynb")
    for name in ("file.ipynb", "folder/secret.ipynb", "dangling.ipynb", "chain.ipynb"):
        with pytest.raises(PathNotAllowed):
            files.resolve(root / name)


def test_a_link_within_the_root_leads_to_the_file(files, root):
    (root / "a.ipynb").write_bytes(CONTENT)
    (root / "link.ipynb").symlink_to("a.ipynb")
    path = files.resolve(root / "link.ipynb")
    assert path == root / "a.ipynb"
    asyncio.run(files.write(path, CONTENT, None))
    assert (root / "link.ipynb").is_symlink()


def test_a_root_that_is_a_link_is_the_folder_it_names(root, tmp_path):
    (tmp_path / "home").symlink_to(root)
    files = DiskNotebookFiles([tmp_path / "home"])
    assert files.resolve(tmp_path / "home" / "a.ipynb") == root / "a.ipynb"


def test_links_in_a_circle_end_in_a_refusal(files, root):
    (root / "a.ipynb").symlink_to("b.ipynb")
    (root / "b.ipynb").symlink_to("a.ipynb")
    with pytest.raises((PathNotAllowed, InvalidInput)):
        asyncio.run(files.read(files.resolve(root / "a.ipynb")))


def test_a_link_put_in_place_of_the_file_is_never_followed(files, root):
    secret = root.parent / "outside" / "secret.ipynb"
    path = files.resolve(root / "a.ipynb")
    path.symlink_to(secret)
    with pytest.raises(PathNotAllowed):
        asyncio.run(files.read(path))
    with pytest.raises(FileExists):
        asyncio.run(files.create(path, new_document("r", "x")))
    with pytest.raises(FileChanged):
        asyncio.run(files.write(path, b"mine", "0" * 64))
    asyncio.run(files.write(path, b"mine", None))
    assert not path.is_symlink()  # the link was replaced, not what it named
    assert secret.read_bytes() == CONTENT


def test_a_link_put_in_place_of_a_folder_is_never_followed(files, root):
    (root / "folder").mkdir()
    path = files.resolve(root / "folder" / "secret.ipynb")
    (root / "folder").rmdir()
    (root / "folder").symlink_to(root.parent / "outside")
    with pytest.raises(PathNotAllowed):
        asyncio.run(files.read(path))
    with pytest.raises(PathNotAllowed):
        asyncio.run(files.write(path, b"mine", None))
    with pytest.raises(PathNotAllowed):
        asyncio.run(files.delete(path))
    with pytest.raises(PathNotAllowed):
        asyncio.run(files.create(path.with_name("new.ipynb"), DOCUMENT))
    with pytest.raises(PathNotAllowed):
        asyncio.run(files.write_new(path.with_name("new.html"), b"mine"))
    assert [left.name for left in (root.parent / "outside").iterdir()] == ["secret.ipynb"]
    assert (root.parent / "outside" / "secret.ipynb").read_bytes() == CONTENT


def test_deleting_a_link_leaves_what_it_names(files, root):
    secret = root.parent / "outside" / "secret.ipynb"
    path = files.resolve(root / "a.ipynb")
    path.symlink_to(secret)
    asyncio.run(files.delete(path))
    assert secret.exists()
    assert not path.is_symlink()


# what is no file -------------------------------------------------------------------


def test_a_file_that_may_not_be_read_any_more_is_not_called_changed():
    before = os.geteuid()
    # Strangers cannot walk down to pytest's folder.
    with tempfile.TemporaryDirectory(prefix="blackroad-") as folder:
        os.chmod(folder, 0o777)
        path = Path(folder).resolve() / "a.ipynb"
        path.write_bytes(CONTENT)
        there = DiskNotebookFiles([path.parent])
        expected = asyncio.run(there.read(path)).digest
        path.chmod(0)
        if before == 0:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(FileChanged, match="may not be read any more"):
                asyncio.run(there.write(path, b"{}", expected))
        finally:
            os.seteuid(before)
        path.chmod(0o600)
        assert path.read_bytes() == CONTENT


def test_what_is_no_file_is_told_and_never_waited_for(files, root):
    os.mkfifo(root / "pipe.ipynb")
    (root / "folder.ipynb").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(root, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/socket.ipynb")
        os.close(here)
        for name in ("pipe.ipynb", "folder.ipynb", "socket.ipynb"):
            with pytest.raises(InvalidNotebook):
                asyncio.run(files.read(files.resolve(root / name)))
            with pytest.raises(FileChanged):
                asyncio.run(files.write(files.resolve(root / name), b"", "0" * 64))
    with pytest.raises(InvalidInput):
        asyncio.run(files.delete(root / "folder.ipynb"))
    with pytest.raises(InvalidInput):
        asyncio.run(files.write(root / "folder.ipynb", b"", None))
    with pytest.raises(InvalidNotebook):
        asyncio.run(DiskNotebookFiles([Path("/")]).read(Path("/dev/zero")))


def test_a_file_in_place_of_a_folder_is_told(files, root):
    (root / "file").write_text("")
    for operation in (files.read(root / "file" / "a.ipynb"), files.delete(root / "file" / "a")):
        with pytest.raises(PathNotAllowed):
            asyncio.run(operation)


def test_a_new_notebook_gets_its_folder(files, root):
    path = root / "new" / "a.ipynb"
    asyncio.run(files.create(path, DOCUMENT))
    assert asyncio.run(files.read(path)).document["cells"] == DOCUMENT["cells"]


def test_a_missing_folder_is_told(files, root):
    path, deep = root / "none" / "a.ipynb", root / "none" / "deep" / "a.ipynb"
    for operation in (files.create(deep, DOCUMENT), files.write(path, b"", None)):
        with pytest.raises(InvalidInput, match="folder does not exist"):
            asyncio.run(operation)
    with pytest.raises(NotebookNotFound):
        asyncio.run(files.read(path))


@pytest.mark.parametrize(
    "name", ["x" * 250 + ".ipynb", "é" * 130 + ".ipynb", "a/" * 2100 + "x.ipynb"]
)
def test_a_name_too_long_is_told(files, root, name):
    with pytest.raises(InvalidInput):
        asyncio.run(files.create(files.resolve(root / name), DOCUMENT))
    assert list(root.iterdir()) == []


# writing ---------------------------------------------------------------------------


def test_a_file_keeps_its_mode_and_a_new_one_follows_the_umask(files, root):
    before = os.umask(0o027)
    try:
        asyncio.run(files.create(root / "a.ipynb", DOCUMENT))
        assert stat.S_IMODE((root / "a.ipynb").stat().st_mode) == 0o640
        (root / "a.ipynb").chmod(0o604)
        asyncio.run(files.write(root / "a.ipynb", CONTENT, None))
        assert stat.S_IMODE((root / "a.ipynb").stat().st_mode) == 0o604
    finally:
        assert os.umask(before) == 0o027


# An ACL that lets user 1234 read, as the kernel keeps it: version, then (tag, rights, id).
NO_ID = 0xFFFFFFFF
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [(1, 6, NO_ID), (2, 4, 1234), (4, 4, NO_ID), (16, 4, NO_ID), (32, 0, NO_ID)]
)


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Act as a user who is not root, in a folder where anyone may write."""
    before = os.geteuid()
    # Strangers cannot walk down to pytest's folder.
    with tempfile.TemporaryDirectory(prefix="blackroad-") as folder:
        os.chmod(folder, 0o777)
        os.seteuid(NOBODY)
        try:
            yield Path(folder).resolve()
        finally:
            os.seteuid(before)


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def facts(path: Path) -> tuple[int, int, int, dict[str, bytes]]:
    found = path.stat()
    names = [name for name in os.listxattr(path) if name.startswith(("user.", "system."))]
    kept = {name: os.getxattr(path, name) for name in names}
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), kept


@root_only
@pytest.mark.parametrize("durable", [True, False])
def test_a_replaced_file_keeps_owner_group_mode_and_attributes(files, root, durable):
    path = root / "a.ipynb"
    path.write_bytes(CONTENT)
    os.setxattr(path, "user.tag", b"mine")
    os.chown(path, NOBODY, 4321)
    path.chmod(0o640)
    os.setxattr(path, "system.posix_acl_access", ACL)
    before, inode = facts(path), path.stat().st_ino
    assert len(before[3]) == 2
    asyncio.run(files.write(path, b"{}", None, durable))
    assert path.read_bytes() == b"{}"
    assert facts(path) == before
    assert path.stat().st_ino != inode  # replaced as a whole


def test_an_acl_of_the_folder_is_not_given_to_a_file_that_had_none(files, root):
    path = root / "a.ipynb"
    path.write_bytes(CONTENT)
    path.chmod(0o600)
    os.setxattr(root, "system.posix_acl_default", ACL)
    before = facts(path)
    asyncio.run(files.write(path, b"{}", None))
    assert facts(path) == before


def test_a_file_with_several_names_keeps_them(files, root):
    path, other = root / "a.ipynb", root / "b.ipynb"
    path.write_bytes(CONTENT * 100)
    os.link(path, other)
    asyncio.run(files.write(path, CONTENT, None, durable=False))
    assert other.read_bytes() == path.read_bytes() == CONTENT
    assert path.stat().st_nlink == 2
    assert {left.name for left in root.iterdir()} == {"a.ipynb", "b.ipynb"}


@root_only
def test_a_file_of_somebody_else_stays_theirs():
    with as_nobody() as folder:
        path = folder / "a.ipynb"
        os.seteuid(0)
        path.write_bytes(CONTENT)
        os.chown(path, 1234, 1234)
        path.chmod(0o666)
        before, inode = facts(path), path.stat().st_ino
        os.seteuid(NOBODY)
        there = DiskNotebookFiles([folder])
        asyncio.run(there.check_place(path))
        asyncio.run(there.write(path, b"{}", None))
        assert path.read_bytes() == b"{}"
        assert (facts(path), path.stat().st_ino) == (before, inode)
        assert [left.name for left in folder.iterdir()] == ["a.ipynb"]


@root_only
def test_places_that_cannot_be_written_in_the_end_are_refused_before():
    with as_nobody() as folder:
        os.seteuid(0)
        (folder / "mine.ipynb").write_bytes(CONTENT)
        (folder / "closed").mkdir(mode=0o755)
        (folder / "closed" / "a.ipynb").write_bytes(CONTENT)
        (folder / "closed" / "a.ipynb").chmod(0o666)
        os.seteuid(NOBODY)
        there = DiskNotebookFiles([folder])
        with pytest.raises(InvalidInput, match="is read-only for you"):
            asyncio.run(there.check_place(folder / "mine.ipynb"))
        with pytest.raises(InvalidInput, match="its folder is read-only"):
            asyncio.run(there.check_place(folder / "closed" / "a.ipynb"))
        with pytest.raises(InvalidInput, match="its folder does not exist; make it first"):
            asyncio.run(there.check_place(folder / "none" / "a.ipynb"))
        asyncio.run(there.check_place(folder / "new.ipynb"))
        own = folder / "own.ipynb"
        own.write_bytes(CONTENT)
        asyncio.run(there.check_place(own))
        own.chmod(0o444)
        with pytest.raises(InvalidInput, match="is read-only for you"):
            asyncio.run(there.check_place(own))


def test_writing_in_place_that_fails_leaves_the_whole_content_beside(tmp_path, monkeypatch):
    with mounted(tmp_path / "disk", size="1m") as disk:
        files = DiskNotebookFiles([disk])
        path, content = disk / "a.ipynb", b"x" * 700_000
        path.write_bytes(b"y" * 1000)
        os.link(path, disk / "b.ipynb")
        with pytest.raises(InvalidInput, match=r"No space left.*'.*\.a-\w+\.tmp'"):
            asyncio.run(files.write(path, content, None))
        (copy,) = disk.glob(".a-*.tmp")
        assert copy.read_bytes() == content


def test_a_file_closed_even_to_its_owner_is_replaced_with_its_mode(files, root):
    (root / "a.ipynb").write_bytes(CONTENT)
    (root / "a.ipynb").chmod(0o200)
    asyncio.run(files.write(root / "a.ipynb", CONTENT, None))
    assert stat.S_IMODE((root / "a.ipynb").stat().st_mode) == 0o200


def test_a_reader_never_sees_half_a_file(files, root):
    path = root / "a.ipynb"
    big = new_document("python3", "x")
    big["cells"][0]["source"] = "x" * 400_000
    contents = [CONTENT, serialize_document(big)]
    path.write_bytes(CONTENT)
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            asyncio.run(files.write(path, contents[number % 2], None, durable=False))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= set(contents)
    assert [left.name for left in root.iterdir()] == ["a.ipynb"]


def test_without_hard_links_a_file_is_still_made_exclusively(files, root, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files_module.os, "link", refuse)
    asyncio.run(files.create(root / "a.ipynb", DOCUMENT))
    with pytest.raises(FileExists):
        asyncio.run(files.create(root / "a.ipynb", new_document("r", "x")))
    assert asyncio.run(files.read(root / "a.ipynb")).document == DOCUMENT
    assert [left.name for left in root.iterdir()] == ["a.ipynb"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    with mounted(tmp_path / "disk", size="1m") as disk:
        files = DiskNotebookFiles([disk])
        asyncio.run(files.create(disk / "a.ipynb", DOCUMENT))
        large = b"x" * 2 * 1024 * 1024
        with pytest.raises(InvalidInput, match="No space left"):
            asyncio.run(files.write(disk / "a.ipynb", large, None))
        with pytest.raises(InvalidInput, match="No space left"):
            asyncio.run(files.write_new(disk / "b.ipynb", large))
        assert [left.name for left in disk.iterdir()] == ["a.ipynb"]
        assert asyncio.run(files.read(disk / "a.ipynb")).document == DOCUMENT


def test_a_read_only_disk_is_told(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        files = DiskNotebookFiles([disk])
        asyncio.run(files.create(disk / "a.ipynb", DOCUMENT))
        remount(disk, "ro")
        for operation in (
            files.create(disk / "b.ipynb", DOCUMENT),
            files.write(disk / "a.ipynb", CONTENT, None),
            files.delete(disk / "a.ipynb"),
        ):
            with pytest.raises(InvalidInput, match="Read-only"):
                asyncio.run(operation)


# old formats -----------------------------------------------------------------------


def test_a_version_3_notebook_is_upgraded_when_read(files, root):
    cell = {"cell_type": "code", "input": "print(1)", "outputs": [], "language": "python"}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [cell]}]}
    (root / "old.ipynb").write_text(json.dumps(old))
    document = asyncio.run(files.read(root / "old.ipynb")).document
    assert document["nbformat"] == 4
    assert document["cells"][0]["source"] == "print(1)"


@pytest.mark.parametrize("version", [0, 1, 2, 3, -1])
def test_a_broken_old_notebook_is_told(files, root, version):
    (root / "old.ipynb").write_text(json.dumps({"nbformat": version, "worksheets": 7}))
    with pytest.raises(InvalidNotebook):
        asyncio.run(files.read(root / "old.ipynb"))
