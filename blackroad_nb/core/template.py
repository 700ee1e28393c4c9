"""A notebook to start from: what its list entry says, and where its copy goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blackroad_nb.core.document import Document
from blackroad_nb.errors import InvalidInput

METADATA_KEY = "blackroad"
SUFFIX = ".ipynb"

# How a session is told what was chosen, and where it opens. The session itself knows
# where the copy ended up, so the hub sends the browser to one fixed place.
TEMPLATE_VARIABLE = "BLACKROAD_TEMPLATE"
ORIGINAL_VARIABLE = "BLACKROAD_TEMPLATE_ORIGINAL"
LANDING = "/blackroad/workspace"
LAB = "/lab"

WORK = "work"  # below the session's root folder; what lies here is kept
MOST_COPIES = 1000  # of one template under names of their own


@dataclass(frozen=True, slots=True)
class Template:
    """A template as lists show it."""

    name: str
    title: str
    description: str


def template_of(name: str, document: Document) -> Template:
    """Read title and description from the notebook's `blackroad` metadata."""
    said = document["metadata"].get(METADATA_KEY)
    fields = said if isinstance(said, dict) else {}
    title, description = fields.get("title"), fields.get("description")
    return Template(
        name=name,
        title=title if isinstance(title, str) and title.strip() else name,
        description=description if isinstance(description, str) else "",
    )


def landing(template: str | None) -> str:
    """Return where a session opens, as JupyterHub's `default_url`."""
    return LAB if template is None else LANDING


def work_path(name: str, original: bool = False) -> str:
    """Return where the copy of a template goes, below the session's root folder.

    Raises:
        InvalidInput: the name is none that a template's file can have.
    """
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise InvalidInput(f"{name[:40]!r} is no name of a template.")
    return f"{WORK}/{name}-original{SUFFIX}" if original else f"{WORK}/{name}{SUFFIX}"


def free_paths(path: str) -> Iterator[str]:
    """Yield names to try in turn for a file that must not replace another."""
    yield path
    stem = path.removesuffix(SUFFIX)
    for number in range(2, MOST_COPIES + 1):
        yield f"{stem}-{number}{SUFFIX}"
