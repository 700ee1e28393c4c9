"""nbconvert behind its worker: formats, content, and what a hostile file must not reach."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import nbformat
import pytest

from blackroad_nb.adapters.exports import NbconvertExporter, workers
from blackroad_nb.adapters.exports.svg import clean_svg
from blackroad_nb.errors import (
    ExportFailed,
    ExportUnavailable,
    InvalidInput,
    InvalidNotebook,
)
from blackroad_nb.ports import Exported

Result = TypeVar("Result")

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9aw"
    "AAAABJRU5ErkJggg=="
)
# mistune looks for the end of each \begin from each \begin: 40,000 of them take minutes.
STUCK = "\\begin{a}" * 40_000


def run(work: Callable[[NbconvertExporter], Awaitable[Result]], **options: Any) -> Result:
    """Run `work` on an exporter with one worker, which ends with it."""

    async def main() -> Result:
        exporter = NbconvertExporter(workers=1, **options)
        try:
            return await work(exporter)
        finally:
            exporter.close()

    return asyncio.run(main())


class Warm:
    """One exporter for the module's many small exports."""

    def __init__(self) -> None:
        self._exporter = NbconvertExporter(workers=1)

    def __call__(
        self,
        content: Any,
        format: str = "html",
        trusted: bool = False,
        name: str = "Report",
        folder: Path | None = None,
    ) -> Exported:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return asyncio.run(self._exporter.export(raw, name, format, trusted, folder))

    def close(self) -> None:
        self._exporter.close()


@pytest.fixture(scope="module")
def export() -> Iterator[Warm]:
    warm = Warm()
    yield warm
    warm.close()


