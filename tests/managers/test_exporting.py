"""Where exports go: beside the notebook, under the roots, never over anything unasked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.memory import MemoryStore
from blackroad_nb.core.document import new_document, parse_document, serialize_document
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.errors import (
    ExportUnavailable,
    FileExists,
    InvalidInput,
    InvalidNotebook,
    NotebookExists,
    NotebookNotFound,
    PathNotAllowed,
)
from blackroad_nb.managers.exporting import ExportManager
from blackroad_nb.ports import Exported, ExportFormat

Result = TypeVar("Result")

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class EchoExporter:
    """An exporter whose result tells what it was asked; `files` go beside it."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = files or {}
        self.content = b""
        self.closed = False

    async def formats(self) -> tuple[ExportFormat, ...]:
        return (ExportFormat("html", ".html", "text/html", available=True),)

    async def export(
        self, content: bytes, name: str, format: str, trusted: bool, folder: Path | None = None
    ) -> Exported:
        self.content = content
        parse_document(content)
        if format == "pdf":
            raise ExportUnavailable("No LaTeX here.")
        extension = {"script": ".py", "ipynb": ".ipynb", "notebook": ".ipynb"}.get(format, ".html")
        body = f"{name} as {format}{' trusted' if trusted else ''}".encode()
        return Exported(body, extension, "text/html", self.files)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def export(
    root: Path,
    work: Callable[[ExportManager], Awaitable[Result]],
    files: dict[str, bytes] | None = None,
    path: str = "my report.ipynb",
) -> Result:
    """Run `work` on a manager that knows one notebook, `n`, under `root`."""

    async def main() -> Result:
        store = MemoryStore()
        target = root / path
        target.write_bytes(serialize_document(new_document("python3", "a")))
        await store.add_notebook(Notebook("n", "My Report", str(target), "python3", NOW, NOW))
        return await work(ExportManager(store, DiskNotebookFiles([root]), EchoExporter(files)))

    return asyncio.run(main())


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_an_export_lies_beside_its_notebook(root: Path) -> None:
    written = export(root, lambda manager: manager.export_file("n", "html"))
    assert written == root / "my report.html"
    assert written.read_text() == "my report as html"
    assert names(root) == ["my report.html", "my report.ipynb"]


def test_a_path_need_not_be_registered(root: Path) -> None:
    stray = root / "stray.ipynb"
    stray.write_bytes(serialize_document(new_document("python3", "a")))
    assert export(root, lambda manager: manager.export(stray, "html")).body == b"stray as html"
    written = export(root, lambda manager: manager.export_file(stray, "html"))
    assert written == root / "stray.html"
    with pytest.raises(NotebookExists):
        export(root, lambda manager: manager.export_file(stray, "ipynb", str(stray), True))
    with pytest.raises(PathNotAllowed):
        export(root, lambda manager: manager.export(root.parent / "x.ipynb"))
    with pytest.raises(NotebookNotFound):
        export(root, lambda manager: manager.export(root / "none.ipynb"))


def test_a_format_that_was_not_named_is_ipynb(root: Path) -> None:
    written = export(root, lambda manager: manager.export_file("n"))
    assert written == root / "my report-export.ipynb"
    assert written.read_text() == "my report as ipynb"
    assert export(root, lambda manager: manager.export("n")).extension == ".ipynb"


