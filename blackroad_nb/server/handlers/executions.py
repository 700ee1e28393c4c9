"""/blackroad/executions: headless runs, started, watched and cancelled."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tornado import web

from blackroad_nb.core.history import DEFAULT_LIMIT
from blackroad_nb.core.parameters import from_json
from blackroad_nb.core.rendering import cell_record, run_record
from blackroad_nb.core.run import Run, RunRequest
from blackroad_nb.errors import BlackRoadError, InvalidInput
from blackroad_nb.server.answer import json_text
from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.handlers.events import EventStream
from blackroad_nb.server.operation import Answer, Asked, Operation, Parameter, operation
from blackroad_nb.server.request import is_set
from blackroad_nb.server.schemas import (
    LIMIT,
    NEW_RUN,
    NOTEBOOK_PATH,
    OF_NOTEBOOK,
    OUTPUTS,
    SEQ_CURSOR,
    refer,
)

RESOURCE = "blackroad:executions"
_EVENT_NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**31}


class Executions(BlackRoadHandler):
    """The runs of this server and those before it."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="listExecutions",
            summary="List headless runs, the newest first",
            query=(
                OF_NOTEBOOK,
                Parameter("path", NOTEBOOK_PATH, "only what belongs to the notebook of this file."),
                SEQ_CURSOR,
                LIMIT,
            ),
            answers={200: Answer("One page, without outputs", refer("RunPage"))},
            refusals=(404,),
            polled=True,
        )
    )
    async def get(self, asked: Asked) -> None:
        limit = asked.query.get("limit", DEFAULT_LIMIT)
        page = await self.parts.running.list(
            await self._notebook_id(asked), limit, asked.query.get("cursor")
        )
        items = [run_record(run, outputs=False) for run in page.items]
        self.answer({"items": items, "next_cursor": page.next_cursor})

    async def _notebook_id(self, asked: Asked) -> str | None:
        notebook_id, path = asked.query.get("notebook_id"), asked.query.get("path")
        if notebook_id is not None and path is not None:
            raise InvalidInput("Give notebook_id or path, not both.")
        if path is not None:
            return (await self.parts.registered(path)).id
        if notebook_id is not None:
            await self.parts.store.get_notebook(notebook_id)
        return notebook_id

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    @operation(
        Operation(
            id="startExecution",
            summary="Run a notebook, or one cell of it, without a browser",
            body=NEW_RUN,
            answers={
                202: Answer(
                    "Accepted; it goes on whether or not anyone watches",
                    refer("Run"),
                    headers={"Location": "Where the run is."},
                )
            },
            refusals=(404, 409),
        )
    )
    async def post(self, asked: Asked) -> None:
        body, new = dict(asked.body), False
        path = body.pop("path", None)
        if path is not None:
            notebook, new = await self.parts.notebooks.at(self.parts.below_root(path))
            body["notebook_id"] = notebook.id
        if "output" in body:
            body["output"] = self.parts.below_root(body["output"])
        if "cell" in body:
            body["cell"] = int(body["cell"])  # JSON Schema takes 1.0 for a whole number
        body["parameters"] = from_json(body.get("parameters", {}))
        user, _ = self.parts.names.behind(self)
        try:
            run = await self.parts.running.start(RunRequest(**body, user=user))
        except BlackRoadError:
            if new:
                await self.parts.notebooks.forget_unused(body["notebook_id"])
            raise
        self.parts.note_activity()
        self.set_header("Location", self.location("executions", run.id))
        self.answer(run_record(run, outputs=False), 202)


class OneExecution(BlackRoadHandler):
    """One run."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="getExecution",
            summary="Show how a run stands",
            query=(OUTPUTS,),
            answers={200: Answer("The run", refer("Run"))},
            polled=True,
        )
    )
    async def get(self, asked: Asked, run_id: str) -> None:
        run = await self.parts.running.get(run_id, outputs=False)
        if is_set(asked.query.get("outputs")):
            await self._send_whole(run)
        else:
            self.answer(run_record(run, outputs=False))

    async def _send_whole(self, run: Run) -> None:
        """Send the run cell by cell: all outputs together may not fit into memory."""
        self.set_header("Content-Type", "application/json")
        head = run_record(replace(run, cells=()))
        del head["cells"]
        before = json_text(head)[:-1] + ', "cells": ['
        for cell in run.cells:
            record = cell_record(await self.parts.running.whole(cell))
            self.write(before + await asyncio.to_thread(json_text, record))
            await self.flush()
            before = ", "
        self.finish("]}" if run.cells else before + "]}")


class ExecutionEvents(EventStream):
    """A run's progress as it happens."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="watchExecution",
            summary="Follow a run as server-sent events, from its start or from where one left",
            query=(Parameter("after", _EVENT_NUMBER, "leave out events up to this number."),),
            headers=(
                Parameter("Last-Event-ID", _EVENT_NUMBER, "what a browser sends on reconnecting."),
            ),
            answers={
                200: Answer(
                    "Events named run_started, cell_started, output, cell_finished and "
                    "run_finished, with JSON data; the stream ends after the last",
                    media_types=("text/event-stream",),
                )
            },
            polled=True,
        )
    )
    async def get(self, asked: Asked, run_id: str) -> None:
        # A browser that reconnects repeats the URL, but its header knows better.
        after = asked.headers.get("Last-Event-ID", asked.query.get("after", 0))
        await self.parts.running.check_exists(run_id)  # refused before the stream begins
        await self.send_events(self.parts.running.watch(run_id, after))


class ExecutionCancel(BlackRoadHandler):
    """Stopping a run."""

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    @operation(
        Operation(
            id="cancelExecution",
            summary="Stop a run and keep what it has done; a finished one stays as it is",
            answers={202: Answer("The run as it stands now", refer("Run"))},
            refusals=(409,),
        )
    )
    async def post(self, asked: Asked, run_id: str) -> None:  # noqa: ARG002
        self.answer(run_record(await self.parts.running.cancel(run_id), outputs=False), 202)
