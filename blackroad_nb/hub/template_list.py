"""The templates that the spawn page offers, read from the operator's folders.

The form is drawn for every visitor, on the hub's one loop. So a template is parsed once
and again only when its file changes, and never on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from blackroad_nb.adapters.templates import FolderTemplates
from blackroad_nb.core.document import parse_document
from blackroad_nb.core.launch import LONGEST
from blackroad_nb.core.template import Template, template_of
from blackroad_nb.errors import BlackRoadError, InvalidInput

KNOWN = 1000  # templates whose title and description are kept in memory
SHOWN = 20  # names in a refusal; a longer sentence is not read
LONGEST_FILE = 64 * 1024**2  # bytes; whatever is larger is no notebook to start from


async def list_templates(folders: Sequence[str]) -> tuple[tuple[Template, ...], str]:
    """Return the templates by name, and a sentence on those that cannot be offered."""
    return await asyncio.to_thread(_list, tuple(folders))


def check_template(folders: Sequence[str], name: str | None) -> None:
    """Check that a template is one of the operator's.

    Raises:
        InvalidInput: it is not. A name is looked up, so it leads nowhere else.
    """
    if name is None:
        return
    known = _source(folders).files()
    if name not in known:
        names = [each for each in sorted(known) if each.isprintable()]
        shown = ", ".join(names[:SHOWN]) or "none"
        more = ", …" if len(names) > SHOWN else ""
        raise InvalidInput(
            f"There is no template {name[:40]!r} on this hub; there are: {shown}{more}."
        )


def _source(folders: Sequence[str]) -> FolderTemplates:
    return FolderTemplates([Path(folder) for folder in folders])


def _list(folders: tuple[str, ...]) -> tuple[tuple[Template, ...], str]:
    found, broken = [], []
    for name, path in sorted(_source(folders).files().items()):
        template = _template(name, path)
        if template is None:
            broken.append(name if name.isprintable() else ascii(name))
        else:
            found.append(template)
    notice = f"These templates could not be read: {', '.join(broken)}." if broken else ""
    return tuple(found), notice


def _template(name: str, path: Path) -> Template | None:
    if not name.isprintable() or len(name) > LONGEST:  # no form or link could name it
        return None
    try:
        status = path.stat()
    except OSError:  # gone since it was listed
        return None
    return _parsed(name, path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=KNOWN)
def _parsed(name: str, path: Path, _changed: int, size: int) -> Template | None:
    try:
        if size > LONGEST_FILE:
            return None
        return template_of(name, parse_document(path.read_bytes()))
    except (BlackRoadError, OSError):
        return None
