"""What to ask the history, and the page that comes back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from blackroad_nb.core.execution import Status
from blackroad_nb.core.kinds import check_text, check_whole
from blackroad_nb.core.search import search_terms
from blackroad_nb.errors import InvalidInput

DEFAULT_LIMIT = 50
MOST = 1000

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
        outputs: read the outputs too; without them a row costs no more than its code.
        root: only rows of files in this folder, or of no file at all where `server`
            recorded them.
        server: see `root`.
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
    outputs: bool = True
    root: str | None = None
    server: str | None = None


EVERYTHING = HistoryQuery()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first, and where to go on (None: this was the last page)."""

    items: tuple[T, ...]
    next_cursor: str | None


def bounds_below(root: str | None) -> tuple[str | None, str | None]:
    """Return the bounds of all paths below a folder: the first, and one behind the last."""
    if root is None:
        return None, None
    folder = root.rstrip("/")
    return f"{folder}/", f"{folder}0"  # "0" follows "/"


def is_below(path: str, root: str) -> bool:
    """Tell whether a file lies below a folder, by their names alone."""
    return path.startswith(f"{root.rstrip('/')}/")


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