def notebook(*cells: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def markdown(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": source, **more}


def code(source: str, *outputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 1,
        "id": "c",
        "metadata": {},
        "outputs": list(outputs),
        "source": source,
        **more,
    }


def image(**metadata: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"image/png": PIXEL}, "metadata": metadata}


PYTHON = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {
        "name": "python",
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
USUAL = notebook(
    markdown("# Title\n\nSome *text*\nin two lines"),
    code("%matplotlib inline\nimport os\n!ls -l\nx = 1"),
    code("%%bash\necho hi", id="c2"),
    code("print('ü€😀')\n?os.path\nfiles = !ls", id="c3"),
    {"cell_type": "raw", "id": "r", "metadata": {}, "source": "raw"},
    **PYTHON,
)


# formats -----------------------------------------------------------------------------
def test_the_list_names_every_exporter_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # neither pandoc nor LaTeX
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    found = {each.name: each for each in run(lambda exporter: exporter.formats())}
    assert list(found)[:3] == ["ipynb", "html", "script"]
    from importlib.metadata import entry_points

    assert set(found) == {"ipynb", *entry_points(group="nbconvert.exporters").names}
    available = {name for name, each in found.items() if each.available}
    assert available == {"ipynb", "html", "script", "markdown", "notebook", "python", "slides"}
    assert all(each.reason is None for each in found.values() if each.available)
    assert "LaTeX" in (found["pdf"].reason or "")
    assert "playwright install chromium" in (found["webpdf"].reason or "")
    assert all("pandoc" in (found[name].reason or "") for name in ("rst", "asciidoc", "latex"))


def test_an_unavailable_format_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportUnavailable, match="apt install pandoc"):
        run(lambda exporter: exporter.export(b"{}", "x", "rst", trusted=False))


@pytest.mark.parametrize(
    "name", ["", "HTML5", "no", "trap.Exporter", "nbconvert.exporters.HTMLExporter"]
)
def test_an_unknown_format_lists_the_known_and_imports_nothing(
    name: str, export: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match="known are: ipynb, html, script"):
        export(USUAL, name)


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another package with two exporters, one of them broken."""
    (tmp_path / "other_pkg.py").write_text(
        "print('noise on stdout')\n"
        "from nbconvert.exporters import Exporter\n"
        "class Shout(Exporter):\n"
        "    output_mimetype = 'text/x-shout'\n"
        "    file_extension = '.shout'\n"
        "    def from_notebook_node(self, nb, resources=None, **kw):\n"
        "        resources['output_extension'] = '.shout'\n"
        "        return nb.cells[0].source.upper(), resources\n"
    )
    info = tmp_path / "other_pkg-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-pkg\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[nbconvert.exporters]\nshout = other_pkg:Shout\nbroken = other_gone:Nothing\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for the worker
    monkeypatch.syspath_prepend(tmp_path)  # for the list
    return tmp_path


def test_exporters_of_other_packages_are_listed_and_broken_ones_say_so(foreign: Path) -> None:
    found = {each.name: each for each in run(lambda exporter: exporter.formats())}
    assert found["shout"].available
    assert not found["broken"].available
    assert "other_gone" in (found["broken"].reason or "")


def test_exporters_of_other_packages_are_for_trusted_notebooks_only(foreign: Path) -> None:
    content = json.dumps(notebook(markdown("quiet"))).encode()

    async def work(exporter: NbconvertExporter) -> Exported:
        with pytest.raises(InvalidInput, match="export it as trusted"):
            await exporter.export(content, "x", "shout", trusted=False)
        with pytest.raises(ExportFailed, match="other_gone"):
            await exporter.export(content, "x", "broken", trusted=True)
        return await exporter.export(content, "x", "shout", trusted=True)

    exported = run(work)
    assert (exported.body, exported.extension) == (b"QUIET", ".shout")


# content -----------------------------------------------------------------------------
@pytest.mark.parametrize("format", ["script", "python", "markdown"])
def test_text_formats_are_what_nbconvert_writes(format: str, export: Warm, tmp_path: Path) -> None:
    (tmp_path / "Report.ipynb").write_text(json.dumps(USUAL))
    command = [sys.executable, "-m", "nbconvert", "--to", format, "--stdout", "Report.ipynb"]
    stock = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    assert export(USUAL, format).body.strip() == stock.strip()


def test_a_script_of_another_language_has_its_extension(export: Warm) -> None:
    language = {"name": "R", "file_extension": ".r", "mimetype": "text/x-r-source"}
    exported = export(notebook(code("x <- 1"), language_info=language), "script")
    assert (exported.extension, exported.mime_type) == (".r", "text/x-r-source")
    assert exported.body == b"x <- 1\n"


def test_ipynb_is_valid_keeps_what_it_does_not_know_and_repeats_itself(export: Warm) -> None:
    cells = [code("1", metadata={"mine": [1]}), code("2"), {**markdown("x"), "id": "not an id"}]
    original = {**notebook(*cells, mine={"deep": True}), "nbformat_minor": 2}
    first = export(original, "ipynb")
    written = nbformat.reads(first.body.decode(), as_version=4)
    nbformat.validate(written)
    assert (written.nbformat, written.nbformat_minor) == (4, 5)
    assert written.metadata.mine == {"deep": True}
    assert written.cells[0].metadata.mine == [1]
    assert len({cell.id for cell in written.cells}) == 3
    assert export(original, "ipynb").body == first.body
    assert export(first.body, "notebook").body == first.body


def test_an_old_notebook_is_upgraded(export: Warm) -> None:
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell("print(1)")])]
    )
    exported = export(nbformat.v3.writes_json(old).encode(), "ipynb")
    assert nbformat.reads(exported.body.decode(), as_version=4).cells[0].source == "print(1)"


def test_markdown_names_its_images_as_they_are_given(export: Warm) -> None:
    cells = [
        code("1", image()),
        markdown("![x](attachment:a b.png)", attachments={"a b.png": {"image/png": PIXEL}}),
    ]
    exported = export(notebook(*cells), "markdown", name="../My /notebook")
    assert set(exported.resources) == {
        "My_notebook_files/My_notebook_0_0.png",
        "My_notebook_files/a b.png",
    }
    assert set(exported.resources.values()) == {base64.b64decode(PIXEL)}
    assert b"My_notebook_files/My_notebook_0_0.png" in exported.body


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/evil", "..", "a/../../b", "..\\..\\evil", "\0"]
)
def test_no_resource_leaves_its_folder(name: str, trusted: bool, export: Warm) -> None:
    cells = [
        code("1", image(filename=name)),
        markdown(f"![x](attachment:{name})", attachments={name: {"image/png": PIXEL}}),
    ]
    try:
        exported = export(notebook(*cells), "markdown", trusted)
    except (InvalidInput, ExportFailed):
        return
    for path in exported.resources:
        folder, file = path.split("/")
        assert folder == "Report_files"
        assert file.strip(".")
        assert not {"\\", "\0"} & set(file)


def test_html_shows_the_next_best_where_the_best_is_unsafe(export: Warm) -> None:
    plot = {
        "output_type": "display_data",
        "metadata": {},
        "data": {
            "application/vnd.plotly.v1+json": {"data": []},
            "text/html": "<div id=p></div><script>draw()</script>",
            "image/png": PIXEL,
            "text/plain": "Figure()",
        },
    }
    page = export(notebook(code("plot()", plot))).body.decode()
    assert f'src="data:image/png;base64,{PIXEL}"' in page
    del plot["data"]["image/png"]  # type: ignore[attr-defined]
    page = export(notebook(code("plot()", plot))).body.decode()
    assert "Left out of this safe export: text/html" in page


def test_a_page_needs_nothing_from_anywhere_and_says_so(export: Warm) -> None:
    page = export(USUAL, name="A <b> & c").body.decode()
    assert "<title>A &lt;b&gt; &amp; c</title>" in page
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\';' in page
    assert "<script" not in page
    assert "cdnjs" not in page
    assert "@import" not in page


def test_trusted_html_is_nbconverts_own(export: Warm) -> None:
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": "<script>a</script>"},
    }
    page = export(notebook(code("x", output)), trusted=True).body.decode()
    assert "<script>a</script>" in page


@pytest.mark.parametrize("trusted", [False, True])
def test_a_page_shows_what_a_cell_asked_and_what_was_typed(trusted: bool, export: Warm) -> None:
    typed = {"output_type": "stream", "name": "stdin", "text": "Your name?  Ada\n"}
    said = {"output_type": "stream", "name": "stdout", "text": "Hello\n"}
    page = export(notebook(code("x", typed, said)), trusted=trusted).body.decode()
    assert page.index("Your name?  Ada") < page.index("Hello")


def test_halves_of_characters_do_not_stop_an_export(export: Warm) -> None:
    content = json.dumps(notebook(markdown("a \ud83d b \udc00 \ud83d\ude00 \0"))).encode()
    assert "😀" in export(content).body.decode()
    assert export(content, "ipynb").body.decode()
    assert export(content, "markdown", name="x\ud800").body.decode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "no list of cells"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b'{"nbformat": 3, "worksheets": 5}', "cannot be upgraded"),
        (json.dumps(notebook(code("1", {"output_type": "odd"}))).encode(), "Cell 0 is not valid"),
        (json.dumps(notebook({"cell_type": "chat"})).encode(), "Cell 0 is not valid"),
        (json.dumps(notebook(code("1", outputs=[3]))).encode(), "Cell 0"),
        (json.dumps(notebook(kernelspec={"name": 3})).encode(), "metadata.kernelspec"),
        (json.dumps(notebook(markdown("x", attachments=[]))).encode(), "Cell 0"),
    ],
)
def test_what_is_no_notebook_gets_one_sentence(content: bytes, said: str, export: Warm) -> None:
    for wanted in ("html", "ipynb", "script"):
        with pytest.raises(InvalidNotebook, match=said) as raised:
            export(content, wanted)
        assert "\n" not in raised.value.message
        assert len(raised.value.message) < 400


def test_an_image_that_is_no_base64_gets_one_sentence(export: Warm) -> None:
    output = {**image(), "data": {"image/png": "x"}}
    with pytest.raises(ExportFailed, match="base64"):
        export(notebook(code("1", output)), "markdown")


# what a hostile file must not reach ----------------------------------------------------
TRAP = "import pathlib\npathlib.Path(__file__).with_name('sprung').touch()\nclass Exporter: pass\n"


@pytest.mark.parametrize("trusted", [False, True])
def test_a_notebook_cannot_name_a_module_to_import(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nbconvert imports `nbconvert_exporter` when it is a dotted path."""
    (tmp_path / "trap.py").write_text(TRAP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    language = {"name": "python", "nbconvert_exporter": "trap.Exporter"}
    content = json.dumps(notebook(code("x = 1"), language_info=language)).encode()
    exported = run(lambda exporter: exporter.export(content, "x", "script", trusted))
    assert b"x = 1" in exported.body
    assert not (tmp_path / "sprung").exists()

    (tmp_path / "x.ipynb").write_bytes(content)  # the control: stock nbconvert springs the trap
    command = [sys.executable, "-m", "nbconvert", "--to", "script", "x.ipynb"]
    subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "sprung").exists()


def test_templates_and_modules_in_the_working_folder_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server works in the folder of its notebooks, and anybody may have put a folder there."""
    for name in ("trap", "nbformat", "jinja2"):
        (tmp_path / f"{name}.py").write_text(TRAP)
    for template in ("lab", "reveal", "base", "script", "python", "markdown"):
        (tmp_path / template).mkdir()
        conf = {"base_template": "base", "preprocessors": {"1": {"type": "trap.Exporter"}}}
        (tmp_path / template / "conf.json").write_text(json.dumps(conf))
        for index in ("index.html.j2", "base.html.j2", "null.j2", "index.py.j2", "index.md.j2"):
            (tmp_path / template / index).write_text("HIJACKED")
    (tmp_path / "index.html.j2").write_text("HIJACKED")
    monkeypatch.chdir(tmp_path)
    content = json.dumps(USUAL).encode()

    async def work(exporter: NbconvertExporter) -> list[bytes]:
        tries = [
            (wanted, trusted)
            for wanted in ("html", "slides", "script", "markdown")
            for trusted in (False, True)
        ]
        return [(await exporter.export(content, "x", *each)).body for each in tries]

    assert all(b"HIJACKED" not in body for body in run(work))
    assert not (tmp_path / "sprung").exists()


def test_a_notebook_that_never_ran_is_a_script_of_its_kernels_language(export: Warm) -> None:
    fresh = notebook(code("x = 1"), kernelspec={"name": "python3", "display_name": "python3"})
    exported = export(fresh, "script")
    assert (exported.extension, exported.mime_type) == (".py", "text/x-python")


@pytest.mark.parametrize("extension", ["/../../x", ".py/../x", "py", ".a b", ".\n", "." + "a" * 99])
def test_a_scripts_extension_is_only_an_extension(extension: str, export: Warm) -> None:
    language = {"name": "q", "file_extension": extension, "mimetype": "text/x\r\nSet-Cookie: a"}
    exported = export(notebook(code("x"), language_info=language), "script")
    assert (exported.extension, exported.mime_type) == (".txt", "text/plain")


@pytest.mark.skipif(os.name != "posix", reason="the guard is an environment variable of TeX Live")
def test_tex_is_told_to_stay_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`\\input{/etc/passwd}` in a stranger's notebook would print the file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    scripts = {
        "pandoc": 'case "$1" in -v) echo "pandoc 3.1";; *) cat;; esac',
        "xelatex": f'{{ env; echo "ARGS $@"; }} > {tmp_path}/seen; echo pdf > notebook.pdf',
        "bibtex": "exit 0",
    }
    for name, text in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    content = json.dumps(notebook(code("1"))).encode()
    exported = run(lambda exporter: exporter.export(content, "x", "pdf", trusted=False))
    assert (exported.body, exported.mime_type) == (b"pdf\n", "application/pdf")
    seen = (tmp_path / "seen").read_text()
    assert "openin_any=p" in seen
    assert "openout_any=p" in seen
    assert "ARGS -no-shell-escape" in seen


@pytest.mark.parametrize(
    "attack",
    [
        "<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>",
        "<svg xmlns='http://www.w3.org/2000/svg'><a href='javascript:x'><text>y</text></a></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg' xmlns:l='http://www.w3.org/1999/xlink'>"
        "<use l:href='https://x.test/a#b'/><image l:href='https://x.test/i'/></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg'><style>@import 'https://x.test';</style>"
        "<rect fill='url(https://x.test/f)' style='fill:url( https://x.test )'/></svg>",
        "<svg xmlns='http://www.w3.org/2000/svg'><set attributeName='href' to='javascript:x'/>"
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload='x'/></foreignObject>"
        "</svg>",
        "<svg xmlns='http://www.w3.org/2000/svg' xmlns:h='http://www.w3.org/1999/xhtml'>"
        "<h:script>x</h:script><?xml-stylesheet href='https://x.test'?></svg>",
    ],
)
def test_a_drawing_loses_what_runs_or_fetches(attack: str) -> None:
    cleaned = clean_svg(attack) or ""
    assert not any(
        word in cleaned for word in ("script", "onload", "x.test", "javascript", "import")
    )
    ElementTree.fromstring(cleaned)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html/>",
        "<svg><rect></svg>",
        '<!DOCTYPE s [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        '<!DOCTYPE s SYSTEM "file:///etc/passwd"><svg xmlns="http://www.w3.org/1999/xhtml"/>',
        "<svg xmlns='http://www.w3.org/2000/svg'>" + "<g>" * 50_000 + "</g>" * 50_000 + "</svg>",
    ],
)
def test_what_is_no_drawing_is_dropped(text: str) -> None:
    assert clean_svg(text) is None


def test_a_drawing_of_matplotlib_keeps_its_shape() -> None:
    drawing = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
        '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="10pt" viewBox="0 0 9 9"><metadata>x</metadata><defs><style type="text/css">'
        "*{stroke-linejoin: round}</style><path id='p' d='M 0 1'/><clipPath id='c'/></defs>"
        '<g clip-path="url(#c)"><use xlink:href="#p" style="fill: #1f77b4"/>'
        f'<image xlink:href="data:image/png;base64,{PIXEL}"/></g></svg>'
    )
    cleaned = clean_svg(drawing) or ""
    for kept in ('viewBox="0 0 9 9"', "round", 'd="M 0 1"', "url(#c)", '"#p"', "#1f77b4", PIXEL):
        assert kept in cleaned


# pictures next to the notebook ---------------------------------------------------------
SECRET = base64.b64decode(PIXEL) + b"secret"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A notebook's folder with pictures in it, above it and hidden in it."""
    folder = tmp_path / "work"
    (folder / "figures").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    pixel = base64.b64decode(PIXEL)
    (folder / "figures" / "my chart.png").write_bytes(pixel)
    (folder / "misnamed.txt").write_bytes(pixel)
    (folder / "notes.png").write_text("no picture")
    (folder / "large.png").write_bytes(pixel + bytes(10_000_000))
    for place in (tmp_path / "secret.png", folder / ".hidden" / "secret.png"):
        place.write_bytes(SECRET)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "out").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.png")
    return folder


