"""One notebook into one format, with nbconvert's exporters kept warm between calls.

Runs in the export worker (`worker.py`), one conversion at a time. Exporters are made
with our own settings only: no file of the machine or of the notebook's folder adds
templates, preprocessors or options to them.
"""

# mypy: allow-untyped-calls
# (nbformat has no types)
from __future__ import annotations

import binascii
import shutil
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import nbformat

from blackroad_nb.adapters.exports.formats import (
    NOTEBOOK_TYPE,
    check_format,
    foreign_formats,
    known_format,
)
from blackroad_nb.adapters.exports.reading import read_notebook
from blackroad_nb.core.export import (
    assumed_language,
    check_resource,
    checked_language,
    file_stem,
    left_out,
    reduce_notebook,
    resource_folder,
    shows_something,
)
from blackroad_nb.errors import BlackRoadError, ExportFailed, InvalidInput
from blackroad_nb.ports import Exported

_RENDERERS: Mapping[str, str] = {
    "html": "HTMLExporter",
    "slides": "SlidesExporter",
    "script": "ScriptExporter",
    "python": "PythonExporter",
    "markdown": "MarkdownExporter",
    "webpdf": "HTMLExporter",
}
_THROUGH_PANDOC = frozenset({"asciidoc", "latex", "pdf", "rst"})

# The others hold their images themselves, or need none.
_WITH_FILES = frozenset({"markdown", "asciidoc", "rst", "latex"})


