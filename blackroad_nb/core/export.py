"""What an exported notebook may hold when its author is a stranger.

Two steps make a page safe, and either alone should be enough. The notebook is reduced
to what a static page can show (`reduce_notebook`), and the HTML made of it passes an
allowlist as a whole (`TAGS`, `ATTRIBUTES`, `STYLES`, `checked_attribute`). Nothing on
the lists runs code or fetches anything: raw-text elements (`style`, `title`, `iframe`,
`textarea`, ...) are left out because text that is parsed as markup elsewhere is what
defeats sanitisers. Source: https://cure53.de/fp170.pdf (mXSS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from blackroad_nb.errors import InvalidInput

DEFAULT_FORMAT = "ipynb"

# A page without scripts needs nothing from anywhere: also a hole in the allowlist runs nothing.
# Source: https://www.w3.org/TR/CSP3/
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; font-src data:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)

# Best first; what is not listed (JavaScript, mermaid, widgets, vendor types) needs code to show.
SAFE_TYPES = (
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "text/latex",
    "image/png",
    "image/jpeg",
    "text/plain",
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MATH_TAGS = _words(
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom msub "
    "msup msubsup munder mover munderover mmultiscripts mprescripts mtable mtr mtd menclose"
)
TAGS = MATH_TAGS | _words(
    "a abbr acronym address article aside audio b bdi bdo big blockquote br caption center cite "
    "code col colgroup dd del details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 "
    "h5 h6 header hr i img input ins kbd li main mark meter nav ol p pre progress q rp rt ruby s "
    "samp section small source span strike strong sub summary sup table tbody td tfoot th thead "
    "time tr tt u ul var video wbr"
)
# Their text is code, not reading matter: it goes with the tag.
DROPPED_WITH_CONTENT = _words(
    "script style title iframe object embed applet noscript noembed noframes template textarea "
    "xmp plaintext svg select option annotation annotation-xml frameset"
)

_CELL = {"align", "valign", "colspan", "rowspan", "headers", "scope", "abbr", "width", "height"}
_MATH = {
    "accent",
    "accentunder",
    "columnalign",
    "columnlines",
    "columnspacing",
    "depth",
    "display",
    "displaystyle",
    "fence",
    "height",
    "largeop",
    "linethickness",
    "lspace",
    "mathcolor",
    "mathsize",
    "mathvariant",
    "maxsize",
    "minsize",
    "movablelimits",
    "notation",
    "rowlines",
    "rowspacing",
    "rspace",
    "scriptlevel",
    "separator",
    "stretchy",
    "symmetric",
    "voffset",
    "width",
}
ATTRIBUTES: Mapping[str, set[str]] = {
    "*": {"class", "id", "style", "dir", "lang", "title", "role", "tabindex"},
    "a": {"href"},
    "audio": {"controls", "loop", "muted", "src"},
    "col": {"align", "span", "width"},
    "colgroup": {"align", "span", "width"},
    "details": {"open"},
    "div": {"data-mime-type"},
    "font": {"color", "face", "size"},
    "img": {"alt", "height", "src", "width"},
    "input": {"checked"},
    "li": {"value"},
    "meter": {"high", "low", "max", "min", "optimum", "value"},
    "ol": {"reversed", "start", "type"},
    "progress": {"max", "value"},
    "source": {"src", "type"},
    "table": {"align", "border", "cellpadding", "cellspacing", "width"},
    "td": _CELL,
    "th": _CELL,
    "time": {"datetime"},
    "video": {"controls", "height", "loop", "muted", "src", "width"},
    **dict.fromkeys(MATH_TAGS, _MATH),
}
# A task list's box is the only input that may stay, and nobody can press it.
FORCED_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "input": {"type": "checkbox", "disabled": "disabled"}
}
URL_SCHEMES = frozenset({"http", "https", "mailto", "data"})
LINK_REL = "noopener noreferrer nofollow"
# The page's style sheet gives outputs of this type the red background of errors.
_STDERR_TYPE = "application/vnd.jupyter.stderr"

# Without position, z-index and transforms nothing covers the page; without url() nothing loads.
STYLES = _words(
    "background-color border border-bottom border-bottom-color border-bottom-style "
    "border-bottom-width border-collapse border-color border-left border-left-color "
    "border-left-style border-left-width border-radius border-right border-right-color "
    "border-right-style border-right-width border-spacing border-style border-top "
    "border-top-color border-top-style border-top-width border-width clear color display "
    "empty-cells float font font-family font-size font-style font-variant font-weight height "
    "letter-spacing line-height list-style-type margin margin-bottom margin-left margin-right "
    "margin-top max-height max-width min-height min-width opacity overflow overflow-x overflow-y "
    "padding padding-bottom padding-left padding-right padding-top table-layout text-align "
    "text-decoration text-indent text-transform vertical-align visibility white-space width "
    "word-break word-spacing word-wrap"
)

_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp|bmp|svg\+xml);base64,[A-Za-z0-9+/=\s]*\Z")
_MEDIA = re.compile(r"data:(audio|video)/[a-z0-9.+-]{1,40};base64,[A-Za-z0-9+/=\s]*\Z")
_MEDIA_TYPE = re.compile(r"(audio|video)/[a-z0-9.+-]{1,40}\Z")
_LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
_SHOWS_SOMETHING = re.compile(r"<(img|audio|video|hr|table|meter|progress|input|math)\b")
_TAG = re.compile(r"<[^>]*>")

_UNSAFE_IN_FILE_NAME = re.compile(r"[^\w.-]+")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,12}\Z")
_MIME_TYPE = re.compile(r"[a-z]{1,20}/[A-Za-z0-9.+-]{1,60}\Z")
_WORD = re.compile(r"[A-Za-z0-9+#._-]{1,40}\Z")
LEFT_OUT = "[Left out of this safe export: "
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_NAME_LIMIT = 120  # characters of a picture's name
_STEM_LIMIT = 100  # characters; folder, suffix and a UTF-8 name still fit in 255 bytes mostly


def checked_attribute(tag: str, attribute: str, value: str) -> str | None:
    """Return the value of an allowed attribute when it is harmless, else None.

    A link may lead to the web or within the page. An image or a recording must be in
    the page itself: anything fetched tells its owner who reads the page, and when.
    """
    if attribute == "href":
        return value if _LINK.match(value.strip()) else None
    if attribute == "src":
        pattern = _IMAGE if tag == "img" else _MEDIA
        return value if pattern.match(value.strip()) else None
    if tag == "source" and attribute == "type":
        return value if _MEDIA_TYPE.match(value) else None
    if attribute == "data-mime-type":
        return value if value == _STDERR_TYPE else None
    if attribute == "style" and _fetches(value):
        return None
    return value


def _fetches(style: str) -> bool:
    lowered = style.lower()
    return "url" in lowered or "image" in lowered or "\\" in lowered or "expression" in lowered


def shows_something(html: str) -> bool:
    """Tell whether sanitised HTML still has anything to look at."""
    return bool(_SHOWS_SOMETHING.search(html) or _TAG.sub("", html).strip())


def reduce_notebook(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a new notebook with only what a static page shows; the old one is not changed.

    Metadata that templates write into pages, file names or import paths is rebuilt from
    checked parts; widgets, attachments that are no images and unknown metadata go.
    """
    return {
        "nbformat": notebook["nbformat"],
        "nbformat_minor": notebook["nbformat_minor"],
        "metadata": _notebook_metadata(notebook["metadata"]),
        "cells": [_cell(cell) for cell in notebook["cells"]],
    }