@pytest.mark.parametrize(
    "source",
    [
        "![chart](figures/my%20chart.png)",
        "<img src='figures/my chart.png' width=40>",
        "![chart](./figures/../figures/my%20chart.png)",
        "![chart](misnamed.txt)",
    ],
)
def test_a_picture_next_to_the_notebook_is_in_its_page(
    source: str, export: Warm, beside: Path
) -> None:
    output = {"output_type": "display_data", "data": {"text/html": source}, "metadata": {}}
    cell = code("1", output) if source.startswith("<") else markdown(source)
    page = export(notebook(cell), folder=beside).body.decode()
    assert f'src="data:image/png;base64,{PIXEL}"' in page
    assert "Left out" not in page


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("gone.png", "which is not in the notebook's folder"),
        ("../secret.png", "which is not in the notebook's folder"),
        ("figures/..%2F../secret.png", "which is not in the notebook's folder"),
        ("{above}/secret.png", "which is not in the notebook's folder"),
        ("link.png", "which is not in the notebook's folder"),
        ("out/secret.png", "which is not in the notebook's folder"),
        (".hidden/secret.png", "which is not in the notebook's folder"),
        ("https://example.com/a.png", "which is not in the notebook's folder"),
        ("//example.com/a.png", "which is not in the notebook's folder"),
        ("pipe.png", "which is not in the notebook's folder"),
        ("figures", "which is not in the notebook's folder"),
        ("notes.png", "which is no PNG, JPEG, GIF or WebP picture"),
        ("large.png", "which is too large (10 MB each)"),
    ],
)
def test_the_page_says_which_picture_is_left_out(
    named: str, reason: str, export: Warm, beside: Path
) -> None:
    named = named.format(above=beside.parent)
    page = export(notebook(markdown(f'<img alt="a > b" src="{named}"> after')), folder=beside)
    shown = page.body.decode()
    assert f"<em>[Left out of this safe export: the picture {named}, {reason}.]</em> after" in shown
    assert "<img" not in shown
    assert base64.b64encode(SECRET).decode()[:-4] not in shown


