"""Exports by the real pandoc, LaTeX and Chromium: all is there, and what fails says why.

On CI a missing pandoc or Chromium is a failure. LaTeX is large: its tests are skipped, and
say so, where it is not installed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import pytest
from converting import (
    PIXEL,
    code,
    convert,
    markdown,
    need,
    notebook,
    pictures_of,
    raw,
    rich,
    shows,
    text_of,
)

from blackroad_nb.adapters.exports import NbconvertExporter
from blackroad_nb.errors import ExportFailed, ExportUnavailable, InvalidNotebook


@pytest.fixture(scope="module")
def exporter() -> Iterator[NbconvertExporter]:
    made = NbconvertExporter(workers=1)
    yield made
    made.close()


# content ---------------------------------------------------------------------------------
def test_restructured_text_has_everything(exporter: NbconvertExporter) -> None:
    need("pandoc")
    exported = convert(exporter, rich(), "rst")
    text = exported.body.decode()
    for expected in (
        ":math:`\\beta`",
        "::\n\n    *a red",
        "begin{align}e",
        "\U0001f600",
        "**loud**",
    ):
        assert expected in text
    assert "raw-latex" not in text  # a role that no reader knows
    assert "\x1b" not in text
    pictures = re.findall(r"(?:image|figure):: (\S+)", text)
    assert set(pictures) - {"other.png"} == set(exported.resources)
    assert set(exported.resources.values()) == {base64.b64decode(PIXEL)}


def test_asciidoc_has_everything_and_shows_pictures(exporter: NbconvertExporter) -> None:
    need("pandoc")
    exported = convert(exporter, rich(), "asciidoc")
    text = exported.body.decode()
    for expected in ("latexmath:[$\\beta$]", "----\n*a red\n----", "begin{align}e", "*loud*"):
        assert expected in text
    assert "cell-1" in text
    assert f"image::{min(exported.resources)}" in text
    assert "![png]" not in text
    assert "\x1b" not in text


def test_latex_names_its_pictures(exporter: NbconvertExporter) -> None:
    need("pandoc")
    exported = convert(exporter, rich(), "latex")
    text = exported.body.decode()
    assert set(exported.resources) == {"Report_files/p.png", "Report_files/Report_5_0.png"}
    assert all(f"{{{name}}}" in text for name in exported.resources)
    assert "{[}Image: gone{]}" in text
    assert "other.png" not in text


def test_a_pdf_shows_what_the_notebook_shows(exporter: NbconvertExporter, tmp_path: Path) -> None:
    need("pandoc", "xelatex", "pdftotext")
    exported = convert(exporter, rich(), "pdf")
    assert (exported.extension, exported.mime_type) == (".pdf", "application/pdf")
    assert exported.resources == {}
    text = text_of(exported.body, tmp_path)
    for expected in ("Gr\xf6\xdfe", "x_y", "# last", "*a", "loud", "[Image: gone]"):
        assert expected in text
    for sign in ("\u2264", "\u2713", "\U0001f600", "\u65e5"):  # TeX's own fonts have none of them
        assert sign in text or f"[U+{ord(sign):04X}]" in text
    assert pictures_of(exported.body) >= 2


def test_a_browsers_pdf_shows_what_the_notebook_shows(
    exporter: NbconvertExporter, tmp_path: Path
) -> None:
    need("chromium", "pdftotext")
    text = text_of(convert(exporter, rich(), "webpdf").body, tmp_path)
    for expected in ("Gr\xf6\xdfe", "x_y", "# last", "*a red", "loud", "cell-1"):
        assert expected in text


def test_a_hundred_cells_are_done_in_time(exporter: NbconvertExporter, tmp_path: Path) -> None:
    need("pandoc", "chromium", "pdftotext")
    cells = [
        cell
        for n in range(50)
        for cell in (markdown(f"## Part {n}\n\nText $x_{{{n}}}$."), code(f"print({n})"))
    ]
    formats = ["rst", "asciidoc", "webpdf"] + (["pdf"] if shutil.which("xelatex") else [])
    for wanted in formats:
        begun = monotonic()
        body = convert(exporter, notebook(*cells), wanted).body
        assert monotonic() - begun < 60, wanted
        text = text_of(body, tmp_path) if body.startswith(b"%PDF") else body.decode()
        assert "Part 49" in text


@pytest.mark.parametrize("format", ["rst", "asciidoc", "latex", "pdf", "webpdf"])
def test_nothing_and_a_broken_file(format: str, exporter: NbconvertExporter) -> None:
    need("pandoc", "chromium", *(["xelatex"] if format == "pdf" else []))
    for content in (notebook(), notebook(markdown(""), code(""), raw(""))):
        assert convert(exporter, content, format).body.strip() or format in ("rst", "asciidoc")
    with pytest.raises(InvalidNotebook):
        asyncio.run(exporter.export(b'{"cells": [', "x", format, trusted=False))


# failures ----------------------------------------------------------------------------------
def test_what_stops_latex_is_one_sentence(exporter: NbconvertExporter) -> None:
    need("pandoc", "xelatex")
    with pytest.raises(ExportFailed, match=r"LaTeX stopped: .*left") as raised:
        convert(exporter, notebook(markdown("$\\left( x$")), "pdf")
    assert "\n" not in raised.value.message
    with pytest.raises(ExportFailed, match=r"Undefined control sequence, at .*nothing"):
        convert(exporter, notebook(raw("\\nothing")), "pdf", trusted=True)


def test_a_latex_without_its_packages_is_not_offered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(tmp_path / "kpsewhich", "echo /x/tcolorbox.sty")
    put(tmp_path / "xelatex", 'echo "! LaTeX Error: File \\`titling.sty\' not found."; exit 1')
    put(tmp_path / "pandoc", "cat")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    async def work() -> str:
        exporter = NbconvertExporter(workers=1)
        try:
            with pytest.raises(ExportUnavailable, match=r"lacks titling\.sty; install"):
                await exporter.export(json.dumps(notebook()).encode(), "x", "pdf", trusted=False)
            found = {known.name: known for known in await exporter.formats()}
            return str(found["pdf"].reason)
        finally:
            exporter.close()

    assert "lacks adjustbox.sty; install" in asyncio.run(work())


def test_a_browser_that_does_not_start_is_not_offered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(tmp_path / "chromium", "echo 'error while loading libnothing.so' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))

    async def work() -> str:
        exporter = NbconvertExporter(workers=1)
        try:
            with pytest.raises(ExportUnavailable, match=r"does not start.*apt install chromium"):
                await exporter.export(json.dumps(notebook()).encode(), "x", "webpdf", trusted=False)
            found = {known.name: known for known in await exporter.formats()}
            return str(found["webpdf"].reason)
        finally:
            exporter.close()

    assert "does not start" in asyncio.run(work())


def test_what_works_here_is_offered(exporter: NbconvertExporter) -> None:
    need("pandoc", "chromium")
    found = {known.name: known for known in asyncio.run(exporter.formats())}
    wanted = ["rst", "asciidoc", "latex", "webpdf"] + (["pdf"] if shutil.which("xelatex") else [])
    assert [found[name].reason for name in wanted] == [None] * len(wanted)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for temporary files: pytest's have names too long for a browser's socket."""
    with TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for it in /proc")
