"""Questions to the database as values: SQL, its parameters, and how to read a row.

The store and the command line's reader both ask these; only how they carry the
SQL to SQLite differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from blackroad_nb.adapters.sqlite import rows
from blackroad_nb.adapters.sqlite.statements import statements
from blackroad_nb.core.execution import Execution
from blackroad_nb.core.history import (
    HistoryQuery,
    Page,
    bounds_below,
    check_cursor,
    check_limit,
    check_query,
    place_after,
    read_place,
)
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.notebook import Notebook
from blackroad_nb.core.run import Run
from blackroad_nb.core.search import (
    MOST_WORDS,
    Known,
    folded,
    fts_expression,
    search_terms,
    words_of,
)
from blackroad_nb.core.usage import UsageQuery, UsageTotal, check_usage_query, day_windows

T = TypeVar("T")

_END = 2**63 - 1  # after every row
_GROUPS = {"user": "subject", "notebook": "path", "day": "day"}


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """One question."""

    sql: str
    values: rows.Values
    build: Callable[[rows.Row], T]

    def all(self, found: Sequence[rows.Row]) -> tuple[T, ...]:
        return tuple(self.build(row) for row in found)


def get_notebook(notebook_id: str) -> Read[Notebook]:
    return Read(statements("notebooks")["get"], {"id": rows.text(notebook_id)}, rows.notebook_of)


def find_notebook(path: str) -> Read[Notebook]:
    return Read(statements("notebooks")["find"], {"path": rows.text(path)}, rows.notebook_of)


def list_notebooks(
    limit: int | None, cursor: str | None, root: str | None = None
) -> Read[Notebook]:
    """Ask for one more than `limit`, so that `notebook_page` can tell whether more follow."""
    updated_at, name = "9", ""  # before the newest
    if cursor is not None:
        moment, name = read_place(cursor)
        updated_at = rows.moment_text(moment)
    most = -1 if limit is None else limit + 1
    values = {"updated_at": updated_at, "id": rows.text(name), "limit": most, **_below(root)}
    return Read(statements("notebooks")["list"], values, rows.notebook_of)


def notebook_page(found: tuple[Notebook, ...], limit: int | None) -> Page[Notebook]:
    if limit is None or len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1]
    return Page(found[:limit], place_after(last.updated_at, last.id))


def known_words(query: HistoryQuery) -> Read[Known]:
    """Ask for the words that each term of a search stands for, before `history`."""
    check_query(query)
    terms = search_terms(query.text) if query.text is not None else ()
    globs = json.dumps([term.glob for term in terms])
    values: rows.Values = {"globs": globs, "most": MOST_WORDS + 1}
    return Read(statements("words")["known"], values, _known)


def _known(row: rows.Row) -> Known:
    words, inner = row
    return Known(tuple(json.loads(words)), None if inner is None else tuple(json.loads(inner)))


def history(
    query: HistoryQuery, known: Sequence[Known], most: int | None = None
) -> Read[Execution]:
    """Ask for `most` rows, by default one more than the page holds.

    Args:
        known: what `known_words` found.
    """
    check_query(query)
    sql = statements("executions")
    terms = search_terms(query.text) if query.text is not None else ()
    expression, left = fts_expression(terms, known)
    match = _match(query, expression)
    filters, values = _filters(query, "t.rowid" if match else "e.seq")
    for number, term in enumerate(left):
        filters += "\n" + sql["by_part"].format(number=number)
        values[f"part_{number}"] = folded(term.words[0])
    values["cursor"] = _END if query.cursor is None else query.cursor
    values["limit"] = query.limit + 1 if most is None else most
    if match:
        values["match"] = match
    before = ":cursor" if query.until is None else sql["before_until"]
    text = sql["search" if match else "history"].format(
        columns=_columns(query.outputs), before=before, filters=filters
    )
    return Read(text, values, rows.execution_of)


def _columns(outputs: bool) -> str:
    return statements("executions")["columns"].format(output="e.output" if outputs else "NULL")


def output(execution_id: str) -> Read[str | None]:
    values = {"id": rows.text(execution_id)}
    return Read(statements("executions")["output"], values, lambda row: row[0])


def history_page(found: tuple[Execution, ...], limit: int, more: bool = False) -> Page[Execution]:
    """Return a page of what was found; `more` says that reading stopped early."""
    if len(found) <= limit and not more:
        return Page(found, None)
    found = found[:limit]
    return Page(found, str(found[-1].seq))


def deletable(older_than: datetime, only: HistoryQuery, after: int, most: int) -> Read[int]:
    """Ask for `most` finished rows behind `after` that started before, in order."""
    filters, values = _filters(only, "e.seq")
    values |= {"older_than": rows.moment_text(older_than), "after": after, "limit": most}
    text = statements("executions")["deletable"].format(filters=filters)
    return Read(text, values, lambda row: int(row[0]))


def rows_of_notebook(notebook_id: str, most: int) -> Read[int]:
    values = {"notebook_id": rows.text(notebook_id), "limit": most}
    return Read(statements("executions")["of_notebook"], values, lambda row: int(row[0]))


def open_executions(process: str) -> Read[Execution]:
    sql = statements("executions")
    text = sql["open"].format(columns=_columns(outputs=True))
    return Read(text, {"process": process}, rows.execution_of)


def _match(query: HistoryQuery, expression: str) -> str | None:
    """Return what to ask the text index, or None where a plain index answers better."""
    narrow = query.user or query.status
    folder = " ".join(words_of(query.root or ""))
    if not expression and (query.run_id or (not narrow and (query.notebook_id or not folder))):
        return None
    parts = [f"{{source error parts}} : ({expression})"] if expression else []
    if folder:
        # Words only, so it may find more; the filter on the path itself decides.
        parts.append(f'(path : ^"{folder}" OR scope : v{_hex(query.server or "")})')
    if query.notebook_id is not None:
        parts.append(f"scope : n{_hex(query.notebook_id)}")
    if query.user is not None:
        parts.append(f"scope : u{_hex(query.user)}")
    if query.status is not None:
        parts.append(f"scope : s{query.status.value}")
    return " AND ".join(parts)


def _hex(text: str) -> str:
    return rows.text(text).encode().hex().upper()


def _filters(query: HistoryQuery, seq: str) -> tuple[str, rows.Values]:
    wanted = {
        "notebook_id": ("by_notebook", rows.optional_text(query.notebook_id)),
        "run_id": ("by_run", rows.optional_text(query.run_id)),
        "user": ("by_user", rows.optional_text(query.user)),
        "status": ("by_status", None if query.status is None else query.status.value),
        "since": ("by_since", rows.optional_moment_text(query.since)),
        "until": ("by_until", rows.optional_moment_text(query.until)),
    }
    used = {key: pair for key, pair in wanted.items() if pair[1] is not None}
    sql = statements("executions")
    parts = [sql[name].format(seq=seq) for name, _ in used.values()]
    values: rows.Values = {key: value for key, (_, value) in used.items()}
    if query.root is not None:
        parts.append(sql["by_root"])
        values |= _below(query.root)
        values["server"] = rows.optional_text(query.server)
    return "\n".join(parts), values


def _below(root: str | None) -> rows.Values:
    first, behind = bounds_below(rows.optional_text(root))
    return {"below": first, "beyond": behind}


def usage(query: UsageQuery) -> Read[UsageTotal]:
    check_usage_query(query)
    sql = statements("usage")
    windows = day_windows(query.since, query.until)
    values: rows.Values = {
        "first_day": windows.first_day,
        "end_day": windows.end_day,
        "head_since": rows.moment_text(windows.head[0]),
        "head_until": rows.moment_text(windows.head[1]),
        "tail_since": rows.moment_text(windows.tail[0]),
        "tail_until": rows.moment_text(windows.tail[1]),
    }
    filters = []
    if query.user is not None:
        filters.append(sql["by_user"])
        values["user"] = rows.text(query.user)
    if query.root is not None:
        filters.append(sql["by_root"])
        values |= _below(query.root)
    where = f"WHERE {' AND '.join(filters)}" if filters else ""
    text = sql["total"].format(key=_GROUPS[query.by], filters=where)
    return Read(text, values, rows.usage_total_of)


def get_run(run_id: str) -> Read[Run]:
    return Read(statements("runs")["get"], {"id": rows.text(run_id)}, rows.run_of)


def list_runs(
    notebook_id: str | None, limit: int, cursor: int | None, root: str | None = None
) -> Read[Run]:
    """Ask for one more than `limit`, so that `run_page` can tell whether more follow."""
    check_limit(limit)
    check_cursor(cursor)
    values: rows.Values = {"limit": limit + 1, "cursor": _END if cursor is None else cursor}
    if notebook_id is None:
        return Read(statements("runs")["list"], {**values, **_below(root)}, rows.run_of)
    values["notebook_id"] = rows.text(notebook_id)
    return Read(statements("runs")["list_of_notebook"], values, rows.run_of)


def run_page(found: tuple[Run, ...], limit: int) -> Page[Run]:
    if len(found) <= limit:
        return Page(found, None)
    return Page(found[:limit], str(found[limit - 1].seq))


def processes_running(notebook_id: str) -> Read[str]:
    """Ask for the names of the processes that have not finished a run of a notebook."""
    values = {"notebook_id": rows.text(notebook_id)}
    return Read(statements("runs")["open_processes_of_notebook"], values, lambda row: str(row[0]))


def list_kernels() -> Read[RegisteredKernel]:
    return Read(statements("kernels")["list"], {}, rows.kernel_of)