def test_the_pictures_of_a_page_are_bounded_together(export: Warm, beside: Path) -> None:
    (beside / "big.png").write_bytes(base64.b64decode(PIXEL) + bytes(9_000_000))
    cells = [markdown(f"![x](big.png) {n}", id=f"m{n}") for n in range(7)]
    page = export(notebook(*cells), folder=beside).body
    assert page.count(b'src="data:image/png') == 5
    assert page.count(b"big.png, which is one too many (50 MB of pictures in a page)") == 2


def test_text_formats_read_no_picture(export: Warm, beside: Path) -> None:
    html = {"text/html": "<img src=misnamed.txt>"}
    output = {"output_type": "display_data", "data": html, "metadata": {}}
    text = export(notebook(code("1", output)), "markdown", folder=beside).body.decode()
    assert "[Left out of this safe export: the picture misnamed.txt" in text
    assert PIXEL not in text


# the worker ----------------------------------------------------------------------------
def test_a_conversion_that_hangs_is_stopped_and_never_blocks_the_loop() -> None:
    stuck, fine = (json.dumps(notebook(markdown(text))).encode() for text in (STUCK, "fine"))

    async def work(exporter: NbconvertExporter) -> tuple[float, Exported]:
        await exporter.warm()
        worst = 0.0

        async def feel() -> None:
            nonlocal worst
            while True:
                begun = monotonic()
                await asyncio.sleep(0.005)
                worst = max(worst, monotonic() - begun)

        feeling = asyncio.create_task(feel())
        with pytest.raises(ExportFailed, match="took longer than 8 s"):
            await exporter.export(stuck, "x", "html", trusted=False)
        feeling.cancel()
        return worst, await exporter.export(fine, "x", "ipynb", trusted=False)

    worst, exported = run(work, limit_seconds=8)
    assert worst < 0.5
    assert b"fine" in exported.body


