"""The ports in memory: what managers are tested with, held to the same contract tests."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from uuid import uuid4

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import (
    HistoryQuery,
    Page,
    check_cursor,
    check_limit,
    check_query,
    is_below,
    place_after,
    read_place,
)
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.core.notebook import DEFAULT_KERNEL, Notebook, name_for
from blackroad_nb.core.run import Run
from blackroad_nb.core.search import Term, folded, has_parts, search_parts, search_terms, words_of
from blackroad_nb.core.usage import (
    UsageEvent,
    UsageQuery,
    UsageTotal,
    check_usage_query,
    usage_of,
)
from blackroad_nb.errors import (
    KernelExists,
    KernelNotFound,
    NotebookExists,
    NotebookNotFound,
    RunNotFound,
    StoreError,
)

# What a finishing row may leave open, because the pending one knew it.
_KEPT = (
    "notebook_id",
    "cell_index",
    "path",
    "cell_id",
    "run_id",
    "kernel_id",
    "user",
    "user_source",
    "server",
    "queued_at",
)


class MemoryStore:
    """`ports.Store` without a file."""

    notice: str | None = None

    def __init__(self) -> None:
        self._notebooks: dict[str, Notebook] = {}
        self._executions: dict[str, Execution] = {}
        self._usage: dict[str, UsageEvent] = {}  # for ever, also of what was deleted
        self._runs: dict[str, Run] = {}
        self._kernels: dict[str, RegisteredKernel] = {}
        self._seq = 0
        self._run_seq = 0
        self._closed = False

    # notebooks -----------------------------------------------------------------
    async def add_notebook(self, notebook: Notebook) -> None:
        self._check_path(notebook)
        self._notebooks[notebook.id] = notebook

    async def get_notebook(self, notebook_id: str) -> Notebook:
        self._check_open()
        if notebook_id not in self._notebooks:
            raise NotebookNotFound(
                f"There is no notebook {notebook_id!r}; list the notebooks to see their ids."
            )
        return self._notebooks[notebook_id]

    async def find_notebook(self, path: str) -> Notebook | None:
        self._check_open()
        return next((n for n in self._notebooks.values() if n.path == path), None)

    async def list_notebooks(
        self, limit: int | None = None, cursor: str | None = None, root: str | None = None
    ) -> Page[Notebook]:
        self._check_open()
        ordered = sorted(self._notebooks.values(), key=lambda n: n.id)
        ordered = [n for n in ordered if root is None or is_below(n.path, root)]
        ordered.sort(key=lambda n: n.updated_at, reverse=True)
        if cursor is not None:
            at, after = read_place(cursor)
            ordered = [n for n in ordered if (n.updated_at, after) < (at, n.id)]
        if limit is None or len(ordered) <= check_limit(limit):
            return Page(tuple(ordered), None)
        last = ordered[limit - 1]
        return Page(tuple(ordered[:limit]), place_after(last.updated_at, last.id))

    async def move_notebook(self, notebook_id: str, path: str, name: str, at: datetime) -> None:
        stored = await self.get_notebook(notebook_id)
        moved = replace(stored, path=path, name=name, updated_at=max(stored.updated_at, at))
        self._check_path(moved)
        self._notebooks[notebook_id] = moved

    async def note_notebook(
        self,
        notebook_id: str,
        path: str,
        *,
        kernel: str | None = None,
        cell_count: int | None = None,
        at: datetime | None = None,
    ) -> None:
        self._check_open()
        stored = self._notebooks.get(notebook_id)
        if stored is None or stored.path != path:
            return
        self._notebooks[notebook_id] = replace(
            stored,
            kernel=stored.kernel if kernel is None else kernel,
            cell_count=stored.cell_count if cell_count is None else cell_count,
            updated_at=stored.updated_at if at is None else max(stored.updated_at, at),
        )

    async def delete_notebook(self, notebook_id: str) -> None:
        await self.get_notebook(notebook_id)
        del self._notebooks[notebook_id]
        for kept in (self._executions, self._runs):
            gone = [id_ for id_, row in kept.items() if row.notebook_id == notebook_id]
            for id_ in gone:
                del kept[id_]

    async def check_idle(self, notebook_id: str) -> None:  # noqa: ARG002
        """No other process can see this memory, let alone run what is in it."""
        self._check_open()

    def _check_path(self, notebook: Notebook) -> None:
        self._check_open()
        if any(n.path == notebook.path and n.id != notebook.id for n in self._notebooks.values()):
            raise NotebookExists(
                f"{notebook.path!r} is registered already; list the notebooks to see its id."
            )

    # executions ----------------------------------------------------------------
    async def record(self, executions: Sequence[Execution]) -> int:
        self._check_open()
        return sum([self._record(execution) for execution in executions])

    def _record(self, execution: Execution) -> bool:
        execution = replace(execution, notebook_id=self._notebook_of(execution), seq=None)
        stored = self._executions.get(execution.id)
        if stored is None:
            if execution.id in self._usage:
                return False  # it was deleted, and stays so
            self._seq += 1
            self._keep(replace(execution, seq=self._seq))
            return True
        if stored.status is not Status.PENDING or execution.status is Status.PENDING:
            return False
        kept = {n: getattr(stored, n) for n in _KEPT if getattr(execution, n) is None}
        self._keep(replace(execution, **kept, seq=stored.seq))
        return True

    def _keep(self, execution: Execution) -> None:
        self._executions[execution.id] = execution
        if event := usage_of(execution):
            known = self._notebooks.get(execution.notebook_id or "")
            path = event.path or (known.path if known else None)
            self._usage[event.id] = replace(event, path=path)

    def _notebook_of(self, execution: Execution) -> str | None:
        at = execution.finished_at or execution.started_at
        notebook = self._notebooks.get(execution.notebook_id or "")
        path = execution.path or ""
        if notebook is None and posixpath.isabs(path):
            found = [n for n in self._notebooks.values() if n.path == path]
            fresh = Notebook(str(uuid4()), name_for(path), path, DEFAULT_KERNEL, at, at)
            notebook = found[0] if found else fresh
        if notebook is None:
            return None
        latest = max(notebook.updated_at, at)
        self._notebooks[notebook.id] = replace(notebook, updated_at=latest)
        return notebook.id

    async def output(self, execution_id: str) -> str | None:
        self._check_open()
        found = self._executions.get(execution_id)
        return None if found is None else found.output

    async def history(self, query: HistoryQuery, most_bytes: int | None = None) -> Page[Execution]:
        found = [
            execution if query.outputs else replace(execution, output=None)
            for execution in self._matching(query)
        ]
        if most_bytes is not None:
            spent = accumulate(len(e.source) + len(e.output or "") for e in found)
            whole = sum(size < most_bytes for size in spent) + 1
            query = replace(query, limit=min(query.limit, whole))
        if len(found) <= query.limit:
            return Page(tuple(found), None)
        return Page(tuple(found[: query.limit]), str(found[query.limit - 1].seq))

    async def stream_history(self, query: HistoryQuery) -> AsyncIterator[Execution]:
        for execution in self._matching(query):
            yield execution if query.outputs else replace(execution, output=None)

    async def delete_history(self, older_than: datetime, only: HistoryQuery) -> int:
        self._check_open()
        only = replace(only, text=None, cursor=None)
        gone = [
            e.id
            for e in self._executions.values()
            if e.status is not Status.PENDING
            and e.started_at < older_than
            and _matches(e, only, ())
        ]
        for id_ in gone:
            del self._executions[id_]
        return len(gone)

    def _matching(self, query: HistoryQuery) -> list[Execution]:
        self._check_open()
        check_query(query)
        terms = search_terms(query.text) if query.text is not None else ()
        found = [e for e in self._executions.values() if _matches(e, query, terms)]
        return sorted(found, key=lambda e: e.seq or 0, reverse=True)

    async def usage(self, query: UsageQuery) -> tuple[UsageTotal, ...]:
        self._check_open()
        check_usage_query(query)
        totals: dict[str | None, UsageTotal] = {}
        for event in self._usage.values():
            if _within(event, query):
                key = _usage_key(event, query.by)
                before = totals.get(key, UsageTotal(key, 0, 0))
                totals[key] = UsageTotal(
                    key,
                    before.executions + event.executions,
                    before.duration_ms + event.duration_ms,
                )
        return tuple(sorted(totals.values(), key=lambda total: total.key or ""))

    # runs ----------------------------------------------------------------------
    async def put_run(self, run: Run) -> None:
        await self.get_notebook(run.notebook_id)
        seq = self._runs[run.id].seq if run.id in self._runs else None
        self._run_seq += seq is None
        self._runs[run.id] = replace(run, seq=seq or self._run_seq)

    async def get_run(self, run_id: str) -> Run:
        self._check_open()
        if run_id not in self._runs:
            raise RunNotFound(f"There is no run {run_id!r}.")
        return self._runs[run_id]

    async def list_runs(
        self,
        notebook_id: str | None = None,
        limit: int = 50,
        cursor: int | None = None,
        root: str | None = None,
    ) -> Page[Run]:
        self._check_open()
        check_limit(limit)
        check_cursor(cursor)
        found = [
            run
            for run in reversed(self._runs.values())
            if notebook_id in (None, run.notebook_id)
            and (cursor is None or (run.seq or 0) < cursor)
            and (root is None or notebook_id is not None or is_below(run.path, root))
        ]
        if len(found) <= limit:
            return Page(tuple(found), None)
        return Page(tuple(found[:limit]), str(found[limit - 1].seq))

    # kernels -------------------------------------------------------------------
    async def add_kernel(self, kernel: RegisteredKernel) -> None:
        self._check_open()
        if kernel.name in self._kernels:
            raise KernelExists(f"A kernel {kernel.name!r} is registered already.")
        self._kernels[kernel.name] = kernel

    async def list_kernels(self) -> tuple[RegisteredKernel, ...]:
        self._check_open()
        return tuple(sorted(self._kernels.values(), key=lambda kernel: kernel.name))

    async def delete_kernel(self, name: str) -> None:
        self._check_open()
        if self._kernels.pop(name, None) is None:
            raise KernelNotFound(f"No kernel {name!r} was registered here.")

    # life ----------------------------------------------------------------------
    async def check(self) -> None:
        self._check_open()

    async def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The database was closed.")


def _matches(execution: Execution, query: HistoryQuery, terms: Sequence[Term]) -> bool:
    for name in ("notebook_id", "run_id", "user", "status"):
        wanted = getattr(query, name)
        if wanted is not None and getattr(execution, name) != wanted:
            return False
    if query.cursor is not None and (execution.seq or 0) >= query.cursor:
        return False
    if query.since is not None and execution.started_at < query.since:
        return False
    if query.until is not None and execution.started_at >= query.until:
        return False
    if query.root is not None and not _within_root(execution, query):
        return False
    parts = search_parts(execution.source, execution.error)
    texts = [_folded_words(text or "") for text in (execution.source, execution.error, parts)]
    return all(any(_holds(words, term) for words in texts) for term in terms)


def _within_root(execution: Execution, query: HistoryQuery) -> bool:
    if execution.path is None or not posixpath.isabs(execution.path):
        return execution.server is not None and execution.server == query.server
    return is_below(execution.path, query.root or "")


def _folded_words(text: str) -> list[str]:
    return [folded(word) for word in words_of(text)]


def _holds(words: Sequence[str], term: Term) -> bool:
    wanted = [folded(word) for word in term.words]
    if term.part and any(wanted[0] in word for word in words if has_parts(word)):
        return True
    for start in range(len(words) - len(wanted) + 1):
        *first, last = words[start : start + len(wanted)]
        goes_on = term.prefix and (term.glob is None or has_parts(last))
        if first == wanted[:-1] and (
            last == wanted[-1] or (goes_on and last.startswith(wanted[-1]))
        ):
            return True
    return False


def _within(event: UsageEvent, query: UsageQuery) -> bool:
    return (
        (query.user is None or event.subject == query.user)
        and (query.since is None or event.occurred_at >= query.since)
        and (query.until is None or event.occurred_at < query.until)
        and (query.root is None or is_below(event.path or "", query.root))
    )


def _usage_key(event: UsageEvent, by: str) -> str | None:
    day = event.occurred_at.astimezone(UTC).date().isoformat()
    return {"user": event.subject, "notebook": event.path, "day": day}[by]
