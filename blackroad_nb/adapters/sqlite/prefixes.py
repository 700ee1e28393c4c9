"""A page for a long prefix of a common word, without gathering every row that has it.

The text index keeps the rows of each three letters in order. For a longer prefix it
first gathers all rows of all words that begin so: 30 ms for a word in each of a
million rows. But where the word is common, the newest rows of its first three
letters hold a page of it already; so those are looked through first. Where they do
not, the word is rare enough to be gathered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

from blackroad_nb.adapters.sqlite import reads, rows
from blackroad_nb.adapters.sqlite.statements import statements
from blackroad_nb.core.execution import Execution
from blackroad_nb.core.history import SHORTEST_PREFIX, HistoryQuery, Term, search_terms

_MOST = 100  # rows a page; a larger one is worth the gathering
_LOOKED_THROUGH = 4  # candidates for each row of the page

Candidate: TypeAlias = tuple[int, str, str]


def candidates(query: HistoryQuery) -> reads.Read[Candidate] | None:
    """Ask for the newest rows that may match; None where that is no gain."""
    if query.text is None or query.limit > _MOST or not _long(search_terms(query.text)):
        return None
    text = " ".join(_shortened(term) for term in search_terms(query.text))
    wider = replace(query, text=text)
    return reads.search(wider, "candidate", (query.limit + 1) * _LOOKED_THROUGH, _candidate)


def page_of(query: HistoryQuery, found: Iterable[Candidate]) -> reads.Read[Execution] | None:
    """Ask for the page, or None when the candidates do not settle what is on it."""
    patterns = [
        re.compile(rf"(?<![^\W_]){re.escape(term.words[0])}", re.ASCII | re.IGNORECASE)
        for term in _long(search_terms(query.text or ""))
    ]
    wanted: list[int] = []
    for seq, *texts in found:
        matches = [_matches(pattern, texts) for pattern in patterns]
        if None in matches:
            return None
        if all(matches):
            wanted.append(seq)
        if len(wanted) > query.limit:
            sql = statements("executions")
            text = sql["by_seq"].format(columns=sql["columns"])
            return reads.Read(text, {"wanted": json.dumps(wanted)}, rows.execution_of)
    return None


def _long(terms: Iterable[Term]) -> list[Term]:
    """Return the terms that the index would have to gather and we can look for."""
    return [
        term
        for term in terms
        if term.prefix
        and len(term.words) == 1
        and term.words[0].isascii()
        and len(term.words[0]) > SHORTEST_PREFIX
    ]


def _shortened(term: Term) -> str:
    if _long([term]):
        return f"{term.words[0][:SHORTEST_PREFIX]}*"
    return f'"{" ".join(term.words)}{"*" if term.prefix else ""}"'


def _matches(pattern: re.Pattern[str], texts: Iterable[str]) -> bool | None:
    """Whether a word begins so; None where accents or other scripts leave it open."""
    if not all(text.isascii() for text in texts):
        return None
    return any(pattern.search(text) for text in texts)


def _candidate(row: rows.Row) -> Candidate:
    seq, source, error = row
    return seq, source, error or ""
