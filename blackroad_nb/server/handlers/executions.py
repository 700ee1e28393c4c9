"""/blackroad/executions: headless runs, started, watched and cancelled."""

from __future__ import annotations

from tornado import web

from blackroad_nb.core.history import DEFAULT_LIMIT
from blackroad_nb.core.parameters import from_json
from blackroad_nb.core.rendering import run_record
from blackroad_nb.core.run import RunRequest
from blackroad_nb.errors import BlackRoadError
from blackroad_nb.server.handlers.base import BlackRoadHandler, authorized
from blackroad_nb.server.handlers.events import EventStream
from blackroad_nb.server.operation import Answer, Asked, Operation, Parameter, operation
from blackroad_nb.server.schemas import LIMIT, NEW_RUN, OF_NOTEBOOK, SEQ_CURSOR, refer

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
            query=(OF_NOTEBOOK, SEQ_CURSOR, LIMIT),
            answers={200: Answer("One page", refer("RunPage"))},
            polled=True,
        )
    )
    async def get(self, asked: Asked) -> None:
        limit = asked.query.get("limit", DEFAULT_LIMIT)
        notebook_id, cursor = asked.query.get("notebook_id"), asked.query.get("cursor")
        page = await self.parts.running.list(notebook_id, limit, cursor)
        items = [run_record(run) for run in page.items]
        self.answer({"items": items, "next_cursor": page.next_cursor})

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
        self.answer(run_record(run), 202)


class OneExecution(BlackRoadHandler):
    """One run."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    @operation(
        Operation(
            id="getExecution",
            summary="Show how a run stands",
            answers={200: Answer("The run", refer("Run"))},
            polled=True,
        )
    )
    async def get(self, asked: Asked, run_id: str) -> None:  # noqa: ARG002
        self.answer(run_record(await self.parts.running.get(run_id)))


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
        await self.parts.running.get(run_id)  # an unknown run is refused before the stream
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
        self.answer(run_record(await self.parts.running.cancel(run_id)), 202)