@pytest.mark.parametrize(
    ("format", "program", "cell"),
    [
        ("pdf", "xelatex", raw("\\def\\x{\\x}\\x")),
        ("webpdf", "chromium", code("x", shows(text_html="<script>while (1) {}</script>"))),
    ],
)
def test_what_never_ends_is_killed_with_all_it_started(
    format: str,
    program: str,
    cell: dict[str, Any],
    short_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need("pandoc", program)
    monkeypatch.setenv("TMPDIR", str(short_folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    content = json.dumps(notebook(cell)).encode()

    async def work() -> None:
        exporter = NbconvertExporter(limit_seconds=8, workers=1)
        exporting = asyncio.create_task(exporter.export(content, "x", format, trusted=True))
        await asyncio.to_thread(await_programs, short_folder, program, True)
        with pytest.raises(ExportFailed, match="took longer than 8 s"):
            await exporting
        await asyncio.to_thread(await_programs, short_folder, "", False)
        exporter.close()

    asyncio.run(work())
    assert list(short_folder.iterdir()) == []


def await_programs(folder: Path, program: str, wanted: bool) -> None:
    """Wait until processes that keep temporary files in the folder are there, or are not."""
    deadline = monotonic() + 20
    while bool(running := programs(folder, program)) != wanted:
        assert monotonic() < deadline, running
        sleep(0.05)


def programs(folder: Path, program: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"TMPDIR={folder}/".encode() in environment and program in command:
            found.append(command)
    return found


def put(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
