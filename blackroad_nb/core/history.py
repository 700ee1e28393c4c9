"""What to ask the history, and the page that comes back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from blackroad_nb.core.execution import Status
from blackroad_nb.core.kinds import check_text, check_whole
from blackroad_nb.errors import InvalidInput

DEFAULT_LIMIT = 50
MOST = 1000
MOST_TERMS = 50  # words and phrases in one search
SHORTEST_PREFIX = 3  # Latin letters; fewer would match nearly every row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"(-?[0-9]{1,20})\.(.*)", re.DOTALL)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Filters are joined by AND; times are half-open `[since, until)` of the start.

    Attributes:
        text: words to find in source and error; every word must occur, a word of at
            least three letters may end in `*`, and "quoted words" must stand together.
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


EVERYTHING = HistoryQuery()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first, and where to go on (None: this was the last page)."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand together; `prefix` frees the end of the last."""

    words: tuple[str, ...]
    prefix: bool


def place_after(moment: datetime, name: str) -> str:
    """Return the cursor of a list ordered by time, then by name; safe within a URL."""
    return f"{(moment - _EPOCH) // timedelta(microseconds=1)}.{name}"


def read_place(cursor: str) -> tuple[datetime, str]:
    """Return what `place_after` wrote.

    Raises:
        InvalidInput: no page gave this cursor.
    """
    written = _PLACE.fullmatch(cursor)
    try:
        if written:
            return _EPOCH + timedelta(microseconds=int(written[1])), written[2]
    except OverflowError:
        pass  # beyond the calendar, so no page gave it either
    raise InvalidInput(f"The cursor {cursor!r} is not one that a page gave.")


def check_limit(limit: int) -> int:
    """Return `limit`, or refuse what no page can hold.

    Raises:
        InvalidInput: the limit is not between 1 and 1000.
    """
    if not 1 <= check_whole(limit, "The limit") <= MOST:
        raise InvalidInput(f"The limit must be from 1 to {MOST}, not {limit}.")
    return limit


def check_cursor(cursor: int | None) -> int | None:
    """Return the cursor of a list ordered by `seq`; None is the newest.

    Raises:
        InvalidInput: no page gave this cursor.
    """
    if cursor is not None and not 0 <= check_whole(cursor, "The cursor") < 2**63:
        raise InvalidInput(f"The cursor {cursor} is not one that a page gave.")
    return cursor


def check_query(query: HistoryQuery) -> HistoryQuery:
    """Return the query, or say which part of it cannot be answered.

    Raises:
        InvalidInput: limit, cursor, times or text are not acceptable.
    """
    check_limit(query.limit)
    for name in ("notebook_id", "run_id", "user", "text"):
        if getattr(query, name) is not None:
            check_text(getattr(query, name), f"The filter `{name}`")
    check_cursor(query.cursor)
    for label, moment in (("since", query.since), ("until", query.until)):
        if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
            raise InvalidInput(
                f"The time `{label}` must be a datetime with a zone, such as 2026-01-31T12:00Z."
            )
    if query.text is not None:
        search_terms(query.text)
    return query


def search_terms(text: str) -> tuple[Term, ...]:
    """Read what a person typed as terms that must all occur.

    Operators and punctuation only separate words; a trailing `*` makes a prefix.

    Raises:
        InvalidInput: the text holds no word or too many, or too short a prefix.
    """
    terms: list[Term] = []
    for position, part in enumerate(text.split('"')):
        for phrase in [part] if position % 2 else part.split():
            words = tuple(words_of(phrase))
            if words:
                terms.append(Term(words, phrase.rstrip().endswith("*")))
    if not terms:
        raise InvalidInput("The search text holds no word; give at least one letter or digit.")
    for term in terms:
        last = term.words[-1]
        if term.prefix and last.isascii() and len(last) < SHORTEST_PREFIX:
            raise InvalidInput(f"Give at least {SHORTEST_PREFIX} letters before '*', not {last!r}.")
    if len(terms) > MOST_TERMS:
        raise InvalidInput(f"The search text has {len(terms)} words; {MOST_TERMS} is the most.")
    return tuple(terms)


def fts_expression(text: str) -> str:
    """Turn what a person typed into an FTS5 expression that cannot be malformed.

    Only letters and digits reach the expression, so nothing in it is an operator.
    Source: https://www.sqlite.org/fts5.html section 3.

    Raises:
        InvalidInput: the text holds no word or too many, or too short a prefix.
    """
    return " AND ".join(
        f'"{" ".join(term.words)}"' + (" *" if term.prefix else "") for term in search_terms(text)
    )


def words_of(text: str) -> Iterator[str]:
    """Split where the text index does: letters, digits and their accents make words.

    Source: https://www.sqlite.org/fts5.html section 4.3.1 (unicode61).
    """
    word: list[str] = []
    for character in text:
        kind = unicodedata.category(character)
        if kind[0] in "LN" or kind == "Co" or (kind[0] == "M" and word):
            word.append(character)
        elif word:
            yield "".join(word)
            word = []
    if word:
        yield "".join(word)


def folded(word: str) -> str:
    """Return the word without case and accents, as the text index compares it."""
    plain = "".join(
        c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn"
    )
    return unicodedata.normalize("NFC", plain).lower()