@pytest.mark.parametrize("format", ["ipynb", "notebook"])
def test_a_notebook_is_not_written_as_something_else(format: str, root: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'x\.html' does not end in \.ipynb"):
        export(root, lambda manager: manager.export_file("n", format, str(root / "x.html")))
    assert names(root) == ["my report.ipynb"]
    export(root, lambda manager: manager.export_file("n", format, str(root / "x")))
    assert names(root) == ["my report.ipynb", "x"]


@pytest.mark.parametrize("format", ["ipynb", "notebook"])
def test_an_exported_notebook_is_not_the_notebook(format: str, root: Path) -> None:
    written = export(root, lambda manager: manager.export_file("n", format))
    assert written == root / "my report-export.ipynb"
    assert parse_document((root / "my report.ipynb").read_bytes())


def test_the_bytes_and_the_trust_come_through(root: Path) -> None:
    exported = export(root, lambda manager: manager.export("n", "script", trusted=True))
    assert exported.body == b"my report as script trusted"
    assert names(root) == ["my report.ipynb"]


def test_the_exporter_gets_the_very_bytes_of_the_file(root: Path) -> None:
    """They are neither parsed nor written anew on the way: that would hold up the loop."""
    written = b'{"nbformat": 4,  "nbformat_minor": 5,\n\n"metadata": {}, "cells": []}'
    exporter = EchoExporter()

    async def work() -> None:
        store = MemoryStore()
        (root / "a.ipynb").write_bytes(written)
        await store.add_notebook(Notebook("n", "A", str(root / "a.ipynb"), "python3", NOW, NOW))
        await ExportManager(store, DiskNotebookFiles([root]), exporter).export("n")

    asyncio.run(work())
    assert exporter.content == written


def test_nothing_is_overwritten_unless_asked(root: Path) -> None:
    (root / "my report.html").write_text("mine")
    with pytest.raises(
        FileExists, match=r"exists already; name another file \(--output\), or replace it"
    ):
        export(root, lambda manager: manager.export_file("n", "html"))
    assert (root / "my report.html").read_text() == "mine"
    export(root, lambda manager: manager.export_file("n", "html", overwrite=True))
    assert (root / "my report.html").read_text() == "my report as html"
    assert names(root) == ["my report.html", "my report.ipynb"]


@pytest.mark.parametrize("format", ["ipynb", "html"])
def test_the_notebook_itself_is_never_overwritten(format: str, root: Path) -> None:
    for destination in ("my report.ipynb", "./x/../my report.ipynb"):
        with pytest.raises((NotebookExists, InvalidInput)):
            export(
                root,
                lambda manager, to=destination: manager.export_file(
                    "n", format, str(root / to), overwrite=True
                ),
            )
    (root / "link.ipynb").symlink_to(root / "my report.ipynb")
    with pytest.raises((NotebookExists, InvalidInput)):
        export(
            root,
            lambda manager: manager.export_file("n", format, str(root / "link.ipynb"), True),
        )
    assert parse_document((root / "my report.ipynb").read_bytes())


def test_a_page_is_not_written_over_any_notebook(root: Path) -> None:
    (root / "other.ipynb").write_text("{}")
    with pytest.raises(InvalidInput, match="must not be named"):
        export(
            root,
            lambda manager: manager.export_file("n", "html", str(root / "other.ipynb"), True),
        )
    assert (root / "other.ipynb").read_text() == "{}"


@pytest.mark.parametrize("destination", ["/etc/evil.html", "../evil.html", "out/evil.html", ""])
def test_no_export_leaves_the_roots(destination: str, root: Path, tmp_path: Path) -> None:
    (root / "out").symlink_to(tmp_path)
    given = (
        destination if destination.startswith("/") or not destination else str(root / destination)
    )
    with pytest.raises((PathNotAllowed, InvalidInput)):
        export(root, lambda manager: manager.export_file("n", "html", given, overwrite=True))
    assert names(tmp_path) == ["root/my report.ipynb"]


def test_images_go_into_their_folder_and_before_the_page(root: Path) -> None:
    files = {"my_report_files/a.png": b"a", "my_report_files/b.png": b"b"}
    export(root, lambda manager: manager.export_file("n", "html", str(root / "x.html")), files)
    assert names(root) == [
        "my report.ipynb",
        "my_report_files/a.png",
        "my_report_files/b.png",
        "x.html",
    ]
    (root / "x.html").unlink()
    files["my_report_files/b.png"] = b"another"
    with pytest.raises(FileExists):
        export(root, lambda manager: manager.export_file("n", "html", str(root / "x.html")), files)
    assert not (root / "x.html").exists()
    assert (root / "my_report_files" / "b.png").read_bytes() == b"b"


def test_two_formats_share_the_same_images(root: Path) -> None:
    files = {"my_report_files/a.png": b"a"}
    for name in ("x.html", "y.html"):
        export(
            root, lambda manager, to=name: manager.export_file("n", "html", str(root / to)), files
        )
    assert names(root) == ["my report.ipynb", "my_report_files/a.png", "x.html", "y.html"]


def test_an_image_folder_that_leads_out_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / "my_report_files").symlink_to(tmp_path / "outside")
    with pytest.raises(PathNotAllowed):
        export(
            root, lambda manager: manager.export_file("n", "html"), {"my_report_files/a.png": b"a"}
        )
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("destination", ["typo/x.html", "a/b/x.html"])
def test_a_missing_folder_is_refused_and_not_made(destination: str, root: Path) -> None:
    with pytest.raises(InvalidInput, match="its folder does not exist; make it first"):
        export(root, lambda manager: manager.export_file("n", "html", str(root / destination)))
    assert names(root) == ["my report.ipynb"]
    assert [path.name for path in root.iterdir()] == ["my report.ipynb"]


def test_a_folder_as_destination_is_refused(root: Path) -> None:
    (root / "folder").mkdir()
    for overwrite in (False, True):
        with pytest.raises((FileExists, InvalidInput)):
            export(
                root,
                lambda manager, over=overwrite: manager.export_file(
                    "n", "html", str(root / "folder"), over
                ),
            )
    assert (root / "folder").is_dir()


def test_what_fails_leaves_no_file(root: Path) -> None:
    with pytest.raises(ExportUnavailable):
        export(root, lambda manager: manager.export_file("n", "pdf"))
    with pytest.raises(NotebookNotFound):
        export(root, lambda manager: manager.export_file("other"))

    async def broken(manager: ExportManager) -> None:
        (root / "my report.ipynb").write_text("no notebook")
        with pytest.raises(InvalidNotebook, match=r"my report\.ipynb' is not a readable notebook"):
            await manager.export_file("n")
        (root / "my report.ipynb").unlink()
        with pytest.raises(NotebookNotFound):
            await manager.export("n")

    export(root, broken)
    assert names(root) == []


def test_closing_closes_the_exporter() -> None:
    exporter = EchoExporter()
    ExportManager(MemoryStore(), DiskNotebookFiles([Path("/")]), exporter).close()
    assert exporter.closed