def convert(
    content: bytes, name: str, format: str, trusted: bool, folder: str | None = None
) -> Exported:
    """Convert a notebook file's content.

    Args:
        name: the notebook's name: a page's title, and the folder of its images.
        trusted: keep scripts and everything else that outputs may do.
        folder: where the notebook lies; a safe page embeds the pictures there.

    Raises:
        InvalidInput: no such format, or one that is only for trusted notebooks.
        InvalidNotebook: the content is no valid notebook.
        ExportUnavailable: the machine lacks what the format needs.
        ExportFailed: the converter gave up on this notebook.
    """
    check_format(format)
    notebook = read_notebook(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of outputs that a format cannot show
            return _converted(notebook, name, format, trusted, folder)
    except BlackRoadError:
        raise
    except binascii.Error:
        raise ExportFailed(
            "An image in the notebook, an output or an attachment, is not valid base64; run its"
            " cell again, or remove the image."
        ) from None
    except RecursionError:
        raise ExportFailed("Something in the notebook is nested too deeply to convert.") from None
    except Exception as error:  # converters raise whatever their many libraries do
        raise ExportFailed(_sentence(format, error)) from None


def probe(name: str) -> str | None:
    """Return why a format cannot be used although its programs are there, or None when it can."""
    if name == "webpdf":
        from blackroad_nb.adapters.exports.browser import cannot_start

        return cannot_start()
    if name == "pdf":
        from blackroad_nb.adapters.exports.tex import REMEDY, lacking

        lacked = lacking()
        return f"This LaTeX lacks {lacked}; {REMEDY}" if lacked else None
    try:
        _foreign(name)
    except Exception as error:  # foreign code: any failure is its answer
        return f"Its package does not load ({_first_line(error)}); reinstall or remove it."
    return None


def _converted(
    notebook: Any, name: str, format: str, trusted: bool, folder: str | None
) -> Exported:
    if format in ("ipynb", "notebook"):
        text = nbformat.writes(notebook, version=4)
        return Exported(f"{text.rstrip()}\n".encode(), ".ipynb", NOTEBOOK_TYPE)
    if format not in _RENDERERS and format not in _THROUGH_PANDOC and not trusted:
        raise InvalidInput(
            f"{format} comes from another package, which may keep scripts; "
            "export it as trusted if you trust the notebook."
        )
    if language := assumed_language(notebook.metadata):
        notebook.metadata["language_info"] = nbformat.from_dict(language)
    if not trusted:
        notebook = nbformat.from_dict(reduce_notebook(notebook))
        is_page = format in ("html", "slides", "webpdf")
        sanitizer = _sanitizer(folder if is_page else None)
        _still_outputs(notebook, sanitizer)
        if is_page:
            return _safe_page(notebook, name, format, sanitizer)
    elif "language_info" in notebook.metadata:
        _check_language(notebook.metadata)
    return _stock(notebook, name, format, trusted)


def _check_language(metadata: Any) -> None:
    checked = checked_language(metadata.pop("language_info"))
    if "name" in checked:
        metadata["language_info"] = nbformat.from_dict(checked)


def _sanitizer(folder: str | None) -> Any:
    from blackroad_nb.adapters.exports.sanitizer import Sanitizer

    return Sanitizer(folder)


def _still_outputs(notebook: Any, sanitizer: Any) -> None:
    """Sanitise outputs in place, so that what is emptied gives way to a lesser form."""
    for cell in notebook.cells:
        for attachment in cell.get("attachments", {}).values():
            _still_attachment(attachment)
        for output in cell.get("outputs", ()):
            if "data" in output:
                _still_data(output.data, sanitizer)


def _still_attachment(attachment: dict[str, Any]) -> None:
    from blackroad_nb.adapters.exports.svg import clean_svg

    encoded = attachment.pop("image/svg+xml", None)
    if encoded is None:
        return
    drawing = clean_svg(binascii.a2b_base64(encoded).decode("utf-8", "replace"))
    if drawing is not None:
        attachment["image/svg+xml"] = binascii.b2a_base64(drawing.encode(), newline=False).decode()


def _still_data(data: dict[str, Any], sanitizer: Any) -> None:
    from blackroad_nb.adapters.exports.svg import clean_svg

    gone = []
    if "text/html" in data:
        data["text/html"] = sanitizer.clean_output(data["text/html"])
        if not shows_something(data["text/html"]):
            # The plain text of such an output is an object's address or a dump of its data.
            gone += ["text/html", "text/plain"]
    if "image/svg+xml" in data:
        drawing = clean_svg(data["image/svg+xml"])
        if drawing is None:
            gone.append("image/svg+xml")
        else:
            data["image/svg+xml"] = drawing
    for kind in gone:
        data.pop(kind, None)
    if not data:
        data["text/plain"] = left_out(kind for kind in gone if kind != "text/plain")


def _safe_page(notebook: Any, name: str, format: str, sanitizer: Any) -> Exported:
    page = _page(format == "slides").render(notebook, name, sanitizer)
    body = page.encode("utf-8", "replace")
    if format == "webpdf":
        from blackroad_nb.adapters.exports.browser import print_page

        return Exported(print_page(page, scripts=False), ".pdf", "application/pdf")
    return Exported(body, ".slides.html" if format == "slides" else ".html", "text/html")


def _without_drawings(notebook: Any) -> None:
    """Take out what LaTeX cannot show without Inkscape, so that the rest can be had."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.pop("image/svg+xml", None) is not None and not data:
                data["text/plain"] = "[An SVG drawing; LaTeX needs Inkscape to show it.]"


def _stock(notebook: Any, name: str, format: str, trusted: bool) -> Exported:
    if format in ("script", "python"):
        for cell in notebook.cells:  # a script shows none, and they are copied three times
            if cell.cell_type == "code":
                cell.outputs = []
    if format in ("markdown", "asciidoc", "rst"):
        _without_colours(notebook)
    if format in _THROUGH_PANDOC:
        _ready_for_pandoc(notebook, format, trusted)
    resources = {
        "metadata": {"name": name, "path": ""},
        "unique_key": file_stem(name),
        "output_files_dir": resource_folder(name),
    }
    exporter = _exporter_for(format, trusted)
    output, resources = exporter.from_notebook_node(notebook, resources)
    files = _checked_files(resources.get("outputs") or {})
    if format == "pdf":
        from blackroad_nb.adapters.exports.tex import typeset

        return Exported(typeset(output, files), ".pdf", "application/pdf")
    if format == "webpdf":
        from blackroad_nb.adapters.exports.browser import print_page

        return Exported(print_page(output, scripts=True), ".pdf", "application/pdf")
    return Exported(
        body=output.encode("utf-8", "replace") if isinstance(output, str) else bytes(output),
        extension=str(resources.get("output_extension") or ".txt"),
        mime_type=_mime_type(format, notebook, exporter),
        resources=files if format in _WITH_FILES else {},
    )


def _without_colours(notebook: Any) -> None:
    """Take a terminal's control sequences out of outputs: text files cannot show them."""
    from nbconvert.filters import strip_ansi

    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = strip_ansi(output.text)
            elif "text/plain" in output.get("data", {}):
                output.data["text/plain"] = strip_ansi(output.data["text/plain"])


def _ready_for_pandoc(notebook: Any, format: str, trusted: bool) -> None:
    from blackroad_nb.adapters.exports.documents import TEX_FORMATS, still_tex

    if format in TEX_FORMATS and shutil.which("inkscape") is None:
        _without_drawings(notebook)
    still_tex(notebook, format, trusted)


def _checked_files(files: Mapping[str, Any]) -> dict[str, bytes]:
    return {
        check_resource(path): data if isinstance(data, bytes) else str(data).encode()
        for path, data in files.items()
    }


def _mime_type(format: str, notebook: Any, exporter: Any) -> str:
    if format == "script":
        language = notebook.metadata.get("language_info", {})
        return str(language.get("mimetype", "text/plain"))
    known = known_format(format)
    return known.mime_type if known else exporter.output_mimetype or "application/octet-stream"


@cache
def _page(slides: bool) -> Any:
    from blackroad_nb.adapters.exports.page import PageExporter

    return PageExporter(slides)


def _exporter_for(format: str, trusted: bool) -> Any:
    if format in _THROUGH_PANDOC:
        return _document(format, trusted)
    return _exporter(format) if format in _RENDERERS else _foreign(format)


@cache
def _document(format: str, trusted: bool) -> Any:
    from blackroad_nb.adapters.exports.documents import document_exporter

    return document_exporter(format, trusted)


@cache
def _exporter(format: str) -> Any:
    import nbconvert.exporters

    # We have validated the notebook; nbconvert would after each of eleven preprocessors.
    options: dict[str, Any] = {"extra_template_basedirs": [], "optimistic_validation": True}
    options["exclude_output_stdin"] = False  # what a cell asked, and what the user typed
    if format == "webpdf":
        options["template_name"] = "webpdf"
    return getattr(nbconvert.exporters, _RENDERERS[format])(**options)


@cache
def _foreign(name: str) -> Any:
    exporter: Callable[[], Any] = foreign_formats()[name].load()
    made = exporter()
    if not callable(getattr(made, "from_notebook_node", None)):
        raise TypeError("it is no nbconvert exporter")
    return made


def _sentence(format: str, error: Exception) -> str:
    return f"The notebook could not be converted to {format}: {_first_line(error)}."


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = (lines[0] if lines else type(error).__name__)[:200]
    return said.rstrip(".")
