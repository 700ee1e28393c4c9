"""The work folder of a session: the chosen template lies in it before the server answers.

A template is copied once. A user's copy is never overwritten, whatever is asked; who
wants the original again gets it beside her copy, under a name that is free.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blackroad_nb.adapters.files import DiskNotebookFiles
from blackroad_nb.adapters.templates import FolderTemplates
from blackroad_nb.core.document import Document
from blackroad_nb.core.template import (
    ORIGINAL_VARIABLE,
    TEMPLATE_VARIABLE,
    WORK,
    free_paths,
    work_path,
)
from blackroad_nb.errors import BlackRoadError, FileExists


@dataclass(frozen=True, slots=True)
class Workspace:
    """What became of the template.

    Attributes:
        template: its name; None when the session was started without one.
        path: of the notebook to open, below the server's root, with `/`.
        message: why there is no copy, in one sentence; "" when there is one.
    """

    template: str | None = None
    path: str | None = None
    message: str = ""


def wanted(environ: Mapping[str, str]) -> tuple[str | None, bool]:
    """Return the template the session was started with, and whether afresh."""
    template = environ.get(TEMPLATE_VARIABLE) or None
    return template, environ.get(ORIGINAL_VARIABLE, "") == "1"


def prepare(
    template: str | None,
    original: bool,
    root: Path,
    files: DiskNotebookFiles,
    templates: FolderTemplates,
) -> Workspace:
    """Put a template's copy into the work folder unless it is there; raises nothing of ours.

    Args:
        original: copy it again, beside a copy that is there already.
        root: the server's root folder, links followed.
    """
    if template is None:
        return Workspace()
    try:
        path = _copied(template, original, root, files, templates)
    except BlackRoadError as error:
        return Workspace(
            template, message=f"The template {template!r} is not in your work folder. {error}"
        )
    return Workspace(template, path)


def _copied(
    template: str,
    original: bool,
    root: Path,
    files: DiskNotebookFiles,
    templates: FolderTemplates,
) -> str:
    path = work_path(template)
    # Links above the file are followed, within the root; the file itself may be none.
    folder = files.resolve(root / WORK)
    mine = _kind(folder / Path(path).name)
    if mine is not None and stat.S_ISREG(mine) and not original:
        return path
    document = templates.load(template)
    files.ensure_folder(folder)
    beside = free_paths(work_path(template, original=True))
    return _created([path, *beside], folder, files, document)


def _created(
    paths: Iterable[str], folder: Path, files: DiskNotebookFiles, document: Document
) -> str:
    for path in paths:
        try:
            files.create_now(folder / Path(path).name, document)
        except FileExists:
            continue
        return path
    raise FileExists(f"Every name for another copy is taken in {str(folder)!r}; remove some.")


def _kind(path: Path) -> int | None:
    """Return what lies at a path, links not followed; None for nothing or not to be seen."""
    try:
        return os.lstat(path).st_mode
    except OSError:  # what cannot be looked at cannot be written either, and that is told
        return None
