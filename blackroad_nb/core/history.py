"""What to ask the history, and the page that comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from blackroad_nb.core.execution import Status
from blackroad_nb.errors import InvalidInput

DEFAULT_LIMIT = 50
MOST = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Filters are joined by AND; times are half-open `[since, until)`.

    Attributes:
        text: words to find in source and error; every word must occur, a word may
            end in `*`, and "quoted words" must stand together.
        cursor: where the previous page ended, as it said; None is the newest.
        limit: rows a page, 1 to 1000.
    """

    notebook_id: str | None = None
    run_id: str | None = None
    user: str | None = None
    status: Status | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    cursor: int | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first, and where to go on (None: this was the last page)."""

    items: tuple[T, ...]
    next_cursor: str | None


def check_limit(limit: int) -> int:
    """Return `limit`, or refuse what no page can hold.

    Raises:
        InvalidInput: the limit is not between 1 and 1000.
    """
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"The limit must be from 1 to {MOST}, not {limit}.")
    return limit


def fts_expression(text: str) -> str:
    """Turn what a person typed into an FTS5 expression that cannot be malformed.

    Each word becomes a quoted string, so operators and punctuation are searched
    for and never interpreted; a trailing `*` keeps its meaning of a prefix.
    Source: https://www.sqlite.org/fts5.html section 3.

    Raises:
        InvalidInput: nothing in the text can be searched for.
    """
    phrases: list[str] = []
    for position, part in enumerate(text.split('"')):
        quoted = position % 2 == 1
        phrases.extend([part] if quoted else part.split())
    terms = []
    for phrase in phrases:
        prefix = phrase.endswith("*")
        words = phrase.rstrip("*").strip()
        if any(character.isalnum() for character in words):
            terms.append(f'"{words}"' + ("*" if prefix else ""))
    if not terms:
        raise InvalidInput("The search text holds no word; give at least one letter or digit.")
    return " ".join(terms)
