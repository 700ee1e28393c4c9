"""/blackroad/history: what ran, searched, streamed and given back as a notebook."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from tornado import web

from blackroad_nb.core.execution import Execution, Status
from blackroad_nb.core.history import HistoryQuery, Page
from blackroad_nb.core.rendering import csv_header, csv_row, execution_record
from blackroad_nb.managers.history import LARGE
from blackroad_nb.server.answer import json_text
from blackroad_nb.server.handlers.base import authorized
from blackroad_nb.server.handlers.download import Download
from blackroad_nb.server.operation import Answer, Asked, Operation, Parameter, operation
from blackroad_nb.server.request import is_set
from blackroad_nb.server.schemas import (
    LIMIT,
    MOMENT,
    OF_NOTEBOOK,
    OUTPUTS,
    SEARCH,
    SEQ_CURSOR,
    SINCE,
    UNTIL,
    WORD,
    refer,
)

RESOURCE = "blackroad:history"
PAGE_BYTES = 8 * 1024 * 1024  # a page with outputs ends early after these
_FORMATS = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "ipynb": "application/x-ipynb+json",
    "script": "text/x-python",
}
_FORMAT = Parameter(
    "format",
    {"type": "string", "enum": ["json", *_FORMATS], "default": "json"},
    "json is one page; the others hold all that matches, or the newest `limit`.",
)
_CHOICE = (
    OF_NOTEBOOK,
    Parameter("user", WORD, "only what this user ran."),
    Parameter("run_id", WORD, "only the cells of this headless run."),
    Parameter(
        "status",
        {"type": "string", "enum": [status.value for status in Status]},
        "only what ended so.",
    ),
    SINCE,
    UNTIL,
)
_FILTERS = (
    Parameter("q", SEARCH, "words that all occur in source or error."),
    *_CHOICE,
)


class History(Download):
    """The cells that ran, in any client of this server and in every headless run."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="searchHistory",
            summary="Search the cells that ran, the newest first",
            query=(*_FILTERS, SEQ_CURSOR, LIMIT, _FORMAT, OUTPUTS),
            answers={
                200: Answer(
                    "One page, or a file",
                    refer("HistoryPage"),
                    media_types=tuple(_FORMATS.values()),
                )
            },
            refusals=(404,),
        )
    )
    async def get(self, asked: Asked) -> None:
        query = history_query(asked.query)
        if query.notebook_id is not None:
            await self.parts.store.get_notebook(query.notebook_id)
        most = asked.query.get("limit")
        history = self.parts.history
        match asked.query.get("format", "json"):
            case "json":
                page = await history.search(query, PAGE_BYTES)
                self.answer_text(await asyncio.to_thread(_page_text, page))
            case "ipynb":
                await self.stream_file("history.ipynb", "", history.as_notebook(query, most))
            case "script":
                self.send_file("history.py", (await history.as_script(query, most)).encode())
            case name:
                lines = _lines(history.stream(query), _WRITERS[name], most)
                head = _csv_line(csv_header()) if name == "csv" else ""
                await self.stream_file(f"history.{name}", head, lines)

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    @operation(
        Operation(
            id="deleteHistory",
            summary="Delete finished executions that started before a time",
            query=(
                Parameter("older_than", MOMENT, "what started before this goes.", required=True),
                *_CHOICE,
            ),
            answers={200: Answer("How many went", refer("Deleted"))},
            refusals=(404,),
        )
    )
    async def delete(self, asked: Asked) -> None:
        only = dict(asked.query)
        older_than = only.pop("older_than")
        self.answer({"deleted": await self.parts.history.delete(older_than, history_query(only))})


def history_query(given: Mapping[str, Any]) -> HistoryQuery:
    """Turn checked query parameters into a history query."""
    renamed = {("text" if name == "q" else name): value for name, value in given.items()}
    renamed.pop("format", None)
    if "status" in renamed:
        renamed["status"] = Status(renamed["status"])
    renamed["outputs"] = is_set(renamed.get("outputs"))
    return HistoryQuery(**renamed)


def _page_text(page: Page[Execution]) -> str:
    items = [execution_record(execution) for execution in page.items]
    return json_text({"items": items, "next_cursor": page.next_cursor})


def _csv_line(row: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(row)
    return line.getvalue()


def _json_line(execution: Execution) -> str:
    return json_text(execution_record(execution)) + "\n"


_WRITERS: dict[str, Callable[[Execution], str]] = {
    "csv": lambda execution: _csv_line(csv_row(execution)),
    "jsonl": _json_line,
}


async def _lines(
    executions: AsyncIterator[Execution], write: Callable[[Execution], str], most: int | None
) -> AsyncIterator[str]:
    count = 0
    async for execution in executions:
        large = execution.output is not None and len(execution.output) > LARGE
        yield await asyncio.to_thread(write, execution) if large else write(execution)
        count += 1
        if count == most:
            return
