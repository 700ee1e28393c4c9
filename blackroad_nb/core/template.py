"""A notebook to start from, and what its list entry says."""

from __future__ import annotations

from dataclasses import dataclass

from blackroad_nb.core.document import Document

METADATA_KEY = "blackroad"


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
