"""Exports of hostile notebooks by the real pandoc, LaTeX and Chromium: nothing read or fetched."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
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
    prints,
    raw,
    shows,
    streams_of,
    text_of,
)

from blackroad_nb.adapters.exports import NbconvertExporter
from blackroad_nb.errors import ExportFailed

SECRET = "TOPSECRETWORD"


@pytest.fixture(scope="module")
def exporter() -> Iterator[NbconvertExporter]:
    made = NbconvertExporter(workers=1)
    yield made
    made.close()


# what a stranger must not reach -------------------------------------------------------------
class Web:
    """A server on loopback that notes who asks it for something."""

    def __init__(self) -> None:
        web = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with a text and a picture that no export may show."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "secret.txt").write_text(f"{SECRET}\n")
    (folder / "secret.png").write_bytes(base64.b64decode(PIXEL))
    return folder


def attacks(folder: Path, url: str) -> list[str]:
    text, picture = folder / "secret.txt", folder / "secret.png"
    up = "../" * 12 + str(picture).lstrip("/")
    return [
        f"\\input{{{text}}}",
        f"$\\input{{{text}}}$",
        f"$$\\text{{\\input{{{text}}}}}$$",
        f"$^^5cinput{{{text}}}$",
        f"\\begin{{align}}\\input{{{text}}}\\end{{align}}",
        f"\\lstinputlisting{{{text}}}",
        f"\\VerbatimInput{{{text}}}",
        f"\\newread\\r\\openin\\r={text} \\read\\r to\\l\\l",
        f'\\input|"cat {text}"',
        f"\\immediate\\write18{{touch {folder}/ran}}",
        f"\\newwrite\\w\\immediate\\openout\\w={folder}/wrote\\immediate\\write\\w{{x}}",
        "\\newwrite\\v\\immediate\\openout\\v=../wrote\\immediate\\write\\v{x}",
        f"\\begin{{VerbatimOut}}{{{folder}/wrote}}\nx\n\\end{{VerbatimOut}}",
        f"$\\special{{pdf:fstream @s ({text})}}\\special{{pdf:docview << /X @s >>}}$",
        f"\\special{{pdf:image ({picture})}}",
        f"\\includegraphics{{{picture}}}",
        f"![x]({picture})",
        f"![x]({up})",
        f"![x](file://{picture})",
        f"![x]({url}/markdown.png)",
        f"[a\\special{{pdf:fstream @t ({text})}}](#b)",
        f'<cite data-cite="x}}\\input{{{text}}}{{">c</cite>',
        f"---\nheader-includes: \\input{{{text}}}\n---\n",
        f"<img src='file://{picture}'><img src='{url}/image.png'>",
        f"<iframe src='file://{text}'></iframe><iframe src='{url}/frame'></iframe>",
        f"<object data='file://{text}'></object><embed src='file://{text}'>",
        f"<link rel=stylesheet href='{url}/style'><style>@import '{url}/import'</style>",
        f"<script>fetch('{url}/script');document.write('RAN'+'NOW')</script>",
    ]


def hostile(folder: Path, url: str) -> dict[str, Any]:
    """Every attack in every place that formats look at."""
    tricks = attacks(folder, url)
    cells = [markdown(trick) for trick in tricks]
    for kind in ("text_latex", "text_markdown", "text_html", "text_plain"):
        cells += [code(trick, shows(**{kind: trick})) for trick in tricks]
        cells += [code("x", shows(**{kind: trick, "text_plain": "p"})) for trick in tricks]
    cells += [raw(tricks[0]), *(raw(trick, raw_mimetype="text/latex") for trick in tricks)]
    cells.append(code("x", prints("\n".join([*tricks, "\\end{Verbatim}", tricks[0]]))))
    content = notebook(*cells)
    content["metadata"]["title"] = f"T\\input{{{folder}/secret.txt}}"
    content["metadata"]["authors"] = [{"name": f"\\input{{{folder}/secret.txt}}"}]
    return content


@pytest.mark.parametrize("format", ["rst", "asciidoc", "latex", "markdown", "html", "slides"])
def test_text_formats_read_and_fetch_nothing(
    format: str, exporter: NbconvertExporter, secrets: Path, web: Web
) -> None:
    need("pandoc")
    exported = convert(exporter, hostile(secrets, web.url), format)
    assert SECRET.encode() not in exported.body
    assert sorted(path.name for path in secrets.iterdir()) == ["secret.png", "secret.txt"]
    assert web.asked == []


def test_a_pdf_holds_nothing_of_this_machine(
    exporter: NbconvertExporter, secrets: Path, web: Web, tmp_path: Path
) -> None:
    need("pandoc", "xelatex", "pdftotext")
    body = convert(exporter, hostile(secrets, web.url), "pdf").body
    text = text_of(body, tmp_path)
    assert SECRET not in text
    assert "\\input" in text  # shown, not run
    assert not any(SECRET.encode() in stream for stream in streams_of(body))
    assert pictures_of(body) == 0
    assert sorted(path.name for path in secrets.iterdir()) == ["secret.png", "secret.txt"]
    assert not list(tmp_path.parent.rglob("wrote*"))
    assert web.asked == []


@pytest.mark.parametrize("name", ["p}#$%&{.png", "p^^5cinput.png", "a b.png", "gif.gif", "x.txt"])
def test_no_name_or_kind_of_an_attachment_stops_latex(
    name: str, exporter: NbconvertExporter, tmp_path: Path
) -> None:
    need("pandoc", "xelatex", "pdftotext")
    attached = {name: {"image/gif" if name.endswith("gif") else "image/png": PIXEL}}
    cell = markdown(f"before ![words](<attachment:{name}>)", attachments=attached)
    text = text_of(convert(exporter, notebook(cell), "pdf").body, tmp_path)
    assert "before" in text


def test_an_output_that_is_no_picture_is_said_to_be_none(
    exporter: NbconvertExporter, tmp_path: Path
) -> None:
    need("pandoc", "xelatex", "pdftotext")
    cell = code("x", shows(image_png=base64.b64encode(b"no picture").decode()))
    text = text_of(convert(exporter, notebook(cell), "pdf").body, tmp_path)
    assert "An output that is no image/png" in text


def test_the_attacks_on_latex_are_real(
    exporter: NbconvertExporter, secrets: Path, tmp_path: Path
) -> None:
    """A trusted notebook's TeX does what it says, within TeX's own locks."""
    need("pandoc", "xelatex")
    trick = (
        f"$\\special{{pdf:fstream @s ({secrets}/secret.txt)}}\\special{{pdf:docview << /X @s >>}}$"
    )
    body = convert(exporter, notebook(markdown(f"a {trick}")), "pdf", trusted=True).body
    assert any(SECRET.encode() in stream for stream in streams_of(body))
    picture = f"\\includegraphics{{{secrets}/secret.png}}"
    assert pictures_of(convert(exporter, notebook(raw(picture)), "pdf", trusted=True).body) > 0


@pytest.mark.parametrize(
    "trick",
    [
        "\\input{{{0}/secret.txt}}",
        "\\newwrite\\w\\immediate\\openout\\w={0}/wrote\\immediate\\write\\w{{x}}",
        "\\immediate\\write18{{touch {0}/wrote}}",
    ],
)
def test_texs_own_locks_hold_for_a_trusted_notebook(
    trick: str, exporter: NbconvertExporter, secrets: Path, tmp_path: Path
) -> None:
    need("pandoc", "xelatex", "pdftotext")
    content = notebook(raw(trick.format(secrets)))
    try:
        text = text_of(convert(exporter, content, "pdf", trusted=True).body, tmp_path)
    except ExportFailed:
        text = ""
    assert SECRET not in text
    assert sorted(path.name for path in secrets.iterdir()) == ["secret.png", "secret.txt"]


def test_a_browsers_pdf_holds_nothing_of_this_machine(
    exporter: NbconvertExporter, secrets: Path, web: Web, tmp_path: Path
) -> None:
    need("chromium", "pdftotext")
    content = hostile(secrets, web.url)
    text = text_of(convert(exporter, content, "webpdf").body, tmp_path)
    assert SECRET not in text
    assert "RANNOW" not in text
    assert web.asked == []
    trusted = text_of(convert(exporter, content, "webpdf", trusted=True).body, tmp_path)
    assert SECRET not in trusted  # also a trusted page asks for no files
    assert "RANNOW" in trusted  # the attacks are real