def test_a_worker_that_dies_is_replaced() -> None:
    content = json.dumps(notebook(markdown("fine"))).encode()
    stuck = json.dumps(notebook(markdown(STUCK))).encode()

    async def work(exporter: NbconvertExporter) -> Exported:
        await exporter.warm()
        process = exporter._workers[0]._process
        assert process is not None
        task = asyncio.create_task(exporter.export(stuck, "x", "html", trusted=False))
        await asyncio.to_thread(await_state, process.pid, "R")  # it converts
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(ExportFailed, match="export process ended"):
            await task
        return await exporter.export(content, "x", "html", trusted=False)

    assert b"fine" in run(work).body


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for it in /proc")
def test_a_worker_whose_caller_was_killed_does_not_run_on() -> None:
    caller = (
        "import asyncio, sys\n"
        "from blackroad_nb.adapters.exports import NbconvertExporter\n"
        "async def main():\n"
        "    exporter = NbconvertExporter(limit_seconds=10, workers=1)\n"
        "    await exporter.warm()\n"
        "    print(exporter._workers[0]._process.pid, flush=True)\n"
        "    await exporter.export(sys.stdin.buffer.read(), 'x', 'html', False)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", caller]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.stdin.write(json.dumps(notebook(markdown(STUCK))).encode())
        process.stdin.close()
        await_state(worker, "R")  # it converts
        process.kill()
    await_state(worker, "ZX")


