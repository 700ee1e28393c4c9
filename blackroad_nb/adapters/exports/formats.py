"""Which formats exist, and what this machine lacks for each."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from blackroad_nb.adapters.exports.browser import REMEDY as BROWSER_REMEDY
from blackroad_nb.adapters.exports.browser import installed_browser
from blackroad_nb.adapters.exports.tex import REMEDY as LATEX_REMEDY
from blackroad_nb.errors import ExportUnavailable, InvalidInput
from blackroad_nb.ports import ExportFormat

GROUP = "nbconvert.exporters"
NOTEBOOK_TYPE = "application/x-ipynb+json"


@dataclass(frozen=True, slots=True)
class KnownFormat:
    """A format of nbconvert's own; `missing` says what it lacks here, or None."""

    name: str
    extension: str
    mime_type: str
    missing: Callable[[], str | None] = lambda: None


def known_formats() -> dict[str, ExportFormat]:
    """Return nbconvert's own formats as they stand on this machine now."""
    return {known.name: _as_format(known) for known in _known()}


def known_format(name: str) -> ExportFormat | None:
    """Return one of nbconvert's own formats, or None when it has none of that name."""
    return next((_as_format(known) for known in _known() if known.name == name), None)


def check_format(name: str) -> ExportFormat | None:
    """Return the format when it can be used here; None stands for another package's.

    Raises:
        InvalidInput: no exporter is registered under this name (a dotted path never is).
        ExportUnavailable: says what the machine lacks.
    """
    known = known_format(name)
    if known is None and name not in foreign_formats():
        names = ", ".join([*known_formats(), *sorted(foreign_formats())])
        raise InvalidInput(f"There is no export format {name[:60]!r}; known are: {names}.")
    if known is not None and not known.available:
        raise ExportUnavailable(f"{name} is not available here. {known.reason}")
    return known


def foreign_formats() -> dict[str, EntryPoint]:
    """Return exporters that other packages registered; none is imported here."""
    own = {known.name for known in _known()}
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name not in own:
            found.setdefault(entry.name, entry)
    return found


def _as_format(known: KnownFormat) -> ExportFormat:
    reason = known.missing()
    found = ExportFormat(known.name, known.extension, known.mime_type, reason is None)
    return found if reason is None else replace(found, reason=reason)


def _pandoc() -> str | None:
    if shutil.which("pandoc"):
        return None
    return "pandoc is not installed; install it (Debian: apt install pandoc)."


def _latex() -> str | None:
    wanting = [program for program in ("xelatex", "pandoc") if not shutil.which(program)]
    if not wanting:
        return None
    return f"No LaTeX here ({' and '.join(wanting)} not found); {LATEX_REMEDY}"


def _browser() -> str | None:
    if find_spec("playwright") is None:
        return f"Playwright is not installed; run `pip install playwright`, then {BROWSER_REMEDY}"
    own = any(any(folder.glob("chromium*-*")) for folder in _browser_folders())
    return None if own or installed_browser() else f"There is no Chromium; {BROWSER_REMEDY}"


def _browser_folders() -> tuple[Path, ...]:
    """Where Playwright keeps browsers; https://playwright.dev/python/docs/browsers."""
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if chosen and chosen != "0":
        return (Path(chosen),)
    home = Path.home()
    if sys.platform == "darwin":
        return (home / "Library" / "Caches" / "ms-playwright",)
    if sys.platform == "win32":
        return (home / "AppData" / "Local" / "ms-playwright",)
    return (Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "ms-playwright",)


def _desktop() -> str | None:
    return "It opens a desktop window, which a server cannot; use webpdf or pdf."


def _template() -> str | None:
    return "It needs a template of yours; run `jupyter nbconvert --to custom --template NAME`."


@cache
def _known() -> tuple[KnownFormat, ...]:
    return (
        KnownFormat("ipynb", ".ipynb", NOTEBOOK_TYPE),
        KnownFormat("html", ".html", "text/html"),
        KnownFormat("script", ".py", "text/x-python"),
        KnownFormat("asciidoc", ".asciidoc", "text/asciidoc", _pandoc),
        KnownFormat("custom", ".txt", "text/plain", _template),
        KnownFormat("latex", ".tex", "text/x-tex", _pandoc),
        KnownFormat("markdown", ".md", "text/markdown"),
        KnownFormat("notebook", ".ipynb", NOTEBOOK_TYPE),
        KnownFormat("pdf", ".pdf", "application/pdf", _latex),
        KnownFormat("python", ".py", "text/x-python"),
        KnownFormat("qtpdf", ".pdf", "application/pdf", _desktop),
        KnownFormat("qtpng", ".png", "image/png", _desktop),
        KnownFormat("rst", ".rst", "text/x-rst", _pandoc),
        KnownFormat("slides", ".slides.html", "text/html"),
        KnownFormat("webpdf", ".pdf", "application/pdf", _browser),
    )
