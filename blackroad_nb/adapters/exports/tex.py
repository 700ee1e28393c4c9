"""PDF by xelatex, in a folder of its own that is gone afterwards."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from blackroad_nb.adapters.exports.programs import run_program
from blackroad_nb.core.tex_log import (
    missing_characters,
    missing_part,
    needs_another_run,
    what_stopped,
    with_fallbacks,
)
from blackroad_nb.errors import ExportFailed, ExportUnavailable

REMEDY = (
    "install them (Debian: apt install pandoc texlive-xetex texlive-fonts-recommended "
    "texlive-plain-generic)."
)

_NAME = "notebook"
_COMMAND = ("xelatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error")
_RUNS = 4  # headings and references settle in two or three
# Drawn in this order when they have the character; any other that has it comes after.
_PREFERRED = ("DejaVu Sans", "Noto Sans", "FreeSans", "Noto Sans CJK SC", "Noto Sans Symbols2")
_FAMILY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{0,60}\Z")
_MOST_FALLBACKS = 200  # characters looked up; the others show their number
_LOOKED_FOR = (
    *("tcolorbox.sty", "adjustbox.sty", "titling.sty", "eurosym.sty", "ulem.sty"),
    *("lmroman10-regular.otf", "latinmodern-math.otf"),
)


def typeset(tex: str, files: Mapping[str, bytes]) -> bytes:
    """Return the PDF of a document.

    Args:
        files: pictures by their paths `folder/file`, which must be checked already.

    Raises:
        ExportUnavailable: this LaTeX lacks a package or font.
        ExportFailed: LaTeX stopped; says where.
    """
    with TemporaryDirectory(prefix="tex-") as name:
        folder = Path(name)
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
        log = _run(folder, tex)
        missing = missing_characters(log)
        if missing:
            log = _run(folder, with_fallbacks(tex, _fonts(missing)))
        for _ in range(_RUNS - 1):
            log = _run(folder)
            if not needs_another_run(log):
                break
        return (folder / f"{_NAME}.pdf").read_bytes()


def lacking() -> str | None:
    """Name a package that this LaTeX lacks for notebooks, or None."""
    found = run_program(["kpsewhich", *_LOOKED_FOR]).stdout.decode("utf-8", "replace")
    names = {Path(line).name for line in found.splitlines()}
    return next((wanted for wanted in _LOOKED_FOR if wanted not in names), None)


def _run(folder: Path, tex: str | None = None) -> str:
    """Run once, with another text if one is given, and return the log."""
    if tex is not None:
        (folder / f"{_NAME}.tex").write_text(tex, "utf-8", "replace")
    done = run_program([*_COMMAND, f"{_NAME}.tex"], folder=folder, env=_environment())
    try:
        log = (folder / f"{_NAME}.log").read_text("utf-8", "replace")
    except FileNotFoundError:
        log = done.stdout.decode("utf-8", "replace")
    if done.returncode == 0 and (folder / f"{_NAME}.pdf").exists():
        return log
    lacked = missing_part(log)
    if lacked:
        raise ExportUnavailable(f"This LaTeX lacks {lacked}; {REMEDY}")
    raise ExportFailed(
        f"LaTeX stopped: {what_stopped(log)}. Mend that cell, or export to html or webpdf."
    )


def _environment() -> dict[str, str]:
    """Return TeX's environment: no file above or outside its folder, no setting of ours.

    Source: https://tug.org/texinfohtml/kpathsea.html#Safe-filenames
    """
    dropped = ("TEXINPUTS", "TEXMFOUTPUT", "TEXMF_OUTPUT_DIRECTORY", "BIBINPUTS", "BSTINPUTS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    # The log breaks lines at 79 characters otherwise, also in the middle of what we look for.
    return {**kept, "openin_any": "p", "openout_any": "p", "max_print_line": "1000"}


def _fonts(characters: list[str]) -> dict[str, str | None]:
    return {
        character: _font_of(character) if index < _MOST_FALLBACKS else None
        for index, character in enumerate(characters)
    }


@cache
def _font_of(character: str) -> str | None:
    """Find a font of this machine that has the character in outlines, which xelatex needs."""
    if shutil.which("fc-list") is None:
        return None
    pattern = f":charset={ord(character):x}:outline=true:color=false"
    said = run_program(["fc-list", pattern, "family"]).stdout.decode("utf-8", "replace")
    families = {line.split(",")[0].strip() for line in said.splitlines()}
    usable = sorted(family for family in families if _FAMILY.match(family))
    return next((name for name in _PREFERRED if name in usable), usable[0] if usable else None)