def await_state(pid: int, states: str, seconds: float = 30.0) -> None:
    """Wait until the system shows the process in one of these states; X is gone."""
    deadline = monotonic() + seconds
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            status = "State:\tX"
        if status.split("State:\t")[1][0] in states:
            return
        assert monotonic() < deadline, status
        time.sleep(0.05)


def test_a_cancelled_export_frees_its_worker_and_never_blocks_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cleaning = []
    kill = workers._kill

    def noted(*process: Any) -> None:
        cleaning.append(threading.current_thread())
        kill(*process)

    monkeypatch.setattr(workers, "_kill", noted)
    content = json.dumps(notebook(markdown("fine"))).encode()
    stuck = json.dumps(notebook(markdown(STUCK))).encode()

    async def work(exporter: NbconvertExporter) -> Exported:
        await exporter.warm()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await exporter.export(stuck, "x", "html", trusted=False)
        async with asyncio.timeout(20):
            exported = await exporter.export(content, "x", "html", trusted=False)
        assert cleaning
        assert threading.main_thread() not in cleaning
        return exported

    assert b"fine" in run(work).body


def test_closing_ends_what_is_under_way_and_leaves_no_process() -> None:
    stuck = json.dumps(notebook(markdown(STUCK))).encode()

    async def work() -> int:
        exporter = NbconvertExporter(workers=1)
        await exporter.warm()
        process = exporter._workers[0]._process
        assert process is not None
        task = asyncio.create_task(exporter.export(stuck, "x", "html", trusted=False))
        await asyncio.sleep(0.1)
        exporter.close()
        with pytest.raises(ExportFailed, match="clos"):
            await task
        assert process.poll() is not None
        return process.pid

    asyncio.run(work())


