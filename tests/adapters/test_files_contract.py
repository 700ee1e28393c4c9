"""What notebook files promise, held over a real disk and over memory alike."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.memory_files import MemoryNotebookFiles
from blackroad_nb.core.document import digest, new_document, serialize_document
from blackroad_nb.errors import (
    FileChanged,
    FileExists,
    InvalidInput,
    InvalidNotebook,
    NotebookNotFound,
    PathNotAllowed,
)
from blackroad_nb.ports import NotebookFiles

DOCUMENT = new_document("python3", "first")
NAMES = [
    "plain.ipynb",
    'it\'s "quoted".ipynb',
    "two\nlines.ipynb",
    "\N{PILE OF POO} ünïcödé 日本.ipynb",
    " leading and trailing .ipynb",
    "-rf.ipynb",
    "%2e%2e.ipynb",
    ".ipynb",
    "x" * 249 + ".ipynb",
    "é" * 124 + ".ipynb",
]


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "root" if request.param == "disk" else Path("/root of memory")


@pytest.fixture
def files(root: Path) -> NotebookFiles:
    if root.parent == Path("/"):
        return MemoryNotebookFiles([root])
    root.mkdir()
    return DiskNotebookFiles([root])


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_notebook_of_any_name_goes_in_and_comes_out(files, root, name):
    path = files.resolve(root / name)
    asyncio.run(files.create(path, DOCUMENT))
    read = asyncio.run(files.read(path))
    assert (read.path, read.document) == (path, DOCUMENT)
    assert asyncio.run(files.read_bytes(path)) == serialize_document(DOCUMENT)
    assert read.digest == digest(serialize_document(DOCUMENT))


def test_a_new_file_never_replaces_one(files, root):
    path = files.resolve(root / "a.ipynb")
    asyncio.run(files.create(path, DOCUMENT))
    with pytest.raises(FileExists):
        asyncio.run(files.create(path, new_document("other", "b")))
    with pytest.raises(FileExists):
        asyncio.run(files.write_new(path, b"other"))
    assert asyncio.run(files.read(path)).document == DOCUMENT


def test_of_many_who_create_one_file_one_succeeds(files, root):
    path = files.resolve(root / "a.ipynb")

    async def race() -> list[object]:
        return await asyncio.gather(
            *(files.create(path, new_document("python3", f"c{n}")) for n in range(20)),
            return_exceptions=True,
        )

    results = asyncio.run(race())
    assert results.count(None) == 1
    assert sum(isinstance(result, FileExists) for result in results) == 19
    winner = asyncio.run(files.read(path)).document["cells"][0]["id"]
    assert winner == f"c{results.index(None)}"


def test_a_file_is_replaced_only_as_it_was_read(files, root):
    path = files.resolve(root / "a.ipynb")
    asyncio.run(files.create(path, DOCUMENT))
    first = asyncio.run(files.read(path)).digest
    second = asyncio.run(files.write(path, serialize_document(new_document("r", "b")), first))
    with pytest.raises(FileChanged):
        asyncio.run(files.write(path, b"mine", first))
    assert asyncio.run(files.read(path)).digest == second
    asyncio.run(files.write(path, serialize_document(DOCUMENT), None, durable=False))
    assert asyncio.run(files.read(path)).document == DOCUMENT


def test_a_file_that_is_gone_counts_as_changed(files, root):
    path = files.resolve(root / "a.ipynb")
    with pytest.raises(FileChanged):
        asyncio.run(files.write(path, b"{}", digest(b"")))
    with pytest.raises(NotebookNotFound):
        asyncio.run(files.read(path))
    asyncio.run(files.delete(path))


def test_a_deleted_file_is_gone(files, root):
    path = files.resolve(root / "a.ipynb")
    asyncio.run(files.create(path, DOCUMENT))
    asyncio.run(files.delete(path))
    with pytest.raises(NotebookNotFound):
        asyncio.run(files.read(path))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b"\xff\xfe\x00",
        b'{"cells": [], "metadata": {}, "nbformat": 5, "nbformat_minor": 0}',
        b'{"cells": [{"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        b"[" * 200_000,
    ],
    ids=range(8),
)
def test_what_is_no_notebook_is_said_to_be_none(files, root, content):
    path = files.resolve(root / "a.ipynb")
    asyncio.run(files.write_new(path, content))
    with pytest.raises(InvalidNotebook) as caught:
        asyncio.run(files.read(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "outside",
    ["../x.ipynb", "a/../../x.ipynb", "/etc/passwd", "/", "..", "../root-not.ipynb"],
)
def test_a_path_outside_the_root_is_refused(files, root, outside):
    with pytest.raises(PathNotAllowed):
        files.resolve(root / outside)
    with pytest.raises(PathNotAllowed):
        files.resolve(f"{root}/./{outside}" if not outside.startswith("/") else outside)


@pytest.mark.parametrize("bad", ["", "a\0b.ipynb", "\ud800.ipynb"])
def test_a_path_that_no_file_can_have_is_refused(files, bad):
    with pytest.raises(InvalidInput):
        files.resolve(bad)


def test_a_path_that_is_no_text_is_refused(files):
    with pytest.raises(InvalidInput):
        files.resolve(b"\xff.ipynb".decode("utf-8", "surrogateescape"))