def assumed_language(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    """Return Python's `language_info` for a notebook that has none because it never ran.

    Jupyter writes it at the first run; the kernelspec says the language before.
    """
    kernelspec = metadata.get("kernelspec")
    if "language_info" in metadata or not isinstance(kernelspec, Mapping):
        return None
    if kernelspec.get("language", kernelspec.get("name")) not in ("python", "python3"):
        return None
    return {
        "name": "python",
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "nbconvert_exporter": "python",
    }


def checked_language(language: object) -> dict[str, str]:
    """Return the part of `language_info` that can neither import nor escape.

    nbconvert imports `nbconvert_exporter` when it is a dotted path, and puts
    `file_extension` and `mimetype` into a file name and a header as they are.
    """
    if not isinstance(language, Mapping):
        return {}
    checked = {
        key: value
        for key, pattern in (
            ("name", _WORD),
            ("pygments_lexer", _WORD),
            ("file_extension", _EXTENSION),
            ("mimetype", _MIME_TYPE),
        )
        if isinstance(value := language.get(key), str) and pattern.match(value)
    }
    if language.get("nbconvert_exporter") == "python":
        checked["nbconvert_exporter"] = "python"
    if "name" not in checked:
        checked.pop("pygments_lexer", None)
    return checked


def file_stem(name: str) -> str:
    """Turn a notebook's name into a file name without folder, dots in front or spaces."""
    stem = _UNSAFE_IN_FILE_NAME.sub("_", name).strip("._")[:_STEM_LIMIT]
    return stem or "notebook"


def resource_folder(name: str) -> str:
    """Name the folder beside an export that holds its images."""
    return f"{file_stem(name)}_files"


def default_file_name(stem: str, extension: str) -> str:
    """Name an export after its notebook; a notebook's own file is not in its way."""
    return f"{stem}-export{extension}" if extension == ".ipynb" else f"{stem}{extension}"


def check_resource(name: str) -> str:
    """Return a resource's relative path `folder/file` when it is exactly that.

    Raises:
        InvalidInput: the name leads elsewhere.
    """
    parts = name.replace("\\", "/").split("/")
    if len(parts) != 2 or any(not part.strip(". ") or "\0" in part for part in parts):
        raise InvalidInput(f"The export names a file {name!r} that may not be written; rename it.")
    return "/".join(parts)


def _notebook_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    reduced: dict[str, Any] = {}
    title = metadata.get("title")
    if isinstance(title, str):
        reduced["title"] = title
    language = checked_language(metadata.get("language_info"))
    if "name" in language:
        reduced["language_info"] = language
    return reduced


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    kind = cell["cell_type"]
    reduced: dict[str, Any] = {
        "cell_type": kind,
        "id": cell["id"],
        "metadata": _cell_metadata(cell["metadata"]),
        "source": cell["source"],
    }
    if kind == "code":
        reduced["execution_count"] = cell["execution_count"]
        reduced["outputs"] = [_output(output) for output in cell["outputs"]]
    elif cell.get("attachments"):
        reduced["attachments"] = _attachments(cell["attachments"])
    return reduced


def _cell_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    reduced: dict[str, Any] = {}
    tags = metadata.get("tags")
    if isinstance(tags, list):
        reduced["tags"] = _unique(tag for tag in tags if isinstance(tag, str) and _WORD.match(tag))
    raw = metadata.get("raw_mimetype", metadata.get("format"))
    if isinstance(raw, str):
        reduced["raw_mimetype"] = raw
    slideshow = metadata.get("slideshow")
    kind = slideshow.get("slide_type") if isinstance(slideshow, Mapping) else None
    if kind in ("slide", "subslide", "fragment", "skip", "notes", "-"):
        reduced["slideshow"] = {"slide_type": kind}
    return reduced


def _output(output: Mapping[str, Any]) -> dict[str, Any]:
    if output["output_type"] not in ("display_data", "execute_result"):
        return dict(output)
    data = {key: value for key, value in output["data"].items() if key in SAFE_TYPES}
    if not data:
        data["text/plain"] = left_out(output["data"])
    return {
        **output,
        "data": data,
        "metadata": {key: _image_metadata(output["metadata"].get(key)) for key in data},
    }


def left_out(data: Iterable[str]) -> str:
    """Say which kinds of output a safe export could not show."""
    kinds = ", ".join(sorted(data)) or "an empty output"
    return f"{LEFT_OUT}{kinds}. A trusted export shows it.]"


def picture_left_out(named: str, reason: str) -> str:
    """Say which picture a safe export could not show; `reason` begins with "which"."""
    name = named if len(named) <= _NAME_LIMIT else f"{named[:_NAME_LIMIT]}..."
    return f"{LEFT_OUT}the picture {name}, {reason}.]"


def picture_type(content: bytes) -> str | None:
    """Tell by its content which picture a file is; None for what a page must not show."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _SIGNATURES.items() if content.startswith(begin)), None)


def _image_metadata(metadata: object) -> dict[str, Any]:
    """Keep sizes that are plain numbers: templates write them without quotes."""
    if not isinstance(metadata, Mapping):
        return {}
    reduced: dict[str, Any] = {}
    for key in ("width", "height"):
        value = metadata.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 100_000:
            reduced[key] = value
    if metadata.get("needs_background") in ("light", "dark"):
        reduced["needs_background"] = metadata["needs_background"]
    return reduced


def _attachments(attachments: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, bundle in attachments.items():
        images = {
            kind: value
            for kind, value in bundle.items()
            if kind in ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
            and isinstance(value, str)
        }
        if images:
            kept[name] = images
    return kept


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