def test_two_exports_at_once_each_get_their_own() -> None:
    async def work() -> list[str]:
        exporter = NbconvertExporter(workers=2)
        try:
            contents = [json.dumps(notebook(markdown(f"number {n}"))).encode() for n in range(6)]
            done = await asyncio.gather(
                *(exporter.export(each, "x", "markdown", trusted=False) for each in contents)
            )
            return [each.body.decode().strip() for each in done]
        finally:
            exporter.close()

    assert asyncio.run(work()) == [f"number {n}" for n in range(6)]


def test_the_callers_process_imports_no_converter(tmp_path: Path) -> None:
    """nbconvert and nbformat are most of a second, and more memory than the rest of us."""
    script = (
        "import asyncio, sys\n"
        "from blackroad_nb.adapters.exports import NbconvertExporter\n"
        "async def main():\n"
        "    exporter = NbconvertExporter()\n"
        "    await exporter.formats()\n"
        "    await exporter.warm()\n"
        "    exporter.close()\n"
        "asyncio.run(main())\n"
        "print({'nbconvert', 'nbformat', 'jinja2', 'nh3'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("set()", "")


def test_a_large_notebook_is_done_in_time(export: Warm) -> None:
    cells = [code(f"x = {n}", id=f"c{n}") for n in range(2500)]
    cells += [markdown(f"text {n}", id=f"m{n}") for n in range(2500)]
    begun = monotonic()
    page = export(notebook(*cells, **PYTHON)).body.decode()
    assert page.count("jp-Notebook-cell") >= 5000
    assert monotonic() - begun < 60


def test_much_coloured_text_is_done_in_time_and_as_nbconvert_does(export: Warm) -> None:
    from nbconvert.filters.ansi import ansi2html

    text = "\x1b[31mred\x1b[0m <plain>\n\x1b[1;4mloud\n\x1b[mquiet \x1b[44mblue\n" * 300
    stream = {"output_type": "stream", "name": "stdout", "text": text}
    page = export(notebook(code("1", stream))).body.decode()
    shown = page[page.rindex("<pre>") + len("<pre>") : page.rindex("</pre>")]
    assert shown == ansi2html(text)
    stream["text"] = text * 200  # a million colours; each once copied all that followed
    begun = monotonic()
    export(notebook(code("1", stream)))
    assert monotonic() - begun < 60
